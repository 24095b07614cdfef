"""What every model type promises, whatever labels it is given."""

import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sleap_nn.data.dataset import visible_inside
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.ops.centroids import centroids
from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.sample import Batch, FrameKey, Sample
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import DecodeSettings, Task

BuildTask = Callable[..., Task]

NUM_NODES = 3
KEY = FrameKey(2, 11)
MISSING = (math.nan, math.nan)
ANIMAL = ((10.3, 8.1), (20.0, 5.6), (27.2, 19.4))
LABELS = {
    "one animal": [[ANIMAL], [ANIMAL]],
    "no animal": [[], []],
    "all missing": [[(MISSING,) * 3], [(MISSING,) * 3]],
    "one keypoint": [[(MISSING, (7.0, 3.0), MISSING)], [ANIMAL]],
    "half a point": [[((4.0, math.nan), MISSING, MISSING)], [ANIMAL]],
    "far outside": [[((-500.0, 3.0), (9000.0, -20.0), (1e6, 1e6))], [ANIMAL]],
    "batch of one": [[ANIMAL]],
    "several animals, unequal numbers": [[ANIMAL, ANIMAL[::-1]], []],
}

pytestmark = pytest.mark.parametrize("name", TASKS)


def make_batch(labels: list, channels: int = 1, height: int = 24, width: int = 32) -> Batch:
    transform = Transform.identity()
    samples = []
    for row, instances in enumerate(labels):
        points = np.array(instances, np.float32).reshape(-1, NUM_NODES, 2)
        samples.append(
            Sample(
                key=FrameKey(0, row),
                image=np.zeros((channels, height, width), np.uint8),
                points=points,
                anchors=visible_inside(centroids(points), height, width),
                class_ids=np.arange(len(instances)),
                transform=transform,
            )
        )
    return Batch.stack(samples)


def shown(task: Task, instances: list) -> np.ndarray:
    """Return what is predicted of labelled instances: their nodes, or their anchors."""
    points = np.array(instances, np.float32).reshape(-1, NUM_NODES, 2)
    return centroids(points)[:, None] if task.one_point else points


def outputs_like(targets: Mapping[str, Tensor], value: float = 0.1) -> dict[str, Tensor]:
    return {name: torch.full_like(target, value, requires_grad=True) for name, target in targets.items()}


def test_a_task_describes_itself(name: str, build_task: BuildTask) -> None:
    task = build_task(name)
    assert task.name == name
    assert task.view in ("frame", "crop")
    assert len({head.name for head in task.heads}) == len(task.heads) > 0
    assert len({head.layer_name for head in task.heads}) == len(task.heads)
    assert {len(head.channel_names) for head in task.heads} <= {0, *(head.channels for head in task.heads)}
    assert len({head.loss_name for head in task.heads}) == len(task.heads)
    assert len(task.predicted_skeleton.node_names) == (1 if task.one_point else NUM_NODES)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_targets_and_losses_are_finite(name: str, build_task: BuildTask, labels: list) -> None:
    task = build_task(name)
    batch = make_batch(labels)
    targets = task.encode(batch)
    assert list(targets) == [head.name for head in task.heads]
    assert all(len(target) == len(batch) and target.isfinite().all() for target in targets.values())
    losses = task.losses(outputs_like(targets), targets)
    assert list(losses) == list(targets)
    assert all(loss.shape == () and loss.isfinite() for loss in losses.values())
    assert task.total_loss(losses).isfinite()


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 24, 32), (3, 33, 17), (1, 1, 5), (3, 7, 1)])
def test_maps_cover_images_of_any_size(
    name: str, build_task: BuildTask, channels: int, height: int, width: int
) -> None:
    task = build_task(name, output_stride=4)
    targets = task.encode(make_batch(LABELS["one animal"], channels, height, width))
    for head in task.heads:
        assert targets[head.name].shape[:2] == (2, head.channels)
        if isinstance(head, ConfidenceMapsHead):
            assert targets[head.name].shape == (2, head.channels, math.ceil(height / 4), math.ceil(width / 4))


def test_the_total_is_the_weighted_sum(name: str, build_task: BuildTask) -> None:
    task = build_task(name)
    losses = {head.name: torch.tensor(2.0 + index) for index, head in enumerate(task.heads)}
    expected = sum(head.loss_weight * float(losses[head.name]) for head in task.heads)
    assert float(task.total_loss(losses)) == pytest.approx(expected)


def test_the_gradient_reaches_every_output(name: str, build_task: BuildTask) -> None:
    task = build_task(name)
    targets = task.encode(make_batch(LABELS["one animal"]))
    outputs = outputs_like(targets)
    task.total_loss(task.losses(outputs, targets)).backward()
    for output in outputs.values():
        assert output.grad is not None
        assert output.grad.isfinite().all()
        assert output.grad.abs().sum() > 0


def test_half_precision_outputs_give_full_precision_losses(name: str, build_task: BuildTask) -> None:
    task = build_task(name)
    targets = task.encode(make_batch(LABELS["one animal"]))
    outputs = {head: output.to(torch.bfloat16) for head, output in outputs_like(targets).items()}
    assert {loss.dtype for loss in task.losses(outputs, targets).values()} == {torch.float32}


def test_node_losses_are_those_of_the_named_channels(name: str, build_task: BuildTask) -> None:
    task = build_task(name)
    targets = task.encode(make_batch(LABELS["one keypoint"]))
    outputs = outputs_like(targets, 0.25)
    expected = {
        f"{head.name}/{channel}": float(((0.25 - targets[head.name][:, index]) ** 2).mean())
        for head in task.heads
        for index, channel in enumerate(head.channel_names)
    }
    measured = task.node_losses(outputs, targets)
    assert {key: float(value) for key, value in measured.items()} == pytest.approx(expected)
    assert not any(value.requires_grad for value in measured.values())


@pytest.mark.parametrize(("refinement", "within_cells"), [("integral", 0.6), ("none", math.sqrt(0.5))])
def test_targets_are_read_back_as_the_labels(
    name: str, build_task: BuildTask, refinement: str, within_cells: float
) -> None:
    task = build_task(name)
    labels = [[ANIMAL], [((5.0, 17.6), (14.0, 10.0), MISSING)]]
    maps = task.encode(make_batch(labels))
    settings = DecodeSettings(refinement=refinement)
    detections = task.detect(maps, settings)
    assert len(detections) == 2
    for detection, instances in zip(detections, labels, strict=True):
        (points,) = task.assemble(KEY, [detection], settings).points
        (truth,) = shown(task, instances)
        assert np.array_equal(np.isnan(points), np.isnan(truth))
        assert np.nanmax(np.linalg.norm(points - truth, axis=-1)) <= within_cells * 2


@pytest.mark.parametrize("value", [0.0, -0.5, math.nan])
def test_empty_maps_give_a_frame_without_instances(name: str, build_task: BuildTask, value: float) -> None:
    task = build_task(name)
    targets = task.encode(make_batch(LABELS["no animal"]))
    maps = task.activate({head: torch.full_like(target, value) for head, target in targets.items()})
    detections = task.detect(maps, DecodeSettings())
    assert len(detections) == 2
    predictions = task.assemble(KEY, [detections[0].lift(Transform.scaling(0.5))], DecodeSettings())
    assert predictions.key == KEY
    assert len(predictions) == 0
    assert predictions.points.ndim == 3
    assert predictions.point_scores.shape == predictions.points.shape[:2]
    assert predictions.scores.shape == (0,)


def test_predictions_have_no_padding_and_plain_types(name: str, build_task: BuildTask) -> None:
    task = build_task(name)
    maps = task.encode(make_batch(LABELS["one animal"]))
    predictions = task.assemble(KEY, task.detect(maps, DecodeSettings())[:1], DecodeSettings())
    assert len(predictions) == 1
    assert predictions.point_scores.shape == predictions.points.shape[:2]
    assert {predictions.points.dtype, predictions.point_scores.dtype, predictions.scores.dtype} == {
        np.dtype(np.float32)
    }
    assert np.isfinite(predictions.scores).all()
    assert (predictions.point_scores[np.isnan(predictions.points).any(axis=-1)] == 0).all()


def test_a_threshold_above_the_maps_finds_nothing(name: str, build_task: BuildTask) -> None:
    task = build_task(name)
    maps = task.encode(make_batch(LABELS["one animal"]))
    detections = task.detect(maps, DecodeSettings(peak_threshold=1.1))
    assert len(task.assemble(KEY, detections[:1], DecodeSettings())) == 0


def test_every_head_says_how_strong_it_is(name: str, build_task: BuildTask) -> None:
    task = build_task(name)
    outputs = outputs_like(task.encode(make_batch(LABELS["no animal"])), -1.0)
    first = outputs[task.heads[0].name].detach()
    first[1, 0, 2, 3] = 0.75
    strengths = task.strengths({**outputs, task.heads[0].name: first})
    assert list(strengths) == [head.name for head in task.heads]
    assert float(strengths[task.heads[0].name]) == pytest.approx(0.75)


def test_work_can_go_to_another_process(name: str, build_task: BuildTask) -> None:
    task = build_task(name)
    maps = task.encode(make_batch(LABELS["one animal"]))
    copy: Task = pickle.loads(pickle.dumps(task))
    assert copy == task
    detection: Detection = pickle.loads(pickle.dumps(task.detect(maps, DecodeSettings())[0]))
    here = task.assemble(KEY, [detection], DecodeSettings())
    there = copy.assemble(KEY, [detection], DecodeSettings())
    back: Predictions = pickle.loads(pickle.dumps(there))
    assert back.key == here.key
    assert np.array_equal(back.points, here.points, equal_nan=True)
    assert np.array_equal(back.scores, here.scores)


def test_anchors_are_one_a_labelled_instance(name: str, build_task: BuildTask) -> None:
    task = build_task(name)
    points = np.array([ANIMAL, ANIMAL[::-1], (MISSING,) * 3], np.float32)
    anchors = task.anchors(points)
    assert anchors.shape == (3, 2)
    assert np.isfinite(anchors[:2]).all()
    assert np.isnan(anchors[2]).all()
    assert task.anchors(points[:0]).shape == (0, 2)


def test_weights_of_samples_act_in_every_loss(name: str, build_task: BuildTask) -> None:
    task = build_task(name)
    targets = task.encode(make_batch([[ANIMAL], [ANIMAL[::-1]]]))
    outputs = {key: torch.rand(value.shape, generator=torch.manual_seed(1)) for key, value in targets.items()}
    plain = task.losses(outputs, targets, torch.ones(2))
    for key, loss in task.losses(outputs, targets).items():
        torch.testing.assert_close(loss, plain[key])
    first = task.losses({k: v[:1] for k, v in outputs.items()}, {k: v[:1] for k, v in targets.items()})
    for key, loss in task.losses(outputs, targets, torch.tensor([1.0, 0.0])).items():
        torch.testing.assert_close(loss, first[key])
        assert not torch.isclose(loss, plain[key])


def test_targets_of_mixed_samples_are_mixed(name: str, build_task: BuildTask) -> None:
    task = build_task(name)
    plain, second = make_batch([[ANIMAL]]), make_batch([[ANIMAL[::-1]]])
    mixed = replace(plain, mixed=second, mix_weights=torch.tensor([0.25]))
    a, b, found = task.encode(plain), task.encode(second), task.encode(mixed)
    for key, target in found.items():
        torch.testing.assert_close(target, 0.75 * a[key] + 0.25 * b[key])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_losses_of_parts_make_the_loss_of_the_batch(name: str, build_task: BuildTask, size: int) -> None:
    task = build_task(name)
    whole = make_batch([[ANIMAL], [], [ANIMAL[::-1]], [], [ANIMAL]])
    second = make_batch([[ANIMAL], [ANIMAL], [], [], [ANIMAL]])
    whole = replace(whole, mixed=second, mix_weights=torch.tensor([0.0, 0.3, 0.6, 0.2, 1.0]))
    whole = replace(whole, weights=torch.tensor([1.0, 0.5, 3.0, 0.25, 2.0]))
    counts = task.counts(whole)
    outputs = {head: torch.rand_like(target) for head, target in task.encode(whole).items()}
    expected = task.losses(outputs, task.encode(whole), whole.weights)
    for start, part in zip(range(0, 5, size), whole.split(size), strict=True):
        own = {head: output[start : start + size] for head, output in outputs.items()}
        losses = task.losses(own, task.encode(part), part.weights)
        shares = {head: count / counts[head] for head, count in task.counts(part).items()}
        expected = {head: loss - shares[head] * losses[head] for head, loss in expected.items()}
    for loss in expected.values():
        assert float(loss) == pytest.approx(0, abs=1e-6)


def test_every_channel_has_a_meaning_of_its_own(name: str, build_task: BuildTask) -> None:
    task = build_task(name)
    for head in task.heads:
        meaning = task.meaning()[head.name]
        assert len(meaning) == len(set(meaning)) == head.channels
