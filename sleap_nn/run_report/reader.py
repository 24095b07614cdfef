"""Reads a run folder piece by piece; what cannot be read becomes a sentence for the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.findings import LabelReport
from sleap_nn.data.labels import Labels, load_labels
from sleap_nn.errors import UserError
from sleap_nn.evaluation.metrics_files import load_metrics
from sleap_nn.run_report.facts import LabelsFacts
from sleap_nn.run_report.files import DRAWN_FIRST, OLD_CONFIGS, RunFiles, SplitFiles
from sleap_nn.run_report.history import History
from sleap_nn.run_report.scores import SplitScores
from sleap_nn.run_report.tables import MetricColumn, metric_column, stored_column
from sleap_nn.training.split_record import SplitRecord

T = TypeVar("T")


@dataclass(eq=False)
class Notes:
    """Sentences about what is missing, by section of the page."""

    by_section: dict[str, list[str]] = field(default_factory=dict)

    def add(self, section: str, sentence: str) -> None:
        """Add a sentence, once."""
        sentences = self.by_section.setdefault(section, [])
        if sentence not in sentences:
            sentences.append(sentence)

    def attempt(self, section: str, function: Callable[..., T], *arguments: Any, **options: Any) -> T | None:
        """Call a function; if it fails because of what it is given, note why and return None."""
        try:
            return function(*arguments, **options)
        except (UserError, OSError) as error:
            self.add(section, str(error))
            return None


@dataclass(frozen=True, eq=False)
class Run:
    """What a run folder says about a training; None or empty where it says nothing.

    Attributes:
        files: Where it was found.
        config: The resolved configuration.
        initial: The configuration as the user gave it.
        history: The training log, with at least one epoch.
        split: How the labels were divided.
        label_check: What looked wrong with the labels before training.
        labels: What the labels files hold.
        scores: Paired instances by split.
        columns: Metrics, in the order of the splits.
        provenance: Of the predictions.
        notes: Why something is missing.
    """

    files: RunFiles
    config: TrainingJobConfig | None
    initial: TrainingJobConfig | None
    history: History | None
    split: SplitRecord | None
    label_check: LabelReport | None
    labels: tuple[LabelsFacts, ...]
    scores: Mapping[str, SplitScores]
    columns: tuple[MetricColumn, ...]
    provenance: Mapping[str, Any]
    notes: Notes

    @property
    def main(self) -> SplitScores | None:
        """The split that is shown in detail."""
        return next((self.scores[name] for name in DRAWN_FIRST if name in self.scores), None)


def read_run(path: Path) -> Run:
    """Read a run folder.

    Args:
        path: The folder, or a file in it.

    Raises:
        MissingFileError: The folder does not exist, or holds nothing of a training run.
    """
    files, notes = RunFiles.find(path), Notes()
    config = _config(files.config, files, notes)
    initial = _config(files.initial_config, files, notes) if files.initial_config else None
    labels: list[LabelsFacts] = []
    scores: dict[str, SplitScores] = {}
    columns: list[MetricColumn] = []
    provenance: dict[str, Any] = {}
    shown = next((name for name in DRAWN_FIRST for split in files.splits if split.name == name and split.scored), None)
    for split in files.splits:
        truth, found = _labels(split, notes, open_videos=split.name == shown)
        labels += [LabelsFacts.of(split.name, number, part, config) for number, part in truth.items()]
        provenance |= {key: value for part in found.values() for key, value in part.provenance.items()}
        pairs = [(truth[number], found[number]) for number in truth if number in found]
        scored = notes.attempt("metrics", SplitScores.from_labels, split.name, pairs, config) if pairs else None
        if scored is not None:
            scores[split.name] = scored
            columns.append(metric_column(scored))
        else:
            columns += _stored_columns(split, notes)
    history = _history(files, notes)
    record = None if files.split is None else notes.attempt("split", SplitRecord.load, files.split)
    checked = None if files.label_check is None else notes.attempt("split", LabelReport.load, files.label_check)
    return Run(
        files, config, initial, history, record, checked, tuple(labels), scores, tuple(columns), provenance, notes
    )


def _config(path: Path | None, files: RunFiles, notes: Notes) -> TrainingJobConfig | None:
    """Read a configuration; options that do not exist here do not matter."""
    if path is not None:
        return notes.attempt("model", TrainingJobConfig.load, path, require_available=False)
    old = next((name for name in OLD_CONFIGS if (files.folder / name).exists()), None)
    if old is not None:
        notes.add("model", f"The configuration is a {old} of SLEAP up to 1.4, which is not shown.")
    else:
        notes.add("model", "There is no training_config.yaml, so what was trained is not known.")
    return None


def _labels(split: SplitFiles, notes: Notes, open_videos: bool) -> tuple[dict[int, Labels], dict[int, Labels]]:
    """Read labels and predictions of a split that are in pairs, and labels without predictions."""
    truth, found = {}, {}
    for number, path in sorted(split.truth.items()):
        labels = notes.attempt("split", load_labels, path, open_videos=open_videos)
        if labels is not None:
            truth[number] = labels
    for number in split.scored:
        predictions = notes.attempt("metrics", load_labels, split.predictions[number], open_videos=False)
        if predictions is not None:
            found[number] = predictions
    for number in sorted(set(split.truth) - set(split.predictions)):
        notes.add("metrics", f"There are no predictions for {split.truth[number].name}.")
    for number in sorted(set(split.predictions) - set(split.truth)):
        notes.add("metrics", f"{split.predictions[number].name} has no labels to compare it with.")
    return truth, found


def _stored_columns(split: SplitFiles, notes: Notes) -> list[MetricColumn]:
    """Read the metrics files of a split that cannot be scored anew."""
    columns = []
    for number, path in sorted(split.metrics.items()):
        metrics = notes.attempt("metrics", load_metrics, path)
        if metrics is not None:
            columns.append(stored_column(split.name, number, metrics))
    return columns


def _history(files: RunFiles, notes: Notes) -> History | None:
    """Read the training log."""
    if files.log is None:
        notes.add("curves", "There is no training_log.csv.")
        return None
    history = notes.attempt("curves", History.read, files.log)
    if history is not None and not len(history):
        notes.add("curves", f"{files.log.name} has no epoch yet.")
        return None
    return history
