"""Differential test: every model type, by every way to predict, on every kind of source, gives the same."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import sleap_io as sio
from click.testing import CliRunner
from factories import make_labels, make_scene
from model_folders import HEADS, write_model

import sleap_nn
from sleap_nn.cli import cli
from sleap_nn.data.labels import LabelSet, load_labels
from sleap_nn.export_model import export_models
from sleap_nn.inference import Predictor
from sleap_nn.inference.load import load_models
from sleap_nn.inference.settings import StageSettings
from sleap_nn.stages.stage import run_stages
from sleap_nn.training.metrics import predict_split

NUM_FRAMES = 5
BLACK = 2
CROPS = ("centered_instance", "multi_class_topdown")
MODELS = {name: (name,) for name in HEADS} | {f"centroid+{name}": (name, "centroid") for name in CROPS}
OPTIONS = {"device": "cpu", "precision": "32"}
FEW = {"peak_threshold": 0.5, "max_instances": 3, "integral_refinement": "none"}
"""Few animals are quickly predicted; crops about whole cells hold the same pixels whatever the last digit of a peak."""

Table = list[tuple[int, np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one clip as video, labels, images and arrays, and models of all types."""
    folder = tmp_path_factory.mktemp("every_way")
    scene = make_scene(num_animals=2)
    images = [scene.image(10 * i) for i in range(NUM_FRAMES)]
    images[BLACK] = np.zeros_like(images[BLACK])
    sio.save_video(np.stack(images), folder / "clip.mp4")
    decoded = sio.load_video(str(folder / "clip.mp4"))
    (folder / "images").mkdir()
    for i in range(NUM_FRAMES):
        cv2.imwrite(str(folder / "images" / f"{i:03}.png"), decoded[i])
    package = make_labels(NUM_FRAMES, num_animals=2, path=folder / "package.pkg.slp")
    for i, frame in enumerate(package.labeled_frames):
        frame.video, frame.frame_idx = decoded, i
    labels = sio.Labels(package.labeled_frames, videos=[decoded], skeletons=package.skeletons, tracks=package.tracks)
    labels.save(str(folder / "labels.slp"), embed=False)
    for name in HEADS:
        write_model(folder / name, name, folder / "package.pkg.slp", preprocessing={"scale": 0.75})
    return folder


def models(folder: Path, name: str) -> list[Path]:
    return [folder / part for part in MODELS[name]]


def table(labels: sio.Labels) -> Table:
    """Return frame index, points and scores of every frame; identities come in the order of their names."""
    rows = []
    for frame in labels:
        found = sorted(frame.instances, key=lambda instance: "" if instance.track is None else instance.track.name)
        points = [np.asarray(instance.numpy(scores=True)) for instance in found]
        scores = [(i.score, i.tracking_score, -1 if i.track is None else int(i.track.name[-1])) for i in found]
        rows.append((int(frame.frame_idx), np.array(points), np.array(scores)))
    return rows


def table_of_outputs(outputs: list[Any], num_nodes: int) -> list[tuple[int, np.ndarray]]:
    """Return frame index and points of every frame of raw results."""
    frames = [frame for batch in outputs for frame in batch.to_predictions()]
    return [(frame.key.frame, frame.points.reshape(-1, num_nodes, 2)) for frame in frames]


def assert_same(found: Table, expected: Table) -> None:
    assert [index for index, _, _ in found] == [index for index, _, _ in expected]
    assert [len(points) for _, points, _ in found] == [len(points) for _, points, _ in expected]
    for (_, points, scores), (_, other_points, other_scores) in zip(found, expected, strict=True):
        np.testing.assert_allclose(points, other_points, atol=1e-3)
        np.testing.assert_allclose(scores, other_scores, atol=1e-3)


def by_command(folder: Path, name: str, source: Path, output: Path, *options: str) -> sio.Labels:
    arguments = ["predict", "-i", str(source), "-o", str(output), "-d", "cpu", "--precision", "32", *options]
    arguments += [f"--{name}={value}" for name, value in FEW.items()]
    for path in models(folder, name):
        arguments += ["-m", str(path)]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return sio.load_slp(str(output))


@pytest.mark.parametrize("name", MODELS)
def test_every_way_gives_the_same(folder: Path, tmp_path: Path, name: str) -> None:
    paths, labels = models(folder, name), folder / "labels.slp"
    expected = table(sleap_nn.predict(labels, model_paths=paths, **OPTIONS, **FEW))
    assert len(expected) == NUM_FRAMES
    assert sum(len(points) for _, points, _ in expected) >= NUM_FRAMES - 1
    assert_same(table(by_command(folder, name, labels, tmp_path / "labels.slp", "-b", "1")), expected)
    for batch_size in (1, 3):
        predictor = Predictor.from_model_paths(paths, batch_size=batch_size, **OPTIONS, **FEW)
        assert_same(table(predictor.predict(labels)), expected)
        outputs = predictor.predict(labels, make_labels=False)
        assert len(outputs) == -(-NUM_FRAMES // batch_size)
        assert_same(table(predictor.to_labels(outputs, labels)), expected)
    if name in CROPS:
        return
    clip = folder / "clip.mp4"
    arrays = [np.asarray(image) for image in sio.load_video(str(clip))]
    sources = {"video": clip, "images": folder / "images", "arrays": arrays}
    for kind, source in sources.items():
        found = predictor.predict(source)
        assert_same(table(found), expected)
        assert len(found.videos) == 1, kind
    assert_same(table(by_command(folder, name, clip, tmp_path / "clip.slp")), expected)


@pytest.mark.parametrize("name", MODELS)
def test_an_exported_model_gives_the_same(folder: Path, tmp_path: Path, name: str) -> None:
    """Whatever was decided at export is that of the other ways; the rest is asked for as always."""
    options: dict[str, Any] = {**FEW, "integral_refinement": "integral"}
    expected = table(sleap_nn.predict(folder / "labels.slp", model_paths=models(folder, name), **OPTIONS, **options))
    assert sum(len(points) for _, points, _ in expected) >= NUM_FRAMES - 1
    decided = {"peak_threshold": options["peak_threshold"], "max_instances": 2, "verify": False}
    exported = export_models(models(folder, name), output=tmp_path / "exported", **decided)
    most = {"max_instances": options["max_instances"]}
    found = sleap_nn.predict(folder / "labels.slp", export_dir=exported.folder, device="cpu", batch_size=3, **most)
    assert_same(table(found), expected)
    arguments = ["predict", "-i", str(folder / "labels.slp"), "-m", str(exported.folder), "-o", str(tmp_path / "o.slp")]
    result = CliRunner().invoke(
        cli, [*arguments, "-d", "cpu", "-n", str(most["max_instances"])], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert_same(table(sio.load_slp(str(tmp_path / "o.slp"))), expected)


@pytest.mark.parametrize("name", MODELS)
def test_a_frame_without_animals_is_empty_wherever_it_lies_in_a_batch(folder: Path, name: str) -> None:
    paths, labels = models(folder, name), folder / "labels.slp"
    options = {**OPTIONS, **FEW}
    found = sleap_nn.predict(labels, model_paths=paths, **options)
    empty = [frame.frame_idx for frame in found if not frame.instances]
    assert BLACK in empty or name in CROPS
    few = sleap_nn.predict(labels, model_paths=paths, clean_empty_frames=True, batch_size=1, **options)
    assert [frame.frame_idx for frame in few] == [i for i in range(NUM_FRAMES) if i not in empty]
    outputs = sleap_nn.predict(labels, model_paths=paths, make_labels=False, **options)
    assert [len(batch.to_predictions()) for batch in outputs] == [4, 1]


@pytest.mark.parametrize("name", HEADS)
def test_evaluation_during_training_gives_the_same(folder: Path, name: str) -> None:
    source = load_labels(folder / "labels.slp")
    predictor = Predictor.from_model_paths(folder / name, **OPTIONS)
    expected = table_of_outputs(predictor.predict(source, make_labels=False), 1 if name == "centroid" else 9)
    (model,) = load_models(folder / name, StageSettings(), **OPTIONS)
    frames = sleap_nn.inference.select.select_frames(source).frames
    split = SimpleNamespace(set=LabelSet.from_labels([source]), source=frames)
    found = list(predict_split(split, model.stage.task, model.stage.spec, 4, model.stage.runtime))  # pyright: ignore
    assert [frame.key.frame for frame in found] == [index for index, _ in expected]
    for frame, (_, points) in zip(found, expected, strict=True):
        kept = frame.points[~np.isnan(frame.points).all(axis=(1, 2))]
        assert sorted_points(kept) == pytest.approx(sorted_points(points), abs=1e-3, nan_ok=True)


def sorted_points(points: np.ndarray) -> np.ndarray:
    """Return instances in an order that does not depend on slots."""
    return points[np.lexsort(np.nan_to_num(points.reshape(len(points), -1)).T)] if len(points) else points


@pytest.mark.parametrize("shape", ["plain", "colour axis", "first axis", "batch"])
def test_a_layer_takes_one_image_in_every_shape(folder: Path, shape: str) -> None:
    image = np.asarray(sio.load_video(str(folder / "clip.mp4"))[0])
    given = {
        "plain": image[..., 0],
        "colour axis": image,
        "first axis": np.moveaxis(image, -1, 0),
        "batch": image[None],
    }[shape]
    predictor = Predictor.from_model_paths(folder / "single_instance", return_confmaps=True, **OPTIONS)
    outputs = predictor.layer(given)
    expected = predictor.predict(folder / "clip.mp4", frames=[0])[0].instances[0].numpy()
    np.testing.assert_allclose(outputs.pred_keypoints[0, 0].numpy(), expected, atol=1e-3)
    assert outputs.pred_confmaps.shape[:2] == (1, 9)
    assert outputs.frame_indices is None
    with pytest.raises(TypeError, match="list"):
        predictor.layer([image])


def test_a_model_of_crops_places_its_maps_and_boxes(folder: Path) -> None:
    """The corners of the boxes map to the corners of the crops, and key points of crops to those of the frame."""
    (model,) = load_models(folder / "centered_instance", StageSettings(), **OPTIONS)
    predictor = Predictor.from_model_paths([folder / "centered_instance", folder / "centroid"], **OPTIONS)
    (outputs,) = predictor.predict(folder / "clip.mp4", frames=[0], make_labels=False, return_crops=True)
    valid = outputs.instance_valid[0]
    boxes, crop = outputs.instance_bboxes[0][valid], model.stage.spec.crop_size
    inside = boxes[:, None, 0] + outputs.pred_crop_keypoints[0][valid]
    np.testing.assert_allclose(inside, outputs.pred_keypoints[0][valid], atol=1e-3)
    np.testing.assert_allclose(boxes[:, 2] - boxes[:, 0], np.full((len(boxes), 2), crop - 1.0), atol=1e-3)
    np.testing.assert_allclose(boxes.mean(dim=1), outputs.pred_centroids[0][valid], atol=1e-3)
    assert outputs.crops.shape[0:3] == (1, len(valid), 1)


def test_stages_run_one_by_one_as_in_a_stream(folder: Path) -> None:
    loaded = load_models([folder / "centered_instance", folder / "centroid"], StageSettings(), **OPTIONS)
    stages = [model.stage for model in loaded]
    source = sleap_nn.inference.select.select_frames(folder / "clip.mp4").frames
    found = run_stages(stages, [stages[0].prepare(frame) for frame in source])
    expected = sleap_nn.predict(folder / "clip.mp4", model_paths=[model.folder for model in loaded], **OPTIONS)
    assert [len(frame) for frame in found] == [len(frame.instances) for frame in expected]
