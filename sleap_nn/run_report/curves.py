"""The charts of a training log: losses, learning rate, metrics on the validation frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.run_report.charts import Chart, Curve, curve_chart
from sleap_nn.run_report.history import History

HEAD_NAMES = {
    "confmaps_loss": "Loss of the confidence maps",
    "confmap_loss": "Loss of the confidence maps",
    "paf_loss": "Loss of the part affinity fields",
    "classmap_loss": "Loss of the class maps",
    "classvector_loss": "Loss of the class vectors",
}

VALIDATION_CHARTS = (
    (
        "Scores on the validation frames",
        "",
        (
            ("eval/val/mOKS", "mOKS", "val"),
            ("eval/val/oks_voc_mAP", "mAP", "test"),
            ("eval/val/PCK_5", "PCK@5", "other"),
        ),
    ),
    (
        "Errors on the validation frames",
        "px",
        (("eval/val/distance/p50", "median", "val"), ("eval/val/distance/p95", "95 %", "test")),
    ),
    (
        "Centroids of the validation frames",
        "",
        (("eval/val/centroid_recall", "recall", "val"), ("eval/val/centroid_precision", "precision", "test")),
    ),
    (
        "Errors of the centroids",
        "px",
        (("eval/val/centroid_dist_median", "median", "val"), ("eval/val/centroid_dist_p95", "95 %", "test")),
    ),
)
"""Title, unit and (column, name, style) of the lines of charts that are drawn where the log has their columns."""


def history_charts(history: History, config: TrainingJobConfig | None) -> list[Chart]:
    """Return the charts of a training.

    Args:
        history: The log, with at least one epoch.
        config: The resolved configuration, which says what the best epoch is; None: the lowest validation loss.
    """
    charts = []
    marks = _best_mark(history, config)
    losses = _pair(history, "loss")
    if losses:
        caption = "The training loss is taken while the weights change and on augmented frames, so it may lie higher."
        charts.append(_chart("Loss", history, losses, marks=marks, caption=caption))
    heads = history.head_losses
    charts += [_chart(HEAD_NAMES.get(name, name), history, _pair(history, name), marks=marks) for name in heads]
    accuracy = _pair(history, "class_accuracy")
    if accuracy:
        charts.append(_chart("Identity right", history, accuracy, marks=marks))
    for title, unit, lines in VALIDATION_CHARTS:
        found = [Curve(name, css, history.columns[column]) for column, name, css in lines if column in history.columns]
        if found:
            charts.append(_chart(title, history, found, unit, marks))
    if "learning_rate" in history.columns:
        rate = Curve("learning rate", "other", history.columns["learning_rate"])
        charts.append(_chart("Learning rate", history, [rate]))
    return charts


def _best_mark(history: History, config: TrainingJobConfig | None) -> dict[str, float]:
    """Return the epoch whose weights were kept, with the text beside it."""
    kept = None if config is None else config.trainer_config.model_ckpt
    best = history.best() if kept is None else history.best(kept.monitor, kept.mode)
    return {} if best is None else {f"best epoch: {history.epochs[best]}": float(history.epochs[best])}


def _pair(history: History, name: str) -> list[Curve]:
    """Return the lines of a value for training and validation, as far as they were logged."""
    stages = [stage for stage in ("train", "val") if f"{stage}/{name}" in history.columns]
    return [Curve(stage, stage, history.columns[f"{stage}/{name}"]) for stage in stages]


def _chart(
    title: str,
    history: History,
    curves: Sequence[Curve],
    unit: str = "",
    marks: dict[str, float] | None = None,
    caption: str = "",
) -> Chart:
    epochs = history.epochs.astype(np.float64)
    return curve_chart(title, epochs, curves, y_label=unit, marks=marks, caption=caption)
