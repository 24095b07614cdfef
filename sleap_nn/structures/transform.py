"""`Transform`: the affine map from frame px to input px that travels with the pixels it made.

There is one convention: a point is (x, y), an integer is a pixel's sample point, and resizing multiplies.
Pixels are resampled in `ops.resample`, not here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Transform:
    """An affine map of points, frame px to input px unless a name says otherwise.

    Attributes:
        matrix: (2, 3) float64; a point maps to ``matrix[:, :2] @ point + matrix[:, 2]``.
    """

    matrix: Float[np.ndarray, "2 3"]

    def __post_init__(self) -> None:
        """Freeze a float64 copy of the matrix."""
        matrix = np.array(self.matrix, dtype=np.float64).reshape(2, 3)
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def identity(cls) -> Transform:
        """Return the map that changes nothing."""
        return cls(np.eye(2, 3))

    @classmethod
    def scaling(cls, x: float, y: float | None = None) -> Transform:
        """Return multiplication of x and y; one factor serves both."""
        return _from_numbers((x, 0.0, 0.0), (0.0, x if y is None else y, 0.0))

    @classmethod
    def translation(cls, x: float, y: float) -> Transform:
        """Return a shift by (x, y)."""
        return _from_numbers((1.0, 0.0, x), (0.0, 1.0, y))

    @classmethod
    def rotation(cls, degrees: float) -> Transform:
        """Return a turn about the origin; positive is clockwise on a screen, where y points down."""
        angle = math.radians(degrees)
        cos, sin = math.cos(angle), math.sin(angle)
        return _from_numbers((cos, -sin, 0.0), (sin, cos, 0.0))

    def about(self, centre: Sequence[float] | np.ndarray) -> Transform:
        """Return this map with `centre` (x, y) in the role of the origin."""
        x, y = float(centre[0]), float(centre[1])
        (a, b, c), (d, e, f) = self.matrix.tolist()
        return _from_numbers((a, b, c + x - a * x - b * y), (d, e, f + y - d * x - e * y))

    def then(self, other: Transform) -> Transform:
        """Return the map that applies this one first and `other` second."""
        # Single numbers: every sample chains a dozen maps, and an array operation takes as long as all of these.
        (a, b, c), (d, e, f) = self.matrix.tolist()
        (p, q, r), (s, t, u) = other.matrix.tolist()
        first = (p * a + q * d, p * b + q * e, p * c + q * f + r)
        return _from_numbers(first, (s * a + t * d, s * b + t * e, s * c + t * f + u))

    def inverse(self) -> Transform:
        """Return the map back.

        Raises:
            numpy.linalg.LinAlgError: The map flattens the plane.
        """
        (a, b, c), (d, e, f) = self.matrix.tolist()
        area = a * e - b * d
        if area == 0:
            raise np.linalg.LinAlgError("The map flattens the plane.")
        a, b, d, e = e / area, -b / area, -d / area, a / area
        return _from_numbers((a, b, -a * c - b * f), (d, e, -d * c - e * f))

    def __call__(self, points: Float[np.ndarray, "*shape 2"]) -> Float[np.ndarray, "*shape 2"]:
        """Map points (..., 2); NaN stays NaN. The result keeps a floating dtype, float64 otherwise."""
        points = np.asarray(points)
        mapped = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        return mapped.astype(points.dtype) if np.issubdtype(points.dtype, np.floating) else mapped


def _from_numbers(first: Sequence[float], second: Sequence[float]) -> Transform:
    """Return the map of two rows, without the copy that an array from outside needs."""
    matrix = np.array((first, second), np.float64)
    matrix.setflags(write=False)
    transform = object.__new__(Transform)
    object.__setattr__(transform, "matrix", matrix)
    return transform
