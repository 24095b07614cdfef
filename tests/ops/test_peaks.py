import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sleap_nn.ops.confidence_maps import confidence_maps
from sleap_nn.ops.peaks import find_global_peaks, global_peaks, refine_integral

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "peaks.json").read_text())


def golden_maps() -> torch.Tensor:
    height, width = GOLDEN["image_hw"]
    points = torch.tensor(GOLDEN["points_px"])[None, None]
    return confidence_maps(points, height, width, GOLDEN["sigma"], GOLDEN["output_stride"])


def test_golden_peaks() -> None:
    points, values = global_peaks(golden_maps(), 0.2)
    torch.testing.assert_close(points[0], torch.tensor(GOLDEN["global_rough_grid"]))
    torch.testing.assert_close(values[0], torch.tensor(GOLDEN["global_vals"]), rtol=0, atol=2e-6)
    refined, _ = find_global_peaks(golden_maps(), 0.2, "integral", 5)
    torch.testing.assert_close(refined[0], torch.tensor(GOLDEN["global_integral_grid"]), rtol=0, atol=2e-5)


def test_a_low_map_has_no_peak_and_the_threshold_itself_counts() -> None:
    maps = torch.zeros(1, 2, 4, 5)
    maps[0, 0, 1, 2] = 0.3
    points, values = global_peaks(maps, 0.3)
    assert points[0, 0].tolist() == [2, 1]
    assert points[0, 1].isnan().all()
    assert values.tolist() == [[pytest.approx(0.3), 0]]


def test_equal_cells_give_the_smallest_column_and_row() -> None:
    maps = torch.zeros(1, 1, 4, 5)
    maps[0, 0, 3, 1] = maps[0, 0, 1, 3] = 1
    points, _ = global_peaks(maps, 0.2)
    assert points[0, 0].tolist() == [1, 1]


@pytest.mark.parametrize("corner", [(0, 0), (6, 0), (0, 4), (6, 4)])
def test_refinement_at_the_border_stays_on_the_peak(corner: tuple[int, int]) -> None:
    maps = torch.zeros(1, 1, 5, 7)
    maps[0, 0, corner[1], corner[0]] = 1
    refined, _ = find_global_peaks(maps, 0.2)
    assert refined[0, 0].tolist() == list(corner)


def test_negative_values_around_a_peak_cannot_throw_it_away() -> None:
    maps = torch.full((1, 1, 9, 9), -0.0412)
    maps[0, 0, 4, 4] = 1.0
    maps[0, 0, 4, 6] = -0.05
    points, _ = global_peaks(maps, 0.2)
    refined = refine_integral(maps, points, 5)
    assert (refined - points).abs().max() <= 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (3, 2)])
def test_maps_smaller_than_the_window(shape: tuple[int, int]) -> None:
    maps = torch.rand(2, 3, *shape) + 0.3
    refined, values = find_global_peaks(maps, 0.2)
    assert refined.isfinite().all()
    assert (values >= 0.3).all()


def test_refinement_is_off_on_request() -> None:
    points, _ = find_global_peaks(golden_maps(), 0.2, "none")
    assert np.array_equal(points.numpy() % 1, np.zeros_like(points.numpy()))
