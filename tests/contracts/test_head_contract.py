"""What every output map promises: its layer, target and loss fit each other, and it can be read back."""

import dataclasses
import math
import pickle
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from sleap_nn.heads.base import Head
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.ops.centroids import centroids
from sleap_nn.structures.sample import Batch, FrameKey
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import Task

BuildTask = Callable[..., Task]

STRIDES = (1, 2, 4)
NUM_NODES = 3

pytestmark = pytest.mark.parametrize("output_stride", STRIDES)


@pytest.fixture
def heads(build_task: BuildTask, output_stride: int) -> list[Head]:
    return [head for name in TASKS for head in build_task(name, output_stride).heads]


def make_batch(points: np.ndarray, height: int = 48, width: int = 64) -> Batch:
    """Return a batch of one instance a sample at `points` (B, N, 2)."""
    size = len(points)
    return Batch(
        image=torch.zeros(size, 1, height, width, dtype=torch.uint8),
        points=torch.from_numpy(points.astype(np.float32))[:, None],
        anchors=torch.from_numpy(centroids(points.astype(np.float32)))[:, None],
        class_ids=torch.zeros(size, 1, dtype=torch.int64),
        weights=torch.ones(size),
        transforms=torch.eye(2, 3, dtype=torch.float64).repeat(size, 1, 1),
        keys=tuple(FrameKey(0, row) for row in range(size)),
    )


def random_points(seed: int, num_samples: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    points = rng.uniform((8, 8), (55, 39), (num_samples, NUM_NODES, 2))
    points[rng.random((num_samples, NUM_NODES)) < 0.2] = math.nan
    return points


def confidence_heads(heads: list[Head]) -> Iterator[ConfidenceMapsHead]:
    return (head for head in heads if isinstance(head, ConfidenceMapsHead))


def test_the_layer_makes_what_the_target_expects(heads: list[Head]) -> None:
    for head in heads:
        target = head.encode(make_batch(random_points(0, 2)))
        features = torch.rand(2, 5, *target.shape[2:]) if target.ndim == 4 else torch.rand(2, 5, 3, 4)
        assert head.layer(5)(features).shape == target.shape


def test_weights_are_saved_under_the_name_of_the_layer(heads: list[Head]) -> None:
    for head in heads:
        names = list(head.layer(5).state_dict())
        assert names
        assert all(name.startswith((f"{head.layer_name}.", "pre_classification")) for name in names)


def test_the_layer_takes_a_gradient(heads: list[Head]) -> None:
    for head in heads:
        layer = head.layer(5)
        target = head.encode(make_batch(random_points(1, 2)))
        features = torch.rand(2, 5, *target.shape[2:]) if target.ndim == 4 else torch.rand(2, 5, 3, 4)
        head.loss(layer(features), target).backward()
        gradients = [parameter.grad for parameter in layer.parameters()]
        assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)


def test_targets_stay_on_the_device_of_the_batch(heads: list[Head]) -> None:
    batch = make_batch(random_points(2))
    for head in heads:
        expected = head.encode(batch)
        with torch.device("meta"):  # where every tensor would land that is made without naming the batch's device
            assert torch.equal(head.encode(batch), expected)


def test_a_target_of_one_sample_does_not_depend_on_the_rest_of_the_batch(heads: list[Head]) -> None:
    points = random_points(3)
    for head in heads:
        together = head.encode(make_batch(points))
        alone = torch.cat([head.encode(make_batch(points[row : row + 1])) for row in range(len(points))])
        torch.testing.assert_close(together, alone)


def test_heads_are_values(heads: list[Head]) -> None:
    for head in heads:
        assert pickle.loads(pickle.dumps(head)) == head
        assert dataclasses.replace(head, loss_weight=head.loss_weight + 1) != head
        assert hash(head) == hash(dataclasses.replace(head))


def test_the_target_itself_is_the_best_confidence_map(heads: list[Head]) -> None:
    for head in confidence_heads(heads):
        target = head.encode(make_batch(random_points(4)))
        assert float(head.loss(target, target)) == 0
        assert float(head.loss(target + 0.1, target)) == pytest.approx(0.01, rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_points_survive_the_confidence_maps(heads: list[Head], output_stride: int, seed: int) -> None:
    points = random_points(seed)
    for head in confidence_heads(heads):
        if head.channels != NUM_NODES or head.of_anchors:
            continue
        maps = head.activate(head.encode(make_batch(points)))
        found, values = head.read_peaks(maps, 0.2, "integral", 5)
        assert found.dtype == values.dtype == np.float32
        assert np.array_equal(np.isnan(found), np.isnan(points))
        assert np.nanmax(np.linalg.norm(found - points, axis=-1)) <= 0.6 * output_stride
        assert (values[np.isnan(points[..., 0])] == 0).all()
        assert (values[~np.isnan(points[..., 0])] > 0.5).all()


def test_the_target_of_a_label_is_strong_and_a_new_layer_is_flat(heads: list[Head]) -> None:
    points = np.array([[(8, 8), (40, 8), (24, 32)]] * 2, float)
    for head in heads:
        target = head.encode(make_batch(points))
        assert 0.5 < float(head.strength(target)) <= 1.001
        features = torch.rand(2, 5, *target.shape[2:]) if target.ndim == 4 else torch.zeros(2, 5, 3, 4)
        assert float(head.strength(head.activate(0 * head.layer(5)(features).detach()))) == 0
        assert len(head.title) > 5


def test_numbers_that_are_none_show_in_the_strength(heads: list[Head]) -> None:
    for head in heads:
        target = head.encode(make_batch(random_points(5)))
        target.view(-1)[0] = math.nan
        assert math.isnan(float(head.strength(target)))
