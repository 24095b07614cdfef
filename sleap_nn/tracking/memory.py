"""Which earlier instances a tracker remembers: those of the last frames, or the last ones of every track."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

Gray = UInt8[np.ndarray, "height width"]


@dataclass(frozen=True, eq=False)
class Moment:
    """The tracked instances of one frame.

    Attributes:
        frame: Index of the frame.
        points: (I, N, 2), frame px.
        tracks: (I,) their tracks.
        image: The frame in grey, where optical flow needs it.
        looks: (I, N, C) what the instances look like, where that is compared.
    """

    frame: int
    points: Float[np.ndarray, "instances nodes 2"]
    tracks: Int[np.ndarray, " instances"]
    image: Gray | None = None
    looks: Float[np.ndarray, "instances nodes channels"] | None = None

    def take(self, rows: list[int]) -> Moment:
        """Return some of the instances."""
        looks = None if self.looks is None else self.looks[rows]
        return Moment(self.frame, self.points[rows], self.tracks[rows], self.image, looks)


class Memory(ABC):
    """What is compared with new instances."""

    @abstractmethod
    def add(self, moment: Moment) -> None:
        """Remember the tracked instances of a frame."""

    @abstractmethod
    def recall(self) -> list[Moment]:
        """Return what is remembered, oldest first; a moment may hold a part of its frame."""

    @abstractmethod
    def clear(self) -> None:
        """Forget everything."""


class FixedWindow(Memory):
    """The last frames that had instances; a track that has left them cannot return."""

    def __init__(self, size: int) -> None:
        """Choose the number of frames."""
        self._moments: deque[Moment] = deque(maxlen=size)

    def add(self, moment: Moment) -> None:
        """Remember a frame, if it has instances."""
        if len(moment.tracks):
            self._moments.append(moment)

    def recall(self) -> list[Moment]:
        """Return the frames."""
        return list(self._moments)

    def clear(self) -> None:
        """Forget all frames."""
        self._moments.clear()


class LocalQueues(Memory):
    """The last instances of every track, however long ago; no track is ever lost."""

    def __init__(self, size: int) -> None:
        """Choose the number of instances a track."""
        self._size = size
        self._queues: dict[int, deque[tuple[Moment, int]]] = {}

    def add(self, moment: Moment) -> None:
        """Remember every instance with its track."""
        for row, track in enumerate(moment.tracks.tolist()):
            self._queues.setdefault(track, deque(maxlen=self._size)).append((moment, row))

    def recall(self) -> list[Moment]:
        """Return the instances that are still in a queue, by frame."""
        rows: dict[int, tuple[Moment, list[int]]] = {}
        for queue in self._queues.values():
            for moment, row in queue:
                rows.setdefault(moment.frame, (moment, []))[1].append(row)
        return [moment.take(sorted(kept)) for _, (moment, kept) in sorted(rows.items())]

    def clear(self) -> None:
        """Forget all tracks."""
        self._queues.clear()
