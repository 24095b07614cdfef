import pytest
import torch

from sleap_nn.export.reading import (
    LineReading,
    build_bottomup_candidate_template,
    candidate_scores,
    highest_peaks,
    highest_points,
)
from sleap_nn.ops.confidence_maps import confidence_maps
from sleap_nn.ops.part_affinity_fields import LineReading as Reading
from sleap_nn.ops.part_affinity_fields import Lines, line_scores
from sleap_nn.ops.peaks import find_global_peaks, find_local_peaks

STRIDE = 4


@pytest.fixture
def maps() -> torch.Tensor:
    """Return maps (2, 3, 16, 24) of three animals each, which all differ in height."""
    torch.manual_seed(0)
    points = torch.rand(2, 3, 3, 2) * torch.tensor([92.0, 60.0])
    drawn = confidence_maps(points, 16 * STRIDE, 24 * STRIDE, 1.5, STRIDE)
    return drawn * torch.linspace(0.5, 1, 24) + 1e-3 * torch.rand(drawn.shape)


def test_peaks_are_those_of_the_package(maps: torch.Tensor) -> None:
    expected = find_local_peaks(maps, 0.1)
    found = highest_peaks(maps, 6, 0.1, STRIDE, 2)
    assert found.points.shape == (2, 3, 6, 2)
    assert int(found.found.sum()) == len(expected.values)
    for sample in range(2):
        for channel in range(3):
            own = (expected.samples == sample) & (expected.channels == channel)
            order = expected.values[own].argsort(descending=True)
            kept = found.found[sample, channel]
            assert kept.tolist() == sorted(kept.tolist(), reverse=True)
            torch.testing.assert_close(found.values[sample, channel][kept], expected.values[own][order])
            torch.testing.assert_close(found.points[sample, channel][kept], expected.points[own][order] * STRIDE)


def test_only_the_highest_peaks_are_kept_and_small_maps_have_fewer(maps: torch.Tensor) -> None:
    every, one = highest_peaks(maps, 6, 0.1, STRIDE, 2), highest_peaks(maps, 1, 0.1, STRIDE, 2)
    torch.testing.assert_close(one.points, every.points[:, :, :1])
    tiny = highest_peaks(torch.ones(1, 1, 1, 2), 5, 0.1, STRIDE, 2)
    assert tiny.found.tolist() == [[[True, True, False, False, False]]]
    nothing = highest_peaks(torch.zeros(1, 1, 4, 4), 2, 0.0, STRIDE, 2)
    assert not nothing.found.any()
    assert nothing.points.isfinite().all()


@pytest.mark.parametrize("threshold", [0.2, 0.8])
def test_points_are_those_of_the_package(maps: torch.Tensor, threshold: float) -> None:
    points, values = find_global_peaks(maps, threshold)
    found, found_values = highest_points(maps, threshold, STRIDE, 2)
    torch.testing.assert_close(found, points * STRIDE, equal_nan=True)
    torch.testing.assert_close(found_values, values)
    assert found.isnan().any() == (threshold == 0.8)


def test_a_window_may_reach_over_the_border_and_weigh_nothing() -> None:
    maps = torch.zeros(1, 2, 5, 5)
    maps[0, 0, 0, 0], maps[0, 0, 0, 1] = 1.0, 0.5
    maps[0, 1] = -1.0
    points, _ = highest_points(maps, -2.0, 1, 2)
    torch.testing.assert_close(points[0, 0], torch.tensor([1 / 3, 0.0]))
    assert points[0, 1].isfinite().all()


def test_the_template_lists_every_pair_of_an_edge() -> None:
    edge, source, destination = build_bottomup_candidate_template(3, 2, [(0, 2), (2, 1)])
    assert edge.tolist() == [0] * 4 + [1] * 4
    assert source.tolist() == [0, 0, 1, 1, 4, 4, 5, 5]
    assert destination.tolist() == [4, 5, 4, 5, 2, 3, 2, 3]
    assert [len(entry) for entry in build_bottomup_candidate_template(2, 3, [])] == [0, 0, 0]
    with pytest.raises(ValueError, match="not among the 2"):
        build_bottomup_candidate_template(2, 2, [(0, 2)])


@pytest.mark.parametrize("reading", [(10, 0.25, 1.0), (3, 0.1, 0.5), (1, 2.0, 0.0)])
def test_lines_score_as_in_the_package(reading: tuple[int, float, float]) -> None:
    torch.manual_seed(1)
    fields = torch.randn(2, 4, 12, 20)
    sources, destinations = torch.rand(2, 6, 2) * 80 - 4, torch.rand(2, 6, 2) * 80 - 4
    edge = torch.tensor([0, 1, 0, 1, 0, 1])
    lines = Lines(
        sources.flatten(0, 1), destinations.flatten(0, 1), torch.arange(2).repeat_interleave(6), edge.repeat(2)
    )
    expected = line_scores(fields, lines, STRIDE, Reading(*reading)).reshape(2, 6)
    found = candidate_scores(fields, sources, destinations, edge, STRIDE, LineReading(*reading))
    torch.testing.assert_close(found, expected)
    same = candidate_scores(fields, sources, sources, edge, STRIDE, LineReading(*reading))
    assert same.tolist() == [[0.0] * 6] * 2
