import dataclasses
import json
from pathlib import Path

import pytest
import torch

from sleap_nn.heads.losses import HardKeypointMining, LossSettings
from sleap_nn.heads.part_affinity_fields import PartAffinityFieldsHead
from sleap_nn.ops.part_affinity_fields import LineReading, Lines
from sleap_nn.structures.sample import Batch, FrameKey

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "pafs.json").read_text())
HEAD = PartAffinityFieldsHead(
    "PartAffinityFieldsHead",
    channels=2,
    output_stride=GOLDEN["output_stride"],
    edges=((0, 1),),
    sigma=GOLDEN["sigma"],
)


def make_batch(points: list, height: int, width: int) -> Batch:
    """Return a batch of one sample with `points` (I, N, 2)."""
    instances = torch.tensor(points, dtype=torch.float32)[None]
    return Batch(
        image=torch.zeros(1, 1, height, width, dtype=torch.uint8),
        points=instances,
        anchors=instances.mean(dim=2),
        class_ids=torch.zeros(instances.shape[:2], dtype=torch.int64),
        weights=torch.ones(1),
        transforms=torch.eye(2, 3, dtype=torch.float64)[None],
        keys=(FrameKey(0, 0),),
    )


def golden_target() -> torch.Tensor:
    return HEAD.encode(make_batch(GOLDEN["instances2"], *GOLDEN["image_hw"]))


def test_golden_targets() -> None:
    torch.testing.assert_close(golden_target()[0], torch.tensor(GOLDEN["pafs2"]), rtol=0, atol=2e-6)


def test_both_fields_of_an_edge_are_foreground_by_the_length_of_its_vector() -> None:
    target = golden_target()
    output = torch.full_like(target, 0.1)
    error = (output - target) ** 2
    assert float(HEAD.loss(output, target)) == pytest.approx(float(error.mean()))
    head = dataclasses.replace(HEAD, loss_settings=LossSettings(foreground_weight=3.0))
    length = (target[:, :1] ** 2 + target[:, 1:] ** 2).sqrt().clamp(max=1)
    assert float(length.max()) == 1  # where two fields add up to more, the foreground stays 1
    assert float(head.loss(output, target)) == pytest.approx(float((error * (1 + 3 * length)).mean()))


def test_a_field_that_points_left_counts_as_much_as_one_that_points_right() -> None:
    head = dataclasses.replace(HEAD, loss_settings=LossSettings(foreground_weight=5.0))
    right = HEAD.encode(make_batch([[(4.0, 8.0), (20.0, 8.0)]], 16, 24))
    left = HEAD.encode(make_batch([[(20.0, 8.0), (4.0, 8.0)]], 16, 24))
    nothing = torch.zeros_like(right)
    assert float(head.loss(nothing, right)) == pytest.approx(float(head.loss(nothing, left)))


def test_mining_is_added_when_set() -> None:
    target = golden_target()
    output = torch.zeros_like(target)
    mining = HardKeypointMining()
    head = dataclasses.replace(HEAD, loss_settings=LossSettings(mining=mining))
    expected = float(HEAD.loss(output, target)) + float(mining(output, target))
    assert float(head.loss(output, target)) == pytest.approx(expected)


def test_samples_count_by_their_weights() -> None:
    target = golden_target().repeat(2, 1, 1, 1)
    output = torch.stack([target[0], torch.zeros_like(target[0])])
    assert float(HEAD.loss(output, target, torch.tensor([1.0, 0.0]))) == 0
    assert float(HEAD.loss(output, target, torch.tensor([0.0, 1.0]))) > 0


def test_lines_are_given_in_input_px() -> None:
    fields = torch.zeros(1, 2, 8, 8)
    fields[0, 0, 3, 2:6] = 1  # a row of cells at y = 12 px, x = 8 to 20 px
    zero = torch.zeros(1, dtype=torch.long)
    lines = Lines(torch.tensor([[8.0, 12.0]]), torch.tensor([[20.0, 12.0]]), zero, zero)
    reading = LineReading(max_length_ratio=1.0)
    assert dataclasses.replace(HEAD, output_stride=4).score_lines(fields, lines, reading).tolist() == [1]
    assert dataclasses.replace(HEAD, output_stride=2).score_lines(fields, lines, reading).tolist() != [1]


def test_the_output_is_decoded_as_it_is_and_has_no_metrics() -> None:
    target = golden_target()
    assert torch.equal(HEAD.activate(-target), -target)
    assert HEAD.metrics(target, target) == {}
    assert (HEAD.name, HEAD.loss_name, HEAD.metric_names) == ("pafs", "paf_loss", ())


def test_the_weights_are_named_as_in_earlier_checkpoints() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in HEAD.layer(7).state_dict().items()}
    assert shapes == {"PartAffinityFieldsHead.0.weight": (2, 7, 1, 1), "PartAffinityFieldsHead.0.bias": (2,)}
