"""Exported networks in ONNX Runtime: images in, raw outputs by head name out, as `runtime.TorchRuntime`.

Only the maps of a graph are computed; what else it can tell, from peaks on, is for programs without this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from sleap_nn.errors import ConfigError, MissingPackageError, ModelError, reason
from sleap_nn.heads.base import Head

INPUT = "image"
MAP_PREFIX = "map_"
"""Start of the names of outputs that are maps; the name of the head follows."""
_ERRORS_ONLY = 3
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def import_onnxruntime() -> Any:
    """Return the package onnxruntime.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError(
            'Exported models run in onnxruntime, which is not installed; pip install "sleap-nn[export]".'
        ) from error
    return onnxruntime


class OnnxRuntime:
    """Runs the network of an ONNX file.

    Attributes:
        device: Where it runs, ``cpu`` or ``cuda``.
        precision: ``32``: the weights of a file are not converted.
    """

    precision = "32"

    def __init__(self, file: Path, heads: Sequence[Head], device: str = "auto") -> None:
        """Load a file.

        Args:
            file: What was exported.
            heads: The heads whose maps it gives.
            device: ``auto`` (cuda where onnxruntime can use it, else cpu), ``cpu``, ``cuda`` or ``cuda:N``.

        Raises:
            MissingPackageError: onnxruntime is not installed.
            ConfigError: onnxruntime cannot use the device.
            ModelError: The file is broken, or its outputs are not the maps of the heads.
        """
        runtime = import_onnxruntime()
        self._file, self._heads, self._asked = file, tuple(heads), device
        self._problems = onnxruntime_errors()
        self._names = [MAP_PREFIX + head.name for head in heads]
        self._options = runtime.RunOptions()
        self._options.only_execute_path_to_fetches = True
        settings = runtime.SessionOptions()
        settings.log_severity_level = self._options.log_severity_level = _ERRORS_ONLY
        settings.intra_op_num_threads = torch.get_num_threads()
        providers = _providers(device, runtime.get_available_providers())
        try:
            # From memory, so that a file cannot name weights in other files of this machine.
            self._session = runtime.InferenceSession(file.read_bytes(), settings, providers=providers)
        except self._problems as error:
            raise ModelError(f"{file} cannot be run ({reason(error)}); export the model again.") from error
        self.device = "cuda" if self._session.get_providers()[0] == _CUDA else "cpu"
        if device.startswith("cuda") and self.device != "cuda":
            raise ConfigError(_no_device(device))
        self._check()

    def __reduce__(self) -> tuple[type[OnnxRuntime], tuple[Path, tuple[Head, ...], str]]:
        """Load the file again where a copy is needed, in another process for example."""
        return OnnxRuntime, (self._file, self._heads, self._asked)

    @property
    def properties(self) -> dict[str, str]:
        """The texts that the file holds."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Run images (B, C, H, W) uint8; the outputs (B, K, h, w) float32 are on the CPU.

        Raises:
            ModelError: The graph cannot take them, or gives maps of another size.
        """
        try:
            found = self._session.run(self._names, {INPUT: images.cpu().contiguous().numpy()}, self._options)
        except self._problems as error:
            size = "x".join(str(side) for side in images.shape)
            raise ModelError(
                f"{self._file} cannot be run on images of {size} ({reason(error)}); export it again for this size."
            ) from error
        maps = {head.name: torch.from_numpy(values) for head, values in zip(self._heads, found, strict=True)}
        for head in self._heads:
            height, width = (-(-side // head.output_stride) for side in images.shape[2:])
            expected = (len(images), head.channels, *((height, width) if head.reads == "map" else ()))
            if maps[head.name].shape != expected:
                self._refuse(f"{MAP_PREFIX}{head.name} is {tuple(maps[head.name].shape)}, not {expected}")
        return {name: values.float() for name, values in maps.items()}

    def _check(self) -> None:
        """Refuse a graph that gives something else than the maps of the heads.

        Raises:
            ModelError: The message says what.
        """
        inputs = [(entry.name, entry.type) for entry in self._session.get_inputs()]
        if inputs != [(INPUT, "tensor(uint8)")]:
            self._refuse(f"its inputs are {inputs}")
        outputs = {entry.name: entry for entry in self._session.get_outputs()}
        for name in self._names:
            if name not in outputs:
                self._refuse(f"it has no output {name}")
            if outputs[name].type not in ("tensor(float)", "tensor(float16)"):
                self._refuse(f"{name} is a {outputs[name].type}")

    def _refuse(self, problem: str) -> NoReturn:
        """Raise the error about a graph that is none of ours."""
        raise ModelError(f"{self._file} is no network of this model ({problem}); export the trained folder again.")


def _providers(device: str, available: Sequence[str]) -> list[str | tuple[str, dict[str, str]]]:
    """Return what onnxruntime may compute with, the first counts.

    Raises:
        ConfigError: It cannot use the device.
    """
    name, _, index = device.partition(":")
    if name == "cpu" or (name == "auto" and (_CUDA not in available or not torch.cuda.is_available())):
        return [_CPU]
    if name not in ("auto", "cuda") or _CUDA not in available or not (index or "0").isdigit():
        raise ConfigError(_no_device(device))
    return [(_CUDA, {"device_id": index or "0"}), _CPU]


def _no_device(device: str) -> str:
    """Return the sentence about a device that onnxruntime cannot use."""
    return (
        f"onnxruntime cannot use the device {device!r} here; choose auto or cpu, or install onnxruntime-gpu for CUDA "
        "in place of onnxruntime."
    )


def onnxruntime_errors() -> tuple[type[Exception], ...]:
    """Return the errors of onnxruntime about files and inputs, which share no class, and those of reading a file."""
    state = import_onnxruntime().capi.onnxruntime_pybind11_state
    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NotImplemented", "EPFail")
    return (*(vars(state)[name] for name in names), state.RuntimeException, OSError, ValueError, RuntimeError)
