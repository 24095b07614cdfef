"""The metrics kernel for centroids: were the animals found, and how far off.

Arrays in, numbers out, like `keypoints`; a centroid travels as an instance with one node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.evaluation.keypoints import distance_statistics
from sleap_nn.evaluation.matches import FrameMatch, FramePoints, Matches, collect_matches
from sleap_nn.ops.matching import hungarian, unmatched
from sleap_nn.ops.similarity import pairwise_distances, visible_nodes


class CentroidMatches(NamedTuple):
    """Indices of paired centroids, and of those left over."""

    predicted: Int[np.ndarray, " pairs"]
    truth: Int[np.ndarray, " pairs"]
    unmatched_predicted: Int[np.ndarray, " extra"]
    unmatched_truth: Int[np.ndarray, " missed"]


def compute_gt_centroids(
    points: Float[np.ndarray, "instances nodes 2"], anchor_ind: int | None = None
) -> Float[np.ndarray, "instances 2"]:
    """Return the centroid of true instances.

    Args:
        points: (x, y) in px.
        anchor_ind: Node that is the centroid where it is visible; elsewhere, and with None, the centroid is
            the mean of the visible points.

    Returns:
        Centroids in px, NaN for an instance without a visible point.
    """
    points = np.asarray(points, np.float64)
    seen = visible_nodes(points)[..., None]
    count = seen.sum(axis=-2)
    total = np.where(seen, points, 0.0).sum(axis=-2)
    centroids = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    if anchor_ind is None:
        return centroids
    return np.where(seen[:, anchor_ind], points[:, anchor_ind], centroids)


def predicted_centroids(
    points: Float[np.ndarray, "instances nodes 2"], anchor_index: int | None = None
) -> Float[np.ndarray, "instances 2"]:
    """Return the point that stands for the centroid of predicted instances.

    Centroid models predict one node, and that is it. Of a prediction with several nodes it is the anchor
    where visible, else the first visible node.

    Args:
        points: (x, y) in px.
        anchor_index: Node of the prediction that is the anchor, or None.

    Returns:
        Centroids in px, NaN for an instance without a visible point.
    """
    first = visible_nodes(points).argmax(axis=-1)
    centroids = points[np.arange(len(points)), first]
    if anchor_index is None:
        return centroids
    anchors = points[:, anchor_index]
    return np.where(visible_nodes(anchors)[:, None], anchors, centroids)


def match_centroids(
    pred: Float[np.ndarray, "predictions 2"], gt: Float[np.ndarray, "instances 2"], max_distance: float = 50.0
) -> CentroidMatches:
    """Pair predicted and true centroids by the smallest total distance.

    Args:
        pred: Predicted centroids, px.
        gt: True centroids, px.
        max_distance: Centroids farther apart, in px, are no pair and stand in the way of no other pair.
    """
    predicted, truth = hungarian(pairwise_distances(pred, gt), max_distance)
    return CentroidMatches(predicted, truth, unmatched(len(pred), predicted), unmatched(len(gt), truth))


def match_detections(frames: Sequence[FramePoints], max_distance: float) -> Matches:
    """Pair the centroids of every frame.

    Args:
        frames: Frames whose instances have one node, the centroid, in px.
        max_distance: See `match_centroids`.

    Returns:
        Pairs whose similarity is their distance in px.
    """

    def match(frame: FramePoints) -> FrameMatch:
        predicted, truth = frame.predicted[:, 0], frame.truth[:, 0]
        pairs = match_centroids(predicted, truth, max_distance)
        distances = pairwise_distances(predicted, truth)[pairs.predicted, pairs.truth]
        return FrameMatch(pairs.truth, pairs.predicted, distances)

    return collect_matches(frames, match)


def detection_rates(matches: Matches) -> dict[str, Any]:
    """Return how many of the true instances were found and how many predictions are true.

    Returns:
        `precision`, `recall`, `f1` (0.0 when undefined), `n_tp`, `n_fp`, `n_fn`, and the distance statistics
        `avg`, `p50` to `p99` in px.
    """
    tp, fp, fn = len(matches.indices), len(matches.extra), len(matches.missed)
    statistics = distance_statistics(matches.distances)
    del statistics["rmse"]
    return {
        "precision": tp / (tp + fp) if tp else 0.0,
        "recall": tp / (tp + fn) if tp else 0.0,
        "f1": 2 * tp / (2 * tp + fp + fn) if tp else 0.0,
        "n_tp": tp,
        "n_fp": fp,
        "n_fn": fn,
        **statistics,
    }


def detection_metrics(matches: Matches) -> dict[str, dict[str, Any]]:
    """Return every metric of paired centroids, in the sections of a metrics file.

    Returns:
        `detection_metrics`, `distance_metrics` (its `dists` is (pairs,)), `counts`.
    """
    distances = matches.distances[:, 0]
    return {
        "detection_metrics": detection_rates(matches),
        "distance_metrics": {"dists": distances, **distance_statistics(distances)},
        "counts": dict(matches.counts()),
    }
