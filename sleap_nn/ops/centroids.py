"""The point that stands for an instance: its anchor node, or the mean of its visible nodes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def centroids(
    points: Float[np.ndarray, "instances nodes 2"], anchor_node: int | None = None
) -> Float[np.ndarray, "instances 2"]:
    """Return one point an instance.

    Args:
        points: (x, y) of the nodes, NaN where not visible.
        anchor_node: Node that is taken where it is visible; None takes the mean everywhere.

    Returns:
        The anchor node, else the mean of the visible nodes, NaN for an instance without any.
    """
    visible = np.asarray(np.isfinite(points).all(axis=-1, keepdims=True))
    count = visible.sum(axis=1)
    total = np.where(visible, points, 0).sum(axis=1)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    if anchor_node is None:
        return mean.astype(points.dtype)
    return np.where(visible[:, anchor_node], points[:, anchor_node], mean).astype(points.dtype)
