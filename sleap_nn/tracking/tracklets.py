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
WIDEST_GATE, GATE_STEPS, NARROWEST_GATE = 0.6, 4.0, 0.03
"""Farthest that an animal may be from where it is expected: so many times the usual, within limits in body lengths."""
SAMPLED_CHUNKS, CHUNK_FRAMES = 12, 60
"""Parts of a video on which the usual distance is measured."""
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

    def part(self, start: int, stop: int) -> Tracklet:
        """Return some of the frames."""
        return Tracklet(self.frames[start:stop], self.places[start:stop], self.points[start:stop])

    def join(self, later: Tracklet) -> Tracklet:
        """Return this stretch, then a later one of the same animal."""
        return Tracklet(
            np.concatenate([self.frames, later.frames]),
            np.concatenate([self.places, later.places]),
            np.concatenate([self.points, later.points]),
        )

    def interleave(self, other: Tracklet) -> Tracklet:
        """Return this stretch and another one of the same animal, which have no frame in common, by frame."""
        whole = self.join(other)
        order = np.argsort(whole.frames, kind="stable")
        return Tracklet(whole.frames[order], whole.places[order], whole.points[order])


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
    return _follow(found, length, _gates(found, length))[0]


def _gates(found: Sequence[Predictions], length: float) -> tuple[float, float]:
    """Return how far an animal may be from where it is expected, in body lengths: without a known speed, and with one.

    What is usual is measured on parts of the video, without a narrow gate.
    """
    count = max(1, min(SAMPLED_CHUNKS, len(found) // CHUNK_FRAMES))
    distances: tuple[list[float], list[float]] = ([], [])
    for start in np.linspace(0, max(0, len(found) - CHUNK_FRAMES), count).astype(int).tolist():
        chunk = found[start : start + CHUNK_FRAMES]
        for kind, own in zip(distances, _follow(chunk, length, (WIDEST_GATE, WIDEST_GATE))[1], strict=True):
            kind += own
    moving = float(np.median(distances[1])) if distances[1] else WIDEST_GATE
    first = max(moving, float(np.median(distances[0]))) if distances[0] else moving
    still, known = (float(np.clip(GATE_STEPS * usual, NARROWEST_GATE, WIDEST_GATE)) for usual in (first, moving))
    return still, known


def _follow(
    found: Sequence[Predictions], length: float, gates: tuple[float, float]
) -> tuple[list[Tracklet], tuple[list[float], list[float]]]:
    """Return stretches, and the distances in body lengths from what was expected: in their first steps, and later."""
    done: list[_Open] = []
    live: list[_Open] = []
    distances: tuple[list[float], list[float]] = ([], [])
    for position, entry in enumerate(found):
        points = np.asarray(entry.points, np.float64)
        frame = entry.key.frame
        done += [stretch for stretch in live if stretch.frames[-1] != frame - 1]
        live = [stretch for stretch in live if stretch.frames[-1] == frame - 1]
        owners, steps = _continue(live, points, length, gates)
        for is_moving, step in steps:
            distances[is_moving].append(step)
        continued = set(owners.values())
        done += [stretch for i, stretch in enumerate(live) if i not in continued]
        live = [live[owners[row]] if row in owners else _Open([], [], []) for row in range(len(points))]
        for row, stretch in enumerate(live):
            stretch.add(frame, (position, row), points[row])
    ordered = sorted(done + live, key=lambda stretch: stretch.places[0])
    return [stretch.closed() for stretch in ordered], distances


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


def _continue(
    live: Sequence[_Open], points: np.ndarray, length: float, gates: tuple[float, float]
) -> tuple[dict[int, int], list[tuple[bool, float]]]:
    """Return instance -> stretch for the pairs that are beyond doubt; and whether a speed was known, with distances."""
    if not live or not len(points):
        return {}, []
    expected = np.stack([stretch.expected() for stretch in live])
    moving = np.array([len(stretch.frames) > 1 for stretch in live])
    distances = np.nan_to_num(mean_node_distances(expected, points) / length, nan=np.inf)
    best = distances.argmin(axis=1)
    rows = np.arange(len(distances))
    nearest = distances[rows, best]
    rivals = distances.copy()
    rivals[rows, best] = np.inf
    by_row = rivals.min(axis=1)
    owners, steps = {}, []
    for i in np.flatnonzero(nearest <= np.where(moving, gates[1], gates[0])).tolist():
        others = np.delete(distances[:, best[i]], i).min(initial=np.inf)
        if min(by_row[i], others) > DISTINCT * max(nearest[i], CERTAIN):
            owners[int(best[i])] = i
            steps.append((bool(moving[i]), float(nearest[i])))
    return owners, steps
