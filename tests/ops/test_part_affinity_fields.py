import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sleap_nn.ops.part_affinity_fields import LineReading, Lines, line_scores, part_affinity_fields

FOLDER = Path(__file__).parents[1] / "golden"
FIELDS = json.loads((FOLDER / "pafs.json").read_text())
GROUPING = json.loads((FOLDER / "paf_grouping.json").read_text())
EDGE = torch.tensor([[0, 1]])


def cell_by_cell(
    points: np.ndarray, edges: list[tuple[int, int]], size: tuple[int, int], sigma: float, stride: int
) -> np.ndarray:
    """Draw the fields of one sample as the formula is written."""
    height, width = -(-size[0] // stride), -(-size[1] // stride)
    fields = np.zeros((2 * len(edges), height, width))
    last = np.array([width - 1, height - 1]) * stride
    for instance in points.astype(np.float64):
        if not ((instance > 0) & (instance < last)).all(axis=-1).any():
            continue
        for index, (source, destination) in enumerate(edges):
            along = instance[destination] - instance[source]
            length = np.linalg.norm(along)
            if not length > 0:
                continue
            for row, column in np.ndindex(height, width):
                cell = np.array([column, row]) * stride - instance[source]
                place = np.clip(cell @ along / max(length**2, 1), 0, 1)
                squared = ((cell - place * along) ** 2).sum()
                fields[2 * index : 2 * index + 2, row, column] += (
                    np.exp(-(squared**2) / (2 * sigma**2)) * along / length
                )
    return fields


@pytest.mark.parametrize(("instances", "fields"), [("instance", "pafs"), ("instances2", "pafs2")])
def test_golden_fields(instances: str, fields: str) -> None:
    points = torch.tensor(FIELDS[instances])[None]
    size = tuple(FIELDS["image_hw"])
    found = part_affinity_fields(points, EDGE, size, FIELDS["sigma"], FIELDS["output_stride"])
    torch.testing.assert_close(found[0], torch.tensor(FIELDS[fields]), rtol=0, atol=2e-6)


@pytest.mark.parametrize("seed", range(12))
def test_fields_are_those_of_the_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = [(0, 1), (1, 2), (2, 0)]
    size = (int(rng.integers(5, 40)), int(rng.integers(5, 40)))
    points = rng.uniform(-15, 55, (2, 3, 3, 2)).astype(np.float32)
    points[rng.random((2, 3, 3)) < 0.2] = np.nan
    if seed % 3 == 0:  # level and upright edges, and one without length
        points[:, 0] = rng.integers(2, 20, (2, 3, 2))
        points[:, 0, 1, 1], points[:, 0, 2] = points[:, 0, 0, 1], points[:, 0, 1]
    sigma, stride = float(rng.choice([0.5, 4.0, 15.0, 75.0])), int(rng.choice([1, 2, 4]))
    found = part_affinity_fields(torch.from_numpy(points), torch.tensor(edges), size, sigma, stride)
    expected = np.stack([cell_by_cell(sample, edges, size, sigma, stride) for sample in points])
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)  # float32 on the slopes of the narrowest field


def test_a_missing_end_draws_nothing() -> None:
    points = torch.tensor([[[[4.0, 4.0], [torch.nan, torch.nan]]]])
    assert not part_affinity_fields(points, EDGE, (16, 16), 15.0, 2).any()
    assert not part_affinity_fields(torch.full((2, 3, 2, 2), torch.nan), EDGE, (16, 16), 15.0, 2).any()


def test_an_instance_is_drawn_if_a_point_lies_strictly_inside_the_grid() -> None:
    outside = torch.tensor([[[[0.0, 4.0], [14.0, 6.0]]]])  # the last column of the grid is at 14
    assert not part_affinity_fields(outside, EDGE, (16, 16), 15.0, 2).any()
    inside = torch.tensor([[[[0.0, 4.0], [13.5, 6.0]]]])
    assert part_affinity_fields(inside, EDGE, (16, 16), 15.0, 2).any()


def golden_scores(fields: torch.Tensor, reading: LineReading) -> torch.Tensor:
    peaks = torch.tensor(GROUPING["peaks"])
    pairs = torch.tensor(GROUPING["edge_peak_inds"])
    edges = torch.tensor(GROUPING["edge_inds"])
    lines = Lines(peaks[pairs[:, 0]], peaks[pairs[:, 1]], torch.zeros_like(edges), edges)
    return line_scores(fields, lines, GROUPING["paf_stride"], reading)


def golden_fields() -> torch.Tensor:
    points = torch.tensor(GROUPING["instances"])[None]
    size = tuple(GROUPING["image_hw"])
    return part_affinity_fields(
        points, torch.tensor(GROUPING["edges"]), size, GROUPING["paf_sigma"], GROUPING["paf_stride"]
    )


def test_golden_line_scores() -> None:
    found = golden_scores(golden_fields(), LineReading())
    torch.testing.assert_close(found, torch.tensor(GROUPING["line_scores"]), rtol=0, atol=2e-5)


def test_long_lines_are_penalised_as_much_as_asked() -> None:
    plain = golden_scores(golden_fields(), LineReading(distance_penalty=0.0))
    once = golden_scores(golden_fields(), LineReading(distance_penalty=1.0))
    twice = golden_scores(golden_fields(), LineReading(distance_penalty=2.0))
    torch.testing.assert_close(twice - once, once - plain)
    peaks, pairs = np.array(GROUPING["peaks"]), np.array(GROUPING["edge_peak_inds"])
    lengths = np.linalg.norm(peaks[pairs[:, 1]] - peaks[pairs[:, 0]], axis=-1)
    expected = np.minimum(0, GROUPING["max_edge_length"] / lengths - 1)
    np.testing.assert_allclose((once - plain).numpy(), expected, atol=1e-5)


def test_a_line_without_length_has_no_score() -> None:
    zero = torch.zeros(1, dtype=torch.long)
    point = torch.tensor([[5.0, 5.0]])
    assert line_scores(torch.ones(1, 2, 8, 8), Lines(point, point, zero, zero), 2, LineReading()).isnan().all()


def test_lines_are_read_in_their_own_sample_and_edge() -> None:
    fields = torch.zeros(3, 4, 8, 8)
    fields[2, 2] = 1  # second edge of the third sample points to the right
    ends = torch.tensor([[2.0, 6.0]]).expand(6, 2), torch.tensor([[10.0, 6.0]]).expand(6, 2)
    samples, edges = torch.arange(3).repeat_interleave(2), torch.arange(2).repeat(3)
    reading = LineReading(distance_penalty=0.0)
    assert line_scores(fields, Lines(*ends, samples, edges), 2, reading).tolist() == [0, 0, 0, 0, 0, 1]
    backwards = line_scores(fields, Lines(ends[1], ends[0], samples, edges), 2, reading)
    assert backwards.tolist() == [0, 0, 0, 0, 0, -1]


def test_points_outside_the_map_read_its_border() -> None:
    fields = torch.zeros(1, 2, 4, 4)
    fields[0, 0, :, 3] = 1
    zero = torch.zeros(1, dtype=torch.long)
    lines = Lines(torch.tensor([[50.0, 4.0]]), torch.tensor([[60.0, 4.0]]), zero, zero)
    assert line_scores(fields, lines, 2, LineReading(distance_penalty=0.0)).tolist() == [1]
