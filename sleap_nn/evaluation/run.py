"""`run_evaluation`: two label files in, a report on the screen and metrics files out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sleap_nn.data.labels import load_labels
from sleap_nn.evaluation import pairs
from sleap_nn.evaluation.evaluator import Evaluator
from sleap_nn.evaluation.metrics_files import files_of, write_metrics
from sleap_nn.evaluation.pairs import Labels
from sleap_nn.evaluation.report import print_node_errors, print_report
from sleap_nn.heartbeat import phase
from sleap_nn.log import logger
from sleap_nn.whole_files import check_output

CENTROID_DISTANCE = 50.0
"""Largest distance in px of a pair of centroids, where none is given."""


def run_evaluation(  # noqa: PLR0913 - the documented signature
    ground_truth_path: str | Path,
    predicted_path: str | Path,
    oks_stddev: float = 0.025,
    oks_scale: float | None = None,
    match_threshold: float = 0,
    user_labels_only: bool = True,
    save_metrics: str | Path | None = None,
    match_method: str = "oks",
    anchor_part: str | None = None,
    *,
    count_missing_frames: bool = False,
) -> dict[str, dict[str, Any]] | None:
    """Score a prediction file against a file with the truth, print the report, and save the metrics.

    Args:
        ground_truth_path: Label file with the truth.
        predicted_path: Label file with predictions.
        oks_stddev: Spread of a node in the OKS.
        oks_scale: Area in px^2 of every instance in the OKS; None means the box of each true instance.
        match_threshold: OKS that a pair must exceed; for centroids the largest distance in px, 0 meaning 50.
        user_labels_only: Only instances drawn by a user are truth.
        save_metrics: Archive to write (``.npz`` is added if missing), with a ``.json`` beside it.
        match_method: "oks" compares poses, "centroid" compares centroids, "auto" chooses "centroid" where the
            predictions have one node.
        anchor_part: For centroids: node that is the truth's centroid where visible; None is the mean of the
            visible nodes.
        count_missing_frames: Count instances of frames that were not predicted as missed, instead of skipping
            those frames.

    Returns:
        Metrics as `Evaluator.evaluate` returns them, or None if the prediction file has no instance at all.

    Raises:
        MissingFileError: A file does not exist.
        DataError: A file is no label file, or the two have no frame or no node in common.
        ConfigError: A setting has no meaning.
        OutputError: The metrics cannot be written, or one of their two files is a file that is compared.
    """
    if save_metrics is not None:
        for file in files_of(save_metrics):
            check_output(file, [Path(ground_truth_path), Path(predicted_path)], "file (.npz)")
    truth, predicted = (_read(path) for path in (ground_truth_path, predicted_path))
    num_instances, num_predicted = pairs.count_instances(predicted)
    if num_instances == 0:
        print(f"{predicted_path} has no instances: nothing to evaluate.")
        return None
    if num_predicted == 0:
        logger.warning("%s has only instances drawn by a user, none that was predicted.", predicted_path)
    method = _resolve_method(match_method, predicted)
    centroids = method == "centroid"
    _warn_of_idle(centroids, oks_scale, anchor_part)
    if centroids and anchor_part is None and pairs.have_several_points(predicted):
        logger.warning(
            "The predictions are poses: their first visible node stands for their centroid, that of the labels is the "
            "mean of their visible nodes; name a node with anchor_part to compare the same."
        )
    evaluator = Evaluator(
        truth,
        predicted,
        oks_stddev,
        oks_scale,
        CENTROID_DISTANCE if centroids and match_threshold == 0 else match_threshold,
        user_labels_only,
        method,
        _anchor_index(truth, anchor_part) if centroids else None,
        count_missing_frames=count_missing_frames,
    )
    _log_pairs(evaluator)
    with phase("comparing the instances"):
        metrics = evaluator.evaluate()
    print_report(metrics)
    if not centroids:
        print_node_errors(evaluator.node_errors())
    if save_metrics is not None:
        archive, readable = write_metrics(metrics, save_metrics)
        logger.info("Metrics written to %s and %s", archive, readable.name)
    return metrics


def _warn_of_idle(centroids: bool, oks_scale: float | None, anchor_part: str | None) -> None:
    """Name settings that are about another comparison."""
    if centroids and oks_scale is not None:
        logger.warning("oks_scale has no effect: centroids are compared.")
    if not centroids and anchor_part is not None:
        logger.warning("anchor_part has no effect: poses are compared.")


def _read(path: str | Path) -> Labels:
    labels = load_labels(path, open_videos=False)
    logger.info("Loaded %s: %d videos, %d frames", path, len(labels.videos), len(labels.labeled_frames))
    return labels


def _resolve_method(match_method: str, predicted: Labels) -> str:
    if match_method != "auto":
        return match_method
    return "centroid" if len(pairs.node_names(predicted, "prediction file")) == 1 else "oks"


def _anchor_index(truth: Labels, anchor_part: str | None) -> int | None:
    names = pairs.node_names(truth, "ground truth")
    if anchor_part is not None and anchor_part not in names:
        logger.warning(
            "The ground truth has no node %r (its nodes: %s); the mean of visible nodes is used.",
            anchor_part,
            ", ".join(names),
        )
    return names.index(anchor_part) if anchor_part in names else None


def _log_pairs(evaluator: Evaluator) -> None:
    logger.info("Videos matched: %d/%d", evaluator.num_videos_matched, evaluator.num_videos)
    logger.info(
        "Frame pairs: %d, Matched instances: %d, Unmatched GT: %d",
        len(evaluator.frame_pairs),
        len(evaluator.positive_pairs),
        len(evaluator.false_negatives),
    )
