"""Which files of a run folder hold what, under the names that every generation of programs gave them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sleap_nn.errors import MissingFileError
from sleap_nn.networks import model_dir
from sleap_nn.training import run_folder

SPLITS = ("train", "val", "test")
DRAWN_FIRST = ("val", "test", "train")
"""The split whose errors and frames are shown is the first of these that is scored."""

CONFIGS = (model_dir.CONFIG, model_dir.INITIAL_CONFIG)
OLD_CONFIGS = ("training_config.json", "initial_config.json")
"""Configurations of SLEAP up to 1.4."""

TRUTH = (r"labels_gt\.{split}\.(\d+)\.slp", r"labels_{split}_gt_(\d+)\.slp", r"labels_gt\.{split}\.slp")
PREDICTIONS = (
    r"labels_pr\.{split}\.(\d+)\.slp",
    r"pred_{split}_(\d+)\.slp",
    r"pred_{split}\.slp",
    r"labels_pr\.{split}\.slp",
)
METRICS = (
    r"metrics\.{split}\.(\d+)\.npz",
    r"{split}_(\d+)_pred_metrics\.npz",
    r"{split}_pred_metrics\.npz",
    r"metrics\.{split}\.npz",
)
"""Names of the files of a split; the group is the number of the labels file, 0 without one."""


@dataclass(frozen=True)
class SplitFiles:
    """The files of one split, by the number of the labels file that they belong to.

    Attributes:
        name: ``train``, ``val`` or ``test``.
        truth: Labels.
        predictions: What the network predicts on them.
        metrics: How far the two are apart.
    """

    name: str
    truth: dict[int, Path]
    predictions: dict[int, Path]
    metrics: dict[int, Path]

    @property
    def scored(self) -> list[int]:
        """Numbers of the labels files that have predictions."""
        return sorted(set(self.truth) & set(self.predictions))


@dataclass(frozen=True)
class RunFiles:
    """The files of a run folder that a report reads; None or empty where one is missing.

    Attributes:
        folder: The run folder.
        config: The resolved configuration.
        initial_config: The configuration as the user gave it.
        log: The training log.
        split: What is known of how the labels were divided.
        label_check: What looked wrong with the labels before training.
        splits: Labels, predictions and metrics of the splits that have any.
    """

    folder: Path
    config: Path | None
    initial_config: Path | None
    log: Path | None
    split: Path | None
    label_check: Path | None
    splits: tuple[SplitFiles, ...]

    @classmethod
    def find(cls, path: Path) -> RunFiles:
        """Look into a run folder.

        Args:
            path: The folder, or a file in it.

        Raises:
            MissingFileError: The folder does not exist, or holds nothing of a training run.
        """
        if not path.exists():
            raise MissingFileError(f"The run folder {path} does not exist; give the folder of a training run.")
        folder = path if path.is_dir() else path.parent
        names = sorted(entry.name for entry in folder.iterdir())
        splits = [_split_files(folder, names, split) for split in SPLITS]
        found = cls(
            folder=folder,
            config=_existing(folder, model_dir.CONFIG),
            initial_config=_existing(folder, model_dir.INITIAL_CONFIG),
            log=_existing(folder, run_folder.LOG),
            split=_existing(folder, run_folder.SPLIT),
            label_check=_existing(folder, run_folder.LABEL_CHECK),
            splits=tuple(split for split in splits if split.truth or split.predictions or split.metrics),
        )
        if not found.splits and not {*CONFIGS, *OLD_CONFIGS, run_folder.LOG} & set(names):
            what = f"The folder {folder} holds" if folder == path else f"The folder of {path} holds"
            raise MissingFileError(
                f"{what} no training run (neither {model_dir.CONFIG} nor {run_folder.LOG}); give "
                "the folder that training wrote."
            )
        return found

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.resolve().name


def _existing(folder: Path, name: str) -> Path | None:
    return folder / name if (folder / name).is_file() else None


def _split_files(folder: Path, names: list[str], split: str) -> SplitFiles:
    """Return the files of one split."""
    truth, predictions, metrics = (_numbered(folder, names, forms, split) for forms in (TRUTH, PREDICTIONS, METRICS))
    return SplitFiles(split, truth, predictions, metrics)


def _numbered(folder: Path, names: list[str], forms: tuple[str, ...], split: str) -> dict[int, Path]:
    """Return the files whose names have one of the forms; where two have the same number, the earlier form counts."""
    found: dict[int, Path] = {}
    for form in forms:
        matches = (re.fullmatch(form.format(split=split), name) for name in names)
        for match in filter(None, matches):
            found.setdefault(int((*match.groups(), "0")[0]), folder / match.string)
    return found
