"""The metrics kernel for poses: arrays of true and predicted points in, numbers out.

Knows neither files nor sleap-io, so that the in-training evaluation and the `eval` command score with the
same code. Evaluation of centroids is `sleap_nn.evaluation.detection`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float

from sleap_nn.evaluation.matches import FrameMatch, FramePoints, Matches, collect_matches
from sleap_nn.ops.matching import greedy_in_order
from sleap_nn.ops.similarity import bounding_boxes, box_areas, object_keypoint_similarity, visible_nodes

# Quotients of integers, so that a score of 18 in 20 reaches the threshold 0.9.
MATCH_SCORE_THRESHOLDS = np.arange(10, 20) / 20
RECALL_THRESHOLDS = np.arange(101) / 100
PCK_THRESHOLDS = np.arange(1.0, 11.0)
PERCENTILES = (50, 75, 90, 95, 99)


def match_keypoints(frames: Sequence[FramePoints], stddev: float, area: float | None, threshold: float) -> Matches:
    """Pair poses: predictions by descending score, each takes the free true instance with the largest OKS.

    Args:
        frames: Frames to score, px.
        stddev: Spread of a node, see `object_keypoint_similarity`.
        area: Fixed area in px^2, or None for the box of each true instance.
        threshold: Pairs need an OKS strictly above it.
    """

    def match(frame: FramePoints) -> FrameMatch:
        similarity = object_keypoint_similarity(frame.truth, frame.predicted, stddev, area).T
        order = np.argsort(-frame.scores, kind="stable")
        # A truth with few nodes may coincide with part of a prediction: the same visible nodes decide then.
        agreement = visible_nodes(frame.predicted)[:, None] == visible_nodes(frame.truth)[None]
        predicted, truth = greedy_in_order(similarity, order, threshold, agreement.sum(axis=-1))
        return FrameMatch(truth, predicted, similarity[predicted, truth])

    return collect_matches(frames, match)


def voc_metrics(
    match_scores: Float[np.ndarray, " pairs"],
    prediction_scores: Float[np.ndarray, " pairs"],
    num_missed: int,
    match_score_thresholds: Float[np.ndarray, " thresholds"] = MATCH_SCORE_THRESHOLDS,
    recall_thresholds: Float[np.ndarray, " recalls"] = RECALL_THRESHOLDS,
) -> dict[str, Any]:
    """Return average precision and recall over thresholds of the match score.

    Everingham et al., "The Pascal Visual Object Classes Challenge", IJCV 2010, sampled at fixed recalls.
    Pairs are ranked by prediction score; predictions without a true instance do not enter.

    Args:
        match_scores: Score of each pair (OKS or PCK).
        prediction_scores: Score of each pair's prediction.
        num_missed: True instances without a prediction.
        match_score_thresholds: A pair counts as true positive from this score on.
        recall_thresholds: Recalls at which precision is sampled.

    Returns:
        `match_score_thresholds`, `recall_thresholds`, `match_scores` (ranked), `precisions` (thresholds,
        recalls), `recalls`, `AP`, `AR` (thresholds), `mAP`, `mAR`; all 0 without a pair.
    """
    ranked = match_scores[np.argsort(-prediction_scores, kind="stable")]
    curves = [
        _precision_recall(ranked >= t, len(ranked) + num_missed, recall_thresholds) for t in match_score_thresholds
    ]
    precisions = np.array([precision for precision, _ in curves])
    recalls = np.array([recall for _, recall in curves])
    average_precisions = precisions.mean(axis=1)
    return {
        "match_score_thresholds": np.asarray(match_score_thresholds),
        "recall_thresholds": np.asarray(recall_thresholds),
        "match_scores": ranked,
        "precisions": precisions,
        "recalls": recalls,
        "AP": average_precisions,
        "AR": recalls.copy(),
        "mAP": float(average_precisions.mean()),
        "mAR": float(recalls.mean()),
    }


def _precision_recall(
    correct: Bool[np.ndarray, " pairs"], num_truth: int, recall_thresholds: Float[np.ndarray, " recalls"]
) -> tuple[Float[np.ndarray, " recalls"], float]:
    """Sample the non-increasing precision curve of ranked pairs at recalls; also return the last recall."""
    if correct.size == 0:
        return np.zeros(len(recall_thresholds)), 0.0
    positives = np.cumsum(correct)
    recall = positives / num_truth
    precision = positives / np.arange(1, correct.size + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    first = np.searchsorted(recall, recall_thresholds, side="left")
    return np.append(envelope, 0.0)[first], float(recall[-1])


def mean_or_nan(values: np.ndarray) -> float:
    """Return the mean of the values that are numbers, NaN without any."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def distance_statistics(distances: np.ndarray) -> dict[str, float]:
    """Return `avg`, `rmse` and the percentiles `p50` to `p99` of distances in px, missing ones left out.

    Args:
        distances: Of any shape, NaN where there is none; without any number all statistics are NaN.
    """
    known = distances[~np.isnan(distances)]
    quantiles = np.percentile(known, PERCENTILES) if known.size else np.full(len(PERCENTILES), np.nan)
    return {
        "avg": mean_or_nan(known),
        **{f"p{p}": float(value) for p, value in zip(PERCENTILES, quantiles, strict=True)},
        "rmse": float(np.sqrt(mean_or_nan(known**2))),
    }


def counted_nodes(matches: Matches) -> Bool[np.ndarray, "pairs nodes"]:
    """Tell which nodes of each pair enter PCK: those missing on both sides are agreed to be absent."""
    return visible_nodes(matches.truth) | visible_nodes(matches.predicted)


def pck_of_pairs(matches: Matches) -> Float[np.ndarray, " pairs"]:
    """Return the mean PCK of each pair over its counted nodes and `PCK_THRESHOLDS`."""
    correct = matches.distances[..., None] < PCK_THRESHOLDS
    counted = counted_nodes(matches).sum(axis=1)
    return correct.sum(axis=(1, 2)) / (counted * len(PCK_THRESHOLDS))


def pck_metrics(
    matches: Matches, thresholds: Iterable[float] | Float[np.ndarray, " thresholds"] = PCK_THRESHOLDS
) -> dict[str, Any]:
    """Return the percentage of correct keypoints: points closer to the truth than thresholds in px.

    Yang & Ramanan, "Articulated Human Detection with Flexible Mixtures of Parts", TPAMI 2013, with
    thresholds in px. A node missing on one side only is a miss; a node missing on both sides is not counted.

    Args:
        matches: Paired instances.
        thresholds: Distances in px, compared strictly.

    Returns:
        `thresholds`, `pcks` (pairs, nodes, thresholds) bool, False also where a node is not counted,
        `mPCK_parts` (nodes), `mPCK` (mean over nodes), `PCK@5` and `PCK@10` (mean over counted points).
    """
    thresholds = np.asarray(list(thresholds), np.float64)
    distances, counted = matches.distances, counted_nodes(matches)
    pcks = distances[..., None] < thresholds
    num_counted = counted.sum(axis=0)
    parts = np.full(counted.shape[1], np.nan)
    np.divide(pcks.mean(axis=2).sum(axis=0), num_counted, out=parts, where=num_counted > 0)
    return {
        "thresholds": thresholds,
        "pcks": pcks,
        "mPCK_parts": parts,
        "mPCK": mean_or_nan(parts),
        "PCK@5": mean_or_nan((distances < 5)[counted].astype(float)),
        "PCK@10": mean_or_nan((distances < 10)[counted].astype(float)),
    }


def visibility_metrics(matches: Matches) -> dict[str, float]:
    """Return how well predictions tell which nodes are visible, over all nodes of all pairs.

    Returns:
        `tp` (visible on both sides), `fp` (only in the prediction), `tn`, `fn`, `precision`, `recall`; NaN
        where a ratio has nothing to divide by.
    """
    true, predicted = visible_nodes(matches.truth), visible_nodes(matches.predicted)
    tp = int((true & predicted).sum())
    fp = int((~true & predicted).sum())
    fn = int((true & ~predicted).sum())
    return {
        "tp": tp,
        "fp": fp,
        "tn": int((~true & ~predicted).sum()),
        "fn": fn,
        "precision": tp / (tp + fp) if tp + fp else float("nan"),
        "recall": tp / (tp + fn) if tp + fn else float("nan"),
    }


def keypoint_metrics(matches: Matches) -> dict[str, dict[str, Any]]:
    """Return every metric of paired poses, in the sections of a metrics file.

    Returns:
        `voc_metrics` (keys with prefix `oks_voc.` and `pck_voc.`), `mOKS`, `distance_metrics`, `pck_metrics`,
        `visibility_metrics`, `counts`.
    """
    match_scores = {"oks_voc": matches.similarities, "pck_voc": pck_of_pairs(matches)}
    return {
        "voc_metrics": {
            f"{prefix}.{key}": value
            for prefix, values in match_scores.items()
            for key, value in voc_metrics(values, matches.scores, len(matches.missed)).items()
        },
        "mOKS": {"mOKS": mean_or_nan(matches.similarities)},
        "distance_metrics": {"dists": matches.distances, **distance_statistics(matches.distances)},
        "pck_metrics": pck_metrics(matches),
        "visibility_metrics": visibility_metrics(matches),
        "counts": dict(matches.counts()),
    }


def compute_oks(
    points_gt: npt.ArrayLike,
    points_pr: npt.ArrayLike,
    scale: float | None = None,
    stddev: float = 0.025,
    use_cocoeval: bool = True,
) -> Float[np.ndarray, "rows columns"]:
    """Return the OKS of every prediction with every true instance: `object_keypoint_similarity`.

    Args:
        points_gt: (rows, nodes, 2) true points in px; one instance may be given as (nodes, 2).
        points_pr: (columns, nodes, 2) predicted points in px, likewise.
        scale: Area in px^2; None means the box of each true instance.
        stddev: Spread of a node.
        use_cocoeval: False leaves out COCO's factor and squares the area.
    """
    truth, predicted = (np.asarray(points, np.float64) for points in (points_gt, points_pr))
    truth, predicted = (points[None] if points.ndim == 2 else points for points in (truth, predicted))
    return object_keypoint_similarity(truth, predicted, stddev, scale, use_cocoeval)


def compute_instance_area(points: npt.ArrayLike) -> Float[np.ndarray, "*shape"]:
    """Return the area in px^2 of the box of the visible points of each instance, NaN without any.

    Args:
        points: (..., nodes, 2) in px.
    """
    return box_areas(bounding_boxes(np.asarray(points, np.float64)))
