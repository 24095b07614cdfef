"""Maps to points: the peak of each channel, and where between the cells it lies.

Results are in map cells, (x, y); the head that owns a map multiplies by its stride.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

_SMALLEST_VALUE = 1e-3
_SMALLEST_BEND = 1e-4

REFINEMENTS = ("integral", "gaussian", "none")
_AROUND = tuple((x, y) for y in (-1, 0, 1) for x in (-1, 0, 1) if (x, y) != (0, 0))


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
    maps = maps.float().contiguous()  # of which maxima are taken several times faster than of channels that lie last
    columns = maps.amax(dim=2)
    rows = maps.amax(dim=3)
    values, x = columns.max(dim=2)
    y = rows.argmax(dim=2)
    found = values >= threshold
    points = torch.stack([x, y], dim=-1).to(torch.float32)
    return points.masked_fill(~found[..., None], torch.nan), values.masked_fill(~found, 0.0)


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
        maps: Confidence maps; cells outside count as minus infinity.
        threshold: A peak is larger than this.
    """
    # With a border of minus infinity every cell has its eight neighbours at the same distances.
    padded = functional.pad(maps, (1, 1, 1, 1), value=-torch.inf)
    channels, height, width = padded.shape[1:]
    flat = padded.reshape(-1)
    cells = _above(flat, threshold)
    # Slopes, and the inside of large flats, go by two neighbours before all eight are read.
    value, before, after = _at(flat, cells), _at(flat, cells - 1), _at(flat, cells + 1)
    cells = cells[(torch.maximum(before, after) <= value) & (torch.minimum(before, after) < value)]
    offsets = torch.tensor([dx + dy * width for dx, dy in _AROUND], device=maps.device)
    around = _at(flat, cells[:, None] + offsets)
    value = _at(flat, cells)
    top = around.amax(dim=1) <= value
    cells, middle = _single_tops(cells[top], around[top] == value[top, None], width)
    points = torch.stack([cells % width - 1, cells // width % height - 1], dim=-1) + middle
    map_index = cells // (height * width)
    return LocalPeaks(points, _at(flat, cells).float(), map_index // channels, map_index % channels)


def _single_tops(
    cells: Int[Tensor, " tops"], equal: Bool[Tensor, "tops 8"], width: int
) -> tuple[Int[Tensor, " peaks"], Float[Tensor, "peaks 2"]]:
    """Join equal cells within 2x2 cells to one peak, and drop wider flats and those that touch a slope.

    Args:
        cells: Positions, in reading order, of cells that no neighbour exceeds.
        equal: Which neighbours have the same value, in the order of `_AROUND`.
        width: Columns of the maps.

    Returns:
        The first cell of each peak, and from there the way to its middle.
    """
    tied = _where(equal.any(dim=1))
    kept = torch.ones(len(cells), dtype=torch.bool, device=cells.device)
    middle = torch.zeros(len(cells), 2, device=cells.device)
    if len(tied):
        kept[tied], middle[tied] = _flat_tops(cells[tied], equal[tied], width)
    return cells[kept], middle[kept]


def _flat_tops(
    cells: Int[Tensor, " tops"], equal: Bool[Tensor, "tops 8"], width: int
) -> tuple[Bool[Tensor, " tops"], Float[Tensor, "tops 2"]]:
    """Return which of the cells with equal neighbours is the first of a whole top, and the way to its middle."""
    offsets = torch.tensor(_AROUND, device=cells.device)
    ways = equal[..., None] * offsets
    low, high = ways.amin(dim=1).clamp(max=0), ways.amax(dim=1).clamp(min=0)
    size = high - low + 1
    # A top is complete when each of its cells sees the same box of equal cells, and none of them is missing.
    corner = cells + low[:, 1] * width + low[:, 0]
    _, box, seen_by = torch.unique(corner * 9 + size[:, 1] * 3 + size[:, 0], return_inverse=True, return_counts=True)
    count = equal.sum(dim=1) + 1
    first = ~equal[:, : len(_AROUND) // 2].any(dim=1)
    return first & (size <= 2).all(dim=1) & (seen_by[box] == count), ways.sum(dim=1) / count[:, None]


def _at(flat: Float[Tensor, " all"], places: Int[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return ``flat[places]``; on a processor this takes a sixth of the time of writing it so."""
    return flat.index_select(0, places.reshape(-1)).view(places.shape)


def _above(values: Float[Tensor, " all"], threshold: float) -> Int[Tensor, " above"]:
    """Return the places of the values above a threshold; on a processor numpy compares several times as fast."""
    if values.device.type != "cpu" or values.dtype == torch.bfloat16:
        return _where(values > threshold)
    return torch.from_numpy(np.flatnonzero(values.detach().numpy() > float(threshold)))


def _where(mask: Bool[Tensor, " all"]) -> Int[Tensor, " true"]:
    """Return the places of the true entries; on a processor numpy finds them several times as fast."""
    return mask.nonzero()[:, 0] if mask.device.type != "cpu" else torch.from_numpy(np.flatnonzero(mask.numpy()))


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
    return peaks._replace(points=peaks.points + _shift(maps, peaks, refinement, patch_size))


def refine_peaks(
    maps: Float[Tensor, "batch channels height width"],
    points: Float[Tensor, "batch channels 2"],
    refinement: str,
    patch_size: int = 5,
) -> Float[Tensor, "batch channels 2"]:
    """Move each channel's peak to where it lies between the cells.

    ``integral``: to the centre of mass of the cells around it (Sun et al., "Integral Human Pose Regression", ECCV 2018,
    on a window; cells outside the map count as 0). It is drawn towards the middle of the cell, as the window cuts the
    Gaussian off. ``gaussian``: to the top of the Gaussian through the peak and its neighbours, which is exact for
    the maps of `ops.confidence_maps` (compare Zhang et al., "Distribution-Aware Coordinate Representation", CVPR 2020).

    Args:
        maps: Confidence maps.
        points: One integer cell a channel, NaN without a peak.
        refinement: One of `REFINEMENTS`.
        patch_size: Side of the window of ``integral`` in cells, odd.
    """
    batch, channels, _, _ = maps.shape
    found = ~points.isnan().any(dim=-1)
    cells = points.nan_to_num(0.0).reshape(-1, 2)
    samples = torch.arange(batch, device=maps.device).repeat_interleave(channels)
    channel = torch.arange(channels, device=maps.device).repeat(batch)
    peaks = LocalPeaks(cells, cells[:, 0], samples, channel)
    shift = _shift(maps, peaks, refinement, patch_size).reshape(batch, channels, 2)
    return torch.where(found[..., None], points + shift, points)


def _shift(maps: Tensor, peaks: LocalPeaks, refinement: str, patch_size: int) -> Float[Tensor, "peaks 2"]:
    """Return how far each peak lies from where it was found, in cells."""
    if refinement == "integral":
        return _centre_of_mass(maps, peaks.samples, peaks.channels, peaks.points, patch_size)
    if refinement == "gaussian":
        return _top_of_gaussian(maps, peaks)
    return torch.zeros_like(peaks.points)


def _top_of_gaussian(maps: Float[Tensor, "batch channels height width"], peaks: LocalPeaks) -> Float[Tensor, "peaks 2"]:
    """Return the top of the parabola through the logarithms of three cells in x and in y, half a cell away at most.

    At the border of the map, and on a flat top, a peak stays where it is.
    """
    height, width = maps.shape[2:]
    cells = peaks.points.floor().long()
    whole = (cells == peaks.points).all(dim=-1)
    shifts = []
    for axis, size in ((0, width), (1, height)):
        step = torch.zeros(2, dtype=torch.long, device=maps.device)
        step[axis] = 1
        inside = whole & (cells[:, axis] > 0) & (cells[:, axis] < size - 1)
        before, middle, after = (
            _log_values(maps, peaks, torch.where(inside[:, None], cells + way * step, cells)) for way in (-1, 0, 1)
        )
        bend = 2 * middle - before - after
        shift = 0.5 * (after - before) / bend.clamp(min=_SMALLEST_BEND)
        shifts.append(torch.where(inside & (bend > _SMALLEST_BEND), shift, torch.zeros_like(shift)).clamp(-0.5, 0.5))
    return torch.stack(shifts, dim=-1)


def _log_values(maps: Tensor, peaks: LocalPeaks, cells: Int[Tensor, "peaks 2"]) -> Float[Tensor, " peaks"]:
    """Return the logarithm of the maps at cells (x, y); values of nothing or less count as very small ones."""
    values = _read(maps, peaks.samples, peaks.channels, cells[:, 0], cells[:, 1])
    return values.clamp(min=_SMALLEST_VALUE).log()


def _read(
    maps: Float[Tensor, "batch channels height width"], samples: Tensor, channels: Tensor, x: Tensor, y: Tensor
) -> Float[Tensor, "..."]:
    """Return the values at places, which are broadcast; on a processor several times as fast as indexing by four."""
    steps = maps.stride()
    places = samples * steps[0] + channels * steps[1] + y * steps[2] + x * steps[3]
    extent = 1 + sum((size - 1) * step for size, step in zip(maps.shape, steps, strict=True)) if maps.numel() else 0
    return _at(maps.as_strided((extent,), (1,)), places).float()


def _centre_of_mass(
    maps: Float[Tensor, "batch channels height width"],
    samples: Int[Tensor, " peaks"],
    channels: Int[Tensor, " peaks"],
    points: Float[Tensor, "peaks 2"],
    patch_size: int,
) -> Float[Tensor, "peaks 2"]:
    """Return the centre of mass of the window around each peak, relative to the peak; at most half a window away.

    The window holds the cells within ``patch_size // 2`` of the peak. About the middle of a flat top these are as many
    on either side, so that a symmetric top stays where it is.
    """
    half = patch_size // 2
    size = torch.tensor([maps.shape[3], maps.shape[2]], device=maps.device)[:, None]
    cells = points.floor().long()[:, :, None] + torch.arange(-half, half + 1, device=maps.device)
    ways = cells - points[:, :, None]
    used = (cells >= 0) & (cells < size) & (ways.abs() <= half)
    x, y = cells.clamp(min=0).minimum(size - 1).unbind(dim=1)
    patch = _read(maps, samples[:, None, None], channels[:, None, None], x[:, None, :], y[:, :, None])
    patch = patch * (used[:, 1, :, None] & used[:, 0, None, :])
    mass = patch.sum(dim=(1, 2))
    moment = torch.stack([(patch.sum(dim=1) * ways[:, 0]).sum(-1), (patch.sum(dim=2) * ways[:, 1]).sum(-1)], dim=-1)
    shift = torch.where(mass[:, None] > 0, moment / mass[:, None], torch.zeros_like(moment))
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
    return refine_peaks(maps, points, refinement, patch_size), values


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
