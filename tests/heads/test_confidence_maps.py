import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.heads.losses import HardKeypointMining, LossSettings
from sleap_nn.structures.sample import Batch, FrameKey

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "confmaps.json").read_text())
HEAD = ConfidenceMapsHead("SingleInstanceConfmapsHead", channels=2, output_stride=2, sigma=GOLDEN["sigma"])


def make_batch(points: list, height: int, width: int) -> Batch:
    """Return a batch of one sample with `points` (I, N, 2)."""
    instances = torch.tensor(np.array(points, dtype=float), dtype=torch.float32)[None]
    return Batch(
        image=torch.zeros(1, 1, height, width, dtype=torch.uint8),
        points=instances,
        anchors=instances.mean(dim=2),
        class_ids=torch.zeros(instances.shape[:2], dtype=torch.int64),
        weights=torch.ones(1),
        transforms=torch.eye(2, 3, dtype=torch.float64)[None],
        keys=(FrameKey(0, 0),),
    )


@pytest.mark.parametrize(
    ("points", "golden"), [([GOLDEN["points"]], "stride2"), (GOLDEN["multi_instances"], "multi_stride2")]
)
def test_golden_targets(points: list, golden: str) -> None:
    target = HEAD.encode(make_batch(points, *GOLDEN["image_hw"]))
    torch.testing.assert_close(target[0], torch.tensor(GOLDEN[golden]), rtol=0, atol=2e-6)


def test_the_sigma_counts_cells() -> None:
    batch = make_batch([[(16.0, 16.0), (16.0, 16.0)]], 32, 32)
    for stride in (1, 2, 4):
        head = dataclasses.replace(HEAD, output_stride=stride)
        maps = head.encode(batch)[0, 0]
        centre = 16 // stride
        assert float(maps[centre, centre]) == 1
        assert float(maps[centre, centre + 3]) == pytest.approx(np.exp(-9 / (2 * HEAD.sigma**2)), rel=1e-5)


def test_a_map_of_anchors() -> None:
    batch = make_batch([[(4.0, 8.0), (12.0, 8.0)], [(20.0, 20.0), (24.0, 28.0)]], 32, 32)
    target = dataclasses.replace(HEAD, channels=1, of_anchors=True).encode(batch)
    assert target.shape == (1, 1, 16, 16)
    assert (target[0, 0] == 1).nonzero().tolist() == [[4, 4], [12, 11]]


def test_a_new_layer_says_almost_nothing() -> None:
    torch.manual_seed(0)
    features = torch.rand(2, 32, 8, 8)
    output = HEAD.layer(32)(features).detach()
    assert 0 < float(output.abs().max()) < 0.05


def test_mining_and_foreground_are_added_when_set() -> None:
    target = HEAD.encode(make_batch([GOLDEN["points"]], *GOLDEN["image_hw"]))
    output = torch.full_like(target, 0.1)
    plain = float(HEAD.loss(output, target))
    assert plain == pytest.approx(float(((output - target) ** 2).mean()))
    mining = HardKeypointMining()
    mined = dataclasses.replace(HEAD, loss_settings=LossSettings(mining=mining))
    assert float(mined.loss(output, target)) == pytest.approx(plain + float(mining(output, target)))
    weighted = dataclasses.replace(HEAD, loss_settings=LossSettings(foreground_weight=3.0))
    expected = (((output - target) ** 2) * (1 + 3 * target)).mean()
    assert float(weighted.loss(output, target)) == pytest.approx(float(expected))


def test_peaks_come_back_in_input_px() -> None:
    maps = torch.zeros(1, 2, 6, 8)
    maps[0, 0, 4, 5] = 0.9
    maps[0, 1, 1, 1] = 0.1
    head = dataclasses.replace(HEAD, output_stride=4)
    points, values = head.read_peaks(maps, 0.2, "none", 5)
    assert points[0, 0].tolist() == [20.0, 16.0]
    assert np.isnan(points[0, 1]).all()
    assert values[0].tolist() == [pytest.approx(0.9), 0.0]
    assert isinstance(points, np.ndarray)


def test_the_threshold_and_the_refinement_are_used() -> None:
    maps = torch.zeros(1, 2, 6, 8)
    maps[0, :, 3, 3] = 0.3
    maps[0, :, 3, 4] = 0.15
    assert np.isnan(HEAD.read_peaks(maps, 0.31, "none", 5)[0]).all()
    refined, _ = HEAD.read_peaks(maps, 0.2, "integral", 5)
    assert refined[0, 0].tolist() == pytest.approx([2 * (3 + 1 / 3), 6.0])


def test_the_weights_are_named_as_in_earlier_checkpoints() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in HEAD.layer(7).state_dict().items()}
    assert shapes == {
        "SingleInstanceConfmapsHead.0.weight": (2, 7, 1, 1),
        "SingleInstanceConfmapsHead.0.bias": (2,),
    }
