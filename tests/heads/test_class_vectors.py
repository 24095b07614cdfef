import json
from pathlib import Path

import pytest
import torch

from sleap_nn.heads.class_vectors import ClassVectorsHead
from sleap_nn.structures.sample import Batch, FrameKey

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "class_maps.json").read_text())
HEAD = ClassVectorsHead("ClassVectorsHead", channels=3, output_stride=16, num_fc_layers=2, num_fc_units=5)


def make_batch(class_ids: list[int]) -> Batch:
    size = len(class_ids)
    return Batch(
        image=torch.zeros(size, 1, 16, 16, dtype=torch.uint8),
        points=torch.zeros(size, 1, 2, 2),
        anchors=torch.zeros(size, 1, 2),
        class_ids=torch.tensor(class_ids)[:, None],
        weights=torch.ones(size),
        transforms=torch.eye(2, 3, dtype=torch.float64).repeat(size, 1, 1),
        keys=tuple(FrameKey(0, i) for i in range(size)),
    )


def test_golden_targets() -> None:
    assert HEAD.encode(make_batch(GOLDEN["class_vectors_in"])).tolist() == GOLDEN["class_vectors"]


def test_weights_are_named_as_in_earlier_checkpoints() -> None:
    assert {name: tuple(tensor.shape) for name, tensor in HEAD.layer(7).state_dict().items()} == {
        "pre_classification0_fc.weight": (5, 7),
        "pre_classification0_fc.bias": (5,),
        "pre_classification1_fc.weight": (5, 5),
        "pre_classification1_fc.bias": (5,),
        "ClassVectorsHead.weight": (3, 5),
        "ClassVectorsHead.bias": (3,),
    }
    assert HEAD.layer(7)(torch.rand(2, 7, 3, 4)).shape == (2, 3)


def test_the_loss_is_the_cross_entropy_of_samples_with_a_class() -> None:
    scores = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0], [3.0, 1.0, 0.0]], requires_grad=True)
    target = HEAD.encode(make_batch([0, -1, 2]))
    expected = torch.nn.functional.cross_entropy(scores[[0, 2]], torch.tensor([0, 2]))
    torch.testing.assert_close(HEAD.loss(scores, target), expected)
    torch.testing.assert_close(HEAD.loss(scores, target, torch.tensor([1.0, 5.0, 1.0])), expected)
    only_first = torch.nn.functional.cross_entropy(scores[:1], torch.tensor([0]))
    torch.testing.assert_close(HEAD.loss(scores, target, torch.tensor([2.0, 1.0, 0.0])), only_first)


def test_without_any_class_the_loss_is_zero_and_has_a_gradient() -> None:
    scores = torch.rand(2, 3, requires_grad=True)
    loss = HEAD.loss(scores, HEAD.encode(make_batch([-1, -1])))
    loss.backward()
    assert float(loss.detach()) == 0
    assert scores.grad is not None
    assert not scores.grad.any()


def test_accuracy_counts_samples_with_a_class() -> None:
    scores = torch.tensor([[2.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    target = HEAD.encode(make_batch([0, 1, -1]))
    assert float(HEAD.metrics(scores, target)["class_accuracy"]) == 0.5
    assert bool(HEAD.metrics(scores, HEAD.encode(make_batch([-1] * 3)))["class_accuracy"].isnan())


def test_probabilities_sum_to_one() -> None:
    assert HEAD.activate(torch.rand(4, 3)).sum(dim=1).tolist() == pytest.approx([1] * 4)
