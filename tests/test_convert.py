from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from factories import make_labels
from model_folders import HEADS, write_model

from sleap_nn.cli import cli
from sleap_nn.convert import convert_model
from sleap_nn.errors import MissingFileError, OutputError
from sleap_nn.inference import predict


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "labels.pkg.slp"
    make_labels(4, path=path, num_animals=2)
    return path


def points(labels: Path, model: Path) -> list[np.ndarray]:
    found = predict(labels, model_paths=model, device="cpu", peak_threshold=0.05)
    return [np.array([instance.numpy() for instance in frame.instances]) for frame in found]


@pytest.mark.parametrize("model_type", sorted(set(HEADS) - {"single_instance"}))
def test_a_converted_model_predicts_the_same(labels: Path, tmp_path: Path, model_type: str) -> None:
    model = write_model(tmp_path / "run", model_type, labels)
    converted = convert_model(model / "best.ckpt", tmp_path / "new" / "model")
    assert sorted(path.name for path in converted.iterdir()) == ["best.safetensors", "training_config.yaml"]
    before, after = points(labels, model), points(labels, converted)
    assert sum(map(len, before)) > 0
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nothing_is_replaced_and_nothing_is_left_by_a_failure(labels: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "run", "bottomup", labels)
    with pytest.raises(OutputError, match="already holds a model"):
        convert_model(model, model)
    with pytest.raises(MissingFileError, match="does not exist"):
        convert_model(tmp_path / "none", tmp_path / "new")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        convert_model(model, tmp_path / "file" / "new")
    assert not (tmp_path / "new").exists()


def test_the_command(labels: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "run", "bottomup", labels)
    result = CliRunner().invoke(cli, ["convert", str(model), "-o", str(tmp_path / "new")])
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"Model: {tmp_path / 'new'}\n")
    assert "tensors of" in result.output
    assert CliRunner().invoke(cli, ["convert", str(model)]).exit_code == 2
    again = CliRunner().invoke(cli, ["convert", str(model), "-o", str(tmp_path / "new")])
    assert again.exit_code == 1
    assert "already holds a model" in again.stderr
