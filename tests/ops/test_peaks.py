import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sleap_nn.ops.confidence_maps import confidence_maps
from sleap_nn.ops.peaks import (
    REFINEMENTS,
    LocalPeaks,
    find_global_peaks,
    find_local_peaks,
    global_peaks,
    local_peaks,
    refine_peaks,
    strongest_peaks,
)

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
    refined = refine_peaks(maps, points, "integral", 5)
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


def tops_by_search(maps: np.ndarray, threshold: float) -> list[tuple[int, int, float, float]]:
    """Fill every plateau of equal cells and keep those within 2x2 cells that nothing around exceeds."""
    found = []
    for sample, channel in np.ndindex(maps.shape[:2]):
        values = maps[sample, channel]
        seen = np.zeros(values.shape, bool)
        for start in np.ndindex(values.shape):
            if seen[start]:
                continue
            seen[start] = True
            plateau, around = [start], []
            for row, column in plateau:
                for y in range(max(row - 1, 0), min(row + 2, values.shape[0])):
                    for x in range(max(column - 1, 0), min(column + 2, values.shape[1])):
                        if values[y, x] != values[start]:
                            around.append(values[y, x])
                        elif not seen[y, x]:
                            seen[y, x] = True
                            plateau.append((y, x))
            cells = np.array(plateau)
            if (
                values[start] > threshold
                and (np.ptp(cells, axis=0) <= 1).all()
                and all(v < values[start] for v in around)
            ):
                mean = cells.mean(axis=0)
                found.append((sample, channel, float(mean[1]), float(mean[0])))
    return found


def as_rows(peaks: LocalPeaks) -> np.ndarray:
    parts = (peaks.samples[:, None], peaks.channels[:, None], peaks.points)
    return torch.cat([part.double() for part in parts], dim=1).numpy()


@pytest.mark.parametrize("shape", [(2, 3, 12, 17), (1, 2, 1, 9), (1, 2, 9, 1), (3, 1, 2, 2), (1, 1, 1, 1)])
@pytest.mark.parametrize("levels", [2, 3, 6, 1000])
def test_local_peaks_are_those_of_a_search_cell_by_cell(shape: tuple[int, int, int, int], levels: int) -> None:
    maps = np.random.default_rng(levels).integers(0, levels, shape).astype(np.float32) / levels
    found = local_peaks(torch.from_numpy(maps), 0.2)
    np.testing.assert_allclose(as_rows(found), np.array(tops_by_search(maps, 0.2)).reshape(-1, 4), atol=1e-6)


@pytest.mark.parametrize("refinement", ["none", "integral"])
def test_golden_local_peaks(refinement: str) -> None:
    points = torch.tensor(GOLDEN["local_points_px"])[None, :, None]
    height, width = GOLDEN["image_hw"]
    maps = confidence_maps(points, height, width, GOLDEN["sigma"], GOLDEN["output_stride"])
    found = find_local_peaks(maps, 0.2, refinement, 5)
    key = "local_rough_grid" if refinement == "none" else "local_integral_grid"
    torch.testing.assert_close(found.points, torch.tensor(GOLDEN[key]["tie_accepting"]), rtol=0, atol=2e-5)
    torch.testing.assert_close(found.values, torch.tensor(GOLDEN["local_vals"]["tie_accepting"]), rtol=0, atol=2e-6)
    assert found.samples.tolist() == GOLDEN["local_sample_inds"]["tie_accepting"]
    assert found.channels.tolist() == GOLDEN["local_channel_inds"]["tie_accepting"]


@pytest.mark.parametrize("point", [(21.0, 14.0), (21.0, 15.0), (20.0, 15.0)])
def test_refinement_leaves_a_symmetric_top_where_it_is(point: tuple[float, float]) -> None:
    found = find_local_peaks(confidence_maps(torch.tensor(point).view(1, 1, 1, 2), 40, 48, 1.5, 2), 0.2)
    torch.testing.assert_close(found.points * 2, torch.tensor([point]), rtol=0, atol=1e-5)


def test_the_threshold_itself_is_no_local_peak() -> None:
    maps = torch.zeros(1, 1, 5, 5)
    maps[0, 0, 2, 3] = 0.5
    assert len(local_peaks(maps, 0.5).values) == 0
    assert local_peaks(maps, 0.49).points.tolist() == [[3, 2]]


@pytest.mark.parametrize("value", [0.0, 0.5, -1.0, torch.nan])
def test_a_level_map_has_no_local_peaks(value: float) -> None:
    found = find_local_peaks(torch.full((2, 3, 20, 30), value), 0.2)
    assert [len(part) for part in found] == [0, 0, 0, 0]
    assert found.points.shape == (0, 2)


def test_local_peaks_of_a_batch_are_those_of_its_samples() -> None:
    maps = torch.rand(4, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    together = find_local_peaks(maps, 0.3)
    for sample in range(4):
        alone = find_local_peaks(maps[sample : sample + 1], 0.3)
        mine = together.samples == sample
        torch.testing.assert_close(alone.points, together.points[mine])
        assert torch.equal(alone.channels, together.channels[mine])


def test_local_peaks_of_half_precision_are_float32_and_near() -> None:
    points = torch.tensor([[[[10.3, 7.8]], [[31.6, 24.1]]]])
    maps = confidence_maps(points, 48, 64, 2.5, 2)
    exact, coarse = find_local_peaks(maps, 0.2), find_local_peaks(maps.bfloat16(), 0.2)
    assert coarse.points.dtype == coarse.values.dtype == torch.float32
    torch.testing.assert_close(coarse.points, exact.points, rtol=0, atol=0.1)
    torch.testing.assert_close(coarse.values, exact.values, rtol=0, atol=0.01)


def test_the_strongest_peaks_of_each_channel_are_kept_in_order() -> None:
    maps = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(1))
    every = local_peaks(maps, 0.1)
    kept = strongest_peaks(every, 4)
    assert np.array_equal(as_rows(kept), as_rows(strongest_peaks(kept, 4)))
    for sample in range(2):
        for channel in range(3):
            mine = every.values[(every.samples == sample) & (every.channels == channel)]
            rest = kept.values[(kept.samples == sample) & (kept.channels == channel)]
            lowest = mine.topk(4).values[-1]
            assert torch.equal(rest, mine[mine >= lowest])


@pytest.mark.parametrize("sigma", [0.8, 1.5, 3.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_top_of_the_gaussian_is_exact(sigma: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = torch.tensor(rng.uniform(3, (28, 20), (2, 1, 3, 2)), dtype=torch.float32)
    maps = confidence_maps(points, 24, 32, sigma, 1)
    found, _ = find_global_peaks(maps, 0.2, "gaussian")
    torch.testing.assert_close(found, points[:, 0], rtol=0, atol=2e-3)
    local = find_local_peaks(maps, 0.2, "gaussian")
    torch.testing.assert_close(local.points, points[:, 0].reshape(-1, 2), rtol=0, atol=2e-3)


def test_the_top_of_the_gaussian_stays_within_half_a_cell_and_inside() -> None:
    maps = torch.full((1, 3, 5, 6), -1.0)
    maps[0, 0, 0, 5] = 0.9  # a corner: no neighbours on two sides
    maps[0, 1, 2, 2:4] = torch.tensor([0.9, 0.8999])
    maps[0, 2, 2, 2] = 0.9
    points, _ = find_global_peaks(maps, 0.2, "gaussian")
    assert points[0, 0].tolist() == [5, 0]
    assert 2 < float(points[0, 1, 0]) <= 2.5
    assert points[0, 2].tolist() == pytest.approx([2, 2])


@pytest.mark.parametrize("refinement", REFINEMENTS)
def test_how_maps_lie_in_memory_does_not_matter(refinement: str) -> None:
    part = torch.rand(3, 9, 21, 17, generator=torch.Generator().manual_seed(0))[:, 2:7, 1:20, :15]
    expected, cells = find_local_peaks(part.contiguous(), 0.9, refinement), global_peaks(part, 0.1)[0]
    assert len(expected.values) > 100
    for maps in (part, part.contiguous(memory_format=torch.channels_last)):
        for found, wanted in zip(find_local_peaks(maps, 0.9, refinement), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=0, atol=0)
        torch.testing.assert_close(
            refine_peaks(maps, cells, refinement), refine_peaks(part.contiguous(), cells, refinement), rtol=0, atol=0
        )


@pytest.mark.parametrize("refinement", REFINEMENTS)
@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (2, 0, 8, 8), (2, 3, 8, 8)])
def test_maps_without_a_peak_give_none(shape: tuple[int, ...], refinement: str) -> None:
    assert find_local_peaks(torch.zeros(shape), 0.2, refinement).points.shape == (0, 2)
