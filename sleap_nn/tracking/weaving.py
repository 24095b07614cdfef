"""Stretches that fit into each other's gaps: one animal whose frames were followed by two threads in turns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from sleap_nn.tracking.ends import WINDOW, Ends
from sleap_nn.tracking.evidence import MotionEvidence
from sleap_nn.tracking.tracklets import Tracklet


def weave(stretches: Sequence[Tracklet], evidence: MotionEvidence, price: float) -> list[Tracklet]:
    """Return the stretches with those joined that overlap in time, share no frame, and lie where the other lets expect.

    Args:
        stretches: Of one video.
        evidence: What a change from one to the other costs.
        price: Mean cost of the changes from which on two are not joined.
    """
    woven = sorted(stretches, key=lambda stretch: (len(stretch), tuple(stretch.places[0])))
    index = 0
    while index < len(woven):
        short = woven[index]
        joined = [
            (cost, other, whole)
            for other in range(index + 1, len(woven))
            if (whole := _joined(short, woven[other])) is not None
            and (cost := _cost_of_changes(short, whole, evidence)) < price
        ]
        if joined:
            _, other, whole = min(joined, key=lambda entry: entry[:2])
            woven[other] = whole
            del woven[index]
        else:
            index += 1
    return woven


def _joined(short: Tracklet, other: Tracklet) -> Tracklet | None:
    """Return both as one, by frame; None if they are one after the other, or in one frame at the same time."""
    if short.frames[0] > other.frames[-1] or short.frames[-1] < other.frames[0]:
        return None
    slots = np.searchsorted(other.frames, short.frames)
    if (other.frames[np.minimum(slots, len(other) - 1)] == short.frames).any():
        return None
    return other.interleave(short)


def _cost_of_changes(short: Tracklet, whole: Tracklet, evidence: MotionEvidence) -> float:
    """Return the mean cost of going from one of the two to the other, along the whole."""
    own = np.isin(whole.frames, short.frames)
    edges = np.flatnonzero(own[1:] != own[:-1]) + 1
    bounds = [0, *edges.tolist(), len(whole)]
    before = [whole.part(max(start, stop - WINDOW), stop) for start, stop in pairwise(bounds[:-1])]
    after = [whole.part(start, min(stop, start + WINDOW)) for start, stop in pairwise(bounds[1:])]
    return float(evidence(Ends.last(before), Ends.first(after)).mean())
