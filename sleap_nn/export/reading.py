"""Maps to points in tensors of a fixed form, which a graph can hold: as many entries as asked for, and which count.

What predictions of this package do with maps is in `ops`; here the same is done for programs that have nothing but the
graph. Two cells of equal height beside each other, which `ops.peaks` joins, stay two peaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


class Peaks(NamedTuple):
    """The highest peaks of every channel.

    Attributes:
        points: (B, C, K, 2) input px.
        values: (B, C, K) map values.
        found: (B, C, K) whether there is such a peak; points and values of others mean nothing.
    """

    points: Float[Tensor, "batch channels peaks 2"]
    values: Float[Tensor, "batch channels peaks"]
    found: Bool[Tensor, "batch channels peaks"]


def highest_peaks(
    maps: Float[Tensor, "batch channels height width"], most: int, threshold: float, output_stride: int, half: int
) -> Peaks:
    """Find the cells that no neighbour exceeds, the highest first, and refine them as ``integral`` does.

    Args:
        maps: Confidence maps.
        most: Peaks of a channel.
        threshold: A peak is larger than this.
        output_stride: Input px of one map cell.
        half: Cells on either side of a peak that refine it.
    """
    is_top = (maps == functional.max_pool2d(maps, 3, stride=1, padding=1)) & (maps > threshold)
    flat = torch.where(is_top, maps, torch.full_like(maps, -torch.inf)).flatten(2)
    values, cells = functional.pad(flat, (0, most), value=-torch.inf).topk(most, dim=2)
    found = values > threshold
    cells = torch.where(found, cells, torch.zeros_like(cells))
    return Peaks(_refined(maps, cells, half) * output_stride, values, found)


def highest_points(
    maps: Float[Tensor, "batch channels height width"], threshold: float, output_stride: int, half: int
) -> tuple[Float[Tensor, "batch channels 2"], Float[Tensor, "batch channels"]]:
    """Find the highest cell of every channel and refine it.

    Args:
        maps: As for `highest_peaks`, as are the others.
        threshold: A channel that stays below has no point.
        output_stride: As above.
        half: As above.

    Returns:
        Points in input px (NaN without one) and the map values there (0 without one).
    """
    values, cells = maps.flatten(2).max(dim=2, keepdim=True)
    found = values >= threshold
    points = _refined(maps, cells, half) * output_stride
    points = torch.where(found[..., None], points, torch.full_like(points, torch.nan))
    return points[:, :, 0], torch.where(found, values, torch.zeros_like(values))[..., 0]


def _refined(
    maps: Float[Tensor, "batch channels height width"], cells: Int[Tensor, "batch channels peaks"], half: int
) -> Float[Tensor, "batch channels peaks 2"]:
    """Return the centre of mass of the window around cells, in cells; what lies outside the map counts as 0."""
    height, width = maps.shape[2], maps.shape[3]
    ways = torch.arange(-half, half + 1, device=maps.device)
    y = torch.div(cells, width, rounding_mode="floor")
    x = cells - y * width
    columns, rows = x[..., None] + ways, y[..., None] + ways
    inside = ((rows >= 0) & (rows < height))[..., :, None] & ((columns >= 0) & (columns < width))[..., None, :]
    place = rows[..., :, None] * width + columns[..., None, :]
    place = torch.where(inside, place, torch.zeros_like(place))
    patch = maps.flatten(2).gather(2, place.flatten(2)).reshape(place.shape) * inside
    mass = patch.sum(dim=(3, 4))
    moment = torch.stack([(patch.sum(dim=3) * ways).sum(-1), (patch.sum(dim=4) * ways).sum(-1)], dim=-1)
    usable = (mass > 0)[..., None]
    shift = torch.where(usable, moment / torch.where(usable, mass[..., None], torch.ones_like(moment)), 0.0)
    return torch.stack([x, y], dim=-1) + shift.clamp(-half, half)


def build_bottomup_candidate_template(
    n_nodes: int, max_peaks_per_node: int, edge_inds: Sequence[tuple[int, int]]
) -> tuple[Int[Tensor, " candidates"], Int[Tensor, " candidates"], Int[Tensor, " candidates"]]:
    """List the pairs of peaks that an edge may join, edge by edge, then source by source.

    Args:
        n_nodes: Number of nodes.
        max_peaks_per_node: Peaks of each.
        edge_inds: Source and destination node of each edge.

    Returns:
        The edge of each pair, and the positions of its source and destination among ``n_nodes * max_peaks_per_node``.
    """
    if any(not 0 <= node < n_nodes for edge in edge_inds for node in edge):
        raise ValueError(f"An edge names a node that is not among the {n_nodes}.")
    most = torch.arange(max_peaks_per_node)
    edges = torch.as_tensor(edge_inds, dtype=torch.int64).reshape(-1, 2)
    first = edges * max_peaks_per_node
    shape = (len(edges), max_peaks_per_node, max_peaks_per_node)
    edge = torch.arange(len(edges))[:, None, None].expand(shape)
    source = (first[:, 0, None, None] + most[None, :, None]).expand(shape)
    destination = (first[:, 1, None, None] + most[None, None, :]).expand(shape)
    return edge.reshape(-1), source.reshape(-1), destination.reshape(-1)


class LineReading(NamedTuple):
    """How a field is read along a line, see `ops.part_affinity_fields.LineReading`."""

    num_points: int
    max_length_ratio: float
    distance_penalty: float


def candidate_scores(
    fields: Float[Tensor, "batch fields height width"],
    sources: Float[Tensor, "batch candidates 2"],
    destinations: Float[Tensor, "batch candidates 2"],
    edge: Int[Tensor, " candidates"],
    output_stride: int,
    reading: LineReading,
) -> Float[Tensor, "batch candidates"]:
    """Return how well the field along each candidate points from source to destination, as `line_scores` does.

    Args:
        fields: Part affinity fields.
        sources: Input px.
        destinations: Input px.
        edge: Edge of each candidate.
        output_stride: Input px of one map cell.
        reading: Where and how the field is read.

    Returns:
        1 for a perfect edge, minus the penalty; 0 for a line without length.
    """
    height, width = fields.shape[2], fields.shape[3]
    along = destinations - sources
    length = along.norm(dim=-1)
    steps = torch.linspace(0, 1, reading.num_points, device=fields.device)
    points = sources[:, :, None] + along[:, :, None] * steps[:, None]
    cells = (points / output_stride).round().long()
    x, y = cells[..., 0].clamp(min=0).clamp(max=width - 1), cells[..., 1].clamp(min=0).clamp(max=height - 1)
    place = y * width + x
    flat = fields.flatten(2)
    components = [flat.index_select(1, 2 * edge + component).gather(2, place).mean(dim=-1) for component in (0, 1)]
    field = torch.stack(components, dim=-1)
    # The longest side as a tensor, since the size of an image is not known before the graph runs.
    sides = [torch.arange(side, device=fields.device)[-1:] + 1 for side in (height, width)]
    longest = torch.maximum(*sides).clamp(min=fields.shape[1]) * (reading.max_length_ratio * output_stride)
    usable = length > 0
    safe = torch.where(usable, length, torch.ones_like(length))
    penalty = reading.distance_penalty * (longest / safe - 1).clamp(max=0)
    scores = (field * along / safe[..., None]).sum(dim=-1) + penalty
    return torch.where(usable, scores, torch.zeros_like(scores))
