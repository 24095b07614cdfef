"""What a detector makes of animals whose tracks are known: jittered, missed and covered instances, in any order.

For tests and measurements of trackers; the animals come from `synthetic` or from tracked labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.data.synthetic import Scene
from sleap_nn.ops.similarity import visible_nodes
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey


@dataclass(frozen=True)
class Detector:
    """How much a detector misses.

    Attributes:
        jitter: Standard deviation of every coordinate, px.
        missed: Share of instances that are not found, each frame by itself.
        gaps: Chance that an animal is lost for a while, per frame.
        longest_gap: Most frames of such a while.
        min_nodes: An instance with fewer visible nodes is not found.
    """

    jitter: float = 1.0
    missed: float = 0.05
    gaps: float = 0.005
    longest_gap: int = 12
    min_nodes: int = 3

    def detect(
        self, frames: Sequence[Float[np.ndarray, "animals nodes 2"]], seed: int
    ) -> tuple[list[Predictions], list[Int[np.ndarray, " instances"]]]:
        """Return what is found in every frame, and which animal each instance is.

        Args:
            frames: Visible points of all animals, px; NaN where covered.
            seed: Chooses what is missed, noise and order.
        """
        rng = np.random.default_rng(seed)
        lost_until = np.zeros(len(frames[0]), np.int64)
        found, animals = [], []
        for index, points in enumerate(frames):
            begins = (rng.random(len(points)) < self.gaps) & (lost_until <= index)
            lost_until = np.where(begins, index + rng.integers(1, self.longest_gap + 1, len(points)), lost_until)
            there = visible_nodes(points)
            kept = (there.sum(axis=1) >= self.min_nodes) & (lost_until <= index)
            kept &= rng.random(len(points)) >= self.missed
            order = rng.permutation(np.flatnonzero(kept))
            noisy = (points[order] + rng.normal(0, self.jitter, points[order].shape)).astype(np.float32)
            scores = there[order].mean(axis=1).astype(np.float32)
            found.append(Predictions(FrameKey(0, index), noisy, there[order].astype(np.float32), scores))
            animals.append(order)
        return found, animals


def crossing_animals(scene: Scene, num_frames: int) -> list[Float[np.ndarray, "animals nodes 2"]]:
    """Return the visible points of a scene, frame by frame; its animals walk over each other and hide."""
    return [
        np.where(scene.visible(t)[..., None], scene.points(t), np.nan).astype(np.float64) for t in range(num_frames)
    ]
