"""What is refused where there is no GPU; the rest of the runtime needs one."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sleap_nn.errors import ConfigError, MissingPackageError
from sleap_nn.inference import tensorrt_runtime
from sleap_nn.inference.tensorrt_runtime import TensorRtRuntime, can_run, import_tensorrt


def test_without_the_package_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingPackageError, match=r"TensorRT is not installed; .* runtime onnx\."):
        import_tensorrt()
    assert not can_run()


@pytest.mark.parametrize("device", ["cpu", "cuda", "auto", "mps"])
def test_without_a_gpu_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace())  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(tensorrt_runtime.torch.cuda, "is_available", lambda: False)
    assert not can_run()
    with pytest.raises(ConfigError, match=f"TensorRT needs an NVIDIA GPU, which {device!r} is not here"):
        TensorRtRuntime(tmp_path / "model.trt", [], device)
