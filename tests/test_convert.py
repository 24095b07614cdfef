from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from factories import make_labels
from foreign_labels import write_coco, write_dlc, write_yolo
from model_folders import HEADS, write_model

from sleap_nn.cli import cli
from sleap_nn.convert import convert, convert_model
from sleap_nn.data.labels import load_labels
from sleap_nn.errors import DataError, MissingFileError, ModelError, OutputError, UsageError
from sleap_nn.inference import predict
from sleap_nn.inference.loaded_model import LoadedModel


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


def test_an_exported_pair_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Any = None
    parts = [
        LoadedModel(tmp_path / "pair", nothing, nothing, "cpu", "32", tmp_path / f"{name}.onnx")
        for name in ("centroid", "centered_instance")
    ]
    monkeypatch.setattr("sleap_nn.convert.load_models", lambda *_, **__: parts)
    with pytest.raises(ModelError, match="pair is an exported model; give the folder of the training"):
        convert_model(tmp_path / "pair", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_model_appears_whole_or_not_at_all(labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_model(tmp_path / "run", "centroid", labels)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")

    def full(*_: object) -> None:
        raise OutputError("the disk is full")

    for name in ("save_weights", "TrainingJobConfig.save"):
        with monkeypatch.context() as patch:
            patch.setattr(f"sleap_nn.networks.model_dir.{name}", full)
            for folder in ("new", "notes"):
                with pytest.raises(OutputError, match="the disk is full"):
                    convert_model(model, tmp_path / folder)
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["mine.txt"]
    assert convert_model(model, tmp_path / "notes") == tmp_path / "notes"
    assert len(list((tmp_path / "notes").iterdir())) == 3


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


def test_labels_of_other_programs_by_the_same_command(tmp_path: Path) -> None:
    write_dlc(tmp_path / "dlc")
    result = CliRunner().invoke(cli, ["convert", str(tmp_path / "dlc"), "-o", str(tmp_path / "a.pkg.slp")])
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"Labels: {tmp_path / 'a.pkg.slp'}\n")
    assert "6 frames, 6 instances" in result.output
    assert len(load_labels(tmp_path / "a.pkg.slp")) == 6
    out = ["-o", str(tmp_path / "set"), "--format", "yolo"]
    result = CliRunner().invoke(cli, ["convert", str(tmp_path / "a.pkg.slp"), *out])
    assert result.exit_code == 0, result.output
    assert len(load_labels(tmp_path / "set")) == 6
    again = CliRunner().invoke(cli, ["convert", str(tmp_path / "a.pkg.slp"), *out])
    assert again.exit_code == 1
    assert "set already exists" in again.stderr
    wrong = CliRunner().invoke(cli, ["convert", str(tmp_path / "a.pkg.slp"), "-o", str(tmp_path / "other")])
    assert wrong.exit_code == 2
    assert "--format" in wrong.stderr


def test_predictions_as_tables(tmp_path: Path, labels: Path) -> None:
    model = write_model(tmp_path / "run", "bottomup", labels)
    predict(labels, model_paths=model, device="cpu", peak_threshold=0.05, output_path=tmp_path / "found.slp")
    (path,) = convert(tmp_path / "found.slp", tmp_path / "found.analysis.h5")
    assert path == tmp_path / "found.analysis.h5"
    assert path.stat().st_size > 0
    (path,) = convert(tmp_path / "found.slp", tmp_path / "found.csv")
    assert "snout" in path.read_text()


def test_a_package_holds_its_images_in_capitals_too(tmp_path: Path, labels: Path) -> None:
    (path,) = convert(labels, tmp_path / "NEW.PKG.SLP")
    np.testing.assert_array_equal(load_labels(path)[0].image, load_labels(labels)[0].image)
    assert load_labels(path).videos[0].filename == str(path)


def test_what_is_neither_a_model_nor_labels(tmp_path: Path, labels: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none does not exist"):
        convert(tmp_path / "none", tmp_path / "new")
    with pytest.raises(MissingFileError, match=r"none\.slp does not exist"):
        convert(tmp_path / "none.slp", tmp_path / "new.json")
    model = write_model(tmp_path / "run", "centroid", labels)
    with pytest.raises(UsageError, match="not recognised as labels, so it has no format"):
        convert(model, tmp_path / "new", "yolo")
    with pytest.raises(UsageError, match=r"new\.slp would be the folder of a model; name a folder without"):
        convert(model, tmp_path / "new.slp")
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(DataError, match="'images' is missing"):
        convert(tmp_path / "data.json", tmp_path / "new.slp")
    assert convert(model / "training_config.yaml", tmp_path / "model") == [tmp_path / "model"]


@pytest.mark.parametrize("write", [write_coco, write_dlc, write_yolo])
def test_labels_of_every_program_become_one_file(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    source = load_labels(write(tmp_path / "source"))
    (path,) = convert(write(tmp_path / "source"), tmp_path / "labels.slp")
    for one, other in zip(source, load_labels(path), strict=True):
        np.testing.assert_array_equal(one.instances[0].numpy(), other.instances[0].numpy())
        np.testing.assert_array_equal(one.image, other.image)
