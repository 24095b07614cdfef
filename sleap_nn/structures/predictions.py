"""What comes out: `Detection` of one network input (input px), `Predictions` of one frame (frame px)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.transform import Transform


@dataclass(frozen=True, eq=False)
class Detection:
    """Points found in one region, before they are assembled into instances.

    Attributes:
        points: (..., 2) float32, input px until lifted, frame px after; NaN where nothing was found. The task
            that detects decides the leading axes: (N, 2) for one point a node, (K, 2) for a list of peaks.
        scores: (...) float32, map value at each point, 0 where nothing was found.
        extras: Arrays that do not move with the points (node of each peak, line scores, class probabilities).
        anchor_score: How sure the stage before was of the region, 1 for a whole frame.
    """

    points: Float[np.ndarray, "*shape 2"]
    scores: Float[np.ndarray, "*shape"]
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)
    anchor_score: float = 1.0

    def lift(self, transform: Transform, anchor_score: float = 1.0) -> Detection:
        """Return the detection in frame px; the one inverse mapping of coordinates in the package.

        Args:
            transform: Frame px to input px, as `InputSpec.read` returned it with the pixels.
            anchor_score: Score of the region that was read.
        """
        return replace(self, points=transform.inverse()(self.points), anchor_score=anchor_score)


@dataclass(frozen=True, eq=False)
class Raw:
    """What else is known of a frame, kept on request only.

    Attributes:
        maps: Name -> array of the whole frame: an activated map (C, h, w) by the name of its head, and ``transform``
            (2, 3), frame px to input px.
        of_instances: Name -> array with one entry an instance, in the order of `Predictions`.
    """

    maps: Mapping[str, np.ndarray] = field(default_factory=dict)
    of_instances: Mapping[str, np.ndarray] = field(default_factory=dict)

    def take(self, rows: Int[np.ndarray, " rows"] | Bool[np.ndarray, " instances"]) -> Raw:
        """Return what is known of some of the instances."""
        return replace(self, of_instances={name: values[rows] for name, values in self.of_instances.items()})


@dataclass(frozen=True, eq=False)
class Predictions:
    """The instances of one frame.

    Attributes:
        key: Which frame.
        points: (I, N, 2) float32, frame px; NaN where a node was not found.
        point_scores: (I, N) float32, map values; 0 where a node was not found.
        scores: (I,) float32, one for each instance.
        class_ids: (I,) int64 of learned identities, -1 for none of them, or None without them.
        class_scores: (I,) float32, probability of the identity, or None without them.
        tracks: (I,) int64 of tracks over time, or None before tracking.
        track_scores: (I,) float32, how well each instance fits its track, or None before tracking.
        raw: What else is known of the frame, None unless it was asked for.
    """

    key: FrameKey
    points: Float[np.ndarray, "instances nodes 2"]
    point_scores: Float[np.ndarray, "instances nodes"]
    scores: Float[np.ndarray, " instances"]
    class_ids: Int[np.ndarray, " instances"] | None = None
    class_scores: Float[np.ndarray, " instances"] | None = None
    tracks: Int[np.ndarray, " instances"] | None = None
    track_scores: Float[np.ndarray, " instances"] | None = None
    raw: Raw | None = None

    @classmethod
    def empty(cls, key: FrameKey, num_nodes: int) -> Predictions:
        """Return a frame in which nothing was found."""
        return cls(
            key=key,
            points=np.zeros((0, num_nodes, 2), np.float32),
            point_scores=np.zeros((0, num_nodes), np.float32),
            scores=np.zeros(0, np.float32),
        )

    def anchors(self) -> list[Region]:
        """Return the regions that the next stage reads: one about the mean point of every instance."""
        centres = np.nanmean(self.points, axis=1)
        return [Region((float(x), float(y)), float(s)) for (x, y), s in zip(centres, self.scores, strict=True)]

    def take(self, rows: Int[np.ndarray, " rows"] | Bool[np.ndarray, " instances"]) -> Predictions:
        """Return some of the instances, in the order of `rows`."""
        taken = {name: vars(self)[name] for name in PER_INSTANCE if vars(self)[name] is not None}
        raw = None if self.raw is None else self.raw.take(rows)
        return replace(self, raw=raw, **{name: values[rows] for name, values in taken.items()})

    def with_tracks(
        self, tracks: Int[np.ndarray, " instances"], scores: Float[np.ndarray, " instances"] | None
    ) -> Predictions:
        """Return the instances with these tracks and their scores."""
        return replace(self, tracks=tracks, track_scores=None if scores is None else np.asarray(scores, np.float32))

    def __len__(self) -> int:
        """Return the number of instances."""
        return len(self.points)


PER_INSTANCE = ("points", "point_scores", "scores", "class_ids", "class_scores", "tracks", "track_scores")
"""Fields of `Predictions` with one entry an instance."""
