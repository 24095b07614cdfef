import json
from pathlib import Path

import numpy as np
import torch

from sleap_nn.ops.confidence_maps import confidence_maps

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "confmaps.json").read_text())


def points(value: list) -> torch.Tensor:
    return torch.tensor(np.array(value, dtype=float), dtype=torch.float32)


def test_golden_maps_of_one_and_several_instances() -> None:
    height, width = GOLDEN["image_hw"]
    one = confidence_maps(points(GOLDEN["points"])[None, None], height, width, GOLDEN["sigma"], 2)
    torch.testing.assert_close(one[0], torch.tensor(GOLDEN["stride2"]), rtol=0, atol=2e-6)
    fine = confidence_maps(points(GOLDEN["points"])[None, None], height, width, GOLDEN["sigma"], 1)
    torch.testing.assert_close(fine[0, :, 4], torch.tensor(GOLDEN["stride1_row4"]), rtol=0, atol=2e-6)
    several = confidence_maps(points(GOLDEN["multi_instances"])[None], height, width, GOLDEN["sigma"], 2)
    torch.testing.assert_close(several[0], torch.tensor(GOLDEN["multi_stride2"]), rtol=0, atol=2e-6)


def test_a_missing_point_leaves_its_map_empty() -> None:
    missing = torch.full((2, 3, 4, 2), torch.nan)
    maps = confidence_maps(missing, 17, 9, 1.5, 4)
    assert maps.shape == (2, 4, 5, 3)
    assert not maps.any()


def test_half_a_point_is_no_point() -> None:
    half = torch.tensor([[[[3.0, torch.nan]]]])
    assert not confidence_maps(half, 8, 8, 1.5, 1).any()
