"""Unbroken stretches of one animal: what can be followed from frame to frame without doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.ops.similarity import bounding_boxes
from sleap_nn.structures.predictions import Predictions
from sleap_nn.tracking.scoring import mean_node_distances

SPEED_FRAMES = 5
"""Frames over which the present speed of an animal is measured."""
GATE = 0.6
"""Farthest that an animal may be from where it is expected, in body lengths."""
DISTINCT = 2.0
"""How many times farther the second best pair of either side must be, so that the best one is beyond doubt."""
CERTAIN = 0.08
"""Distance in body lengths below which no rival can be mistaken for the same animal, unless it is as near."""


@dataclass(frozen=True, eq=False)
class Tracklet:
    """One animal over some frames.

    Attributes:
        frames: (T,) frame indices, ascending.
        places: (T, 2) position of the frame in the sequence that was read, and row of the instance in it.
        points: (T, N, 2) poses, frame px.
    """

    frames: Int[np.ndarray, " frames"]
    places: Int[np.ndarray, "frames 2"]
    points: Float[np.ndarray, "frames nodes 2"]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frames)

    def join(self, later: Tracklet) -> Tracklet:
        """Return this stretch and a later one of the same animal."""
        return Tracklet(
            np.concatenate([self.frames, later.frames]),
            np.concatenate([self.places, later.places]),
            np.concatenate([self.points, later.points]),
        )


def body_length(found: Sequence[Predictions]) -> float:
    """Return the median diagonal of the boxes of all instances, px; 1 without any box."""
    boxes = [bounding_boxes(np.asarray(entry.points, np.float64)) for entry in found if len(entry)]
    if not boxes:
        return 1.0
    joined = np.concatenate(boxes)
    diagonals = np.hypot(joined[:, 2] - joined[:, 0], joined[:, 3] - joined[:, 1])
    diagonals = diagonals[np.nan_to_num(diagonals) > 0]
    return float(np.median(diagonals)) if len(diagonals) else 1.0


def find_tracklets(found: Sequence[Predictions], length: float) -> list[Tracklet]:
    """Follow instances from each frame to the next, and stop wherever two could be mistaken for each other.

    Args:
        found: The frames of one video, ascending.
        length: Body length, px.

    Returns:
        Stretches by their first frame; every instance is in exactly one.
    """
    done: list[_Open] = []
    live: list[_Open] = []
    for position, entry in enumerate(found):
        points = np.asarray(entry.points, np.float64)
        frame = entry.key.frame
        live, lost = _split_by(live, lambda stretch, frame=frame: stretch.frames[-1] == frame - 1)
        done += lost
        owners = _continue(live, points, length)
        done += [stretch for i, stretch in enumerate(live) if i not in owners.values()]
        following = []
        for row in range(len(points)):
            stretch = live[owners[row]] if row in owners else _Open([], [], [])
            stretch.add(frame, (position, row), points[row])
            following.append(stretch)
        live = following
    return [stretch.closed() for stretch in sorted(done + live, key=lambda stretch: stretch.places[0])]


@dataclass(eq=False)
class _Open:
    """A stretch that may go on."""

    frames: list[int]
    places: list[tuple[int, int]]
    points: list[np.ndarray]

    def add(self, frame: int, place: tuple[int, int], points: np.ndarray) -> None:
        """Go on by a frame."""
        self.frames.append(frame)
        self.places.append(place)
        self.points.append(points)

    def expected(self) -> np.ndarray:
        """Return the pose that is expected in the next frame: the last one, moved by the present speed."""
        recent = np.stack(self.points[-SPEED_FRAMES:])
        return recent[-1] + mean_step(recent)

    def closed(self) -> Tracklet:
        """Return the stretch as arrays."""
        return Tracklet(np.array(self.frames), np.array(self.places), np.stack(self.points))


def mean_step(points: Float[np.ndarray, "frames nodes 2"]) -> Float[np.ndarray, " 2"]:
    """Return the mean displacement from frame to frame of the nodes visible in both; 0 where there is none."""
    steps = np.diff(points, axis=0)
    known = ~np.isnan(steps)
    return np.where(known, steps, 0.0).sum(axis=(0, 1)) / np.maximum(known.sum(axis=(0, 1)), 1)


def _split_by(items: list[_Open], test: object) -> tuple[list[_Open], list[_Open]]:
    """Return the items that pass a test, and the others."""
    passed = [item for item in items if test(item)]  # pyright: ignore[reportCallIssue]
    return passed, [item for item in items if not test(item)]  # pyright: ignore[reportCallIssue]


def _continue(live: Sequence[_Open], points: np.ndarray, length: float) -> dict[int, int]:
    """Return instance -> stretch for the pairs that are beyond doubt."""
    if not live or not len(points):
        return {}
    expected = np.stack([stretch.expected() for stretch in live])
    distances = np.nan_to_num(mean_node_distances(expected, points) / length, nan=np.inf)
    owners = {}
    for i, row in enumerate(distances):
        best = int(np.argmin(row))
        nearest = row[best]
        rivals = np.concatenate([np.delete(row, best), np.delete(distances[:, best], i)])
        rival = rivals.min(initial=np.inf)
        if nearest <= GATE and rival > DISTINCT * max(nearest, CERTAIN):
            owners[best] = i
    return owners
