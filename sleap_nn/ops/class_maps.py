"""Points with classes to class maps."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sleap_nn.ops.confidence_maps import confidence_maps

FOREGROUND = 0.2
"""A cell belongs to an instance from this value of its confidence maps on."""


def class_maps(
    points: Float[Tensor, "batch instances nodes 2"],
    class_ids: Int[Tensor, "batch instances"],
    num_classes: int,
    size: tuple[int, int],
    sigma: float,
    output_stride: int,
) -> Float[Tensor, "batch classes map_height map_width"]:
    """Draw where the animals of each class are.

    An instance claims the cells near its points, as far as its own confidence maps exceed `FOREGROUND`; where
    several do, the claim is shared in proportion to their maps.

    Args:
        points: Input px; NaN draws nothing.
        class_ids: Class of each instance, -1 for none.
        num_classes: Number of maps.
        size: (height, width) of the input in px.
        sigma: Spread of the confidence maps in map cells.
        output_stride: Input px of one map cell.
    """
    batch, num_instances = points.shape[:2]
    nodes = points.flatten(0, 1)[:, :, None]  # (B I, N, 1, 2): the maximum over nodes is one over "instances"
    presence = confidence_maps(nodes, *size, sigma, output_stride).unflatten(0, (batch, num_instances))[:, :, 0]
    share = torch.where(presence > FOREGROUND, presence / presence.sum(dim=1, keepdim=True), 0.0)
    of_class = class_ids[:, :, None] == torch.arange(num_classes, device=class_ids.device)
    claims = share[:, :, None] * of_class[..., None, None]
    return claims.amax(dim=1)
