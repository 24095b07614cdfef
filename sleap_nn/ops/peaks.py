"""Maps to points: the peak of each channel, and where between the cells it lies.

Results are in map cells, (x, y); the head that owns a map multiplies by its stride.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

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
    half = patch_size // 2
    found = ~points.isnan().any(dim=-1)
    cells = points.nan_to_num(0.0).long()
    offsets = torch.arange(-half, half + 1, device=maps.device)
    padded = torch.nn.functional.pad(maps, (half, half, half, half))
    x = (cells[..., 0, None, None] + offsets + half).expand(batch, channels, patch_size, patch_size)
    y = (cells[..., 1, None, None] + offsets[:, None] + half).expand(batch, channels, patch_size, patch_size)
    flat = (y * padded.shape[3] + x).reshape(batch, channels, -1)
    patch = padded.flatten(2).gather(2, flat).reshape(batch, channels, patch_size, patch_size).float()
    mass = patch.sum(dim=(2, 3))
    shift = torch.stack([(patch.sum(dim=2) * offsets).sum(-1), (patch.sum(dim=3) * offsets).sum(-1)], dim=-1)
    shift = torch.where(mass[..., None] > 0, shift / mass[..., None], torch.zeros_like(shift))
    shift = shift.clamp(-half, half)
    return torch.where(found[..., None], points + shift, points)


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
