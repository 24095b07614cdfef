"""Frames of a split table, and the groups of them that stay together; pure.

How groups are divided is in `splits`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

FrameId = tuple[str, int]
"""The fingerprint of a video, see `label_table.fingerprints`, and the index of a frame in it."""


@dataclass(frozen=True)
class FrameRow:
    """What a split needs to know of one frame.

    Attributes:
        video: Fingerprint of the video.
        frame: Index of the frame.
        identities: Names of the tracks in it.
        labelled: Whether an animal is labelled; negative examples are divided, but not counted.
    """

    video: str
    frame: int
    identities: frozenset[str] = frozenset()
    labelled: bool = True

    @property
    def id(self) -> FrameId:
        """Which frame it is."""
        return self.video, self.frame


Group = tuple[FrameRow, ...]


def time_blocks(frames: Iterable[FrameRow], gap: int, length: int) -> list[Group]:
    """Return stretches of every video.

    A stretch ends where more than `gap` frames follow without a label. A longer one than `length` frames is cut into
    equal parts, each cut moved a little to where the pause between two labelled frames is longest.
    """
    blocks = []
    for rows in by_video(frames).values():
        run = [rows[0]]
        for before, row in pairwise(rows):
            if row.frame - before.frame > gap:
                blocks += _cut(run, length)
                run = []
            run.append(row)
        blocks += _cut(run, length)
    return blocks


def by_video(frames: Iterable[FrameRow]) -> dict[str, Group]:
    """Return the frames of every video in the order of time."""
    videos: dict[str, list[FrameRow]] = defaultdict(list)
    for row in sorted(frames, key=lambda row: row.id):
        videos[row.video].append(row)
    return {video: tuple(rows) for video, rows in videos.items()}


def by_identity(frames: Iterable[FrameRow]) -> list[Group]:
    """Return groups that share no identity; frames without one are left out."""
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    named = [row for row in frames if row.identities]
    for row in named:
        first, *others = sorted(row.identities)
        for other in others:
            root[find(other)] = find(first)
    groups: dict[str, list[FrameRow]] = defaultdict(list)
    for row in named:
        groups[find(min(row.identities))].append(row)
    return [tuple(rows) for rows in groups.values()]


def weight(group: Iterable[FrameRow]) -> int:
    """Return the number of labelled frames."""
    return sum(row.labelled for row in group)


def _cut(run: Sequence[FrameRow], length: int) -> list[Group]:
    """Cut a run into parts of about equal size, none of which is much longer than `length`."""
    num_parts = -(-len(run) // length)
    slack = len(run) // num_parts // 4
    ideal = [round(part * len(run) / num_parts) for part in range(1, num_parts)]
    cuts = [0, *(_longest_pause(run, cut, slack) for cut in ideal), len(run)]
    return [tuple(run[start:end]) for start, end in pairwise(cuts)]


def _longest_pause(run: Sequence[FrameRow], ideal: int, slack: int) -> int:
    """Return where to cut: before the frame that follows the longest pause, close to a position."""

    def rank(cut: int) -> tuple[int, int, int]:
        return run[cut - 1].frame - run[cut].frame, abs(cut - ideal), cut

    return min(range(ideal - slack, ideal + slack + 1), key=rank)
