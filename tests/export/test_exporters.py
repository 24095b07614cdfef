import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sleap_nn.errors import ConfigError, MissingPackageError
from sleap_nn.export.exporters import export_model


class Half(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.float() / 2


def test_the_format_decides_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = export_model(Half(), tmp_path / "m.bin", input_shape=(1, 1, 8, 8), input_dtype=torch.uint8)
    assert (path, path.exists()) == (tmp_path / "m.onnx", True)
    with pytest.raises(ConfigError, match="fmt is 'pdf'; choose onnx, tensorrt or both"):
        export_model(Half(), tmp_path / "m", fmt="pdf")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    for fmt in ("tensorrt", "both"):
        with pytest.raises(MissingPackageError, match="TensorRT is not installed"):
            export_model(Half(), tmp_path / "other", fmt=fmt)
    assert not (tmp_path / "other.onnx").exists()


@pytest.mark.parametrize(("fmt", "written_anew"), [("both", True), ("tensorrt", False)])
def test_an_engine_is_made_of_the_file_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fmt: str, written_anew: bool
) -> None:
    made = []
    monkeypatch.setattr("sleap_nn.export.exporters.import_tensorrt", lambda: None)
    monkeypatch.setattr(
        "sleap_nn.export.exporters.export_to_tensorrt", lambda *args, **options: made.append((args[1:], options))
    )
    (tmp_path / "m.onnx").write_bytes(b"old")
    export_model(Half(), tmp_path / "m", fmt, (1, 1, 8, 8), precision="fp32")
    assert made == [((tmp_path / "m", (1, 1, 8, 8)), {"precision": "fp32"})]
    assert ((tmp_path / "m.onnx").read_bytes() != b"old") == written_anew
    (tmp_path / "m.onnx").unlink()
    export_model(Half(), tmp_path / "m", fmt, (1, 1, 8, 8))
    assert (tmp_path / "m.onnx").exists()
