"""`Region`: the part of a frame that becomes one network input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """The whole frame, or the square around an anchor; the side of the square belongs to the `InputSpec`.

    Attributes:
        centre: (x, y) frame px of the anchor, or None for the whole frame.
        score: How sure the stage before was of the anchor.
    """

    centre: tuple[float, float] | None = None
    score: float = 1.0
