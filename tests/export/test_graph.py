from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sleap_io as sio
import torch
from factories import make_labels, make_video
from model_folders import HEADS, write_model
from torch import nn

from sleap_nn.data.input_spec import InputSpec
from sleap_nn.export.graph import READERS, NetworkGraph, Reading, TopDownGraph
from sleap_nn.inference.load import load_models
from sleap_nn.inference.loaded_model import LoadedModel
from sleap_nn.inference.settings import StageSettings
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame, FrameKey
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import DecodeSettings

THRESHOLD = 0.6
SETTINGS = DecodeSettings(peak_threshold=THRESHOLD)
READING = Reading(SETTINGS, max_instances=6, max_peaks_per_node=30)
NODES, EDGES, CLASSES = 9, 8, 2
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "single_instance": {"peaks": (NODES, 2), "peak_vals": (NODES,)},
    "centered_instance": {"peaks": (NODES, 2), "peak_vals": (NODES,)},
    "centroid": {"centroids": (6, 2), "centroid_vals": (6,), "instance_valid": (6,)},
    "bottomup": {
        "peaks": (NODES, 30, 2),
        "peak_vals": (NODES, 30),
        "peak_mask": (NODES, 30),
        "line_scores": (EDGES * 900,),
        "candidate_mask": (EDGES * 900,),
    },
    "multi_class_bottomup": {
        "peaks": (NODES, 30, 2),
        "peak_vals": (NODES, 30),
        "peak_mask": (NODES, 30),
        "class_probs": (NODES, 30, CLASSES),
    },
    "multi_class_topdown": {"peaks": (NODES, 2), "peak_vals": (NODES,), "class_logits": (CLASSES,)},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graph")
    make_labels(4, num_animals=2, path=folder / "labels.pkg.slp")
    make_video(folder / "clip.mp4", num_frames=2, num_animals=2)
    for name in HEADS:
        write_model(folder / name, name, folder / "labels.pkg.slp")
    return folder


@pytest.fixture(scope="module")
def load(folder: Path) -> Callable[..., LoadedModel]:
    def loaded(name: str, **options: Any) -> LoadedModel:
        settings = StageSettings.from_keywords({"peak_threshold": THRESHOLD})
        model = load_models(folder / name, settings, precision="32", **options)[0]
        model.network.requires_grad_(False)
        return model

    return loaded


def frames(folder: Path) -> list[Frame]:
    images = sio.load_video(str(folder / "clip.mp4"))
    return [Frame(FrameKey(0, i), np.asarray(images[i])) for i in range(2)]


def inputs(model: LoadedModel, folder: Path) -> torch.Tensor:
    region = Region() if model.stage.spec.crop_size is None else Region((30.0, 34.0))
    return torch.from_numpy(np.stack([model.stage.spec.read(frame, region)[0] for frame in frames(folder)]))


def test_every_model_type_has_a_reader() -> None:
    assert list(READERS) == list(TASKS) == list(HEADS)


@pytest.mark.parametrize("name", HEADS)
def test_outputs_are_the_documented_ones_and_the_maps(
    load: Callable[..., LoadedModel], folder: Path, name: str
) -> None:
    model = load(name)
    images = inputs(model, folder)
    found = NetworkGraph(model.stage.task, model.network, READING)(images)
    maps = {f"map_{head.name}" for head in model.stage.task.heads}
    assert {key: tuple(values.shape[1:]) for key, values in found.items() if key not in maps} == SHAPES[name]
    for key, values in model.network(images).items():
        torch.testing.assert_close(found[f"map_{key}"], values)
    assert all(len(values) == 2 for values in found.values())


@pytest.mark.parametrize("name", ["single_instance", "centered_instance", "multi_class_topdown"])
def test_points_are_those_of_the_task(load: Callable[..., LoadedModel], folder: Path, name: str) -> None:
    model = load(name)
    task, images = model.stage.task, inputs(model, folder)
    found = NetworkGraph(task, model.network, READING)(images)
    expected = task.detect(task.activate(model.network(images)), SETTINGS)
    np.testing.assert_allclose(found["peaks"], [one.points for one in expected], atol=1e-4)
    np.testing.assert_allclose(found["peak_vals"], [one.scores for one in expected], atol=1e-5)
    if "class_logits" in found:
        probabilities = found["class_logits"].softmax(dim=1)
        np.testing.assert_allclose(probabilities, [one.extras["classes"] for one in expected], atol=1e-5)


@pytest.mark.parametrize("name", ["centroid", "bottomup", "multi_class_bottomup"])
def test_peaks_are_those_of_the_task(load: Callable[..., LoadedModel], folder: Path, name: str) -> None:
    model = load(name)
    task, images = model.stage.task, inputs(model, folder)
    with torch.no_grad():
        found = NetworkGraph(task, model.network, READING)(images)
        expected = task.detect(task.activate(model.network(images)), SETTINGS)
    for i, one in enumerate(expected):
        points = found["centroids"][i] if name == "centroid" else found["peaks"][i][found["peak_mask"][i]]
        values = found["centroid_vals"][i] if name == "centroid" else found["peak_vals"][i][found["peak_mask"][i]]
        order = np.lexsort((-one.scores, one.extras["node"]))[: len(points)]
        np.testing.assert_allclose(values, one.scores[order], atol=1e-5)
        np.testing.assert_allclose(points, one.points[order], atol=1e-4)
        if name == "multi_class_bottomup":
            np.testing.assert_allclose(
                found["class_probs"][i][found["peak_mask"][i]], one.extras["classes"][order], atol=1e-5
            )
        if name == "bottomup":
            scores = found["line_scores"][i][found["candidate_mask"][i]]
            wanted = np.nan_to_num(one.extras["scores"])
            np.testing.assert_allclose(np.sort(scores), np.sort(wanted), atol=1e-4)
            assert not found["line_scores"][i][~found["candidate_mask"][i]].any()


class Square(nn.Module):
    """Stands for a network whose maps show where an image is bright."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        maps = nn.functional.avg_pool2d(image.float() / 255, 3, self.stride, padding=1)
        return {"confmaps": maps.expand(-1, self.channels, -1, -1)}


@pytest.mark.parametrize(("scale", "crop_scale"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.5), (0.5, 2.0)])
def test_a_pair_finds_animals_in_px_of_the_frame(
    load: Callable[..., LoadedModel], scale: float, crop_scale: float
) -> None:
    """Two bright spots, one near the border, are found by both networks, whatever their scales."""
    centres = torch.tensor([[22.0, 14.0], [41.0, 27.0]])
    y, x = torch.meshgrid(torch.arange(36.0), torch.arange(50.0), indexing="ij")
    spots = [torch.exp(-((x - a) ** 2 + (y - b) ** 2) / 18) * f for (a, b), f in zip(centres, (1.0, 0.8), strict=True)]
    image = (255 * torch.stack(spots).amax(dim=0)).to(torch.uint8)[None, None].expand(2, 1, -1, -1)
    tasks = (load("centroid").stage.task, load("centered_instance").stage.task)
    networks: list[Any] = [Square(1, 2), Square(NODES, 2)]
    reading = Reading(DecodeSettings(peak_threshold=0.3), 3, 1)
    graphs = [NetworkGraph(task, network, reading) for task, network in zip(tasks, networks, strict=True)]
    specs = InputSpec(1, 36, 50, scale, 8), InputSpec(1, 36, 50, crop_scale, 8, 20)
    found = TopDownGraph(graphs[0], graphs[1], specs)(image)
    assert found["instance_valid"].tolist() == [[True, True, False]] * 2
    torch.testing.assert_close(found["centroids"][0, :2], centres, atol=1.5, rtol=0)
    expected = centres[:, None].expand(-1, NODES, -1)
    torch.testing.assert_close(found["peaks"][0, :2], expected, atol=1.5, rtol=0)
    assert found["peaks"][:, 2].isnan().all()
    assert found["centroids"][:, 2].isnan().all()
    assert found["peak_vals"].shape == (2, 3, NODES)
    assert not found["peak_vals"][:, 2].any()


def test_a_pair_cuts_the_crops_that_predictions_read(load: Callable[..., LoadedModel], folder: Path) -> None:
    first, second = load("centroid"), load("centered_instance")
    graphs = [NetworkGraph(model.stage.task, model.network, READING) for model in (first, second)]
    graph = TopDownGraph(graphs[0], graphs[1], (first.stage.spec, second.stage.spec))
    frame = frames(folder)[0]
    image = torch.from_numpy(np.ascontiguousarray(frame.image.transpose(2, 0, 1)))[None]
    centroids = torch.tensor([[[20.3, 31.9], [2.0, 60.25]]])
    crops, corner = graph._crops(image.float(), centroids)
    for crop, centre, start in zip(crops[0], centroids[0].tolist(), corner[0], strict=True):
        expected, transform = second.stage.spec.read(frame, Region((centre[0], centre[1])))
        side = crop.shape[-1]
        np.testing.assert_allclose(crop[0], expected[0, :side, :side], atol=1.01)
        np.testing.assert_allclose(transform.inverse()(np.zeros((1, 2)))[0], start, atol=1e-4)
