"""How alike two poses, boxes or points are: object keypoint similarity, box overlap, distances.

Numpy arrays in, numpy arrays out; pairing them is `sleap_nn.ops.matching`. NaN marks a missing point.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

EPSILON = float(np.spacing(1.0))


def visible_nodes(points: Float[np.ndarray, "*shape nodes 2"]) -> Bool[np.ndarray, "*shape nodes"]:
    """Tell which points are there: both coordinates are numbers."""
    return np.asarray(~(np.isnan(points[..., 0]) | np.isnan(points[..., 1])))


def bounding_boxes(points: Float[np.ndarray, "*shape nodes 2"]) -> Float[np.ndarray, "*shape 4"]:
    """Return the box of the visible points of each instance.

    Args:
        points: (x, y) of each node.

    Returns:
        (x1, y1, x2, y2) in the frame of the points; NaN for an instance without a visible point.
    """
    by_node = np.ascontiguousarray(np.moveaxis(points, -2, 0))  # memory order in which the reductions are quick
    seen = visible_nodes(by_node)[..., None]
    low = np.where(seen, by_node, np.inf).min(axis=0, initial=np.inf)
    high = np.where(seen, by_node, -np.inf).max(axis=0, initial=-np.inf)
    boxes = np.concatenate([low, high], axis=-1)
    return np.where(seen.any(axis=0), boxes, np.nan)


def box_areas(boxes: Float[np.ndarray, "*shape 4"]) -> Float[np.ndarray, "*shape"]:
    """Return width times height of boxes (x1, y1, x2, y2); NaN stays NaN."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def point_distances(
    a: Float[np.ndarray, "*shape nodes 2"], b: Float[np.ndarray, "*shape nodes 2"]
) -> Float[np.ndarray, "*shape nodes"]:
    """Return the distance between points of the same index; NaN where one of them is missing."""
    return np.sqrt(((np.asarray(a, np.float64) - b) ** 2).sum(axis=-1))


def pairwise_distances(
    a: Float[np.ndarray, "rows 2"], b: Float[np.ndarray, "columns 2"]
) -> Float[np.ndarray, "rows columns"]:
    """Return the distance of every point of `a` to every point of `b`; NaN where one is missing."""
    return point_distances(a[:, None], b[None])


def box_iou(
    a: Float[np.ndarray, "rows 4"], b: Float[np.ndarray, "columns 4"], margin: float = 0.0
) -> Float[np.ndarray, "rows columns"]:
    """Return intersection over union of every box of `a` with every box of `b`.

    Args:
        a: (x1, y1, x2, y2).
        b: The same.
        margin: Added to every width and height; 1 for boxes whose last pixel counts, 0 for geometric boxes.

    Returns:
        IoU in 0..1; 0 for boxes with NaN and for two boxes without area.
    """
    width, height = (
        np.minimum(a[:, None, 2 + axis], b[:, 2 + axis]) - np.maximum(a[:, None, axis], b[:, axis]) + margin
        for axis in (0, 1)
    )
    shared = np.clip(width, 0, None) * np.clip(height, 0, None)
    areas_a = (a[:, 2] - a[:, 0] + margin) * (a[:, 3] - a[:, 1] + margin)
    areas_b = (b[:, 2] - b[:, 0] + margin) * (b[:, 3] - b[:, 1] + margin)
    union = areas_a[:, None] + areas_b[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def object_keypoint_similarity(
    truth: Float[np.ndarray, "rows nodes 2"],
    predicted: Float[np.ndarray, "columns nodes 2"],
    stddev: float | Float[np.ndarray, " nodes"],
    area: float | Float[np.ndarray, " rows"] | None = None,
    coco: bool = True,
) -> Float[np.ndarray, "rows columns"]:
    """Return the object keypoint similarity (OKS) of every prediction with every true instance.

    exp(-d^2 / ((2 stddev)^2 2 (area + eps))) averaged over the nodes visible in the truth, as COCO scores
    keypoints (Ronchi & Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation", ICCV
    2017). A node missing in the prediction contributes 0; a node missing in the truth does not count.

    Args:
        truth: True points, px.
        predicted: Predicted points, px.
        stddev: Spread of a node relative to the size of the animal, one number or one a node.
        area: Area of each true instance in px^2; None means the box of its visible points.
        coco: False leaves out COCO's factor and squares the area: stddev^2 2 (area + eps)^2.

    Returns:
        OKS in 0..1; 0 for a true instance without a visible point.
    """
    if area is None:
        area = np.nan_to_num(box_areas(bounding_boxes(truth)))
    size = np.broadcast_to(np.asarray(area, np.float64), truth.shape[:1])[:, None] + EPSILON
    variance = np.broadcast_to(np.asarray(stddev, np.float64) ** 2, truth.shape[1:2])
    spread = 8 * variance * size if coco else 2 * variance * size**2
    squared = point_distances(truth[:, None], predicted[None]) ** 2
    terms = np.nan_to_num(np.exp(-squared / spread[:, None]))
    counted = visible_nodes(truth).sum(axis=-1)[:, None]
    return terms.sum(axis=-1) / np.maximum(counted, 1)


def pose_overlap(
    a: Float[np.ndarray, "rows nodes 2"], b: Float[np.ndarray, "columns nodes 2"], kappa: float = 0.1
) -> Float[np.ndarray, "rows columns"]:
    """Return how much two predicted poses coincide, for the removal of duplicates.

    Mean over the nodes visible in both of exp(-d^2 / (2 A kappa^2)), A the box area of the row's pose.

    Args:
        a: Poses being tested, px.
        b: Poses they are compared with, px.
        kappa: Tolerated deviation relative to the size of the pose.

    Returns:
        0..1; 0 where the row's box has no area or the two share fewer than 2 visible nodes.
    """
    areas = np.nan_to_num(box_areas(bounding_boxes(a)))[:, None]
    common = (visible_nodes(a)[:, None] & visible_nodes(b)[None]).sum(axis=-1)
    spread = 2 * np.where(areas > 0, areas, 1.0)[..., None] * kappa**2
    squared = point_distances(a[:, None], b[None]) ** 2
    terms = np.nan_to_num(np.exp(-squared / spread))
    return np.where((areas > 0) & (common >= 2), terms.sum(axis=-1) / np.maximum(common, 1), 0.0)
