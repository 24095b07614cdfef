"""Metrics as functions of how often each frame counts, for `sleap_nn.evaluation.bootstrap`.

Where every frame counts once they are the numbers of `keypoints` and `detection`; where one counts twice they are those
of labels that hold it twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.evaluation.bootstrap import Statistic
from sleap_nn.evaluation.keypoints import counted_nodes, voc_metrics
from sleap_nn.evaluation.matches import Matches
from sleap_nn.ops.similarity import visible_nodes

Counts = Int[np.ndarray, " frames"]


def pose_statistics(matches: Matches) -> dict[str, Statistic]:
    """Return the metrics of paired poses.

    Returns:
        `mOKS`, `mAP`, `p50`, `p95` (px), `PCK@5`, `PCK@10`, `visibility_precision`, `visibility_recall`, and
        those of `found_statistics`.
    """
    frames, distances = matches.indices[:, 0], matches.distances
    counted = counted_nodes(matches).sum(axis=1)
    true, predicted = visible_nodes(matches.truth), visible_nodes(matches.predicted)
    both = (true & predicted).sum(axis=1)

    def mean(values: np.ndarray, weights: np.ndarray) -> Statistic:
        return _ratio(_by_frame(matches, frames, values), _by_frame(matches, frames, weights))

    return {
        "mOKS": mean(matches.similarities, np.ones(len(frames))),
        "mAP": _mean_average_precision(matches),
        **_distance_statistics(matches),
        "PCK@5": mean((distances < 5).sum(axis=1), counted),
        "PCK@10": mean((distances < 10).sum(axis=1), counted),
        "visibility_precision": mean(both, predicted.sum(axis=1)),
        "visibility_recall": mean(both, true.sum(axis=1)),
        **found_statistics(matches),
    }


def centroid_statistics(matches: Matches) -> dict[str, Statistic]:
    """Return the metrics of paired centroids: `p50`, `p95` (px), and those of `found_statistics`."""
    return {**_distance_statistics(matches), **found_statistics(matches)}


def found_statistics(matches: Matches) -> dict[str, Statistic]:
    """Return `precision`, `recall` and `f1` of instances: how many predictions are true, and how many were found."""
    pairs = _by_frame(matches, matches.indices[:, 0])
    missed = _by_frame(matches, matches.missed[:, 0])
    extra = _by_frame(matches, matches.extra[:, 0])
    return {
        "precision": _ratio(pairs, pairs + extra),
        "recall": _ratio(pairs, pairs + missed),
        "f1": _ratio(2 * pairs, 2 * pairs + missed + extra),
    }


def identity_statistics(
    matches: Matches, truth: Sequence[str | None], predicted: Sequence[str | None]
) -> dict[str, Statistic]:
    """Return `identity`: the share of pairs with a track name in the truth whose prediction has the same.

    Args:
        matches: Paired instances.
        truth: Track name of the true instance of each pair, None without one.
        predicted: Track name of each pair's prediction.
    """
    known = np.array([name is not None for name in truth], bool)
    right = known & np.array([t == p for t, p in zip(truth, predicted, strict=True)], bool)
    frames = matches.indices[:, 0]
    return {"identity": _ratio(_by_frame(matches, frames, right), _by_frame(matches, frames, known))}


def _distance_statistics(matches: Matches) -> dict[str, Statistic]:
    """Return the median and the 95th percentile of the distances in px."""
    frames, nodes = np.nonzero(~np.isnan(matches.distances))
    values = matches.distances[frames, nodes]
    owners = matches.indices[frames, 0]
    order = np.argsort(values, kind="stable")
    return {f"p{percent}": _percentile(values[order], owners[order], percent) for percent in (50, 95)}


def _mean_average_precision(matches: Matches) -> Statistic:
    """Return the mean average precision over thresholds of the OKS."""
    frames = matches.indices[:, 0]
    missed = _by_frame(matches, matches.missed[:, 0])

    def statistic(counts: Counts) -> float:
        similarities, scores = (np.repeat(values, counts[frames]) for values in (matches.similarities, matches.scores))
        return voc_metrics(similarities, scores, int(counts @ missed))["mAP"]

    return statistic


def _percentile(values: Float[np.ndarray, " points"], frames: Int[np.ndarray, " points"], percent: float) -> Statistic:
    """Return a percentile of ascending values, interpolated as numpy does."""

    def statistic(counts: Counts) -> float:
        last = np.cumsum(counts[frames])
        if not last.size or not last[-1]:
            return float("nan")
        position = (last[-1] - 1) * percent / 100
        low, high = np.searchsorted(last, [np.floor(position), np.ceil(position)], side="right")
        return float(values[low] + (values[high] - values[low]) * (position % 1))

    return statistic


def _by_frame(matches: Matches, frames: Int[np.ndarray, " rows"], values: np.ndarray | None = None) -> np.ndarray:
    """Add up values, or count rows, of every frame."""
    return np.bincount(frames, values, minlength=matches.num_frames)


def _ratio(numerators: Float[np.ndarray, " frames"], denominators: Float[np.ndarray, " frames"]) -> Statistic:
    """Return a ratio of two sums over frames, NaN where there is nothing to divide by."""

    def statistic(counts: Counts) -> float:
        total = counts @ denominators
        return float(counts @ numerators / total) if total else float("nan")

    return statistic
