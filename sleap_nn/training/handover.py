"""`Handover`: the folder in which a launcher leaves labels for the processes it starts, and they leave the result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.label_table import subset
from sleap_nn.data.labels import Labels, load_labels, write_labels
from sleap_nn.training.collapse import HeadStrength

SPLITS = ("train", "val")

GivenLabels = tuple[Sequence[Labels] | None, Sequence[Labels] | None]
"""Labels to train on and to validate on that were given as objects, None where files are named."""


@dataclass(frozen=True)
class Progress:
    """How far a training came that ran in other processes.

    Attributes:
        current_epoch: Epochs that are done.
        global_step: Steps that are done.
        callback_metrics: Last value of everything that was logged.
        global_rank: Always 0.
    """

    current_epoch: int
    global_step: int
    callback_metrics: dict[str, float]
    global_rank: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a training ends with.

    Attributes:
        job: The resolved configuration.
        run_dir: The run folder, None if nothing was written.
        weights: The weights of the network, by name.
        strengths: How much each head said in the last validation; empty without one.
        progress: How far it came.
    """

    job: TrainingJobConfig
    run_dir: Path | None
    weights: dict[str, Tensor]
    strengths: tuple[HeadStrength, ...]
    progress: Progress


@dataclass(frozen=True)
class Handover:
    """The folder.

    Attributes:
        folder: Where it is; removed when the launcher is done.
    """

    folder: Path

    def write_labels(self, given: GivenLabels) -> None:
        """Write labels objects; their videos stay where they are."""
        for split, labels in zip(SPLITS, given, strict=True):
            for index, part in enumerate(labels or ()):
                whole = subset(part, range(len(part.labeled_frames)))
                write_labels(whole, self.folder / f"{split}.{index:06d}.slp")

    def read_labels(self) -> GivenLabels:
        """Read what `write_labels` wrote."""
        train, val = (
            [load_labels(path) for path in sorted(self.folder.glob(f"{split}.*.slp"))] or None for split in SPLITS
        )
        return train, val

    def write_outcome(self, outcome: Outcome) -> None:
        """Write the result."""
        about = {
            "job": asdict(outcome.job),
            "run_dir": None if outcome.run_dir is None else str(outcome.run_dir),
            "strengths": [asdict(strength) for strength in outcome.strengths],
            "progress": asdict(outcome.progress),
        }
        torch.save({"about": json.dumps(about), "weights": outcome.weights}, self.folder / "outcome.pt")

    def read_outcome(self) -> Outcome:
        """Read what `write_outcome` wrote."""
        stored: Mapping[str, Any] = torch.load(self.folder / "outcome.pt", weights_only=True)
        about = json.loads(stored["about"])
        return Outcome(
            job=TrainingJobConfig.from_cfg(about["job"]),
            run_dir=None if about["run_dir"] is None else Path(about["run_dir"]),
            weights=stored["weights"],
            strengths=tuple(HeadStrength(**strength) for strength in about["strengths"]),
            progress=Progress(**about["progress"]),
        )
