"""`SplitRecord`: which frames trained and which validated, as ``split.json`` in the run folder keeps it.

A resumed run reads it to use the very frames again, a fine-tuned one so that no frame changes sides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from sleap_nn.data.frame_groups import FrameId
from sleap_nn.data.label_table import same_videos
from sleap_nn.errors import DataError, OutputError
from sleap_nn.whole_files import whole_file

VERSION = 1


@dataclass(frozen=True)
class FileSplit:
    """The frames of one labels file, in the order in which they were used.

    Attributes:
        labels: Path of the file, None for labels in memory.
        train: Frames that train.
        val: Frames that validate.
    """

    labels: str | None
    train: tuple[FrameId, ...] = ()
    val: tuple[FrameId, ...] = ()


@dataclass(frozen=True)
class SplitRecord:
    """The split of a run.

    Attributes:
        method: What stayed together (``frame``, ``video``, ``time_block``, ``identity``), or where the validation
            frames came from: ``val_labels_path``, ``use_same_data_for_val``.
        seed: What ordered the groups; None where nothing was divided.
        files: The labels files, training files first.
        settings: Fraction or folds that were asked for, and the lengths of time blocks.
        held_out: Frames that validated the weights this training started from and are not among its labels.
    """

    method: str
    seed: int | None
    files: tuple[FileSplit, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    held_out: tuple[FrameId, ...] = ()

    @classmethod
    def load(cls, path: Path) -> SplitRecord:
        """Read what `save` wrote.

        Raises:
            DataError: The file is damaged.
        """
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path} cannot be read as the split of a run ({error}); restore it, or delete it to divide the labels "
                "anew."
            ) from error

    def save(self, path: Path) -> None:
        """Write the split as JSON, one key a line.

        Raises:
            OutputError: The file cannot be written.
        """
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in self.to_dict().items()]
        try:
            with whole_file(path) as partial:
                partial.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"The split {path} cannot be written ({error}).") from error

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> SplitRecord:
        """Return the split whose `to_dict` gave these values."""
        files = tuple(
            FileSplit(file["labels"], _frames_of(file["train"]), _frames_of(file["val"])) for file in tree["files"]
        )
        return cls(tree["method"], tree["seed"], files, tree["settings"], _frames_of(tree["held_out"]))

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON can keep."""
        return {
            "version": VERSION,
            "method": self.method,
            "seed": self.seed,
            "settings": self.settings,
            "counts": {"train": len(self.trained), "val": len(self.validated)},
            "files": [
                {"labels": file.labels, "train": _runs_of(file.train), "val": _runs_of(file.val)} for file in self.files
            ],
            "held_out": _runs_of(self.held_out),
        }

    @property
    def trained(self) -> dict[FrameId, int]:
        """The frames that trained, numbered in their order."""
        return _numbered(frame for file in self.files for frame in file.train)

    @property
    def validated(self) -> dict[FrameId, int]:
        """The frames that validated, numbered in their order."""
        return _numbered(frame for file in self.files for frame in file.val)

    def sides_of(self, frames: Iterable[FrameId]) -> dict[FrameId, bool]:
        """Return the sides of those frames that the run used, True for validation.

        A frame that was on both sides has trained. Frames that were held out validate.
        """
        trained, validated = self.trained, self.validated
        known = dict.fromkeys((*validated, *self.held_out), True) | dict.fromkeys(trained, False)
        return {frame: any(known[other] for other in same) for frame, same in find_frames(frames, known).items()}


def find_frames(frames: Iterable[FrameId], known: Iterable[FrameId]) -> dict[FrameId, list[FrameId]]:
    """Return, for frames that are among known ones, which of these they may be.

    A frame of a video is also found under the fingerprint of images that were embedded from it, and the other way.
    """
    wanted, others = list(frames), set(known)
    videos = same_videos((video for video, _ in wanted), {video for video, _ in others})
    found = {}
    for video, frame in wanted:
        same = [(other, frame) for other in videos[video] if (other, frame) in others]
        if same:
            found[video, frame] = same
    return found


def _numbered(frames: Iterable[FrameId]) -> dict[FrameId, int]:
    return {frame: number for number, frame in enumerate(dict.fromkeys(frames))}


def _runs_of(frames: Iterable[FrameId]) -> list[dict[str, Any]]:
    """Return frames in their order, those in sequence of one video together."""
    runs = groupby(frames, key=lambda frame: frame[0])
    return [{"video": video, "frames": [frame for _, frame in run]} for video, run in runs]


def _frames_of(runs: Iterable[Mapping[str, Any]]) -> tuple[FrameId, ...]:
    return tuple((str(run["video"]), int(frame)) for run in runs for frame in run["frames"])
