"""Tracks of a whole video at once: stretches that are beyond doubt, linked by what fits best over the whole video.

Online trackers decide at each frame; here a crossing is decided when both sides of it are known. The links are a
minimum-cost path cover of the stretches, as in Zhang, Li and Nevatia, "Global Data Association for Multi-Object
Tracking Using Network Flows", CVPR 2008, solved as an assignment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from sleap_nn.ops.centroids import centroids
from sleap_nn.structures.predictions import Predictions
from sleap_nn.tracking.tracklets import Tracklet, body_length, find_tracklets, mean_step

ENDS = 8
"""Frames at the ends of a stretch from which its speed there is measured."""
HORIZON = 8.0
"""Frames for which a speed is believed."""
SPREAD, SPREAD_GROWTH = 0.15, 0.12
"""Deviation from the expected place, in body lengths: at once, and its growth with the square root of the frames."""
PROPORTION_SPREAD = 0.06
"""Relative deviation of a body's proportions between two stretches of one animal that have any length."""
STEADY = 10
"""Frames after which proportions are known well."""
MAX_TERM = 12.0
"""Largest cost of one kind of evidence: a single glitch never decides alone."""
GAP_COST = 0.35


@dataclass(frozen=True)
class Round:
    """One pass over the stretches.

    Attributes:
        max_gap: Most frames between two stretches that are linked.
        price: Cost above which a link is worse than none.
    """

    max_gap: int
    price: float


ROUNDS = (Round(3, 6.0), Round(15, 9.0), Round(75, 13.0), Round(300, 16.0))
"""From near and certain to far: what is linked early tells more about the animal in later passes."""


def link(
    found: Sequence[Predictions],
    num_animals: int | None = None,
    appearances: Mapping[tuple[int, int], Float[np.ndarray, " features"]] | None = None,
) -> list[Predictions]:
    """Return the frames of one video with tracks.

    Args:
        found: All frames of the video, ascending, with their instances.
        num_animals: How many animals there are, None if unknown; with it, tracks are linked over any gap until no
            more than that many are left at any time.
        appearances: Descriptor of the image of each instance by (position of the frame, row), where there are any.

    Returns:
        The same instances; tracks count from 0 by first appearance.
    """
    length = body_length(found)
    stretches = find_tracklets(found, length)
    for stage in ROUNDS:
        stretches = _linked(stretches, stage, length, appearances)
    if num_animals is not None:
        stretches = _linked(stretches, Round(len(found) + 10**6, np.inf), length, appearances)
    tracks = [np.full(len(entry), -1, np.int64) for entry in found]
    for number, stretch in enumerate(sorted(stretches, key=lambda stretch: tuple(stretch.places[0]))):
        for position, row in stretch.places.tolist():
            tracks[position][row] = number
    return [entry.with_tracks(own, np.ones(len(own))) for entry, own in zip(found, tracks, strict=True)]


@dataclass(frozen=True, eq=False)
class _Ends:
    """What is known of a stretch where it begins, where it ends, and of the animal."""

    start: int
    stop: int
    first: np.ndarray
    last: np.ndarray
    speed_first: np.ndarray
    speed_last: np.ndarray
    proportions: np.ndarray
    look: np.ndarray | None
    length: int

    @classmethod
    def of(
        cls, stretch: Tracklet, appearances: Mapping[tuple[int, int], Float[np.ndarray, " features"]] | None
    ) -> _Ends:
        looks = (
            []
            if appearances is None
            else [appearances[p] for p in map(tuple, stretch.places.tolist()) if p in appearances]
        )
        return cls(
            start=int(stretch.frames[0]),
            stop=int(stretch.frames[-1]),
            first=centroids(stretch.points[:1])[0],
            last=centroids(stretch.points[-1:])[0],
            speed_first=mean_step(stretch.points[:ENDS]),
            speed_last=mean_step(stretch.points[-ENDS:]),
            proportions=_proportions(stretch.points),
            look=np.mean(looks, axis=0) if looks else None,
            length=len(stretch),
        )


def _proportions(points: Float[np.ndarray, "frames nodes 2"]) -> Float[np.ndarray, " pairs"]:
    """Return the logarithm of the median distance of every pair of nodes; NaN where never seen together."""
    a, b = np.triu_indices(points.shape[1], 1)
    every = points[:: max(1, len(points) // 200)]
    distances = np.sqrt(((every[:, a] - every[:, b]) ** 2).sum(axis=-1))
    seen = ~np.isnan(distances)
    medians = np.full(distances.shape[1], np.nan)
    for pair in np.flatnonzero(seen.any(axis=0)):
        medians[pair] = np.log(np.median(distances[seen[:, pair], pair]) + 1.0)
    return medians


def _linked(
    stretches: list[Tracklet], stage: Round, length: float, appearances: Mapping[tuple[int, int], np.ndarray] | None
) -> list[Tracklet]:
    """Return the stretches after one pass."""
    ends = [_Ends.of(stretch, appearances) for stretch in stretches]
    followers = _best_links(ends, stage, length)
    joined: dict[int, Tracklet] = {}
    for index in sorted(range(len(stretches)), key=lambda i: -ends[i].start):
        stretch = stretches[index]
        joined[index] = stretch.join(joined.pop(followers[index])) if index in followers else stretch
    return list(joined.values())


def _best_links(ends: Sequence[_Ends], stage: Round, length: float) -> dict[int, int]:
    """Return stretch -> the one that follows it, so that the total cost of links and loose ends is smallest."""
    order = np.argsort([end.start for end in ends], kind="stable")
    starts = np.array([ends[i].start for i in order])
    rows, columns, costs = [], [], []
    for a, end in enumerate(ends):
        low, high = np.searchsorted(starts, [end.stop + 1, end.stop + stage.max_gap + 1])
        for b in order[low:high]:
            cost = _cost(end, ends[b], length)
            if cost < stage.price:
                rows.append(a)
                columns.append(int(b))
                costs.append(cost)
    if not rows:
        return {}
    count, loose = len(ends), min(stage.price, max(costs) * (len(rows) + 1) + 1.0)
    # The solver wants positive weights, and every row needs a partner: its own loose end.
    weights = np.concatenate([np.array(costs) + 1.0, np.full(count, loose + 1.0)])
    shape = (count, 2 * count)
    table = coo_array(
        (weights, (np.concatenate([rows, range(count)]), np.concatenate([columns, np.arange(count) + count]))), shape
    )
    chosen_rows, chosen_columns = min_weight_full_bipartite_matching(table.tocsr())
    return {int(a): int(b) for a, b in zip(chosen_rows, chosen_columns, strict=True) if b < count}


def _cost(a: _Ends, b: _Ends, length: float) -> float:
    """Return how unlikely it is that `b` goes on with the animal of `a`: half squared deviations, and the gap."""
    gap = b.start - a.stop
    believed = HORIZON * (1 - np.exp(-gap / HORIZON))
    ahead = a.last + a.speed_last * believed - b.first
    back = b.first - b.speed_first * believed - a.last
    spread = (SPREAD + SPREAD_GROWTH * np.sqrt(gap)) * length
    motion = float(ahead @ ahead + back @ back) / (4 * spread**2)
    body = _difference(a.proportions, b.proportions) / (PROPORTION_SPREAD / _trust(a, b))
    look = 0.0 if a.look is None or b.look is None else _difference(a.look, b.look) / (PROPORTION_SPREAD / _trust(a, b))
    return min(motion, 2 * MAX_TERM) + min(body**2 / 2, MAX_TERM) + min(look**2 / 2, MAX_TERM) + GAP_COST * np.log(gap)


def _trust(a: _Ends, b: _Ends) -> float:
    """Return how far the averages over two stretches are to be believed: 0 for single frames, towards 1."""
    shorter = min(a.length, b.length)
    return shorter / (shorter + STEADY)


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean absolute difference of what both know, 0 if that is nothing."""
    apart = np.abs(a - b)
    known = ~np.isnan(apart)
    return float(apart[known].mean()) if known.any() else 0.0
