"""Edges to part affinity fields, and fields to scores of candidate edges.

Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", CVPR 2017.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

_NEGLIGIBLE = 1e-8
"""Weight below which a field is not drawn: less than float32 resolves beside a field worth drawing."""


def part_affinity_fields(
    points: Float[Tensor, "batch instances nodes 2"],
    edges: Int[Tensor, "edges 2"],
    size: tuple[int, int],
    sigma: float,
    output_stride: int,
) -> Float[Tensor, "batch fields map_height map_width"]:
    """Draw the unit vector of every edge around it; the fields of several instances add up.

    The weight falls with the fourth power of the distance, ``exp(-distance**4 / (2 * sigma**2))``: that is what
    existing models were trained on. An instance is drawn if a point of it lies inside the map.

    Args:
        points: Input px; an edge with a missing end is not drawn.
        edges: Source and destination node of each edge.
        size: (height, width) of the input in px.
        sigma: Width of the field in input px squared.
        output_stride: Input px of one map cell.

    Returns:
        Maps (B, 2 E, h, w); the x and the y component of an edge follow each other.
    """
    height, width = (-(-side // output_stride) for side in size)
    batch, device = len(points), points.device
    points = points.float()
    last = torch.tensor([width - 1, height - 1], device=device) * output_stride
    drawn = ((points > 0) & (points < last)).all(dim=-1).any(dim=-1)
    source = points[:, :, edges[:, 0]]
    along = points[:, :, edges[:, 1]] - source
    # An edge without length has no direction; a missing end makes the length NaN, which is not larger than 0.
    samples, instances, edge = (drawn[:, :, None] & (along.norm(dim=-1) > 0)).nonzero(as_tuple=True)
    source, along = source[samples, instances, edge], along[samples, instances, edge]
    reach = (sigma * math.sqrt(-2 * math.log(_NEGLIGIBLE))) ** 0.5
    line, x, y = _cells_near(source, along, reach, (height, width), output_stride)
    squared = along.square().sum(dim=-1)
    unit = along / squared.sqrt()[:, None]
    from_x, from_y = x * output_stride - source[line, 0], y * output_stride - source[line, 1]
    along_x, along_y = along[line, 0], along[line, 1]
    place = ((from_x * along_x + from_y * along_y) / squared.clamp(min=1)[line]).clamp_(0, 1)
    distance = (from_x - place * along_x).square_() + (from_y - place * along_y).square_()
    weight = torch.exp(distance.square_().neg_() / (2 * sigma**2))
    cells = ((samples * len(edges) + edge) * 2 * height * width)[line] + y * width + x
    fields = torch.zeros(batch * len(edges) * 2 * height * width, device=device)
    fields.index_add_(0, cells, weight * unit[line, 0])
    fields.index_add_(0, cells + height * width, weight * unit[line, 1])
    return fields.reshape(batch, 2 * len(edges), height, width)


def _cells_near(
    source: Float[Tensor, "lines 2"],
    along: Float[Tensor, "lines 2"],
    reach: float,
    size: tuple[int, int],
    output_stride: int,
) -> tuple[Int[Tensor, " cells"], Int[Tensor, " cells"], Int[Tensor, " cells"]]:
    """List the cells of a map about each line: at least those within reach of it, and few others.

    Args:
        source: Where the lines start, input px.
        along: From there to their ends, input px.
        reach: Distance in input px.
        size: (height, width) of the map in cells.
        output_stride: Input px of one map cell.

    Returns:
        The line of each cell, its column and its row.
    """
    first, last = torch.minimum(along, torch.zeros_like(along)), along.clamp(min=0)
    line, y = _ranges(source[:, 1] + first[:, 1] - reach, source[:, 1] + last[:, 1] + reach, size[0], output_stride)
    # In one row: the part of the line that is within reach of the row. A level line is, as a whole or at its border.
    height = y * output_stride - source[line, 1]
    ends = torch.stack([height - reach, height + reach]) / along[line, 1]
    ends = ends.nan_to_num(0.0).clamp_(0, 1) * along[line, 0] + source[line, 0]
    row, x = _ranges(ends.amin(dim=0) - reach, ends.amax(dim=0) + reach, size[1], output_stride)
    return line[row], x, y[row]


def _ranges(
    low: Float[Tensor, " ranges"], high: Float[Tensor, " ranges"], count: int, output_stride: int
) -> tuple[Int[Tensor, " cells"], Int[Tensor, " cells"]]:
    """List the cells 0 to `count` - 1 that lie between two places in input px, for each range in turn.

    Returns:
        The range of each cell, and the cell.
    """
    start = (low / output_stride).ceil().clamp(0, count).long()
    sizes = ((high / output_stride).floor().clamp(-1, count - 1).long() + 1 - start).clamp(min=0)
    index = torch.repeat_interleave(sizes)
    offset = start - (sizes.cumsum(0) - sizes)
    return index, torch.arange(len(index), device=low.device) + offset[index]


class LineReading(NamedTuple):
    """How a field is read along a line.

    Attributes:
        num_points: Cells that are read, both ends included.
        max_length_ratio: Lines longer than this share of the field's longest side (rows, columns or channels) lose.
        distance_penalty: How much they lose.
    """

    num_points: int = 10
    max_length_ratio: float = 0.25
    distance_penalty: float = 1.0


class Lines(NamedTuple):
    """Candidate edges of a batch.

    Attributes:
        sources: (M, 2) input px.
        destinations: (M, 2) input px.
        samples: (M,) position in the batch.
        edges: (M,) index of the edge.
    """

    sources: Float[Tensor, "candidates 2"]
    destinations: Float[Tensor, "candidates 2"]
    samples: Int[Tensor, " candidates"]
    edges: Int[Tensor, " candidates"]


def line_scores(
    fields: Float[Tensor, "batch fields map_height map_width"],
    lines: Lines,
    output_stride: int,
    reading: LineReading,
) -> Float[Tensor, " candidates"]:
    """Return how well the field along each candidate edge points from its source to its destination.

    Args:
        fields: As `part_affinity_fields` draws them.
        lines: The candidates.
        output_stride: Input px of one map cell.
        reading: Where and how the field is read.

    Returns:
        Mean of field times direction, 1 for a perfect edge, minus the penalty; NaN for a line without length.
    """
    channels, height, width = fields.shape[1:]
    along = lines.destinations - lines.sources
    length = along.norm(dim=-1)
    # Points of a line lie along the first axis, so that every step below runs over all candidates at once.
    steps = torch.linspace(0, 1, reading.num_points, device=fields.device)[:, None]
    x, y = (
        torch.addcmul(lines.sources[:, i], along[:, i], steps).div_(output_stride).round_().clamp_(0, side - 1)
        for i, side in enumerate((width, height))
    )
    first = (lines.samples * channels + 2 * lines.edges) * (height * width)
    # Half the width, half the time; the cells of larger fields do not fit into it.
    integer = torch.int32 if fields.numel() < 2**31 else torch.int64
    cells = y.to(integer).mul_(width).add_(x.to(integer)).add_(first.to(integer)).flatten()
    flat = fields.reshape(-1)
    read = [part.index_select(0, cells).view(x.shape).float().mean(dim=0) for part in (flat, flat[height * width :])]
    field = torch.stack(read, dim=-1)
    longest = reading.max_length_ratio * max(height, width, channels) * output_stride
    penalty = reading.distance_penalty * (longest / length - 1).clamp(max=0)
    return (field * along / length[:, None]).sum(dim=-1) + penalty
