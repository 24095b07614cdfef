"""Where remembered instances are expected in the present frame: as they were, or moved along by optical flow.

The Kalman filter, which also learns from what it sees, is in `kalman`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int

from sleap_nn.errors import ConfigError
from sleap_nn.tracking.memory import Gray, Moment

MAX_ITERATIONS, SMALLEST_STEP = 30, 0.01
"""When the search for the flow of a point ends."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Earlier instances as they are expected now.

    Attributes:
        points: (M, N, 2), frame px; NaN where nothing is known.
        tracks: (M,) their tracks.
        looks: (M, N, C) what they looked like, where that is compared.
    """

    points: Float[np.ndarray, "stored nodes 2"]
    tracks: Int[np.ndarray, " stored"]
    looks: Float[np.ndarray, "stored nodes channels"] | None = None

    @classmethod
    def join(cls, moments: Sequence[Moment], points: Sequence[np.ndarray]) -> Candidates:
        """Return the instances of several moments, at these points."""
        looks = [moment.looks for moment in moments if moment.looks is not None]
        return cls(
            np.concatenate(points),
            np.concatenate([moment.tracks for moment in moments]),
            np.concatenate(looks) if looks else None,
        )


class Motion(ABC):
    """Carries remembered instances into the present."""

    needs_image: bool = False

    @abstractmethod
    def candidates(self, moments: Sequence[Moment], frame: int, image: Gray | None) -> Candidates:
        """Return the remembered instances as they are expected in a frame.

        Args:
            moments: What is remembered, at least one moment.
            frame: Index of the present frame.
            image: The present frame in grey, where `needs_image` asks for it.
        """

    @abstractmethod
    def observe(self, moment: Moment) -> None:
        """Learn from the instances that were found."""

    @abstractmethod
    def clear(self) -> None:
        """Forget what was learnt, for a new video."""


class Still(Motion):
    """Expects instances where they were."""

    def candidates(self, moments: Sequence[Moment], frame: int, image: Gray | None) -> Candidates:
        """Return the instances as they were."""
        return Candidates.join(moments, [moment.points for moment in moments])

    def observe(self, moment: Moment) -> None:
        """Learn nothing."""

    def clear(self) -> None:
        """Forget nothing."""


class OpticalFlow(Motion):
    """Moves every remembered point along with the image about it.

    Pyramidal Lucas-Kanade: Bouguet, "Pyramidal Implementation of the Lucas Kanade Feature Tracker", Intel, 2000.
    """

    needs_image = True

    def __init__(self, scale: float = 1.0, window_size: int = 21, max_levels: int = 3) -> None:
        """Set the image scale, the side of the window in px of the scaled image, and the levels of the pyramid."""
        self._scale = scale
        self._window = (window_size, window_size)
        self._max_levels = max_levels

    def candidates(self, moments: Sequence[Moment], frame: int, image: Gray | None) -> Candidates:
        """Return the points where the flow from their frame to this one carries them; lost ones are NaN.

        Raises:
            ConfigError: A frame came without its image.
        """
        if image is None or any(moment.image is None for moment in moments):
            raise ConfigError("Optical flow needs the images of the video; track where they can be read.")
        now = self._resize(image)
        return Candidates.join(moments, [self._moved(moment, now) for moment in moments])

    def observe(self, moment: Moment) -> None:
        """Learn nothing."""

    def clear(self) -> None:
        """Forget nothing."""

    def _moved(self, moment: Moment, now: Gray) -> Float[np.ndarray, "stored nodes 2"]:
        """Return the points of a moment in the present frame."""
        assert moment.image is not None
        flat = moment.points.reshape(-1, 2)
        there = ~np.isnan(flat).any(axis=1)
        moved = np.full(flat.shape, np.nan)
        if there.any():
            found, status, _ = cv2.calcOpticalFlowPyrLK(
                self._resize(moment.image),
                now,
                np.asarray(flat[there] * self._scale, np.float32)[:, None],
                None,  # pyright: ignore[reportArgumentType, reportCallIssue]
                winSize=self._window,
                maxLevel=self._max_levels,
                criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, MAX_ITERATIONS, SMALLEST_STEP),
            )
            moved[there] = np.where(status.reshape(-1, 1) == 1, found.reshape(-1, 2) / self._scale, np.nan)
        return moved.reshape(moment.points.shape)

    def _resize(self, image: Gray) -> Gray:
        """Return the image at the scale of the flow."""
        if self._scale == 1:
            return image
        return np.asarray(cv2.resize(image, None, fx=self._scale, fy=self._scale, interpolation=cv2.INTER_AREA))
