"""Whether a run has begun to learn its training frames by heart: a judgement on its losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import median_filter

FEWEST_EPOCHS = 8
RISE = 1.1
"""Times the lowest validation loss that the last ones must reach."""
FALL = 0.97
"""Times the training loss of the best epoch that the last ones must stay below."""
SHORTEST = 4
"""Epochs after the best one from which a rise is no accident."""

REMEDIES = (
    "Label more frames that look different, widen the augmentation, or take a smaller network (filters); "
    "early_stopping.patience ends such a run sooner."
)


@dataclass(frozen=True)
class Overfitting:
    """A validation loss that rises while the training loss falls.

    Attributes:
        epoch: Position of the epoch from which it does, that with the lowest validation loss.
        val: Validation loss there, and at the end.
        train: Training loss there, and at the end.
    """

    epoch: int
    val: tuple[float, float]
    train: tuple[float, float]


def find_overfitting(train: Sequence[float], val: Sequence[float]) -> Overfitting | None:
    """Return since when a run overfits, None if it does not or that cannot be told.

    Medians over neighbouring epochs are compared, so that single epochs decide nothing.

    Args:
        train: Training loss of every epoch; may hold NaN.
        val: Validation loss of the same epochs.
    """
    losses = np.array([train, val], np.float64).reshape(2, -1)
    known = np.flatnonzero(np.isfinite(losses).all(axis=0))
    if len(known) < FEWEST_EPOCHS:
        return None
    smooth_train, smooth_val = (_smoothed(values[known]) for values in losses)
    best = int(smooth_val.argmin())
    num_last = max(3, len(known) // 10)
    last_train, last_val = float(np.median(smooth_train[-num_last:])), float(np.median(smooth_val[-num_last:]))
    lasts = len(known) - 1 - best >= max(SHORTEST, len(known) // 10)
    if not lasts or last_val < RISE * smooth_val[best] or last_train > FALL * smooth_train[best]:
        return None
    near = known[max(0, best - 1) : best + 2]
    epoch = int(near[losses[1, near].argmin()])
    return Overfitting(epoch, (float(smooth_val[best]), last_val), (float(smooth_train[best]), last_train))


def _smoothed(values: Float[np.ndarray, " epochs"]) -> Float[np.ndarray, " epochs"]:
    """Return the median of every epoch and its two neighbours."""
    return median_filter(values, 3, mode="nearest")
