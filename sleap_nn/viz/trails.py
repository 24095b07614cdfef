"""Trails: the way that animals have come over the last frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import groupby

import cv2
import numpy as np
from jaxtyping import Float

from sleap_nn.viz.images import Color, to_rgb
from sleap_nn.viz.poses import FARTHEST, FIXED_POINT_BITS, point_radius

Place = tuple[float, float]

_NOWHERE: Place = (np.nan, np.nan)
_OPACITY = 0.65


class Trails:
    """Remembers where tracks were; constant memory, whatever the length of the video."""

    def __init__(self, length: int) -> None:
        """Choose how many frames back a trail reaches."""
        self._length = length
        self._frames: deque[tuple[int, Mapping[int, Place]]] = deque()

    def add(self, frame: int, places: Mapping[int, Place]) -> None:
        """Take note of a frame, later than those before.

        Args:
            frame: Its number; what lies more than the length of a trail before it is forgotten.
            places: (x, y) of every track that is in it.
        """
        self._frames.append((frame, places))
        while self._frames[0][0] < frame - self._length:
            self._frames.popleft()

    def missing(self, frame: int) -> range:
        """Return the frames that are to be added so that trails reach a frame, that one included.

        Frames that are not shown themselves belong to trails all the same: a track was there, too.
        """
        reached = self._frames[-1][0] + 1 if self._frames else 0
        return range(max(reached, frame - self._length), frame + 1)

    def paths(self) -> dict[int, Float[np.ndarray, "frames 2"]]:
        """Return the places of every track, oldest first, NaN in the frames in which it was not found."""
        tracks = dict.fromkeys(track for _, places in self._frames for track in places)
        return {
            track: np.array([places.get(track, _NOWHERE) for _, places in self._frames], np.float64) for track in tracks
        }


def draw_trails(
    image: np.ndarray, paths: Sequence[Float[np.ndarray, "frames 2"]], colors: Sequence[Color]
) -> np.ndarray:
    """Draw paths on an image, half transparent and the thinner the older.

    Args:
        image: (height, width[, channels]) uint8, gray or RGB.
        paths: Pixels of the image, oldest first; a path is interrupted where it is NaN.
        colors: One a path.

    Returns:
        RGB uint8 image.
    """
    canvas = to_rgb(image)
    width = 1.6 * point_radius(canvas)
    box = _bounding_box(paths, canvas.shape, round(width) + 2)
    if box is None:
        return canvas
    part = canvas[box]
    corner = np.array([box[1].start, box[0].start])
    painted = part.copy()
    for path, color in zip(paths, colors, strict=True):
        _draw_path(painted, path - corner, color, width)
    canvas[box] = cv2.addWeighted(part, 1 - _OPACITY, painted, _OPACITY, 0)
    return canvas


def _draw_path(canvas: np.ndarray, path: np.ndarray, color: Color, width: float) -> None:
    """Draw a path on the canvas given; neighbouring pieces of equal thickness are one line."""
    near = _drawable(path)
    thickness = np.maximum(1, np.rint(width * np.arange(1, len(path)) / len(path))).astype(int).tolist()
    corners = np.rint(np.where(near[:, None], path, 0) * (1 << FIXED_POINT_BITS)).astype(np.int32)
    pieces = groupby(range(len(path) - 1), key=lambda i: (bool(near[i] and near[i + 1]), thickness[i]))
    for (joined, thick), piece in pieces:
        if joined:
            first, *rest = piece
            line = corners[first : first + len(rest) + 2]
            cv2.polylines(canvas, [line], False, color, thick, cv2.LINE_AA, FIXED_POINT_BITS)


def _drawable(path: np.ndarray) -> np.ndarray:
    """Tell which points are there, and near enough to be drawn."""
    return np.asarray((np.abs(path) < FARTHEST).all(axis=1))


def _bounding_box(paths: Sequence[np.ndarray], shape: tuple[int, ...], margin: int) -> tuple[slice, slice] | None:
    """Return the part (rows, columns) of an image that paths can change, None if there is none."""
    places = np.concatenate([path[_drawable(path)] for path in paths]) if paths else np.zeros((0, 2))
    if len(places) == 0:
        return None
    low = np.floor(places.min(axis=0)).astype(int) - margin
    high = np.ceil(places.max(axis=0)).astype(int) + margin + 1
    left, top = np.clip(low, 0, (shape[1], shape[0])).tolist()
    right, bottom = np.clip(high, 0, (shape[1], shape[0])).tolist()
    return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None
