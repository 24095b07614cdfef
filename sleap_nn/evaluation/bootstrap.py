"""Bootstrap intervals: how much a metric would vary if other frames of the same kind had been labelled.

What varies is `sleap_nn.evaluation.frame_statistics`: metrics as functions of how often each frame counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

Statistic = Callable[[Int[np.ndarray, " frames"]], float]
"""A metric as a function of how often each frame counts; NaN where it is not defined."""

MIN_FRAMES = 5
"""With fewer frames there is no interval: so few say next to nothing about how others would differ."""

NUM_RESAMPLES = 1000


class Estimate(NamedTuple):
    """A metric and its interval; the bounds are NaN where there is none."""

    value: float
    low: float
    high: float


def bootstrap(
    statistics: Mapping[str, Statistic],
    num_frames: int,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """Estimate metrics with percentile intervals.

    Whole frames are drawn with replacement, because the points of one frame err together (Efron & Tibshirani, "An
    Introduction to the Bootstrap", 1993, chapters 8 and 13). All statistics see the same draws.

    Args:
        statistics: Metrics by name.
        num_frames: Number of frames.
        num_resamples: How often frames are drawn.
        seed: Same seed, same draws.
        level: Share of the resamples inside the interval.

    Returns:
        The metric over every frame once, and its interval, by name. Resamples in which a metric is not defined are
        left out of its interval.
    """
    every_frame = np.ones(num_frames, np.int64)
    values = {name: float(statistic(every_frame)) for name, statistic in statistics.items()}
    if num_frames < MIN_FRAMES:
        return {name: Estimate(value, float("nan"), float("nan")) for name, value in values.items()}
    rng = np.random.default_rng(seed)
    drawn = np.empty((num_resamples, len(statistics)))
    for row in drawn:
        counts = np.bincount(rng.integers(num_frames, size=num_frames), minlength=num_frames)
        row[:] = [statistic(counts) for statistic in statistics.values()]
    bounds = (50 * (1 - level), 50 * (1 + level))
    intervals = [_percentiles(column, bounds) for column in drawn.T]
    return {name: Estimate(values[name], *interval) for name, interval in zip(values, intervals, strict=True)}


def _percentiles(values: np.ndarray, percents: tuple[float, float]) -> tuple[float, float]:
    """Return two percentiles of the values that are numbers, NaN without any."""
    known = values[~np.isnan(values)]
    low, high = np.percentile(known, percents) if known.size else (np.nan, np.nan)
    return float(low), float(high)
