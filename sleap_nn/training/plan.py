"""`Plan`: what all processes of a training take from the first, and what a launcher hands to those it starts."""

from __future__ import annotations

import hashlib
import secrets
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sleap_nn.config.training_job_config import DictConfig, TrainingJobConfig, check_must_be_set
from sleap_nn.data.video_paths import VideoPaths
from sleap_nn.heartbeat import phase
from sleap_nn.log import quiet
from sleap_nn.networks.reuse import Starts, read_starts
from sleap_nn.training import monitoring, run_folder
from sleap_nn.training.checkpoints import Position, check_epochs
from sleap_nn.training.handover import GivenLabels
from sleap_nn.training.resolve import resolve
from sleap_nn.training.split_record import SplitRecord
from sleap_nn.training.training_data import TrainingData


@dataclass(frozen=True)
class Plan:
    """Everything that is decided once.

    Attributes:
        initial: The configuration as the user gave it.
        job: The resolved one.
        seed: Seed of all draws.
        resume: Checkpoint from which training goes on, None for a new one.
        position: Where it stands.
        split: Which frames train and which validate.
        video_paths: Where the videos are now, None for where the labels say.
    """

    initial: TrainingJobConfig
    job: TrainingJobConfig
    seed: int
    resume: Path | None
    position: Position
    split: SplitRecord
    video_paths: VideoPaths | None = None

    def read_again(self, given: GivenLabels, with_tests: bool) -> TrainingData:
        """Read the labels in another process, divided as in the one that planned; what is said of them was said.

        Args:
            given: Labels in place of the files of the configuration.
            with_tests: Whether this process also needs the test files, which machines beside the first may not have.

        Raises:
            UserError: As for `TrainingData.from_config`.
        """
        config = deepcopy(self.initial)
        if not with_tests:
            config.data_config.test_file_path = None
        with quiet():
            return TrainingData.from_config(config, *given, self.video_paths, self.split)

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON can keep."""
        return {
            "initial": asdict(self.initial),
            "job": asdict(self.job),
            "seed": self.seed,
            "resume": None if self.resume is None else str(self.resume),
            "position": self.position.to_dict(),
            "split": self.split.to_dict(),
            "video_paths": None if self.video_paths is None else asdict(self.video_paths),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        """Return the plan whose `to_dict` gave these values."""
        paths = values["video_paths"]
        return cls(
            initial=TrainingJobConfig.from_cfg(values["initial"]),
            job=TrainingJobConfig.from_cfg(values["job"]),
            seed=values["seed"],
            resume=None if values["resume"] is None else Path(values["resume"]),
            position=Position(**values["position"]),
            split=SplitRecord.from_dict(values["split"]),
            video_paths=None if paths is None else _video_paths(**paths),
        )


def decide(
    config: TrainingJobConfig | DictConfig | dict[str, Any] | str | Path | None,
    given: GivenLabels,
    video_paths: VideoPaths | None,
) -> tuple[Plan, TrainingData, Starts]:
    """Read a configuration and labels, and decide what all processes of the training must have the same.

    Args:
        config: The configuration, or the path of its YAML file.
        given: Labels in place of the files of the configuration.
        video_paths: Where the videos are now; None: where the labels say, or where a run that is resumed had them.

    Returns:
        The plan, the labels, and the earlier models that the network starts from.

    Raises:
        ConfigError: The configuration is wrong, or contradicts the labels.
        DataError: The labels cannot be used.
        MissingFileError: A labels file, a video or a checkpoint is not there.
    """
    initial = TrainingJobConfig.from_cfg(config)
    check_must_be_set(initial)
    settings = initial.trainer_config
    monitoring.check(settings)
    resume = run_folder.resume_point(settings.resume_ckpt_path)
    position = Position(0)
    if resume is not None:
        position = run_folder.position_of(resume)
        check_epochs(resume, position, settings.max_epochs)
    seed = next((seed for seed in (position.seed, settings.seed) if seed is not None), secrets.randbits(31))
    paths = run_folder.video_paths_of(settings.resume_ckpt_path) if video_paths is None else video_paths
    starts = read_starts(initial.model_config, resume)
    with phase("reading labels"):
        data = TrainingData.from_config(initial, *given, paths)
        facts = replace(data.facts(initial), trained_channels=starts.image_channels)
        job = resolve(initial, facts, datetime.now())
    return Plan(initial, job, seed, resume, position, data.record, paths), data, starts


def fingerprint(data: TrainingData) -> str:
    """Return a text that differs where labels, or their division, differ."""
    digest = hashlib.sha256()
    for split in (data.train, data.val):
        digest.update(repr((split.set.skeleton, split.set.track_names, len(split.set))).encode())
        for frame in split.set.frames:
            digest.update(repr(frame.key).encode() + frame.points.tobytes() + frame.class_ids.tobytes())
    return digest.hexdigest()


def _video_paths(
    video_paths: list[str], video_path_map: list[list[str]], prefix_map: list[list[str]], required: bool
) -> VideoPaths:
    """Return new paths of videos from the values that JSON kept."""
    pairs = (tuple((old, new) for old, new in given) for given in (video_path_map, prefix_map))
    return VideoPaths(tuple(video_paths), *pairs, required=required)
