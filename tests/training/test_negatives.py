import math

import numpy as np
import pytest
import torch

from sleap_nn.config.model_config import BottomUpConfig, SingleInstanceConfig
from sleap_nn.heads.losses import LossSettings
from sleap_nn.structures.sample import Batch, FrameKey, Sample
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks.base import Task
from sleap_nn.tasks.bottomup import BottomUp
from sleap_nn.tasks.single_instance import SingleInstance
from sleap_nn.training.averages import EpochAverages
from sleap_nn.training.negatives import counts_by_sign, losses_by_sign, negative_names

SKELETON = Skeleton(("nose", "tail"), edges=((0, 1),))
SETTINGS = LossSettings(foreground_weight=5.0)
TASKS: list[Task] = [
    SingleInstance.from_config(SingleInstanceConfig(), SKELETON, SETTINGS),
    BottomUp.from_config(BottomUpConfig(), SKELETON, SETTINGS),
]


def sample(is_negative: bool, weight: float = 1.0) -> Sample:
    count = 0 if is_negative else 1
    return Sample(
        key=FrameKey(0, 0),
        image=np.zeros((1, 32, 32), np.uint8),
        points=np.full((count, 2, 2), [[4.0, 4.0], [20.0, 24.0]], np.float32)[:count],
        anchors=np.full((count, 2), 12.0, np.float32),
        class_ids=np.zeros(count, np.int64),
        transform=Transform.identity(),
        weight=weight,
        is_negative=is_negative,
    )


def run(task: Task, signs: list[bool]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], Batch]:
    """Return random outputs, targets, and the batch; True makes a negative sample, which counts half."""
    batch = Batch.stack([sample(negative, 0.5 if negative else 1.0) for negative in signs])
    targets = task.encode(batch)
    generator = torch.Generator().manual_seed(3)
    outputs = {name: torch.rand(target.shape, generator=generator) for name, target in targets.items()}
    return outputs, targets, batch


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_two_kinds_add_up_to_the_loss(task: Task) -> None:
    outputs, targets, batch = run(task, [False, True, False, True, True])
    (positive, num_positive), (negative, num_negative) = losses_by_sign(
        task, outputs, targets, batch.is_negative, batch.weights
    )
    assert (num_positive, num_negative) == (2, 3)
    total = task.total_loss(task.losses(outputs, targets, batch.weights))
    joined = 2 * positive["loss_positive"] + 3 * negative["loss_negative"]
    torch.testing.assert_close(total, joined / batch.weights.sum())
    torch.testing.assert_close(negative["loss_negative"], 0.5 * negative["loss_negative_unweighted"])
    torch.testing.assert_close(positive["loss_positive"], positive["loss_positive_unweighted"])
    weighted = sum(head.loss_weight * negative[f"{head.loss_name}_negative"] for head in task.heads)
    torch.testing.assert_close(negative["loss_negative_unweighted"], weighted)


@pytest.mark.parametrize("signs", [[True, True], [False]])
def test_a_kind_that_is_not_in_the_batch_does_not_count(signs: list[bool]) -> None:
    task = TASKS[1]
    outputs, targets, batch = run(task, signs)
    found = losses_by_sign(task, outputs, targets, batch.is_negative)
    absent, count = found[0 if signs[0] else 1]
    assert count == 0
    assert all(value.isnan() for value in absent.values())
    present, count = found[1 if signs[0] else 0]
    assert count == len(signs)
    torch.testing.assert_close(
        present["loss_negative_unweighted" if signs[0] else "loss_positive_unweighted"],
        task.total_loss(task.losses(outputs, targets)),
    )


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_name_is_a_column(task: Task) -> None:
    averages = EpochAverages()
    outputs, targets, batch = run(task, [False, True])
    for values, count in losses_by_sign(task, outputs, targets, batch.is_negative, batch.weights):
        averages.add(values, count)
    logged = averages.means() | counts_by_sign(averages.weights())
    assert set(logged) == set(negative_names(task))
    assert negative_names(task)[:6] == [
        "n_positive",
        "n_negative",
        "loss_positive",
        "loss_negative",
        "loss_positive_unweighted",
        "loss_negative_unweighted",
    ]
    assert (logged["n_positive"], logged["n_negative"]) == (1, 1)


def test_an_epoch_is_averaged_over_its_samples_not_its_batches() -> None:
    task, averages = TASKS[0], EpochAverages()
    parts = [run(task, signs) for signs in ([False, False, False], [True, False], [True, True])]
    for outputs, targets, batch in parts:
        for values, count in losses_by_sign(task, outputs, targets, batch.is_negative):
            averages.add(values, count)
    errors = {True: [], False: []}
    for outputs, targets, batch in parts:
        for i, negative in enumerate(batch.is_negative):
            one = {name: values[i : i + 1] for name, values in outputs.items()}
            true = {name: values[i : i + 1] for name, values in targets.items()}
            errors[negative].append(float(task.total_loss(task.losses(one, true))))
    means = averages.means()
    assert means["loss_negative"] == pytest.approx(np.mean(errors[True]), rel=1e-5)
    assert means["loss_positive"] == pytest.approx(np.mean(errors[False]), rel=1e-5)
    assert counts_by_sign(averages.weights()) == {"n_positive": 4.0, "n_negative": 3.0}


def test_an_epoch_without_batches_has_no_samples() -> None:
    assert counts_by_sign({}) == {"n_positive": 0.0, "n_negative": 0.0}
    assert not math.isnan(counts_by_sign({})["n_negative"])
