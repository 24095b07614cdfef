"""What a prediction was made from, for its journal and for the manifest beside its output."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sleap_nn.data.fingerprint import digest
from sleap_nn.data.labels import Labels
from sleap_nn.errors import DataError, OutputError
from sleap_nn.stages.stream import Failure
from sleap_nn.structures.sample import FrameKey
from sleap_nn.whole_files import whole_file

SUFFIX = ".manifest.json"


class MissingFramesError(DataError):
    """Some of the requested frames could not be read.

    Attributes:
        failures: Those frames, each with the reason.
        labels: The predictions on all the others; None where they were written to a file only.
    """

    def __init__(self, message: str, failures: Sequence[Failure], labels: Labels | None = None) -> None:
        """Keep the finished work."""
        super().__init__(message)
        self.failures = tuple(failures)
        self.labels = labels


def file_hash(path: Path) -> str:
    """Return 64 characters that stand for the content of a file."""
    content = blake2b(digest_size=32)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            content.update(block)
    return content.hexdigest()


def labels_hash(labels: Labels, path: Path) -> str:
    """Return what stands for labels: the content of a ``.slp``; those of other programs may be many files."""
    if path.is_file() and path.suffix.lower() == ".slp":
        return file_hash(path)
    position = {id(video): i for i, video in enumerate(labels.videos)}
    frames = [
        (position[id(frame.video)], frame.frame_idx, [instance.numpy().tolist() for instance in frame.instances])
        for frame in labels.labeled_frames
    ]
    return digest([node.name for node in labels.skeletons[0].nodes], frames)


def difference(before: Mapping[str, Any], now: Mapping[str, Any], name: str = "") -> str | None:
    """Return the first thing that decides a result and is not the same, in words; None if there is none."""
    for key in dict.fromkeys([*before, *now]):
        old, new = before.get(key), now.get(key)
        label = f"{name}.{key}" if name else str(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found = difference(old, new, label)
            if found is not None:
                return found
        elif old != new:
            short = all(len(str(value)) < 40 for value in (old, new))
            return f"{label} was {old} and is {new}" if short else f"{label} is not the same"
    return None


def write_manifest(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a manifest, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with whole_file(path) as partial:
            partial.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"The manifest {path} cannot be written ({error.strerror}).") from error


def failure_entries(failures: Sequence[Failure]) -> list[dict[str, Any]]:
    """Return failures as a manifest lists them."""
    return [{"video": failure.key.video, "frame": failure.key.frame, "reason": failure.reason} for failure in failures]


def failures_of(entries: Sequence[Mapping[str, Any]]) -> tuple[Failure, ...]:
    """Return the failures that `failure_entries` gave to a manifest."""
    return tuple(Failure(FrameKey(own["video"], own["frame"]), own["reason"]) for own in entries)


def failure_sentence(failures: Sequence[Failure], requested: int, where: str) -> str:
    """Return how many frames are missing, and why for the first of them.

    Args:
        failures: The frames that could not be read.
        requested: Number of frames in all.
        where: Where the whole list is, "" for nowhere.
    """
    shown = " ".join(failure.reason for failure in failures[:5])
    more = f" ... {where}" if len(failures) > 5 else ""
    return f"{len(failures)} of {requested} requested frames could not be read and are not in the output: {shown}{more}"
