"""The functions that write a torch module, whatever it is, as a file for another runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from sleap_nn.errors import ConfigError
from sleap_nn.export.onnx_file import export_to_onnx
from sleap_nn.export.tensorrt_engine import export_to_tensorrt
from sleap_nn.inference.tensorrt_runtime import import_tensorrt

__all__ = ["export_model", "export_to_onnx", "export_to_tensorrt"]


def export_model(
    model: nn.Module,
    save_path: str | Path,
    fmt: str = "onnx",
    input_shape: tuple[int, ...] = (1, 1, 512, 512),
    opset_version: int = 17,
    output_names: Sequence[str] | None = None,
    verify: bool = True,
    **kwargs: Any,
) -> Path:
    """Write a module in one format or in both.

    Args:
        model: As for `export_to_onnx`.
        save_path: The file; its ending becomes that of the format.
        fmt: ``onnx``, ``tensorrt`` or ``both``.
        input_shape: Size of the batch with which the module is recorded.
        opset_version: Version of the ONNX operators.
        output_names: See `export_to_onnx`.
        verify: Check the structure of the ONNX file.
        **kwargs: More of `export_to_onnx`, or of `export_to_tensorrt` where an engine is made.

    Returns:
        The file; of both, the engine.

    Raises:
        ConfigError: The format is unknown; for the rest see the two functions.
    """
    if fmt not in ("onnx", "tensorrt", "both"):
        raise ConfigError(f"fmt is {fmt!r}; choose onnx, tensorrt or both.")
    path, onnx = Path(save_path), Path(save_path).with_suffix(".onnx")
    described: dict[str, Any] = {"opset_version": opset_version, "output_names": output_names, "verify": verify}
    if fmt == "onnx":
        return export_to_onnx(model, onnx, input_shape, **described, **kwargs)
    import_tensorrt()
    if fmt == "both" or not (onnx.is_file() or kwargs.get("method") == "jit"):
        described |= {name: kwargs[name] for name in ("input_dtype",) if name in kwargs}
        export_to_onnx(model, onnx, input_shape, **described)
    return export_to_tensorrt(model, path, input_shape, **kwargs)
