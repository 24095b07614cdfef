"""Which instances have left and right exchanged, judged by all the others.

Two signs are used. Seen from the body's axis, the right node of a pair lies on one side of the left one; and a node is
closer to its neighbour on its own side than to that on the other. Both are measured against how nearly all instances
look, so that animals for which neither holds (seen from the side, curled up) raise no alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Complex, Float

FEWEST = 20
"""Instances that it takes to know what is usual."""

MOST_FLAGGED = 0.15
"""A larger share that differs is a way the animals look, and no mistake."""

_TURNED = np.deg2rad(105)
_TIMES_SPREAD = 4.5
_SHORTEST = 0.4
_CLOSER = 0.4  # log of the ratio by which the own side must usually be closer
_NORMAL = 1.4826  # standard deviations in a median absolute deviation
_ITERATIONS = 8
_CONTRACTED = 3.0
_MODEL_INSTANCES = 2000
_TRIPLE_INSTANCES = 400
_ONE_SIDED = 0.95

Pairs = Sequence[tuple[int, int]]
Places = Complex[np.ndarray, "instances nodes"]


def likely_swaps(
    points: Float[np.ndarray, "instances nodes 2"], pairs: Pairs, edges: Pairs = ()
) -> Bool[np.ndarray, "instances pairs"]:
    """Tell which pairs of which instances are likely to have left and right exchanged.

    Args:
        points: Labelled points, px; NaN where not visible.
        pairs: (left, right) node indices; which is which does not matter.
        edges: Pairs of nodes that are neighbours.
    """
    places = np.asarray(points[..., 0] + 1j * points[..., 1])
    return _with_crossed(_turned(places, pairs), places, pairs, edges)


def one_sided_triple(points: Float[np.ndarray, "instances nodes 2"]) -> tuple[int, int, int] | None:
    """Return three nodes that nearly always follow each other in the same sense of rotation, None without any.

    Such an animal differs from its mirror image.

    Args:
        points: Labelled points, px; NaN where not visible.
    """
    sampled = _sampled(points, _TRIPLE_INSTANCES)
    places = sampled[..., 0] + 1j * sampled[..., 1]
    best, most = None, _ONE_SIDED
    for first, second in combinations(range(places.shape[1]), 2):
        thirds = places[:, second + 1 :] - places[:, first, None]
        side = places[:, second, None] - places[:, first, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            sines = (np.conj(side) * thirds).imag / (np.abs(side) * np.abs(thirds))
        known = np.isfinite(sines)
        count = known.sum(axis=0)
        shares = np.abs(np.sign(np.where(known, sines, 0)).sum(axis=0)) / np.maximum(count, 1)
        for index in np.flatnonzero((count >= FEWEST) & (shares > most)):
            turns = np.median(np.abs(sines[known[:, index], index])) > np.sin(np.deg2rad(10))
            if turns and shares[index] > most:
                best, most = (first, second, second + 1 + int(index)), shares[index]
    return best


def _turned(places: Places, pairs: Pairs) -> Bool[np.ndarray, "instances pairs"]:
    """Tell which pairs point the other way in the frame of the body."""
    found = np.zeros((len(places), len(pairs)), bool)
    if not pairs:
        return found
    body = _in_body_frame(places, pairs)
    for index, (left, right) in enumerate(pairs):
        found[:, index] = _opposite(body[:, right] - body[:, left])
    return found


def _opposite(vectors: Complex[np.ndarray, " instances"]) -> Bool[np.ndarray, " instances"]:
    """Tell which vectors point away from where nearly all others do; short ones say nothing."""
    lengths = np.abs(vectors)
    known = np.isfinite(lengths) & (lengths > 0)
    if known.sum() < FEWEST:
        return np.zeros(len(vectors), bool)
    units = vectors[known] / lengths[known]
    usual = np.median(units.real) + 1j * np.median(units.imag)
    angles = np.zeros(len(vectors))
    angles[known] = np.abs(np.angle(units * np.conj(usual)))
    spread = _NORMAL * float(np.median(angles[known]))
    long = lengths > _SHORTEST * np.median(lengths[known])
    return _if_few(known & long & (angles > max(_TURNED, _TIMES_SPREAD * spread)), known)


def _in_body_frame(places: Places, pairs: Pairs) -> Places:
    """Turn, scale and shift every instance so that its landmarks fall on the usual ones.

    Landmarks are the unpaired nodes and the middles of pairs, which stay where they are when left and right are
    exchanged. This is the generalised Procrustes analysis (Gower, Psychometrika 1975), with medians for means.

    Returns:
        Places in units of the spread of the landmarks; NaN where there are too few of them.
    """
    marks = _landmarks(places, pairs)
    usable = np.isfinite(marks).any(axis=0)
    marks = marks[:, usable]
    if marks.shape[1] < 2:
        return np.full_like(places, np.nan)
    turns, shifts = _fit(marks, _usual_landmarks(_sampled(marks, _MODEL_INSTANCES)))
    sizes = np.abs(turns)
    known = np.isfinite(sizes)
    contracted = known & (sizes > _CONTRACTED * np.median(sizes[known])) if known.any() else known
    turns = np.where(contracted, np.nan, turns)
    return turns[:, None] * places + shifts[:, None]


def _landmarks(places: Places, pairs: Pairs) -> Places:
    """Return unpaired nodes and the middles of pairs."""
    paired = {node for pair in pairs for node in pair}
    alone = [node for node in range(places.shape[1]) if node not in paired]
    middles = [(places[:, left] + places[:, right]) / 2 for left, right in pairs]
    return np.stack([*(places[:, node] for node in alone), *middles], axis=1)


def _usual_landmarks(marks: Places) -> Complex[np.ndarray, " nodes"]:
    """Return where landmarks usually are, about 0 and with a spread of 1."""
    usual = _most_complete(marks)
    for _ in range(_ITERATIONS):
        turns, shifts = _fit(marks, usual)
        usual = _normalised(_column_medians(turns[:, None] * marks + shifts[:, None]))
    return usual


def _sampled(rows: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many rows, evenly spaced."""
    return rows[:: max(1, -(-len(rows) // most))]


def _most_complete(marks: Places) -> Complex[np.ndarray, " nodes"]:
    """Return the landmarks of an instance that shows most of them and is of a usual size."""
    counts = np.isfinite(marks).sum(axis=1)
    rows = np.flatnonzero(counts == counts.max())
    sizes = np.array([_spread(marks[row]) for row in rows])
    return _normalised(marks[rows[int(np.argmin(np.abs(sizes - np.median(sizes))))]])


def _fit(marks: Places, usual: Complex[np.ndarray, " nodes"]) -> tuple[np.ndarray, np.ndarray]:
    """Return for every instance the factor and the shift that bring its landmarks closest to the usual ones."""
    known = np.isfinite(marks) & np.isfinite(usual)
    count = known.sum(axis=1)
    some = np.maximum(count, 1)
    centre = np.where(known, marks, 0).sum(axis=1) / some
    goal = np.where(known, usual, 0).sum(axis=1) / some
    offset = np.where(known, marks - centre[:, None], 0)
    target = np.where(known, usual[None] - goal[:, None], 0)
    size = (np.abs(offset) ** 2).sum(axis=1)
    fits = (count >= 2) & (size > 0)
    turns = np.where(fits, (np.conj(offset) * target).sum(axis=1) / np.where(fits, size, 1), np.nan)
    return turns, goal - turns * centre


def _column_medians(places: Places) -> Complex[np.ndarray, " nodes"]:
    """Return the median of every column that has a value, else NaN."""
    medians = np.full(places.shape[1], np.nan, complex)
    for column, values in enumerate(places.T):
        values = values[np.isfinite(values)]
        if len(values):
            medians[column] = np.median(values.real) + 1j * np.median(values.imag)
    return medians


def _normalised(marks: Complex[np.ndarray, " nodes"]) -> Complex[np.ndarray, " nodes"]:
    """Return landmarks about 0 with a spread of 1; NaN if they have none."""
    known = marks[np.isfinite(marks)]
    spread = _spread(marks)
    return (marks - known.mean()) / spread if spread > 0 else np.full_like(marks, np.nan)


def _spread(marks: Complex[np.ndarray, " nodes"]) -> float:
    """Return the root mean squared distance from the middle."""
    known = marks[np.isfinite(marks)]
    return float(np.sqrt((np.abs(known - known.mean()) ** 2).mean())) if len(known) else 0.0


def _with_crossed(
    turned: Bool[np.ndarray, "instances pairs"], places: Places, pairs: Pairs, edges: Pairs
) -> Bool[np.ndarray, "instances pairs"]:
    """Add the pairs that are closer to their neighbours on the other side, unless a turned pair explains it.

    Exchanging one pair spoils all its limbs; of all pairs with spoilt limbs, that one is named whose exchange repairs
    most of them.
    """
    found = turned.copy()
    limbs = _limbs(pairs, edges)
    crossed = [_crossing(places, pairs[a], pairs[b]) for a, b in limbs]
    for row in np.flatnonzero(np.any(crossed, axis=0)) if crossed else ():
        spoilt = {limb for limb, flags in zip(limbs, crossed, strict=True) if flags[row]}
        bad = {(a, b) for a, b in spoilt if not (turned[row, a] or turned[row, b])}
        while bad:
            touched = {pair: {limb for limb in limbs if pair in limb} for limb in bad for pair in limb}
            best = max(sorted(touched), key=lambda pair: 2 * len(touched[pair] & bad) - len(touched[pair]))
            found[row, best] = True
            bad -= touched[best]
    return found


def _limbs(pairs: Pairs, edges: Pairs) -> list[tuple[int, int]]:
    """Return the pairs (by position) that an edge joins on both sides."""
    pair_of = {node: index for index, pair in enumerate(pairs) for node in pair}
    joined = [tuple(sorted((pair_of[a], pair_of[b]))) for a, b in edges if a in pair_of and b in pair_of]
    return sorted({(a, b) for a, b in joined if a != b and joined.count((a, b)) == 2})


def _crossing(places: Places, one: tuple[int, int], other: tuple[int, int]) -> Bool[np.ndarray, " instances"]:
    """Tell where two neighbouring pairs are joined crosswise, unlike nearly everywhere else."""
    first, second = places[:, list(one)], places[:, list(other)]
    own = np.abs(first - second).sum(axis=1)
    across = np.abs(first - second[:, ::-1]).sum(axis=1)
    known = np.isfinite(own) & np.isfinite(across) & (own > 0) & (across > 0)
    if known.sum() < FEWEST:
        return np.zeros(len(places), bool)
    ratios = np.zeros(len(places))
    ratios[known] = np.log(across[known] / own[known])
    usual = float(np.median(ratios[known]))
    if usual < 0:  # the edges themselves join left to right
        usual, ratios = -usual, -ratios
    spread = _NORMAL * float(np.median(np.abs(ratios[known] - usual)))
    if usual < _CLOSER or usual < 2 * spread:
        return np.zeros(len(places), bool)
    return _if_few(known & (ratios < -_SHORTEST * usual) & (usual - ratios > _TIMES_SPREAD * spread), known)


def _if_few(flags: Bool[np.ndarray, " instances"], known: Bool[np.ndarray, " instances"]) -> np.ndarray:
    """Return the flags, or none where they are too many for mistakes."""
    return flags if flags.sum() <= MOST_FLAGGED * known.sum() else np.zeros_like(flags)
