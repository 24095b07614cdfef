"""Metrics of the validation set while training runs: predicted as users predict, scored by the evaluation package.

When they are computed is decided in `callbacks.evaluate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sleap_nn.config.trainer_config import EvalConfig
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.labels import LabeledFrame
from sleap_nn.evaluation.detection import compute_gt_centroids, detection_metrics, match_detections
from sleap_nn.evaluation.keypoints import keypoint_metrics, match_keypoints
from sleap_nn.evaluation.matches import FramePoints
from sleap_nn.stages.stage import Runtime, Stage
from sleap_nn.stages.stream import anchors_of_labels, predict_frames
from sleap_nn.structures.predictions import Predictions
from sleap_nn.tasks.base import Task
from sleap_nn.training.training_data import Split

PREFIX = "eval/val/"

_POSES = {
    "mOKS": ("mOKS", "mOKS"),
    "oks_voc_mAP": ("voc_metrics", "oks_voc.mAP"),
    "oks_voc_mAR": ("voc_metrics", "oks_voc.mAR"),
    "distance/avg": ("distance_metrics", "avg"),
    "distance/p50": ("distance_metrics", "p50"),
    "distance/p95": ("distance_metrics", "p95"),
    "distance/p99": ("distance_metrics", "p99"),
    "mPCK": ("pck_metrics", "mPCK"),
    "PCK_5": ("pck_metrics", "PCK@5"),
    "PCK_10": ("pck_metrics", "PCK@10"),
    "visibility_precision": ("visibility_metrics", "precision"),
    "visibility_recall": ("visibility_metrics", "recall"),
}
_CENTROIDS = {
    "centroid_dist_avg": ("distance_metrics", "avg"),
    "centroid_dist_median": ("distance_metrics", "p50"),
    "centroid_dist_p90": ("distance_metrics", "p90"),
    "centroid_dist_p95": ("distance_metrics", "p95"),
    "centroid_dist_max": ("distance_metrics", "max"),
    "centroid_precision": ("detection_metrics", "precision"),
    "centroid_recall": ("detection_metrics", "recall"),
    "centroid_f1": ("detection_metrics", "f1"),
    "centroid_n_tp": ("detection_metrics", "n_tp"),
    "centroid_n_fp": ("detection_metrics", "n_fp"),
    "centroid_n_fn": ("detection_metrics", "n_fn"),
}


def metric_names(task: Task) -> list[str]:
    """Return the names of the metrics of a task, in the order of the log."""
    return [PREFIX + name for name in _entries(task)]


def predict_split(
    split: Split, task: Task, spec: InputSpec, batch_size: int, runtime: Runtime
) -> Iterator[Predictions]:
    """Yield the instances that a network finds in the frames of a split, crops about the labelled animals.

    Args:
        split: The frames and their labels.
        task: The model type.
        spec: What the network reads.
        batch_size: Frames that are taken together, and most images in one pass of the network: those of a validation.
        runtime: The network.
    """
    anchors = anchors_of_labels(split.set.frames, task.anchor_node) if task.view == "crop" else None
    stage = Stage(task, spec, runtime, max_images=batch_size)
    return predict_frames([stage], split.source, batch_size, anchors=anchors)


def score(
    task: Task, settings: EvalConfig, truth: Sequence[LabeledFrame], found: Iterable[Predictions]
) -> dict[str, float]:
    """Return the metrics of a task by their logged names, NaN where one is undefined.

    Args:
        task: Says whether poses or centroids are compared.
        settings: Constants of the metrics.
        truth: The labels; as in `Evaluator`, frames without animals do not count.
        found: The predictions on the same frames, in the same order.
    """
    pairs = [(frame, own) for frame, own in zip(truth, found, strict=True) if not frame.is_negative]
    metrics = _centroid_metrics(task, settings, pairs) if _in_points(task) else _pose_metrics(settings, pairs)
    return {PREFIX + name: float(metrics[section][key]) for name, (section, key) in _entries(task).items()}


def _entries(task: Task) -> Mapping[str, tuple[str, str]]:
    """Return where each logged metric is found among those that the evaluation package returns."""
    return _CENTROIDS if _in_points(task) else _POSES


def _in_points(task: Task) -> bool:
    """Tell whether single points are compared: an animal of one node has no size, against which poses are."""
    return task.one_point or len(task.skeleton.node_names) == 1


def _pose_metrics(settings: EvalConfig, pairs: Sequence[tuple[LabeledFrame, Predictions]]) -> dict[str, dict[str, Any]]:
    """Compare poses."""
    frames = [FramePoints(truth.points, found.points, found.scores) for truth, found in pairs]
    return keypoint_metrics(match_keypoints(frames, settings.oks_stddev, settings.oks_scale, threshold=0))


def _centroid_metrics(
    task: Task, settings: EvalConfig, pairs: Sequence[tuple[LabeledFrame, Predictions]]
) -> dict[str, dict[str, Any]]:
    """Compare centroids, with those that a user stored where there are any."""
    frames = []
    for truth, found in pairs:
        known = compute_gt_centroids(truth.points, task.anchor_node) if truth.centroids is None else truth.centroids
        frames.append(FramePoints(known[:, None], found.points, found.scores))
    metrics = detection_metrics(match_detections(frames, settings.match_threshold))
    distances = metrics["distance_metrics"]["dists"]
    metrics["distance_metrics"]["max"] = distances.max() if len(distances) else np.nan
    return metrics
