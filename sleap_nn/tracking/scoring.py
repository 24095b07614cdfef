"""How alike the instances of a frame are to earlier ones, and how several comparisons become one score a track."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sleap_nn.config.tracker_config import COMBINATIONS, TrackerConfig, in_effect
from sleap_nn.errors import ConfigError
from sleap_nn.ops.similarity import EPSILON, bounding_boxes, box_iou, pairwise_distances, visible_nodes

Poses = Float[np.ndarray, "instances nodes 2"]
Scores = Float[np.ndarray, "instances stored"]

OKS_STDDEV = 0.025
NEGLIGIBLE = 60.0
"""Exponent beyond which a term of the similarity does not count: exp(-60) is 1e-26."""


@dataclass(frozen=True)
class Similarity:
    """Compares poses.

    Attributes:
        features: What is compared: ``keypoints``, ``centroids`` (median of the visible points), ``bboxes``, or
            ``image``: descriptions by `looks.describe`, which then take the place of the poses.
        method: ``oks``, ``cosine_sim``, ``iou`` or ``euclidean_dist`` (negative, px).
        oks_stddev: Spread of the object keypoint similarity.
    """

    features: str = "keypoints"
    method: str = "oks"
    oks_stddev: float = OKS_STDDEV

    def __post_init__(self) -> None:
        """Refuse a method that cannot compare the features.

        Raises:
            ConfigError: The message names the methods that can.
        """
        allowed = COMBINATIONS[self.features]
        if self.method not in allowed:
            raise ConfigError(
                f"The scoring method {self.method} does not compare {self.features}; choose {' or '.join(allowed)}, or "
                "other features."
            )

    @classmethod
    def from_config(cls, config: TrackerConfig, num_nodes: int) -> Similarity:
        """Return what the options ask for, see `in_effect`."""
        config = in_effect(config, num_nodes)
        kalman_keypoints = config.use_kalman and config.kf_track_features == "keypoints"
        stddev = config.oks_stddev
        if stddev is None:
            stddev = 4 * OKS_STDDEV if kalman_keypoints else OKS_STDDEV
        return cls(config.features, config.scoring_method, stddev)

    def __call__(self, new: Poses, stored: Float[np.ndarray, "stored nodes 2"]) -> Scores:
        """Return the score of every new instance with every stored one; NaN where they cannot be compared."""
        if self.method == "oks":
            return near_keypoint_similarity(new, stored, self.oks_stddev)
        describe = _DESCRIPTIONS[self.features]
        a, b = describe(new), describe(stored)
        if self.method == "iou":
            return np.where(_comparable(a, b), box_iou(a, b, margin=1.0), np.nan)
        if self.method == "cosine_sim":
            return cosine_similarity(_flat(a), _flat(b))
        if self.features == "centroids":
            return -pairwise_distances(a, b)
        return -mean_node_distances(a, b)


def _flat(descriptions: np.ndarray) -> Float[np.ndarray, "instances size"]:
    """Return one row a description, also where there is none."""
    return descriptions.reshape(len(descriptions), math.prod(descriptions.shape[1:]))


def _comparable(a: Float[np.ndarray, "rows 4"], b: Float[np.ndarray, "columns 4"]) -> Bool[np.ndarray, "rows columns"]:
    """Return which pairs of boxes are both known."""
    return ~(np.isnan(a[:, 0])[:, None] | np.isnan(b[:, 0]))


def median_points(points: Float[np.ndarray, "*shape nodes 2"]) -> Float[np.ndarray, "*shape 2"]:
    """Return the median of the visible points for each coordinate; NaN without any."""
    ordered = np.sort(points, axis=-2)  # NaN comes last
    counts = (~np.isnan(points)).sum(axis=-2, keepdims=True)
    low, high = np.maximum(counts - 1, 0) // 2, np.minimum(counts // 2, points.shape[-2] - 1)
    middle = np.take_along_axis(ordered, low, axis=-2) + np.take_along_axis(ordered, high, axis=-2)
    return middle[..., 0, :] / 2


def near_keypoint_similarity(new: Poses, stored: Float[np.ndarray, "stored nodes 2"], stddev: float) -> Scores:
    """Return the object keypoint similarity, computed only for pairs whose boxes are near enough to matter.

    The same as `object_keypoint_similarity` with the new instance as reference, but for values below 1e-26. Of two
    boxes with a gap, every point is at least that far from its counterpart, which bounds every term. An instance
    without a visible point cannot be compared: NaN.
    """
    boxes, other = bounding_boxes(new), bounding_boxes(stored)
    area = np.nan_to_num((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    squared_gap = sum(
        np.clip(
            np.maximum(boxes[:, None, axis] - other[:, 2 + axis], other[:, axis] - boxes[:, None, 2 + axis]), 0, None
        )
        ** 2
        for axis in (0, 1)
    )
    rows, columns = np.nonzero(squared_gap <= NEGLIGIBLE * 8 * stddev**2 * area[:, None])
    squared = sum((new[:, :, axis][rows] - stored[:, :, axis][columns]) ** 2 for axis in (0, 1))
    terms = np.exp(squared * (-1 / (8 * stddev**2 * (area + EPSILON)))[rows, None])
    terms[np.isnan(terms)] = 0.0
    scores = np.where(_comparable(boxes, other), 0.0, np.nan)
    scores[rows, columns] = terms.sum(axis=1) / count_visible(new)[rows]  # a box that is near anything has points
    return scores


def cosine_similarity(a: Float[np.ndarray, "rows size"], b: Float[np.ndarray, "columns size"]) -> Scores:
    """Return the cosine of the angle between vectors, over the numbers that both have; NaN without any."""
    there_a, there_b = (~np.isnan(a)).astype(np.float64), (~np.isnan(b)).astype(np.float64)
    plain_a, plain_b = np.nan_to_num(a), np.nan_to_num(b)
    norms = np.sqrt((plain_a**2 @ there_b.T) * (there_a @ (plain_b**2).T))
    return np.divide(plain_a @ plain_b.T, norms, out=np.full(norms.shape, np.nan), where=norms > 0)


def mean_node_distances(a: Poses, b: Float[np.ndarray, "stored nodes 2"]) -> Scores:
    """Return the mean distance in px of the nodes that both have; NaN without any."""
    distances = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=-1))
    there = ~np.isnan(distances)
    counts = there.sum(axis=-1)
    sums = np.where(there, distances, 0.0).sum(axis=-1)
    return np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)


_DESCRIPTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "keypoints": np.asarray,
    "centroids": median_points,
    "bboxes": bounding_boxes,
    "image": np.asarray,
}


def reduce_by_track(
    scores: Scores, owners: Int[np.ndarray, " stored"], num_tracks: int, reduction: str, quantile: float = 1.0
) -> Float[np.ndarray, "instances tracks"]:
    """Return one score for every instance and track.

    Args:
        scores: Score of every instance with every stored one; NaN does not count.
        owners: Track of each stored instance, 0 to `num_tracks` - 1.
        num_tracks: Number of tracks.
        reduction: ``mean``, ``max`` or ``robust_quantile``.
        quantile: Of `robust_quantile`.

    Returns:
        NaN where an instance has no score with a track.
    """
    layers = _layers(scores, owners, num_tracks)
    if reduction == "mean":
        counts, sums = np.zeros((len(scores), num_tracks)), np.zeros((len(scores), num_tracks))
        for layer in layers:
            there = ~np.isnan(layer)
            counts += there
            sums += np.where(there, layer, 0.0)
        return np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    if reduction == "max":
        best = np.full((len(scores), num_tracks), np.nan)
        for layer in layers:
            best = np.fmax(best, layer)
        return best
    return _quantile(np.sort(np.stack([*layers, np.full((len(scores), num_tracks), np.nan)]), axis=0), quantile)


def _layers(scores: Scores, owners: Int[np.ndarray, " stored"], num_tracks: int) -> list[np.ndarray]:
    """Return tables (instances, tracks): the first score with each track, the second, and so on; NaN without any."""
    order = np.argsort(owners, kind="stable")
    counts = np.bincount(owners, minlength=num_tracks)
    starts = np.cumsum(counts) - counts
    padded = np.concatenate([scores, np.full((len(scores), 1), np.nan)], axis=1)
    columns = np.append(order, len(owners))
    return [
        padded[:, columns[np.where(depth < counts, starts + depth, len(owners))]]
        for depth in range(int(counts.max(initial=0)))
    ]


def _quantile(
    ordered: Float[np.ndarray, "stored instances tracks"], quantile: float
) -> Float[np.ndarray, "instances tracks"]:
    """Return a quantile along the first axis, in which numbers ascend and NaN come last, at least one of them."""
    counts = (~np.isnan(ordered)).sum(axis=0)
    position = quantile * np.maximum(counts - 1, 0)
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(counts - 1, 0))
    below, above = (np.take_along_axis(ordered, index[None], axis=0)[0] for index in (low, high))
    return below + (above - below) * (position - low)


def count_visible(points: Float[np.ndarray, "*shape nodes 2"]) -> Int[np.ndarray, "*shape"]:
    """Return the number of visible points of each instance."""
    return visible_nodes(points).sum(axis=-1)
