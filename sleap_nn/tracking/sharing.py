"""No more tracks than animals: a stretch that fits into no other as a whole is cut, and its parts fill gaps of others.

Links and weaving join whole stretches. Three stretches of which each two share a frame stay three by that, even where
no frame has more than two instances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sleap_nn.tracking.ends import WINDOW, Ends
from sleap_nn.tracking.evidence import MotionEvidence
from sleap_nn.tracking.tracklets import Tracklet


def share_out(stretches: Sequence[Tracklet], count: int, evidence: MotionEvidence) -> list[Tracklet]:
    """Return at most so many stretches with all instances; the shortest are shared out among the others.

    Args:
        stretches: Of one video.
        count: Not below the number of instances of any frame, so that there is always one that lacks the frame.
        evidence: What a change from one stretch to another costs.
    """
    left = list(stretches)
    while len(left) > count:
        left.sort(key=lambda stretch: (len(stretch), tuple(stretch.places[0])))
        left = _without_shortest(left[0], left[1:], evidence)
    return left


def _without_shortest(short: Tracklet, others: Sequence[Tracklet], evidence: MotionEvidence) -> list[Tracklet]:
    """Return the others with the parts of a stretch, each where it fits best, in as cheap a way as possible."""
    places = _Places.of(short, others)
    whole = list(others)
    starts, stops = places.starts, places.stops
    for start, stop, owner in zip(
        starts.tolist(), stops.tolist(), _owners(short, others, places, evidence), strict=True
    ):
        whole[owner] = whole[owner].interleave(short.part(start, stop))
    return whole


@dataclass(frozen=True, eq=False)
class _Places:
    """Where the parts of a stretch could go. Within a part, each other stretch has all of its frames or none.

    Attributes:
        starts: (P,) first row of each part.
        stops: (P,) row after its last.
        slots: (P, M) how many frames of each other stretch come before the part.
        free: (P, M) whether the other stretch lacks the frames of the part.
    """

    starts: Int[np.ndarray, " parts"]
    stops: Int[np.ndarray, " parts"]
    slots: Int[np.ndarray, "parts others"]
    free: Bool[np.ndarray, "parts others"]

    @classmethod
    def of(cls, short: Tracklet, others: Sequence[Tracklet]) -> _Places:
        """Cut a stretch wherever another one gets free, gets occupied, or lies between two of its frames."""
        slots = np.stack([np.searchsorted(other.frames, short.frames) for other in others], axis=1)
        after = np.stack([np.searchsorted(other.frames, short.frames, side="right") for other in others], axis=1)
        free = slots == after
        differs = (free[1:] != free[:-1]) | (free[1:] & (slots[1:] > after[:-1]))
        starts = np.concatenate([[0], 1 + np.flatnonzero(differs.any(axis=1))])
        return cls(starts, np.append(starts[1:], len(short)), slots[starts], free[starts])


def _owners(short: Tracklet, others: Sequence[Tracklet], places: _Places, evidence: MotionEvidence) -> list[int]:
    """Return which other stretch takes each part, so that all changes together cost least.

    Bellman's recursion over the parts; a part stays with its neighbour as one animal unless a change is cheaper.
    """
    enter, leave = _changes(short, others, places, evidence)
    stay = _stays(short, places, evidence)
    between = places.slots[1:] > places.slots[:-1]
    total, sources = enter[0], []
    for part in range(1, len(enter)):
        left = total + leave[part - 1]
        best = int(left.argmin())
        kept = total + np.where(between[part - 1], leave[part - 1] + enter[part], stay[part - 1])
        changed = left[best] + enter[part]
        sources.append(np.where(kept <= changed, np.arange(len(kept)), best))
        total = np.minimum(kept, changed)
    owners = [int((total + leave[-1]).argmin())]
    for source in reversed(sources):
        owners.append(int(source[owners[-1]]))
    return owners[::-1]


def _changes(
    short: Tracklet, others: Sequence[Tracklet], places: _Places, evidence: MotionEvidence
) -> tuple[Float[np.ndarray, "parts others"], Float[np.ndarray, "parts others"]]:
    """Return what it costs to go from others to parts of a stretch, less what the gap cost before, and back.

    Both are infinite where a place is not free.
    """
    enter = np.where(places.free, 0.0, np.inf)
    leave = enter.copy()
    parts, columns = np.nonzero(places.free)
    slots = places.slots[parts, columns]
    lengths = np.array([len(other) for other in others])[columns]
    entered, left = slots > 0, slots < lengths
    both = entered & left

    def before(rows: np.ndarray) -> Ends:
        return Ends.last([others[c].part(max(0, s - WINDOW), s) for c, s in _pairs(columns, slots, rows)])

    def after(rows: np.ndarray) -> Ends:
        return Ends.first([others[c].part(s, s + WINDOW) for c, s in _pairs(columns, slots, rows)])

    begin, end = _ends(short, places)
    if entered.any():
        enter[parts[entered], columns[entered]] += evidence(before(entered), begin.take(parts[entered]))
    if left.any():
        leave[parts[left], columns[left]] += evidence(end.take(parts[left]), after(left))
    if both.any():
        enter[parts[both], columns[both]] -= evidence(before(both), after(both))
    return enter, leave


def _stays(short: Tracklet, places: _Places, evidence: MotionEvidence) -> Float[np.ndarray, " changes"]:
    """Return what it costs to go on from each part of a stretch to the next."""
    begin, end = _ends(short, places)
    rows = np.arange(len(places.starts) - 1)
    return evidence(end.take(rows), begin.take(rows + 1))


def _ends(short: Tracklet, places: _Places) -> tuple[Ends, Ends]:
    """Return how the parts of a stretch begin and end, as the whole shows it."""
    begin = Ends.first([short.part(start, start + WINDOW) for start in places.starts.tolist()])
    end = Ends.last([short.part(max(0, stop - WINDOW), stop) for stop in places.stops.tolist()])
    return begin, end


def _pairs(columns: np.ndarray, slots: np.ndarray, rows: np.ndarray) -> list[tuple[int, int]]:
    """Return the chosen pairs of another stretch and a place in it."""
    return list(zip(columns[rows].tolist(), slots[rows].tolist(), strict=True))
