from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sleap_nn.config.head_config import (
    BottomUpConfig,
    BottomUpMultiClassConfig,
    CenteredInstanceConfig,
    CentroidConfig,
    SingleInstanceConfig,
    TopDownCenteredInstanceMultiClassConfig,
)
from sleap_nn.structures.sample import Batch, FrameKey, Sample
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import Task
from sleap_nn.training.callbacks.drawings import CLASS_MAPS, PAFS, PREDICTIONS
from sleap_nn.training.pictures import make_drawings

SKELETON = Skeleton(("nose", "hip", "tail"), edges=((0, 1), (1, 2)))
CLASSES: dict[str, Any] = {"classes": ["a", "b"]}
CONFIGS: dict[str, Any] = {
    "single_instance": SingleInstanceConfig(),
    "centroid": CentroidConfig(),
    "centered_instance": CenteredInstanceConfig(),
    "bottomup": BottomUpConfig(),
    "multi_class_bottomup": BottomUpMultiClassConfig(class_maps=CLASSES),
    "multi_class_topdown": TopDownCenteredInstanceMultiClassConfig(class_vectors=CLASSES),
}
KINDS = {"bottomup": [PREDICTIONS, PAFS], "multi_class_bottomup": [PREDICTIONS, CLASS_MAPS]}
POSE = np.array([[10, 12], [40, 30], [70, 52]], np.float32)


def make_task(name: str) -> Task:
    config = CONFIGS[name]
    for part in vars(config).values():
        if "sigma" in vars(part):
            part.sigma, part.output_stride = 3.0, 2
    return TASKS[name].from_config(config, SKELETON)


def make_sample(num_animals: int = 1, height: int = 64, width: int = 96, channels: int = 1) -> Sample:
    points = np.stack([POSE + 4 * i for i in range(num_animals)]) if num_animals else np.zeros((0, 3, 2), np.float32)
    rng = np.random.default_rng(0)
    return Sample(
        key=FrameKey(0, 3),
        image=rng.integers(0, 256, (channels, height, width), dtype=np.uint8),
        points=points,
        anchors=points.mean(axis=1),
        class_ids=np.arange(num_animals),
        transform=Transform.identity(),
        is_negative=num_animals == 0,
    )


def oracle(task: Task, sample: Sample, height: float = 1.0) -> Callable[[Tensor], Mapping[str, Tensor]]:
    """Return a network that gives the targets, the confidence maps lowered."""
    targets = task.encode(Batch.stack([sample]))

    def run(images: Tensor) -> Mapping[str, Tensor]:
        assert images.dtype == torch.uint8
        classes = {name: torch.logit(target, eps=1e-4) for name, target in targets.items() if name.startswith("class")}
        return targets | classes | {"confmaps": height * targets["confmaps"]}

    return run


@pytest.mark.parametrize("name", CONFIGS)
def test_drawings_hold_what_was_labelled_and_found(name: str) -> None:
    task, sample = make_task(name), make_sample()
    drawings = make_drawings(task, oracle(task, sample), sample, "val", "title")
    assert [drawing.kind for drawing in drawings] == KINDS.get(name, [PREDICTIONS])
    for drawing in drawings:
        assert drawing.stage == "val"
        assert drawing.picture.dtype == np.uint8
        assert drawing.picture.shape[2] == 3
        assert drawing.image.shape == (64, 96, 1)
        assert np.array_equal(drawing.image, sample.image.transpose(1, 2, 0))
        assert drawing.maps.min() >= 0
        assert drawing.maps.max() <= 1
        assert drawing.maps.shape[1:] == (32, 48)
        assert drawing.node_names == task.predicted_skeleton.node_names
        np.testing.assert_allclose(drawing.points_pred, drawing.points_true, atol=1)
        assert drawing.scores_pred.shape == drawing.points_pred.shape[:2]
        assert (drawing.scores_pred > 0.8).all()


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("num_animals", [0, 1])
def test_a_network_that_finds_nothing_is_drawn_too(name: str, num_animals: int) -> None:
    task, sample = make_task(name), make_sample(num_animals)
    for drawing in make_drawings(task, oracle(task, sample, height=0.0), sample, "train", "title"):
        assert len(drawing.points_pred) == 0
        assert drawing.points_true.shape[0] == num_animals
        assert drawing.picture.size > 0


@pytest.mark.parametrize(
    ("name", "threshold"),
    [("single_instance", 0.2), ("centroid", 0.2), ("bottomup", 0.1), ("multi_class_bottomup", 0.1)],
)
def test_thresholds_of_what_is_drawn(name: str, threshold: float) -> None:
    task, sample = make_task(name), make_sample()
    counts = [
        np.isfinite(drawing.points_pred).all(axis=-1).sum()
        for height in (0.9 * threshold, 1.2 * threshold)
        for drawing in make_drawings(task, oracle(task, sample, height), sample, "train", "title")[:1]
    ]
    assert counts[0] == 0
    assert counts[1] > 0


def test_fields_are_stored_as_lengths() -> None:
    task, sample = make_task("bottomup"), make_sample()
    fields = make_drawings(task, oracle(task, sample), sample, "train", "title")[1]
    assert fields.maps.shape[0] == len(SKELETON.edges)
    assert fields.maps.max() == pytest.approx(1, abs=0.05)


def test_points_that_were_not_found_have_no_score() -> None:
    task = make_task("single_instance")
    sample = make_sample()
    sample.points[0, 1] = np.nan
    (drawing,) = make_drawings(task, oracle(task, sample), sample, "train", "title")
    assert np.isnan(drawing.scores_pred[0]).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("height", "width", "limit"), [(32, 32, (900, 900)), (1600, 1200, (900, 1300)), (200, 1400, (700, 900))]
)
def test_pictures_are_of_a_size_to_look_at(height: int, width: int, limit: tuple[int, int]) -> None:
    task, sample = make_task("single_instance"), make_sample(1, height, width, channels=3)
    (drawing,) = make_drawings(task, oracle(task, sample), sample, "train", "title")
    assert max(drawing.picture.shape) > 300
    assert drawing.picture.shape[0] <= limit[0]
    assert drawing.picture.shape[1] <= limit[1]
    assert drawing.image.shape == (height, width, 3)


def test_labels_and_predictions_are_visible() -> None:
    task, sample = make_task("single_instance"), make_sample()
    nobody = replace(sample, points=np.zeros((0, 3, 2), np.float32))
    pictures = [
        make_drawings(task, oracle(task, sample, height), shown, "train", "title")[0].picture
        for shown, height in ((nobody, 0.0), (sample, 0.0), (sample, 1.0))
    ]
    half = pictures[0].shape[1] // 2
    assert len({picture[:, :half].tobytes() for picture in pictures}) == 3
    assert len({picture[:-50, half:].tobytes() for picture in pictures}) == 2  # maps are seen, points leave them free
