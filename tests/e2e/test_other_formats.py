"""Labels of other programs through the whole path: train, evaluate, predict, track."""

import json
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from click.testing import CliRunner, Result
from factories import make_labels
from model_folders import write_model

from sleap_nn.cli import cli
from sleap_nn.data.label_export import export_labels
from sleap_nn.data.labels import load_labels
from sleap_nn.inference import predict

OUTPUTS = {"coco": "labels.json", "dlc": "dlc", "lightning_pose": "lightning_pose", "yolo": "yolo"}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the same labels in every form, and a model that was trained on some of them."""
    place = tmp_path_factory.mktemp("project")
    labels = make_labels(8, path=place / "labels.pkg.slp", num_clips=2)
    for frame in labels:
        for instance in frame:
            instance.track = None
    for name, output in OUTPUTS.items():
        export_labels(labels, place / output, name)
    (place / "config.yaml").write_text(
        f"data_config:\n  train_labels_path: [{place / 'dlc'}]\n  val_labels_path: [{place / 'labels.json'}]\n"
        f"  test_file_path: [{place / 'yolo'}, {place / 'lightning_pose' / 'CollectedData.csv'}]\n"
        "model_config:\n"
        "  backbone_config: {unet: {filters: 8, max_stride: 8}}\n"
        "  head_configs: {single_instance: {confmaps: {sigma: 2.0, output_stride: 4}}}\n"
        "trainer_config: {save_ckpt: true, run_name: run, max_epochs: 2, min_train_steps_per_epoch: 20,"
        f" trainer_accelerator: cpu, ckpt_dir: {place}, optimizer: {{lr: 3.0e-3}}}}\n"
    )
    result = run("train", place / "config.yaml")
    assert result.exit_code == 0, result.output
    return place


@pytest.fixture(scope="module")
def centered(folder: Path) -> Path:
    """Return a model of crops, which takes the centroids of labels."""
    return write_model(folder / "centered", "centered_instance", folder / "labels.pkg.slp")


def test_a_run_has_predictions_and_metrics_of_every_split(folder: Path) -> None:
    for split in ("train.0", "val.0", "test.0", "test.1"):
        metrics = json.loads((folder / "run" / f"metrics.{split}.json").read_text())
        assert metrics["counts"]["truth_instances"] == 8
    truth = load_labels(folder / "run" / "labels_gt.val.0.slp")
    for one, other in zip(load_labels(folder / "labels.pkg.slp"), truth, strict=True):
        np.testing.assert_allclose(one.instances[0].numpy(), other.instances[0].numpy())
        np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize("name", sorted(OUTPUTS))
def test_predictions_on_labels_of_other_programs_are_those_on_sleap_s(folder: Path, name: str, tmp_path: Path) -> None:
    outputs = []
    for i, source in enumerate((folder / "labels.pkg.slp", folder / OUTPUTS[name])):
        output = tmp_path / f"{i}.slp"
        result = run("predict", "-i", source, "-m", folder / "run", "--only_labeled_frames", "-d", "cpu", "-o", output)
        assert result.exit_code == 0, result.output
        outputs.append(sio.load_slp(str(output)))
    assert len(outputs[1]) == 8
    for one, other in zip(*outputs, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-4)
    result = run("eval", "-g", folder / OUTPUTS[name], "-p", output, "-s", tmp_path / "metrics")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "metrics.json").read_text())["counts"]["truth_instances"] == 8


@pytest.mark.parametrize("name", ["coco", "dlc"])
def test_crops_around_the_animals_of_other_programs(folder: Path, name: str, centered: Path) -> None:
    sleap, other = (
        predict(source, model_paths=centered, device="cpu", peak_threshold=0.05)
        for source in (folder / "labels.pkg.slp", folder / OUTPUTS[name])
    )
    assert sum(len(frame.instances) for frame in sleap) == 8
    for one, another in zip(sleap, other, strict=True):
        np.testing.assert_allclose(one.numpy(), another.numpy(), atol=1e-3)


def test_outputs_are_named_after_labels_and_tracks_join_them(folder: Path) -> None:
    result = run("track", "-i", folder / "dlc", "-t", "--max_tracks", "1")
    assert result.exit_code == 0, result.output
    tracked = sio.load_slp(str(folder / "dlc.predictions.slp"))
    assert {instance.track is not None for frame in tracked for instance in frame} == {True}


def test_missing_images_are_said_before_anything_is_trained(folder: Path, tmp_path: Path) -> None:
    export_labels(load_labels(folder / "labels.pkg.slp"), tmp_path / "dlc", "yolo")
    image = next((tmp_path / "dlc" / "images").rglob("*.png"))
    image.unlink()
    result = run("train", folder / "config.yaml", f"data_config.train_labels_path=['{tmp_path / 'dlc'}']")
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert "have no image" in line
