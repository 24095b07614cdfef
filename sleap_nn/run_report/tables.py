"""The numbers of the report: metrics with their intervals, errors of every node, errors by confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from sleap_nn.evaluation.bootstrap import NUM_RESAMPLES, Estimate, Statistic, bootstrap
from sleap_nn.evaluation.frame_statistics import centroid_statistics, identity_statistics, pose_statistics
from sleap_nn.run_report.scores import SplitScores

MOST_WORK = 2e8
"""Points times resamples. The frames of larger splits, whose intervals are narrow anyway, are drawn less often."""

FEWEST_RESAMPLES = 200
FEWEST_POINTS = 20
"""With fewer points nothing is said about confidence and error."""

CONFIDENCE_EDGES = np.arange(11) / 10


class Metric(NamedTuple):
    """One line of the table of metrics.

    Attributes:
        key: As in `frame_statistics`.
        name: For people.
        unit: ``px``, ``%`` (the value is a share) or nothing.
        meaning: What it says.
        section: Section of a metrics file that holds it.
        stored: Its key there.
    """

    key: str
    name: str
    unit: str
    meaning: str
    section: str
    stored: str

    def text(self, estimate: Estimate) -> str:
        """Return the value with its unit."""
        return self._number(estimate.value) if np.isnan(estimate.value) else self._with_unit(estimate.value)

    def interval(self, estimate: Estimate) -> str:
        """Return the bounds without unit, nothing where there is no interval."""
        bounds = estimate.low, estimate.high
        return "" if np.isnan(bounds).any() else " to ".join(self._number(bound) for bound in bounds)

    def _number(self, value: float) -> str:
        if np.isnan(value):
            return "not defined"
        if self.unit == "%":
            return f"{100 * value:.1f}"
        return f"{value:.2f}" if self.unit == "px" else f"{value:.3f}"

    def _with_unit(self, value: float) -> str:
        return f"{self._number(value)} {self.unit}".strip()


METRICS = (
    Metric("p50", "Median error", "px", "half of the points are closer to their label", "distance_metrics", "p50"),
    Metric("p95", "95 % of errors below", "px", "how bad it gets", "distance_metrics", "p95"),
    Metric("PCK@5", "Within 5 px", "%", "points less than 5 px off; missed ones are not", "pck_metrics", "PCK@5"),
    Metric("PCK@10", "Within 10 px", "%", "the same for 10 px", "pck_metrics", "PCK@10"),
    Metric("mOKS", "mOKS", "", "similarity of poses: error against animal size, 1 is exact", "mOKS", "mOKS"),
    Metric("mAP", "mAP", "", "average precision over OKS thresholds, 1 is best", "voc_metrics", "oks_voc.mAP"),
    Metric("recall", "Animals found", "%", "of the labelled animals", "detection_metrics", "recall"),
    Metric("precision", "Predictions right", "%", "of the predicted animals", "detection_metrics", "precision"),
    Metric("f1", "F1", "", "animals found and predictions right in one number", "detection_metrics", "f1"),
    Metric(
        "visibility_precision",
        "Visibility precision",
        "%",
        "of the predicted points, those that are labelled",
        "visibility_metrics",
        "precision",
    ),
    Metric(
        "visibility_recall",
        "Visibility recall",
        "%",
        "of the labelled points, those that are predicted",
        "visibility_metrics",
        "recall",
    ),
    Metric(
        "identity", "Identity right", "%", "of the animals whose identity is labelled", "identity_metrics", "accuracy"
    ),
)
"""The lines of the table, in order; a column has those that make sense for it."""


@dataclass(frozen=True)
class MetricColumn:
    """The metrics of one split.

    Attributes:
        title: Name of the split, with the number of the labels file where only one of several is meant.
        split: Name of the split.
        counts: Frames, animals and points behind the numbers, by name.
        estimates: Metrics by key.
        note: What is special about the numbers, else empty.
    """

    title: str
    split: str
    counts: dict[str, int]
    estimates: dict[str, Estimate]
    note: str = ""


COUNTS = {
    "frames": "Frames",
    "truth_instances": "Animals labelled",
    "matched": "Animals found",
    "false_negatives": "Animals missed",
    "false_positives": "Predictions without animal",
    "points": "Points compared",
}
"""Counts of a metrics file, and what they are called in the table."""


def metric_column(scores: SplitScores) -> MetricColumn:
    """Return the metrics of a split with bootstrap intervals."""
    matches = scores.matches
    counts = matches.counts()
    num_resamples = int(np.clip(MOST_WORK / max(counts["points"], 1), FEWEST_RESAMPLES, NUM_RESAMPLES))
    estimates = bootstrap(_statistics(scores), matches.num_frames, num_resamples)
    note = "" if scores.num_skipped == 0 else f"{scores.num_skipped} labelled frames without a prediction do not count"
    return MetricColumn(scores.name, scores.name, _named(counts), estimates, note)


def stored_column(split: str, number: int, metrics: Mapping[str, Any]) -> MetricColumn:
    """Return the metrics of a metrics file, which have no intervals.

    Args:
        split: Name of the split.
        number: Which of its labels files.
        metrics: As `load_metrics` returns them; sections may be missing.
    """
    nan = float("nan")
    sections = {name: values for name, values in metrics.items() if isinstance(values, Mapping)}
    found = {
        metric.key: Estimate(float(sections[metric.section][metric.stored]), nan, nan)
        for metric in METRICS
        if metric.stored in sections.get(metric.section, {})
    }
    counts = {name: int(count) for name, count in sections.get("counts", {}).items()}
    note = "read from the metrics file: no labels or no predictions to draw frames from"
    return MetricColumn(f"{split}.{number}", split, _named(counts), found, note)


def _named(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: counts[key] for key, name in COUNTS.items() if key in counts}


def _statistics(scores: SplitScores) -> dict[str, Statistic]:
    """Return the metrics that make sense for a split."""
    matches = scores.matches
    statistics = centroid_statistics(matches) if scores.one_point else pose_statistics(matches)
    animals = np.concatenate([matches.indices[:, 0], matches.missed[:, 0]])
    several = bool(animals.size) and int(np.bincount(animals).max()) > 1
    if not scores.one_point:
        unwanted = {"f1"} if several else {"f1", "mAP"}
        statistics = {name: statistic for name, statistic in statistics.items() if name not in unwanted}
    if scores.names_identities:
        statistics |= identity_statistics(matches, scores.true_tracks, scores.found_tracks)
    return statistics


def all_errors(scores: SplitScores) -> Float[np.ndarray, " points"]:
    """Return the errors in px of all compared points."""
    distances = scores.matches.distances
    return distances[~np.isnan(distances)]


def errors_or_missed(scores: SplitScores) -> Float[np.ndarray, " points"]:
    """Return the errors in px of all points that count, infinite where a point is missing on one side."""
    distances = scores.matches.distances[scores.counted]
    return np.where(np.isnan(distances), np.inf, distances)


@dataclass(frozen=True, eq=False)
class ConfidenceBins:
    """Errors of points with similar confidence.

    Attributes:
        centers: Mean confidence of each bin that has points.
        counts: Its points.
        quartiles: Percentiles 25, 50 and 75 of their errors in px.
        correlation: Spearman's rank correlation of confidence and error over all points, NaN for few points.
    """

    centers: Float[np.ndarray, " bins"]
    counts: Int[np.ndarray, " bins"]
    quartiles: Float[np.ndarray, "bins 3"]
    correlation: float


def confidence_bins(scores: SplitScores) -> ConfidenceBins:
    """Sort the compared points by confidence into ten bins; values outside 0 to 1 are in the outermost ones."""
    distances = scores.matches.distances
    known = ~np.isnan(distances) & ~np.isnan(scores.confidence)
    errors, confidence = distances[known], np.clip(scores.confidence[known], 0, 1)
    bins = np.clip(np.digitize(confidence, CONFIDENCE_EDGES) - 1, 0, len(CONFIDENCE_EDGES) - 2)
    members = [bins == i for i in np.unique(bins)]
    defined = errors.size >= FEWEST_POINTS and np.ptp(errors) > 0 and np.ptp(confidence) > 0
    return ConfidenceBins(
        np.array([confidence[chosen].mean() for chosen in members]),
        np.array([chosen.sum() for chosen in members], np.int64),
        np.array([np.percentile(errors[chosen], (25, 50, 75)) for chosen in members]).reshape(-1, 3),
        float(np.corrcoef(rankdata(confidence), rankdata(errors))[0, 1]) if defined else float("nan"),
    )
