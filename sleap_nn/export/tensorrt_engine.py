"""Torch modules as TensorRT engines, which run on the kind of GPU on which they were built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from sleap_nn.errors import ConfigError, EngineError, MissingPackageError, OutputError, reason
from sleap_nn.export.onnx_file import export_to_onnx, sample_images
from sleap_nn.inference.onnx_runtime import INPUT
from sleap_nn.inference.tensorrt_runtime import import_tensorrt
from sleap_nn.whole_files import whole_file

PRECISIONS = ("fp32", "fp16", "tf32")
METHODS = ("onnx", "jit")
WORKSPACE = 2 << 30
"""Bytes with which an engine is built."""

Shape = tuple[int, ...]


def export_to_tensorrt(  # noqa: PLR0913 - the documented signature
    model: nn.Module,
    save_path: str | Path,
    input_shape: Shape = (1, 1, 512, 512),
    input_dtype: torch.dtype = torch.uint8,
    precision: str = "fp16",
    min_shape: Shape | None = None,
    opt_shape: Shape | None = None,
    max_shape: Shape | None = None,
    workspace_size: int = WORKSPACE,
    method: str = "onnx",
    verbose: bool = True,
) -> Path:
    """Write a module as a TensorRT engine.

    Args:
        model: As for `export_to_onnx`.
        save_path: The file; its ending becomes ``.trt``. An ``.onnx`` file of this name beside it is used as it is.
        input_shape: Size of the usual batch.
        input_dtype: Type of the images.
        precision: ``fp32``, ``fp16`` or ``tf32``.
        min_shape: The smallest batch; None: one image of half the height and width.
        opt_shape: The batch for which the engine is fast; None: `input_shape`.
        max_shape: The largest batch; None: 16 images of twice the height and width.
        workspace_size: Bytes of memory for building.
        method: ``onnx``: by an ONNX file; ``jit``: by the package torch_tensorrt.
        verbose: Whether TensorRT may write its own log.

    Returns:
        The file.

    Raises:
        MissingPackageError: TensorRT, or torch_tensorrt, is not installed.
        ConfigError: A value is unknown.
        EngineError: The engine cannot be built.
        OutputError: The file cannot be written.
    """
    for name, value, known in (("precision", precision, PRECISIONS), ("method", method, METHODS)):
        if value not in known:
            raise ConfigError(f"{name} is {value!r}; choose {', '.join(known)}.")
    tensorrt = import_tensorrt()
    batch, channels, height, width = input_shape
    shapes = (
        (1, channels, height // 2, width // 2) if min_shape is None else min_shape,
        (batch, channels, height, width) if opt_shape is None else opt_shape,
        (16, channels, 2 * height, 2 * width) if max_shape is None else max_shape,
    )
    path = Path(save_path).with_suffix(".trt")
    if method == "jit":
        plan = _built_by_torch(model, shapes, input_dtype, precision, workspace_size)
    else:
        onnx = path.with_suffix(".onnx")
        if not onnx.is_file():
            export_to_onnx(model, onnx, input_shape, input_dtype)
        plan = build_engine(tensorrt, onnx.read_bytes(), shapes, precision, workspace_size, verbose)
    try:
        with whole_file(path) as partial:
            partial.write_bytes(plan)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); choose another folder.") from error
    return path


def build_engine(
    tensorrt: Any,
    onnx: bytes,
    shapes: tuple[Shape, Shape, Shape],
    precision: str = "fp16",
    workspace_size: int = WORKSPACE,
    verbose: bool = False,
) -> bytes:
    """Return an engine for an ONNX file.

    Args:
        tensorrt: The package.
        onnx: Content of the file.
        shapes: The smallest, the usual and the largest batch.
        precision: One of `PRECISIONS`.
        workspace_size: Bytes of memory for building.
        verbose: Whether TensorRT may write its own log.

    Raises:
        EngineError: TensorRT cannot build it.
    """
    logger = tensorrt.Logger(tensorrt.Logger.INFO if verbose else tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(_network_flags(tensorrt))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(onnx):
        reasons = "; ".join(" ".join(str(parser.get_error(i)).split()) for i in range(parser.num_errors))
        raise EngineError(f"TensorRT cannot read the network ({reasons}); export it with the format onnx.")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, workspace_size)
    config.clear_flag(tensorrt.BuilderFlag.TF32)
    if precision != "fp32":
        config.set_flag(tensorrt.BuilderFlag.FP16 if precision == "fp16" else tensorrt.BuilderFlag.TF32)
    profile = builder.create_optimization_profile()
    profile.set_shape(INPUT, *shapes)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(
            f"TensorRT gave no engine for images of {shapes[0]} to {shapes[2]}; give it more "
            "memory (--workspace-size-gb), or smaller "
            "batches (--max-batch-size)."
        )
    return bytes(plan)


def _network_flags(tensorrt: Any) -> int:
    """Return the flags of a network whose batch is one of its axes; from version 10 on there is no other."""
    flag = vars(tensorrt.NetworkDefinitionCreationFlag).get("EXPLICIT_BATCH")
    return 0 if flag is None or int(tensorrt.__version__.split(".")[0]) >= 10 else 1 << int(flag)


def _built_by_torch(
    model: nn.Module, shapes: tuple[Shape, Shape, Shape], dtype: torch.dtype, precision: str, workspace_size: int
) -> bytes:
    """Return an engine that torch_tensorrt makes.

    Raises:
        MissingPackageError: It is not installed.
        EngineError: It cannot.
    """
    try:
        import torch_tensorrt  # pyright: ignore[reportMissingImports] - for NVIDIA GPUs only
    except ImportError as error:
        raise MissingPackageError('method="jit" needs torch_tensorrt; install it, or use method="onnx".') from error
    smallest, usual, largest = shapes
    model = model.eval().cuda()
    try:
        recorded = torch.jit.trace(model, sample_images(usual, dtype, torch.device("cuda")), strict=False)
        return torch_tensorrt.ts.convert_method_to_trt_engine(
            recorded,
            "forward",
            inputs=[torch_tensorrt.Input(min_shape=smallest, opt_shape=usual, max_shape=largest, dtype=dtype)],
            enabled_precisions={torch.float16, torch.float32} if precision == "fp16" else {torch.float32},
            disable_tf32=precision != "tf32",
            workspace_size=workspace_size,
        )
    except RuntimeError as error:
        raise EngineError(f"torch_tensorrt cannot build the engine ({reason(error)}); use method='onnx'.") from error
