"""What is known of the two ends of a stretch: where the animal is, how it lies, and how it moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sleap_nn.tracking.tracklets import Tracklet

WINDOW = 8
"""Frames at an end from which pose and speed are taken."""
BLOCK = 2000
"""Stretches that are looked at together."""
FEWEST_STEPS = 2
"""Steps from one frame to another that tell a speed."""


@dataclass(frozen=True, eq=False)
class Ends:
    """One end of K stretches.

    Attributes:
        frames: (K,) frame of the end.
        poses: (K, N, 2) px there; a node that is hidden is taken from a frame near the end, NaN if there is none.
        speeds: (K, 2) px a frame, forward in time; 0 where unknown.
        known: (K,) whether the speed is known.
        visible: (K, N) whether a node is seen in the very frame of the end.
    """

    frames: Int[np.ndarray, " stretches"]
    poses: Float[np.ndarray, "stretches nodes 2"]
    speeds: Float[np.ndarray, "stretches 2"]
    known: Bool[np.ndarray, " stretches"]
    visible: Bool[np.ndarray, "stretches nodes"]

    @classmethod
    def last(cls, stretches: Sequence[Tracklet]) -> Ends:
        """Return where stretches end."""
        return cls._joined(stretches, at_end=True)

    @classmethod
    def first(cls, stretches: Sequence[Tracklet]) -> Ends:
        """Return where stretches begin."""
        return cls._joined(stretches, at_end=False)

    @classmethod
    def _joined(cls, stretches: Sequence[Tracklet], at_end: bool) -> Ends:
        """Return one end of stretches, however many."""
        blocks = [stretches[start : start + BLOCK] for start in range(0, len(stretches), BLOCK)]
        parts = [cls._of(block, at_end) for block in blocks]
        return cls(*(np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])))

    @classmethod
    def _of(cls, stretches: Sequence[Tracklet], at_end: bool) -> Ends:
        """Return one end of stretches; what lies in front of it is counted from the end, in both directions."""
        count, num_nodes = len(stretches), stretches[0].points.shape[1]
        frames, points = np.full((count, WINDOW), np.nan), np.full((count, WINDOW, num_nodes, 2), np.nan)
        for row, stretch in enumerate(stretches):
            length = min(WINDOW, len(stretch))
            frames[row, :length] = stretch.frames[-length:][::-1] if at_end else stretch.frames[:length]
            points[row, :length] = stretch.points[-length:][::-1] if at_end else stretch.points[:length]
        steps = np.diff(points, axis=1) / np.diff(frames, axis=1)[:, :, None, None]
        seen = ~np.isnan(steps)
        counts = seen.sum(axis=(1, 2))
        known = ((~np.isnan(frames)).sum(axis=1) > FEWEST_STEPS) & (counts.min(axis=1) > 0)
        sums = np.where(seen, steps, 0.0).sum(axis=(1, 2))
        speeds = np.where(known[:, None], sums / np.maximum(counts, 1), 0.0)
        nearest = (~np.isnan(points[..., 0])).argmax(axis=1)
        rows = np.arange(count)[:, None]
        ages = np.nan_to_num(frames[:, :1] - frames[rows, nearest])
        poses = points[rows, nearest, np.arange(num_nodes)] + speeds[:, None] * ages[..., None]
        return cls(frames[:, 0].astype(np.int64), poses, speeds, known, ~np.isnan(points[:, 0, :, 0]))

    def take(self, rows: Int[np.ndarray, " rows"]) -> Ends:
        """Return the ends of some stretches."""
        return Ends(self.frames[rows], self.poses[rows], self.speeds[rows], self.known[rows], self.visible[rows])


def residuals(a: Ends, b: Ends, damping: Float[np.ndarray, " pairs"]) -> Float[np.ndarray, " pairs"]:
    """Return how far stretches `b` begin from where stretches `a` are expected then, and the other way round, px.

    Args:
        a: Last ends.
        b: First ends of as many later stretches.
        damping: Frames for which a speed is believed, one a pair.

    Returns:
        Root mean square over both directions and the nodes known on both sides; the distance of the middles where
        no node is; NaN where there is no point at all.
    """
    apart = b.poses - a.poses
    missing = np.isnan(apart[..., 0]).all(axis=1)
    if missing.any():
        apart[missing, 0] = _middles(b.poses[missing]) - _middles(a.poses[missing])
    forward = apart - (a.speeds * damping[:, None])[:, None]
    backward = apart - (b.speeds * damping[:, None])[:, None]
    use_forward = a.known | ~b.known
    use_backward = b.known | ~a.known
    squared = use_forward * _mean_square(forward) + use_backward * _mean_square(backward)
    return np.sqrt(squared / (use_forward.astype(np.float64) + use_backward))


def _mean_square(offsets: Float[np.ndarray, "pairs nodes 2"]) -> Float[np.ndarray, " pairs"]:
    """Return the mean squared length of the offsets that are known, NaN without any."""
    squared = offsets[..., 0] ** 2 + offsets[..., 1] ** 2
    seen = ~np.isnan(squared)
    counts = seen.sum(axis=1)
    sums = np.where(seen, squared, 0.0).sum(axis=1)
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def _middles(poses: Float[np.ndarray, "instances nodes 2"]) -> Float[np.ndarray, "instances 2"]:
    """Return the mean of the known nodes, NaN without any."""
    seen = ~np.isnan(poses)
    counts = seen.sum(axis=1)
    sums = np.where(seen, poses, 0.0).sum(axis=1)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
