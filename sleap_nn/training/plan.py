"""`Plan`: what all processes of a training take from the first, and what a launcher hands to those it starts."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.training.checkpoints import Position
from sleap_nn.training.training_data import TrainingData


@dataclass(frozen=True)
class Plan:
    """Everything that is decided once.

    Attributes:
        initial: The configuration as the user gave it.
        job: The resolved one.
        seed: Seed of all draws, the split included.
        resume: Checkpoint from which training goes on, None for a new one.
        position: Where it stands.
    """

    initial: TrainingJobConfig
    job: TrainingJobConfig
    seed: int
    resume: Path | None
    position: Position

    @property
    def seeded(self) -> TrainingJobConfig:
        """The configuration as the user gave it, with the seed of this training: all split the labels alike."""
        return with_seed(self.initial, self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON can keep."""
        return {
            "initial": asdict(self.initial),
            "job": asdict(self.job),
            "seed": self.seed,
            "resume": None if self.resume is None else str(self.resume),
            "position": self.position.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        """Return the plan whose `to_dict` gave these values."""
        return cls(
            initial=TrainingJobConfig.from_cfg(values["initial"]),
            job=TrainingJobConfig.from_cfg(values["job"]),
            seed=values["seed"],
            resume=None if values["resume"] is None else Path(values["resume"]),
            position=Position(**values["position"]),
        )


def with_seed(config: TrainingJobConfig, seed: int) -> TrainingJobConfig:
    """Return a copy of a configuration with a seed."""
    seeded = deepcopy(config)
    seeded.trainer_config.seed = seed
    return seeded


def fingerprint(data: TrainingData) -> str:
    """Return a text that differs where labels, or their division, differ."""
    digest = hashlib.sha256()
    for split in (data.train, data.val):
        digest.update(repr((split.set.skeleton, split.set.track_names, len(split.set))).encode())
        for frame in split.set.frames:
            digest.update(repr(frame.key).encode() + frame.points.tobytes() + frame.class_ids.tobytes())
    return digest.hexdigest()
