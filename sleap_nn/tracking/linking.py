"""Tracks of a whole video at once: stretches that are beyond doubt, linked by what fits best over the whole video.

Online trackers decide at each frame; here a crossing is decided when both sides of it are known. The links are a
minimum-cost path cover of the stretches, as in Zhang, Li and Nevatia, "Global Data Association for Multi-Object
Tracking Using Network Flows", CVPR 2008, solved as an assignment. What a link costs is in `evidence`. SciPy's graphs
load where they are used, since every prediction imports this module and few link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.ops.assignment import assign
from sleap_nn.structures.predictions import Predictions
from sleap_nn.tracking.ends import Ends
from sleap_nn.tracking.evidence import Descriptions, LookEvidence, MotionEvidence, SightEvidence
from sleap_nn.tracking.sharing import share_out
from sleap_nn.tracking.tracklets import Tracklet, body_length, find_tracklets
from sleap_nn.tracking.weaving import weave

MISSED_COST, GAP_COST = 2.0, 0.3
"""Cost of a link that skips frames, and for the logarithm of its frames: animals are rarely missed."""
WEAVING_PRICE = 3.0
"""Mean cost of the changes between two threads from which on they are two animals."""
ANY_GAP = 10**9
CHUNK = 50_000
"""Pairs that are compared at once."""
MOST_DENSE = 1_000_000
"""Size of a table of links above which it is kept sparse."""
MOST_PROPORTIONS = 40
"""Pairs of nodes that describe a body at most."""


@dataclass(frozen=True)
class Round:
    """One pass over the stretches.

    Attributes:
        max_gap: Most frames between two stretches that are linked.
        price: Cost above which a link is worse than none.
        weaves: Whether threads that take turns are joined after it.
    """

    max_gap: int
    price: float
    weaves: bool = False


ROUNDS = (Round(2, 0.0), Round(5, 2.0), Round(15, 4.0, weaves=True), Round(60, 6.0), Round(250, 7.0, weaves=True))
"""From near and certain to far: what is linked early tells more about the animal in later passes."""


def link(
    found: Sequence[Predictions],
    num_animals: int | None = None,
    looks: Sequence[Float[np.ndarray, "instances features"]] | None = None,
) -> list[Predictions]:
    """Return the frames of one video with tracks.

    Args:
        found: All frames of the video, ascending, with their instances.
        num_animals: How many animals there are, None if unknown; while there are more tracks, they are linked over
            any gap, so that there are no more tracks than that, or than the most instances of a frame.
        looks: Description of the image of the instances of every frame, NaN where unknown; None without images.

    Returns:
        The same instances; tracks count from 0 by first appearance.
    """
    orders = [_order(entry.points) for entry in found]
    arranged = [entry.take(order) for entry, order in zip(found, orders, strict=True)]
    seen = None if looks is None else [own[order] for own, order in zip(looks, orders, strict=True)]
    length = body_length(arranged)
    stretches = find_tracklets(arranged, length)
    described = _described(arranged, seen)
    for stage in ROUNDS:
        stretches = _linked(stretches, stage, length, described)
    if num_animals is not None and len(stretches) > num_animals:
        stretches = _reduced(stretches, max(num_animals, *(len(entry) for entry in found)), length, described)
    places = [[(position, int(orders[position][row])) for position, row in own.places.tolist()] for own in stretches]
    tracks = [np.full(len(entry), -1, np.int64) for entry in found]
    for number, own in enumerate(sorted(places, key=lambda own: own[0])):
        for position, row in own:
            tracks[position][row] = number
    return [entry.with_tracks(own, np.ones(len(own))) for entry, own in zip(found, tracks, strict=True)]


def _order(points: Float[np.ndarray, "instances nodes 2"]) -> Int[np.ndarray, " instances"]:
    """Return the instances of a frame from left to right: in which order they were found must not matter."""
    return np.lexsort(points.reshape(len(points), -1).T[::-1]) if len(points) else np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class _Described:
    """Descriptions of all instances of a video.

    Attributes:
        kinds: One array (R, D) a kind of description.
        first_rows: Row of the first instance of every frame.
    """

    kinds: list[Float[np.ndarray, "instances features"]]
    first_rows: Int[np.ndarray, " frames"]

    def of(self, stretches: Sequence[Tracklet]) -> list[Descriptions]:
        """Return what describes the instances of stretches, a kind at a time."""
        rows = [self.first_rows[stretch.places[:, 0]] + stretch.places[:, 1] for stretch in stretches]
        starts = np.array([stretch.frames[0] for stretch in stretches])
        return [Descriptions(values, rows, starts) for values in self.kinds]


def _described(found: Sequence[Predictions], looks: Sequence[np.ndarray] | None) -> _Described:
    """Return the proportions of the bodies, where they have any, and how they look, where that is known."""
    first_rows = np.cumsum([0, *(len(entry) for entry in found)])[:-1]
    kinds = []
    if found and found[0].points.shape[1] > 1:
        kinds.append(np.concatenate([_proportions(entry.points) for entry in found]))
    if looks is not None:
        kinds.append(np.concatenate(looks).astype(np.float32))
    return _Described(kinds, first_rows)


def _proportions(points: Float[np.ndarray, "instances nodes 2"]) -> Float[np.ndarray, "instances pairs"]:
    """Return the logarithm of the distance of pairs of nodes."""
    a, b = _node_pairs(points.shape[1])
    apart = points[:, a] - points[:, b]
    return np.log(np.hypot(apart[..., 0], apart[..., 1]) + 1.0).astype(np.float32)


@cache
def _node_pairs(num_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of nodes, not too many."""
    a, b = np.triu_indices(num_nodes, 1)
    step = -(-len(a) // MOST_PROPORTIONS)
    return a[::step], b[::step]


def _linked(stretches: list[Tracklet], stage: Round, length: float, described: _Described) -> list[Tracklet]:
    """Return the stretches after one pass."""
    if len(stretches) < 2:
        return stretches
    rows, columns = _pairs(stretches, stage.max_gap)
    if not len(rows) and not stage.weaves:
        return stretches
    motion = MotionEvidence.measure(stretches, length)
    last, first = Ends.last(stretches), Ends.first(stretches)
    costs = _costs(last, first, rows, columns, motion)
    for descriptions in described.of(stretches):
        costs += _look_costs(descriptions, rows, columns)
    costs += _sight_costs(stretches, last, first, rows, columns, costs < stage.price)
    followers = _best_links(rows, columns, costs, stage.price, len(stretches))
    joined: dict[int, Tracklet] = {}
    for index in sorted(range(len(stretches)), key=lambda i: -stretches[i].frames[0]):
        stretch = stretches[index]
        joined[index] = stretch.join(joined.pop(followers[index])) if index in followers else stretch
    linked = list(joined.values())
    return weave(linked, motion, max(WEAVING_PRICE, stage.price)) if stage.weaves else linked


def _reduced(stretches: list[Tracklet], count: int, length: float, described: _Described) -> list[Tracklet]:
    """Return at most so many stretches with all instances; no frame has more than that."""
    linked = _linked(stretches, Round(ANY_GAP, np.inf, weaves=True), length, described)
    if len(linked) <= count:
        return linked
    return share_out(linked, count, MotionEvidence.measure(stretches, length))


def _pairs(stretches: Sequence[Tracklet], max_gap: int) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Return every stretch with each that begins after its end, within a number of frames."""
    begins = np.array([stretch.frames[0] for stretch in stretches])
    stops = np.array([stretch.frames[-1] for stretch in stretches])
    order = np.argsort(begins, kind="stable")
    low = np.searchsorted(begins[order], stops, side="right")
    high = np.searchsorted(begins[order], stops + max_gap, side="right")
    counts = high - low
    rows = np.repeat(np.arange(len(stretches)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, order[np.repeat(low, counts) + within]


def _costs(
    last: Ends, first: Ends, rows: np.ndarray, columns: np.ndarray, motion: MotionEvidence
) -> Float[np.ndarray, " pairs"]:
    """Return what links cost by place, pose, speed and the frames that they skip."""
    gaps = first.frames[columns] - last.frames[rows]
    costs = MISSED_COST * (gaps > 1) + GAP_COST * np.log(np.maximum(gaps, 1))
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        costs[part] += motion(last.take(rows[part]), first.take(columns[part]))
    return costs


def _look_costs(descriptions: Descriptions, rows: np.ndarray, columns: np.ndarray) -> Float[np.ndarray, " pairs"]:
    """Return what links cost by the averages of descriptions."""
    costs = np.zeros(len(rows))
    evidence = LookEvidence.measure(descriptions) if len(rows) else None
    if evidence is None:
        return costs
    means = descriptions.means()
    lengths = np.array([len(own) for own in descriptions.rows])
    for start in range(0, len(rows), CHUNK):
        a, b = rows[start : start + CHUNK], columns[start : start + CHUNK]
        costs[start : start + CHUNK] = evidence(means[a], means[b], np.minimum(lengths[a], lengths[b]))
    return costs


def _sight_costs(
    stretches: Sequence[Tracklet], last: Ends, first: Ends, rows: np.ndarray, columns: np.ndarray, likely: np.ndarray
) -> Float[np.ndarray, " pairs"]:
    """Return what likely links to the next frame cost by the nodes in sight, beyond what their best rival does.

    A node may come out or hide at any time: that speaks against a link only where another one fits better.
    """
    costs = np.zeros(len(rows))
    near = np.flatnonzero(likely & (first.frames[columns] - last.frames[rows] == 1))
    evidence = SightEvidence.measure(stretches) if len(near) else None
    if evidence is None:
        return costs
    a, b = rows[near], columns[near]
    own = evidence(last.take(a), first.take(b))
    best = np.full((2, len(stretches)), np.inf)
    np.minimum.at(best[0], a, own)
    np.minimum.at(best[1], b, own)
    costs[near] = own - np.minimum(best[0, a], best[1, b])
    return costs


def _best_links(rows: np.ndarray, columns: np.ndarray, costs: np.ndarray, price: float, count: int) -> dict[int, int]:
    """Return stretch -> the one that follows it, so that the total cost of links and loose ends is smallest.

    Ends and beginnings that compete, however indirectly, are assigned together, all others by themselves.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    cheap = costs < price
    rows, columns, costs = rows[cheap], columns[cheap], costs[cheap]
    if not len(rows):
        return {}
    gains = price - costs if np.isfinite(price) else _without_price(costs, count)
    graph = coo_array((np.ones(len(rows)), (rows, columns + count)), (2 * count, 2 * count))
    groups = connected_components(graph, directed=False)[1][rows]
    order = np.argsort(groups, kind="stable")
    followers: dict[int, int] = {}
    for edges in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        if len(edges) == 1:
            followers[int(rows[edges[0]])] = int(columns[edges[0]])
            continue
        ends, i = np.unique(rows[edges], return_inverse=True)
        begins, j = np.unique(columns[edges], return_inverse=True)
        for a, b in _assigned(i, j, gains[edges]):
            followers[int(ends[a])] = int(begins[b])
    return followers


def _without_price(costs: Float[np.ndarray, " pairs"], count: int) -> Float[np.ndarray, " pairs"]:
    """Return what links save if one more is always better: more than all of their differences together."""
    above = costs - costs.min()
    return (above.max() + 1.0) * (count + 1) - above


def _assigned(rows: np.ndarray, columns: np.ndarray, gains: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs with the largest total gain; gains are positive, and nobody needs a partner."""
    num_rows, num_columns = int(rows.max()) + 1, int(columns.max()) + 1
    if num_rows * num_columns <= MOST_DENSE:
        table = np.zeros((num_rows, num_columns))
        table[rows, columns] = gains
        pairs = zip(*assign(-table), strict=True)
        return [(int(a), int(b)) for a, b in pairs if table[a, b] > 0]
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    # The solver of sparse tables wants positive weights, and a partner for every row: its own loose end.
    everyone = np.arange(num_rows)
    weights = np.concatenate([gains.max() - gains + 1.0, np.full(num_rows, gains.max() + 1.0)])
    places = (np.concatenate([rows, everyone]), np.concatenate([columns, everyone + num_columns]))
    table = coo_array((weights, places), (num_rows, num_columns + num_rows)).tocsr()
    pairs = zip(*min_weight_full_bipartite_matching(table), strict=True)
    return [(int(a), int(b)) for a, b in pairs if b < num_columns]
