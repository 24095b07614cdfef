"""Exported networks in TensorRT: images in, raw outputs by head name out, as `runtime.TorchRuntime`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sleap_nn.errors import ConfigError, MissingPackageError, ModelError
from sleap_nn.heads.base import Head
from sleap_nn.inference.onnx_runtime import INPUT, MAP_PREFIX


def import_tensorrt() -> Any:
    """Return the package tensorrt.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        import tensorrt  # pyright: ignore[reportMissingImports] - for NVIDIA GPUs only
    except ImportError as error:
        raise MissingPackageError(
            "TensorRT is not installed; pip install tensorrt on a machine with an NVIDIA GPU, or use the "
            "format and the runtime onnx."
        ) from error
    return tensorrt


def can_run() -> bool:
    """Tell whether there are both TensorRT and a GPU."""
    try:
        import_tensorrt()
    except MissingPackageError:
        return False
    return torch.cuda.is_available()


class TensorRtRuntime:
    """Runs a TensorRT engine on a GPU.

    Attributes:
        device: The GPU.
        precision: That of the engine, ``fp32``, ``fp16`` or ``tf32``.
    """

    def __init__(self, file: Path, heads: Sequence[Head], device: str = "auto", precision: str = "fp16") -> None:
        """Load an engine; nothing in it can run on the CPU.

        Args:
            file: What was exported.
            heads: The heads whose maps it gives.
            device: ``auto``, ``cuda`` or ``cuda:N``.
            precision: As above.

        Raises:
            MissingPackageError: TensorRT is not installed.
            ConfigError: The device is no GPU, or there is none.
            ModelError: The engine was made for another GPU or version, or gives something else.
        """
        tensorrt = import_tensorrt()
        name = "cuda" if device == "auto" else device
        if not name.startswith("cuda") or not torch.cuda.is_available():
            raise ConfigError(f"TensorRT needs an NVIDIA GPU, which {device!r} is not here; choose the runtime onnx.")
        self.device, self.precision = torch.device(name), precision
        self._heads = tuple(heads)
        with torch.cuda.device(self.device):
            self._runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
            self._engine = self._runtime.deserialize_cuda_engine(file.read_bytes())
            if self._engine is None:
                raise ModelError(
                    f"{file} cannot be loaded: an engine runs on the kind of GPU and the version of TensorRT that it "
                    "was made with; export the model again here, or choose the runtime onnx."
                )
            self._context = self._engine.create_execution_context()
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        self._outputs = [name for name in names if name != INPUT]
        missing = {MAP_PREFIX + head.name for head in heads} - set(self._outputs)
        if INPUT not in names or missing:
            raise ModelError(f"{file} is no network of this model; export the trained folder again.")
        self._dtypes = {
            tensorrt.float32: torch.float32,
            tensorrt.float16: torch.float16,
            tensorrt.int32: torch.int32,
            tensorrt.int64: torch.int64,
            tensorrt.bool: torch.bool,
        }

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Run images (B, C, H, W) uint8; the outputs (B, K, h, w) float32 stay on the GPU.

        Raises:
            ModelError: The images are larger than the engine was made for.
        """
        images = images.to(self.device).contiguous()
        if not self._context.set_input_shape(INPUT, tuple(images.shape)):
            size = "x".join(str(side) for side in images.shape)
            raise ModelError(f"The engine does not take images of {size}; export the model again for this size.")
        with torch.cuda.device(self.device):
            self._context.set_tensor_address(INPUT, images.data_ptr())
            found = {}
            for name in self._outputs:
                shape = tuple(self._context.get_tensor_shape(name))
                dtype = self._dtypes[self._engine.get_tensor_dtype(name)]
                found[name] = torch.empty(shape, dtype=dtype, device=self.device)
                self._context.set_tensor_address(name, found[name].data_ptr())
            stream = torch.cuda.current_stream()
            if not self._context.execute_async_v3(stream.cuda_stream):
                raise ModelError("The engine failed on the GPU; free memory on it, or choose the runtime onnx.")
            stream.synchronize()
        return {head.name: found[MAP_PREFIX + head.name].float() for head in self._heads}
