"""Torch modules as ONNX files, and whether a file computes what its module computes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from sleap_nn.errors import ConfigError, MissingPackageError, ModelError, OutputError, UserError, reason
from sleap_nn.inference.onnx_runtime import INPUT, import_onnxruntime, onnxruntime_errors
from sleap_nn.log import logger
from sleap_nn.whole_files import whole_file

Module = TypeVar("Module", bound=nn.Module)
NEWER_OPSET = 18
"""The first operator version of the newer of the two exporters of torch."""
_EXPORTER_ERRORS = (RuntimeError, TypeError, ValueError, NotImplementedError)
"""Those of torch about networks that it cannot export."""
Axes = Mapping[str, Mapping[int, str]]


def import_onnx() -> Any:
    """Return the package onnx.

    Raises:
        MissingPackageError: It, or what torch needs beside it, is not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch asks for it
    except ImportError as error:
        raise MissingPackageError(
            f'Exporting needs {error.name}, which is not installed; pip install "sleap-nn[export]".'
        ) from error
    return onnx


def export_to_onnx(  # noqa: PLR0913 - the documented signature
    model: nn.Module,
    save_path: str | Path,
    input_shape: tuple[int, ...] = (1, 1, 512, 512),
    input_dtype: torch.dtype = torch.uint8,
    opset_version: int = 17,
    dynamic_axes: Axes | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    do_constant_folding: bool = True,
    verify: bool = True,
    numerical_check: bool = False,
    numerical_atol: float = 1e-3,
    numerical_rtol: float = 1e-3,
) -> Path:
    """Write a module as an ONNX file.

    Args:
        model: Takes a batch of images (B, C, H, W) and gives a tensor, a sequence of them, or a dictionary.
        save_path: The file.
        input_shape: Size of the batch with which the module is recorded.
        input_dtype: Its type; of uint8 images the module must divide by 255 itself.
        opset_version: Version of the ONNX operators; where the module needs a newer one, that is taken.
        dynamic_axes: Axes of inputs and outputs that may have any size, ``{name: {axis: label}}``; None: batch, height
            and width.
        input_names: Name of the input; None: ``image``.
        output_names: Names of the outputs; None: the keys of a dictionary, else ``output_0``, ``output_1``, ...
        do_constant_folding: Compute what does not depend on the input while exporting.
        verify: Check the structure of the file.
        numerical_check: Compare what the file and the module compute.
        numerical_atol: Largest absolute difference.
        numerical_rtol: Largest difference as a share of the value.

    Returns:
        The file.

    Raises:
        MissingPackageError: A package of the extra ``export`` is not installed.
        ConfigError: There are too few or too many names.
        ModelError: The module cannot be exported, or the file is not well formed.
        OutputError: The file cannot be written.
        AssertionError: The file computes something else than the module.
    """
    onnx = import_onnx()
    path = Path(save_path)
    example = sample_images(input_shape, input_dtype, device_of(model))
    with evaluating(_Flat(model)) as flat:
        with torch.no_grad():
            outputs = flat(example)
        names = list(output_names) if output_names is not None else _names_of(model, example)
        if len(names) != len(outputs):
            raise ConfigError(f"{len(names)} output_names were given for {len(outputs)} outputs; give one each.")
        if input_names is not None and len(input_names) != 1:
            raise ConfigError(f"{len(input_names)} input_names were given; a module that is exported takes one input.")
        given = INPUT if input_names is None else input_names[0]
        axes = dynamic_axes if dynamic_axes is not None else default_axes(given, names, outputs)
        options = {"input_names": [given], "output_names": names, "do_constant_folding": do_constant_folding}
        try:
            with whole_file(path) as partial:
                _write(flat, example, partial, opset_version, axes, options)
                _state_sizes(onnx, partial, outputs, axes)
                if verify:
                    check_structure(onnx, partial, path)
                tolerance = (numerical_atol, numerical_rtol)
                problem = _difference(flat, partial, example, tolerance, names) if numerical_check else None
                if problem is not None:
                    raise AssertionError(f"{path} does not compute what the module computes: {problem}")
        except UserError:
            raise
        except OSError as error:
            raise OutputError(f"{path} cannot be written ({error.strerror}); choose another folder.") from error
    return path


@contextmanager
def evaluating(model: Module) -> Iterator[Module]:
    """Let a module behave as in prediction, and every part of it as before afterwards.

    Args:
        model: The module.

    Yields:
        The module.
    """
    were_training = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield model
    finally:
        for part, was_training in were_training.items():
            part.training = was_training


def default_axes(input_name: str, names: Sequence[str], outputs: Sequence[Tensor]) -> dict[str, dict[int, str]]:
    """Return the axes that may have any size: batch, height and width of images and of maps."""
    axes = {input_name: {0: "batch", 2: "height", 3: "width"}}
    for name, output in zip(names, outputs, strict=True):
        sides = {2: f"{name}_height", 3: f"{name}_width"} if output.ndim == 4 else {}
        axes[name] = {0: "batch", **sides}
    return axes


def check_structure(onnx: Any, path: Path, name: Path) -> None:
    """Refuse a file that is not well formed.

    Args:
        onnx: The package.
        path: The file.
        name: What the message calls it.

    Raises:
        ModelError: The message says why.
    """
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"{name} is not a valid ONNX file ({reason(error)}); try another --opset-version.") from error


class Difference(NamedTuple):
    """By how much an output of a file differs from that of its module.

    Attributes:
        most: The largest difference.
        largest: The largest absolute value of the output.
    """

    most: float
    largest: float

    @property
    def share(self) -> float:
        """The difference in units of the largest value, if that is above 1."""
        return self.most / max(1.0, self.largest)


def largest_differences(model: nn.Module, path: Path, names: Sequence[str], images: Tensor) -> dict[str, Difference]:
    """Return by how much outputs of a file and of its module differ.

    NaN in one and a number in the other is an infinite difference, and so is a file that cannot be run on the images.

    Args:
        model: The module.
        path: The file.
        names: The outputs to compare.
        images: The batch that both get.
    """
    with torch.no_grad():
        outputs = model(images)
    expected = {name: outputs[name].cpu().numpy() for name in names}
    largest = {name: float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0)) for name, wanted in expected.items()}
    try:
        found = _session(path).run(list(names), {INPUT: images.cpu().numpy()})
    except onnxruntime_errors():
        return {name: Difference(float("inf"), largest[name]) for name in names}
    return {
        name: Difference(_apart(own, expected[name]), largest[name]) for name, own in zip(names, found, strict=True)
    }


def _apart(own: np.ndarray, wanted: np.ndarray) -> float:
    """Return how far two arrays are apart."""
    finite = np.isfinite(wanted)
    if own.shape != wanted.shape or (np.isfinite(own) != finite).any():
        return float("inf")
    return float(np.abs(own[finite] - wanted[finite]).max(initial=0))


def set_properties(path: Path, properties: Mapping[str, str]) -> None:
    """Write texts into the file itself, where every program that reads ONNX finds them.

    Raises:
        OutputError: The file cannot be written.
    """
    onnx = import_onnx()
    try:
        model = onnx.load(str(path))
        onnx.helper.set_model_props(model, dict(properties))
        onnx.save(model, str(path))
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); choose another folder.") from error


class _Flat(nn.Module):
    """A module whose outputs are a tuple."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found = self.model(image)
        if isinstance(found, Mapping):
            return tuple(found.values())
        return (found,) if isinstance(found, Tensor) else tuple(found)


def _write(flat: nn.Module, example: Tensor, path: Path, opset: int, axes: Axes, options: Mapping[str, Any]) -> None:
    """Record a module: by the older exporter of torch, which is quick, or by the newer where that does not know a step.

    Raises:
        ModelError: Neither can.
        OSError: The file cannot be written.
    """
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # It warns of its age and of every step that could depend on the image; what it wrote is compared later.
            warnings.simplefilter("ignore")
            try:
                torch.onnx.export(
                    flat, (example,), str(path), opset_version=opset, dynamic_axes=axes, dynamo=False, **options
                )
            except _EXPORTER_ERRORS:
                newer = max(opset, NEWER_OPSET)
                _write_newer(flat, example, path, newer, axes, options)
                if newer > opset:
                    logger.warning("The network needs ONNX operators of version %d; %d was asked for.", newer, opset)
    except _EXPORTER_ERRORS as error:
        raise ModelError(f"The network cannot be exported ({reason(error)}); try another --opset-version.") from error


def _write_newer(
    flat: nn.Module, example: Tensor, path: Path, opset: int, axes: Axes, options: Mapping[str, Any]
) -> None:
    """Record a module by the exporter that follows the program instead of one run of it."""
    (name,) = options["input_names"]
    sizes = dict.fromkeys(axes.get(name, {}), torch.export.Dim.AUTO)  # pyright: ignore[reportAttributeAccessIssue]
    torch.onnx.export(
        flat,
        (example,),
        str(path),
        opset_version=opset,
        dynamic_shapes={"image": sizes},
        dynamo=True,
        external_data=False,
        verbose=False,
        input_names=options["input_names"],
        output_names=options["output_names"],
    )


def _state_sizes(onnx: Any, path: Path, outputs: Sequence[Tensor], axes: Axes) -> None:
    """Write the sizes of the outputs into the file, which the exporter does not always know; not those of free axes."""
    model = onnx.load(str(path))
    for entry, output in zip(model.graph.output, outputs, strict=True):
        for axis, dim in enumerate(entry.type.tensor_type.shape.dim):
            if axis not in axes.get(entry.name, {}):
                dim.dim_value = output.shape[axis]
    onnx.save(model, str(path))


def _names_of(model: nn.Module, example: Tensor) -> list[str]:
    """Return the names of the outputs."""
    with torch.no_grad():
        found = model(example)
    if isinstance(found, Mapping):
        return list(found)
    return [f"output_{i}" for i in range(1 if isinstance(found, Tensor) else len(found))]


def _difference(
    flat: nn.Module, path: Path, example: Tensor, tolerance: tuple[float, float], names: Sequence[str]
) -> str | None:
    """Return where a file and its module differ by more than is allowed, None if nowhere."""
    atol, rtol = tolerance
    with torch.no_grad():
        expected = flat(example)
    session = _session(path)
    (given,) = (entry.name for entry in session.get_inputs())
    for name, own, wanted in zip(names, session.run(None, {given: example.cpu().numpy()}), expected, strict=True):
        if not np.allclose(own, wanted.cpu().numpy(), atol=atol, rtol=rtol, equal_nan=True):
            most = np.nanmax(np.abs(own.astype(np.float64) - wanted.cpu().numpy()), initial=0)
            return f"{name} differs by up to {most:.3g}."
    return None


def _session(path: Path) -> Any:
    """Return a file, ready to run on the CPU."""
    runtime = import_onnxruntime()
    settings = runtime.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = torch.get_num_threads()
    return runtime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def sample_images(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return images of smooth blobs and noise, the same ones every time."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((*shape[:2], 4, 4), generator=generator)
    smooth = nn.functional.interpolate(coarse, size=tuple(shape[2:]), mode="bicubic")
    noisy = (smooth + 0.1 * torch.randn(tuple(shape), generator=generator)).clamp(0, 1)
    return (noisy if dtype.is_floating_point else 255 * noisy).to(device, dtype)


def device_of(model: nn.Module) -> torch.device:
    """Return where the weights of a module are."""
    first = next(model.parameters(), None)
    return torch.device("cpu") if first is None else first.device
