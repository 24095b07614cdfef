"""The handful of numbers that stand for an evaluation in lists and dashboards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

POSES = {
    "mOKS": ("mOKS", "mOKS"),
    "oks_voc_mAP": ("voc_metrics", "oks_voc.mAP"),
    "oks_voc_mAR": ("voc_metrics", "oks_voc.mAR"),
    "mPCK": ("pck_metrics", "mPCK"),
    "PCK_5": ("pck_metrics", "PCK@5"),
    "PCK_10": ("pck_metrics", "PCK@10"),
    "distance_avg": ("distance_metrics", "avg"),
    "distance_p50": ("distance_metrics", "p50"),
    "distance_p95": ("distance_metrics", "p95"),
    "distance_p99": ("distance_metrics", "p99"),
    "visibility_precision": ("visibility_metrics", "precision"),
    "visibility_recall": ("visibility_metrics", "recall"),
    "identity_accuracy": ("identity_metrics", "accuracy"),
}
"""Name -> section and key of the metrics of poses."""

CENTROIDS = {
    "centroid_dist_avg": ("detection_metrics", "avg"),
    "centroid_dist_median": ("detection_metrics", "p50"),
    "centroid_dist_p90": ("detection_metrics", "p90"),
    "centroid_dist_p95": ("detection_metrics", "p95"),
    "centroid_precision": ("detection_metrics", "precision"),
    "centroid_recall": ("detection_metrics", "recall"),
    "centroid_f1": ("detection_metrics", "f1"),
    "centroid_n_tp": ("detection_metrics", "n_tp"),
    "centroid_n_fp": ("detection_metrics", "n_fp"),
    "centroid_n_fn": ("detection_metrics", "n_fn"),
}
"""Name -> section and key of the metrics of centroids."""


def main_figures(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return the main numbers of an evaluation by name; what was not computed is left out."""
    names = CENTROIDS if "detection_metrics" in metrics else POSES
    return {
        name: float(metrics[section][key])
        for name, (section, key) in names.items()
        if section in metrics and key in metrics[section]
    }
