"""What a careful reader of the numbers would point out, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.findings import LabelReport
from sleap_nn.evaluation.bootstrap import MIN_FRAMES
from sleap_nn.evaluation.keypoints import distance_statistics
from sleap_nn.evaluation.node_errors import NodeErrors
from sleap_nn.ops.similarity import bounding_boxes, box_areas
from sleap_nn.run_report.facts import LabelsFacts, leakage_of
from sleap_nn.run_report.files import DRAWN_FIRST
from sleap_nn.run_report.history import History
from sleap_nn.run_report.scores import SplitScores
from sleap_nn.run_report.tables import MetricColumn
from sleap_nn.training import overfitting
from sleap_nn.training.collapse import IDENTITY_REMEDIES, REMEDIES
from sleap_nn.training.overfitting import find_overfitting
from sleap_nn.training.split_record import SplitRecord

FEW_FRAMES = 20
"""With fewer frames in validation or test, intervals are wide and a lucky split looks good."""

LARGE_GAP = 1.5
"""Validation errors that many times those of the training frames, intervals apart, are overfitting."""

RECENT = 0.1
"""Part of the epochs at the end; a best epoch there means that training had not finished."""

HARD_NODE = 2.5
"""A node whose median error is that many times that of the median node is a hard one."""

FAR_OFF, ROUGH = 0.1, 0.05
"""Median errors as parts of the size of an animal; trained networks reach 0.02."""

MOST_CLOSE = 0.5
"""Share of validation frames that have a training frame about as near as the next labelled one."""

FEW_LABELS = 10
MOST_MISSED = 0.5
FEW_FOUND, FEW_RIGHT, FEW_NAMED = 0.8, 0.8, 0.9
"""Shares of animals found, of predictions that are animals, and of identities that are right."""


@dataclass(frozen=True)
class Finding:
    """One thing to know about a run.

    Attributes:
        level: ``serious`` where the model should not be used as it is, ``note`` otherwise.
        title: What was found, in a few words.
        text: The numbers behind it, and what to do.
    """

    level: Literal["serious", "note"]
    title: str
    text: str


@dataclass(frozen=True, eq=False)
class Evidence:
    """What findings are drawn from.

    Attributes:
        config: The resolved configuration, None if it cannot be read.
        history: The training log, None without one.
        split: How the labels were divided, None if that is not known.
        label_check: What looked wrong with the labels before training, None if they were not checked.
        labels: What the labels files hold.
        columns: Metrics by split.
        scores: Paired instances by split.
    """

    config: TrainingJobConfig | None
    history: History | None
    split: SplitRecord | None
    label_check: LabelReport | None
    labels: Sequence[LabelsFacts]
    columns: Mapping[str, MetricColumn]
    scores: Mapping[str, SplitScores]


def find(evidence: Evidence) -> list[Finding]:
    """Return everything worth saying, serious things first."""
    rules = (
        _collapse,
        _missed,
        _surplus,
        _far_off,
        _identities,
        _gap,
        _losses,
        _unfinished,
        _few_frames,
        _labels,
        _same_frames,
        _neighbours,
        _nodes,
        _crops,
    )
    found = [finding for rule in rules for finding in rule(evidence)]
    return sorted(found, key=lambda finding: finding.level != "serious")


def _collapse(evidence: Evidence) -> Iterator[Finding]:
    train = evidence.scores.get("train")
    if train is not None and not len(train.matches.indices):
        yield Finding(
            "serious",
            "The network finds nothing",
            f"Not one animal was found on the frames it was trained on. {REMEDIES} sleap-nn preview shows whether "
            "labels and images belong together.",
        )


def _missed(evidence: Evidence) -> Iterator[Finding]:
    for split in ("val", "test"):
        scores = evidence.scores.get(split)
        if scores is None:
            continue
        found, missed = len(scores.matches.indices), len(scores.matches.missed)
        share = found / max(found + missed, 1)
        if found + missed and share < FEW_FOUND:
            level = "serious" if share < FEW_FOUND / 2 else "note"
            text = f"{found} of {found + missed} labelled animals of {split} were found ({100 * share:.0f} %)."
            cure = "Train longer, label frames like those that were missed, or predict with a lower peak threshold."
            yield Finding(level, f"Many animals of {split} were missed", f"{text} {cure}")


def _surplus(evidence: Evidence) -> Iterator[Finding]:
    for split in ("val", "test"):
        scores = evidence.scores.get(split)
        if scores is None:
            continue
        true, false = len(scores.matches.indices), len(scores.matches.extra)
        if false and true / (true + false) < FEW_RIGHT:
            text = f"{false} of {true + false} predictions on {split} belong to no labelled animal."
            cure = "Train longer, predict with a higher peak threshold, or label the animals that are not labelled yet."
            yield Finding("note", f"Many predictions on {split} are no animal", f"{text} {cure}")


def _identities(evidence: Evidence) -> Iterator[Finding]:
    for split in ("val", "test"):
        right = evidence.columns[split].estimates.get("identity") if split in evidence.columns else None
        if right is not None and right.value < FEW_NAMED:
            yield Finding(
                "note",
                f"Identities of {split} are often wrong",
                f"{100 * right.value:.0f} % are right. {IDENTITY_REMEDIES}",
            )


def _far_off(evidence: Evidence) -> Iterator[Finding]:
    name, scores = _shown(evidence)
    if scores is None or scores.one_point or not len(scores.matches.indices):
        return
    sizes = np.sqrt(box_areas(bounding_boxes(scores.matches.truth)))
    size, error = float(np.median(sizes)), distance_statistics(scores.matches.distances)["p50"]
    if size > 0 and error > ROUGH * size:
        yield Finding(
            "serious" if error > FAR_OFF * size else "note",
            "Points are far from their labels" if error > FAR_OFF * size else "Points are only roughly right",
            f"The median error on {name} is {error:.1f} px, {100 * error / size:.0f} % of the size of an animal "
            f"({size:.0f} px, the root of the area of its box). Train longer or with a higher learning rate, on larger "
            "images (preprocessing.scale), or with a finer output_stride.",
        )


def _shown(evidence: Evidence) -> tuple[str, SplitScores | None]:
    """Return name and scores of the split that says most about other frames."""
    name = next((split for split in DRAWN_FIRST if split in evidence.scores), "")
    return name, evidence.scores.get(name)


def _gap(evidence: Evidence) -> Iterator[Finding]:
    train, val = (evidence.columns.get(name) for name in ("train", "val"))
    if train is None or val is None or "p50" not in train.estimates or "p50" not in val.estimates:
        return
    ours, theirs = train.estimates["p50"], val.estimates["p50"]
    apart = not np.isnan(theirs.low) and theirs.low > ours.high
    if apart and theirs.value > LARGE_GAP * ours.value:
        yield Finding(
            "note",
            "Much better on training frames than on validation frames",
            f"The median error is {ours.value:.2f} px on train and {theirs.value:.2f} px on val. The network has "
            "learned its training frames by heart: label more, and more different, frames, widen the augmentation, or "
            "take a smaller network.",
        )


def _losses(evidence: Evidence) -> Iterator[Finding]:
    history = evidence.history
    if history is None or "val/loss" not in history.columns:
        return
    losses = history.columns["val/loss"]
    lost = int((~np.isfinite(losses)).sum())
    if lost and not np.isfinite(losses[-1]):
        text = f"The validation loss was no number in {lost} of {losses.size} epochs, also in the last."
        yield Finding("serious", "The loss became no number", f"{text} Train with a smaller learning rate.")
        return
    found = find_overfitting(history.columns.get("train/loss", np.full(losses.size, np.nan)).tolist(), losses.tolist())
    if found is not None:
        rise = f"From epoch {history.epochs[found.epoch]} on it rose from {found.val[0]:.3g} to {found.val[1]:.3g}"
        fall = f"while the training loss fell from {found.train[0]:.3g} to {found.train[1]:.3g}"
        text = f"{rise}, {fall}. The best weights were kept. {overfitting.REMEDIES}"
        yield Finding("note", "The validation loss rose again", text)


def _unfinished(evidence: Evidence) -> Iterator[Finding]:
    history, config = evidence.history, evidence.config
    if history is None or config is None or len(history) < 5:
        return
    best = history.best(config.trainer_config.model_ckpt.monitor, config.trainer_config.model_ckpt.mode)
    if best is not None and best >= (1 - RECENT) * len(history) - 1 and _still_falling(history):
        yield Finding(
            "note",
            "Training ended while it was still getting better",
            f"The best epoch is {history.epochs[best]}, the last is {history.epochs[-1]}. Raise "
            "trainer_config.max_epochs or max_time.",
        )


def _still_falling(history: History) -> bool:
    """Tell whether the validation loss fell by 5 % or more over the last fifth of the epochs."""
    losses = history.columns.get("val/loss", np.array([]))
    recent = losses[-max(2, len(losses) // 5) :]
    return bool(recent.size and np.isfinite(recent).all() and recent.min() < 0.95 * recent[0])


def _labels(evidence: Evidence) -> Iterator[Finding]:
    if evidence.label_check is not None:
        for line in evidence.label_check.lines():
            yield Finding("note", "Labels that look wrong", line)


def _few_frames(evidence: Evidence) -> Iterator[Finding]:
    for split in ("val", "test"):
        frames = sum(entry.num_frames for entry in evidence.labels if entry.split == split)
        if 0 < frames < FEW_FRAMES:
            some = "read the intervals, not the values"
            advice = some if frames >= MIN_FRAMES else "label more before you trust them; so few have no interval"
            yield Finding(
                "note",
                f"Few frames in {split}",
                f"Numbers from {frames} frame{'' if frames == 1 else 's'} depend much on which frames they are: "
                f"{advice}.",
            )


def _same_frames(evidence: Evidence) -> Iterator[Finding]:
    if evidence.config is not None and evidence.config.data_config.use_same_data_for_val:
        yield Finding(
            "note",
            "Validation frames are the training frames",
            "The numbers say how well the network remembers them, not how well it does on others.",
        )


def _neighbours(evidence: Evidence) -> Iterator[Finding]:
    record = evidence.split
    if record is None or record.method == "use_same_data_for_val":
        return
    leakage, near = leakage_of(record)
    close = leakage.num_within(near)
    if close > MOST_CLOSE * max(leakage.num_val, 1):
        yield Finding(
            "note",
            "Validation frames are neighbours of training frames",
            f"{close} of {leakage.num_val} have a training frame within {near} frames of the same video. Neighbours "
            "look alike, so new videos will do worse than the numbers say. Set data_config.split.split_by=auto, or "
            "test on a video of its own (data_config.test_file_path).",
        )


def _nodes(evidence: Evidence) -> Iterator[Finding]:
    train = evidence.scores.get("train")
    if train is not None and not train.one_point:
        few = [f"{node.name} ({node.num_labelled})" for node in train.node_errors if node.num_labelled < FEW_LABELS]
        if few:
            text = f"Number of training labels: {', '.join(few)}. The network has little to learn them from."
            yield Finding("note", "Nodes with few labels", text)
    name, scores = _shown(evidence)
    if scores is None or scores.one_point:
        return
    nodes = [node for node in scores.node_errors if node.num_labelled]
    missed = [f"{node.name} ({100 * node.missed:.0f} %)" for node in nodes if node.missed > MOST_MISSED]
    if missed:
        text = f"Of {name}, with the share of labelled points that were not predicted: {', '.join(missed)}."
        yield Finding("note", "Nodes that are mostly missed", f"{text} Label them in more frames.")
    hard = _hard(nodes)
    if hard:
        listed = ", ".join(f"{node.name} ({node.quantiles[2]:.1f} px)" for node in hard)
        text = f"Median errors on {name} far above those of the other nodes: {listed}."
        yield Finding("note", "Nodes that are hard to find", f"{text} Look whether they are labelled consistently.")


def _hard(nodes: Sequence[NodeErrors]) -> list[NodeErrors]:
    """Return the nodes whose median error stands out, the worst first."""
    medians = np.array([node.quantiles[2] for node in nodes])
    if len(nodes) < 3 or np.isnan(medians).all():
        return []
    limit = HARD_NODE * np.nanmedian(medians)
    return [nodes[i] for i in np.argsort(-np.nan_to_num(medians)) if medians[i] > max(limit, 1.0)]


def _crops(evidence: Evidence) -> Iterator[Finding]:
    heads = None if evidence.config is None else evidence.config.model_config.head_configs
    if heads is not None and heads.which_oneof_attrib_name() in ("centered_instance", "multi_class_topdown"):
        yield Finding(
            "note",
            "Crops were taken around the labels",
            "The numbers are those of this second stage alone, with every animal in the middle of its crop. Together "
            "with a centroid model, which can miss animals, they are lower: predict with both and run sleap-nn eval.",
        )
