"""Points to confidence maps."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def confidence_maps(
    points: Float[Tensor, "batch instances nodes 2"],
    height: int,
    width: int,
    sigma: float,
    output_stride: int,
) -> Float[Tensor, "batch nodes map_height map_width"]:
    """Draw an unnormalised Gaussian for every point; instances are joined by the larger value.

    Cell (i, j) stands for the input position (j * stride, i * stride). The Gaussian is separable, so each point
    costs one row and one column.

    Args:
        points: Input px; NaN draws nothing.
        height: Input height in px.
        width: Input width in px.
        sigma: Spread in map cells.
        output_stride: Input px of one map cell.

    Returns:
        Maps of ceil(height / stride) x ceil(width / stride) cells, values 0..1.
    """
    device = points.device
    cells = points.float() / output_stride
    columns = torch.arange(-(-width // output_stride), device=device)
    rows = torch.arange(-(-height // output_stride), device=device)
    x = torch.exp(-((columns - cells[..., 0, None]) ** 2) / (2 * sigma**2)).nan_to_num(0.0)
    y = torch.exp(-((rows - cells[..., 1, None]) ** 2) / (2 * sigma**2)).nan_to_num(0.0)
    maps = y[:, 0, :, :, None] * x[:, 0, :, None, :]
    for instance in range(1, points.shape[1]):
        torch.maximum(maps, y[:, instance, :, :, None] * x[:, instance, :, None, :], out=maps)
    return maps
