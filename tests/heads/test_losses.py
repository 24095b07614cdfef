import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sleap_nn.heads.losses import HardKeypointMining, channel_losses, foreground_split, map_loss

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "losses.json").read_text())


def golden_maps() -> tuple[Tensor, Tensor]:
    values = torch.tensor(GOLDEN["pred_const_per_channel"])
    output = values[None, :, None, None].expand(GOLDEN["shape"])
    return output, torch.full(GOLDEN["shape"], GOLDEN["target"])


def test_golden_squared_error() -> None:
    assert float(map_loss(*golden_maps())) == pytest.approx(GOLDEN["mse"], abs=1e-7)


@pytest.mark.parametrize(
    ("mining", "golden"),
    [
        (HardKeypointMining(), "ohkm_default"),
        (HardKeypointMining(max_hard_keypoints=2), "ohkm_max2"),
        (HardKeypointMining(hard_to_easy_ratio=100, min_hard_keypoints=1), "ohkm_ratio100_min1"),
    ],
)
def test_golden_hard_keypoint_mining(mining: HardKeypointMining, golden: str) -> None:
    assert float(mining(*golden_maps())) == pytest.approx(GOLDEN[golden], abs=1e-6)


def test_a_repeated_batch_has_the_same_losses() -> None:
    output, target = golden_maps()
    twice = output.repeat(3, 1, 2, 2), target.repeat(3, 1, 2, 2)
    assert float(map_loss(*twice)) == pytest.approx(GOLDEN["mse"], abs=1e-7)
    assert float(HardKeypointMining()(*twice)) == pytest.approx(GOLDEN["ohkm_default"], abs=1e-6)


def test_only_mined_channels_take_the_gradient_of_mining() -> None:
    output, target = golden_maps()
    output = output.clone().requires_grad_()
    HardKeypointMining(max_hard_keypoints=2)(output, target).backward()
    assert output.grad is not None
    assert [bool(channel.any()) for channel in output.grad[0]] == [False, False, True, True]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("fewest", "most"), [(0, None), (2, None), (5, 1), (0, 1), (9, 9)])
def test_any_number_of_mined_channels_has_a_finite_loss(channels: int, fewest: int, most: int | None) -> None:
    output = torch.full((2, channels, 3, 3), 0.2, requires_grad=True)
    mining = HardKeypointMining(min_hard_keypoints=fewest, max_hard_keypoints=most, loss_scale=1.0)
    loss = mining(output, torch.zeros_like(output))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.0 if fewest == 0 else 0.04)
    assert output.grad is not None
    assert output.grad.isfinite().all()


def test_perfect_maps_cost_nothing() -> None:
    maps = torch.rand(2, 3, 4, 5)
    assert float(map_loss(maps, maps, foreground_weight=9.0)) == 0
    assert float(HardKeypointMining()(maps, maps)) == 0


def test_cells_under_a_peak_weigh_more() -> None:
    target = torch.zeros(1, 1, 2, 2)
    target[0, 0, 0, 0] = 1.0
    output = torch.full_like(target, 0.5)
    assert float(map_loss(output, target)) == pytest.approx(0.25)
    assert float(map_loss(output, target, foreground_weight=6.0)) == pytest.approx(0.25 * (7 + 3) / 4)
    missed, imagined = torch.zeros_like(target), target + target.flip(-1)
    assert float(map_loss(missed, target, 6.0)) == pytest.approx(7 * float(map_loss(imagined, target, 6.0)))


def test_channel_losses_are_plain_and_carry_no_gradient() -> None:
    output, target = golden_maps()
    losses = channel_losses(output.clone().requires_grad_(), target)
    torch.testing.assert_close(losses, torch.tensor(GOLDEN["pred_const_per_channel"]) ** 2)
    assert not losses.requires_grad
    assert math.isclose(float(losses.mean()), GOLDEN["mse"], rel_tol=1e-6)


def test_errors_on_and_off_the_targets() -> None:
    target = torch.zeros(1, 1, 2, 5)
    target[..., :2] = 1.0
    output = torch.full_like(target, 0.5)
    output[..., 2:] = 0.1
    split = {name: float(value) for name, value in foreground_split(output, target).items()}
    assert split == pytest.approx({"confmap_loss_fg": 0.25, "confmap_loss_bg": 0.01, "confmap_fg_frac": 0.4}, rel=1e-5)


def test_maps_without_a_target_have_no_error_on_it() -> None:
    split = foreground_split(torch.full((1, 1, 2, 2), 0.5), torch.zeros(1, 1, 2, 2))
    assert bool(split["confmap_loss_fg"].isnan())
    assert float(split["confmap_loss_bg"]) == 0.25
