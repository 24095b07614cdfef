"""Edges to part affinity fields, and fields to scores of candidate edges.

Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", CVPR 2017.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


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
    batch, num_instances = points.shape[:2]
    height, width = (-(-side // output_stride) for side in size)
    x = torch.arange(width, device=points.device, dtype=torch.float32) * output_stride
    y = torch.arange(height, device=points.device, dtype=torch.float32)[:, None] * output_stride
    inside = ((points > 0) & (points < torch.stack([x[-1], y[-1, 0]]))).all(dim=-1).any(dim=-1)
    points = points.float().masked_fill(~inside[..., None, None], torch.nan)
    fields = torch.zeros(batch, len(edges), 2, height, width, device=points.device)
    for instance in range(num_instances):
        source = points[:, instance, edges[:, 0], :, None, None]
        along = points[:, instance, edges[:, 1], :, None, None] - source
        squared = along.square().sum(dim=2)
        from_x, from_y = x - source[:, :, 0], y - source[:, :, 1]
        place = ((from_x * along[:, :, 0] + from_y * along[:, :, 1]) / squared.clamp(min=1)).clamp(0, 1)
        distance = (from_x - place * along[:, :, 0]).square_() + (from_y - place * along[:, :, 1]).square_()
        weight = torch.exp(distance.square_().neg_() / (2 * sigma**2))
        unit = along / squared.sqrt()[:, :, None]  # an edge without length has no direction: NaN, not drawn
        fields += (weight[:, :, None] * unit).nan_to_num_(0.0)
    return fields.flatten(1, 2)


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
    steps = torch.linspace(0, 1, reading.num_points, device=fields.device)
    points = (lines.sources[:, None] + along[:, None] * steps[:, None]) / output_stride
    x = points[..., 0].round().long().clamp_(0, width - 1)
    y = points[..., 1].round().long().clamp_(0, height - 1)
    cells = ((lines.samples * channels + 2 * lines.edges)[:, None] * height + y) * width + x
    flat = fields.reshape(-1)
    field = torch.stack([flat[cells].float().mean(dim=1), flat[cells + height * width].float().mean(dim=1)], dim=-1)
    longest = reading.max_length_ratio * max(height, width, channels) * output_stride
    penalty = reading.distance_penalty * (longest / length - 1).clamp(max=0)
    return (field * along / length[:, None]).sum(dim=-1) + penalty
