"""How close in time validation frames are to frames of the training side; pure.

Neighbouring frames show nearly the same picture, and a network that saw one of them is not tested by the other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from sleap_nn.data.frame_groups import FrameId


@dataclass(frozen=True)
class Leakage:
    """Distances in time from validation frames to the nearest training frame of the same video.

    Attributes:
        distances: One for every validation frame of a video that also trains, in frames, ascending.
        num_val: Number of validation frames.
    """

    distances: tuple[int, ...]
    num_val: int

    @classmethod
    def between(cls, train: Iterable[FrameId], val: Iterable[FrameId]) -> Leakage:
        """Measure two sides."""
        times = _times(train)
        validating = list(val)
        distances = [_distance(times[video], frame) for video, frame in validating if video in times]
        return cls(tuple(sorted(distances)), len(validating))

    @property
    def closest(self) -> int | None:
        """The smallest distance; None where no video is on both sides."""
        return self.distances[0] if self.distances else None

    @property
    def median(self) -> float | None:
        """The middle distance; None where no video is on both sides."""
        return median(self.distances) if self.distances else None

    def num_within(self, frames: int) -> int:
        """Return how many validation frames have a training frame within so many frames."""
        return sum(distance <= frames for distance in self.distances)


def usual_distance(frames: Iterable[FrameId], limit: int) -> int:
    """Return how far apart successive labelled frames of a video usually are: the median, pauses left out.

    Args:
        frames: All labelled frames.
        limit: What is further apart is a pause; returned where there is nothing else.
    """
    gaps = [b - a for times in _times(frames).values() for a, b in pairwise(times) if 0 < b - a <= limit]
    return round(median(gaps)) if gaps else limit


def _times(frames: Iterable[FrameId]) -> dict[str, list[int]]:
    """Return the frame indices of every video, ascending."""
    times: dict[str, list[int]] = defaultdict(list)
    for video, frame in sorted(set(frames)):
        times[video].append(frame)
    return dict(times)


def _distance(times: list[int], frame: int) -> int:
    """Return the distance to the nearest of some times in ascending order."""
    place = bisect_left(times, frame)
    return min(abs(frame - time) for time in times[max(0, place - 1) : place + 1])
