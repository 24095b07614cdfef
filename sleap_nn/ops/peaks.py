"""Maps to points: the peak of each channel, and where between the cells it lies.

Results are in map cells, (x, y); the head that owns a map multiplies by its stride.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

REFINEMENTS = ("integral", "none")


def global_peaks(
    maps: Float[Tensor, "batch channels height width"], threshold: float
) -> tuple[Float[Tensor, "batch channels 2"], Float[Tensor, "batch channels"]]:
    """Find the largest cell of every channel.

    Among equal cells x is the smallest column and y the smallest row that reach the maximum.

    Args:
        maps: Confidence maps.
        threshold: A channel whose maximum is smaller has no peak.

    Returns:
        Points in map cells (NaN without a peak) and the map values there (0 without a peak).
    """
    columns = maps.amax(dim=2)
    rows = maps.amax(dim=3)
    values, x = columns.max(dim=2)
    y = rows.argmax(dim=2)
    found = values >= threshold
    points = torch.stack([x, y], dim=-1).to(torch.float32)
    return points.masked_fill(~found[..., None], torch.nan), values.float().masked_fill(~found, 0.0)


class LocalPeaks(NamedTuple):
    """Peaks of a whole batch, by sample, channel, row and column.

    Attributes:
        points: (K, 2) float32, map cells.
        values: (K,) float32, map values.
        samples: (K,) int64, position in the batch.
        channels: (K,) int64.
    """

    points: Float[Tensor, "peaks 2"]
    values: Float[Tensor, " peaks"]
    samples: Int[Tensor, " peaks"]
    channels: Int[Tensor, " peaks"]


def local_peaks(maps: Float[Tensor, "batch channels height width"], threshold: float) -> LocalPeaks:
    """Find every cell that is larger than its eight neighbours.

    Up to four equal cells within 2x2 cells, as a point between cells makes them, are one peak at their mean.

    Args:
        maps: Confidence maps.
        threshold: A peak is larger than this.
    """
    height, width = maps.shape[2:]
    padded = functional.pad(maps, (1, 1, 1, 1), value=-torch.inf)
    highest = functional.max_pool2d(padded, kernel_size=3, stride=1)
    top = (maps == highest) & (maps > threshold)
    samples, channels, rows, columns = top.nonzero(as_tuple=True)
    values = maps[samples, channels, rows, columns].float()
    return _join_flat_tops(LocalPeaks(torch.stack([columns, rows], dim=-1), values, samples, channels), height, width)


def _join_flat_tops(cells: LocalPeaks, height: int, width: int) -> LocalPeaks:
    """Join equal neighbouring cells; those that spread over more than 2x2 cells are no peak.

    Args:
        cells: Cells that no neighbour exceeds, points (K, 2) int64 in map cells.
        height: Rows of the maps.
        width: Columns of the maps.
    """
    points, count = cells.points, len(cells.points)
    if count < 2:
        return cells._replace(points=points.float())
    # Cells in reading order: an equal neighbour comes after at most one row of others of the same map.
    map_index = cells.samples * (int(cells.channels.max()) + 1) + cells.channels
    flat = (map_index * (height + 2) + points[:, 1] + 1) * (width + 2) + points[:, 0] + 1
    sides = torch.tensor([1, width + 1, width + 2, width + 3], device=flat.device)
    place = torch.searchsorted(flat, flat[:, None] + sides)
    follows = (place < count) & (flat[place.clamp(max=count - 1)] == flat[:, None] + sides)
    if not bool(follows.any()):
        return cells._replace(points=points.float())
    label = torch.arange(count, device=flat.device)
    source, side = follows.nonzero(as_tuple=True)
    target = place[source, side]
    while True:  # labels spread by one neighbour a round; a plateau of 2x2 cells needs two
        spread = label.scatter_reduce(0, target, label[source], "amin").scatter_reduce(0, source, label[target], "amin")
        if torch.equal(spread, label):
            break
        label = spread
    first, member = label.unique(return_inverse=True)
    size = torch.zeros_like(first).scatter_add_(0, member, torch.ones_like(member))
    index = member[:, None].expand(-1, 2)
    low = points[first].scatter_reduce(0, index, points, "amin")
    high = points[first].scatter_reduce(0, index, points, "amax")
    mean = torch.zeros(len(first), 2, device=flat.device).scatter_add_(0, index, points.float()) / size[:, None]
    kept = ((high - low) <= 1).all(dim=1)
    first = first[kept]
    return LocalPeaks(mean[kept], cells.values[first], cells.samples[first], cells.channels[first])


def find_local_peaks(
    maps: Float[Tensor, "batch channels height width"],
    threshold: float,
    refinement: str = "integral",
    patch_size: int = 5,
) -> LocalPeaks:
    """Find the peaks of every channel and refine them.

    Args:
        maps: Confidence maps.
        threshold: A peak is larger than this.
        refinement: One of `REFINEMENTS`.
        patch_size: Window of the refinement in cells, odd.
    """
    peaks = local_peaks(maps, threshold)
    if refinement != "integral" or len(peaks.points) == 0:
        return peaks
    cells = peaks.points.floor().long()
    moved = cells + _centre_of_mass(maps, peaks.samples, peaks.channels, cells, patch_size)
    return peaks._replace(points=torch.where(peaks.points == cells, moved, peaks.points))


def refine_integral(
    maps: Float[Tensor, "batch channels height width"],
    points: Float[Tensor, "batch channels 2"],
    patch_size: int,
) -> Float[Tensor, "batch channels 2"]:
    """Move each channel's peak to the centre of mass of the cells around it (integral regression).

    Sun et al., "Integral Human Pose Regression", ECCV 2018, on a window. Cells outside the map count as 0.

    Args:
        maps: Confidence maps.
        points: One integer cell a channel, NaN without a peak.
        patch_size: Side of the window in cells, odd.
    """
    batch, channels, _, _ = maps.shape
    found = ~points.isnan().any(dim=-1)
    cells = points.nan_to_num(0.0).long().reshape(-1, 2)
    samples = torch.arange(batch, device=maps.device).repeat_interleave(channels)
    channel = torch.arange(channels, device=maps.device).repeat(batch)
    shift = _centre_of_mass(maps, samples, channel, cells, patch_size).reshape(batch, channels, 2)
    return torch.where(found[..., None], points + shift, points)


def _centre_of_mass(
    maps: Float[Tensor, "batch channels height width"],
    samples: Int[Tensor, " peaks"],
    channels: Int[Tensor, " peaks"],
    cells: Int[Tensor, "peaks 2"],
    patch_size: int,
) -> Float[Tensor, "peaks 2"]:
    """Return the centre of mass of the window around each cell, relative to the cell; at most half a window away."""
    height, width = maps.shape[2:]
    half = patch_size // 2
    offsets = torch.arange(-half, half + 1, device=maps.device)
    x, y = cells[:, 0, None] + offsets, cells[:, 1, None] + offsets
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    patch = maps[samples[:, None, None], channels[:, None, None], y[:, :, None], x[:, None, :]].float() * inside
    mass = patch.sum(dim=(1, 2))
    shift = torch.stack([(patch.sum(dim=1) * offsets).sum(-1), (patch.sum(dim=2) * offsets).sum(-1)], dim=-1)
    shift = torch.where(mass[:, None] > 0, shift / mass[:, None], torch.zeros_like(shift))
    return shift.clamp(-half, half)


def find_global_peaks(
    maps: Float[Tensor, "batch channels height width"],
    threshold: float,
    refinement: str = "integral",
    patch_size: int = 5,
) -> tuple[Float[Tensor, "batch channels 2"], Float[Tensor, "batch channels"]]:
    """Find one peak a channel and refine it.

    Args:
        maps: Confidence maps.
        threshold: Smallest value of a peak.
        refinement: One of `REFINEMENTS`.
        patch_size: Window of the refinement in cells, odd.

    Returns:
        Points in map cells and values, as `global_peaks`.
    """
    points, values = global_peaks(maps, threshold)
    if refinement == "integral":
        points = refine_integral(maps, points, patch_size)
    return points, values


def strongest_peaks(peaks: LocalPeaks, most: int) -> LocalPeaks:
    """Keep the highest peaks of every channel of every sample, at most `most`; their order does not change."""
    if len(peaks.values) <= most:
        return peaks
    group = peaks.samples * (int(peaks.channels.max()) + 1) + peaks.channels
    by_value = peaks.values.argsort(descending=True, stable=True)
    order = by_value[group[by_value].argsort(stable=True)]
    sorted_group = group[order]
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(sorted_group, sorted_group)
    kept = order[rank < most].sort().values
    return LocalPeaks(*(values[kept] for values in peaks))
