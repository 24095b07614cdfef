"""Peaks and scored edges to instances."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.ops.assignment import assign


class Candidates(NamedTuple):
    """Possible edges between the peaks of a frame.

    Attributes:
        edges: (M,) index of the edge.
        sources: (M,) index of the peak at its source.
        destinations: (M,) index of the peak at its destination.
        scores: (M,) NaN where undefined.
    """

    edges: Int[np.ndarray, " candidates"]
    sources: Int[np.ndarray, " candidates"]
    destinations: Int[np.ndarray, " candidates"]
    scores: Float[np.ndarray, " candidates"]


def match_edges(
    candidates: Candidates, heights: Float[np.ndarray, " peaks"], num_edges: int, min_score: float
) -> list[Candidates]:
    """Choose, for each edge, the pairs of peaks that together score highest; a peak serves once.

    A score counts with the heights of both peaks. A second, weak peak on an animal lies on its field like the right
    one, and its line scores as high: by scores alone every other such peak would win.

    Args:
        candidates: All pairs of peaks of every edge.
        heights: Value of the confidence map at each peak.
        num_edges: Number of edges of the skeleton.
        min_score: Pairs that score less are not chosen; other pairs do not give way to them either.

    Returns:
        The chosen pairs of each edge.
    """
    order = np.argsort(candidates.edges, kind="stable")
    bounds = np.searchsorted(candidates.edges[order], np.arange(num_edges + 1))
    chosen = []
    for start, stop in pairwise(bounds):
        part = Candidates(*(values[order[start:stop]] for values in candidates))
        chosen.append(_best_pairs(part, heights, min_score))
    return chosen


def _best_pairs(candidates: Candidates, heights: Float[np.ndarray, " peaks"], min_score: float) -> Candidates:
    """Assign sources to destinations of one edge (Kuhn, "The Hungarian Method", 1955)."""
    if len(candidates.scores) == 0:
        return candidates
    allowed = candidates.scores >= min_score  # NaN is not allowed
    worth = candidates.scores * heights[candidates.sources] * heights[candidates.destinations]
    # The peaks of a node follow each other, so that counting from the first leaves no gaps.
    rows = candidates.sources - candidates.sources.min()
    columns = candidates.destinations - candidates.destinations.min()
    total = np.zeros((rows.max() + 1, columns.max() + 1))
    total[rows, columns] = np.where(allowed, worth, 0.0)
    index = np.full(total.shape, -1)
    index[rows, columns] = np.where(allowed, np.arange(len(allowed)), -1)
    matched = index[assign(total, maximize=True)]
    kept = matched[matched >= 0]
    return Candidates(*(values[kept] for values in candidates))


def edge_order(edges: Sequence[tuple[int, int]]) -> list[int]:
    """Return the edges in the order in which they are joined: breadth first from the roots, every component.

    Roots are nodes without an edge towards them; a component that is a ring starts at its first node.
    """
    outgoing: dict[int, list[int]] = defaultdict(list)
    for index, (source, _) in enumerate(edges):
        outgoing[source].append(index)
    targets = {destination for _, destination in edges}
    starts = [source for source in outgoing if source not in targets] + list(outgoing)
    order: list[int] = []
    seen: set[int] = set()
    for start in starts:
        queue = deque([start])
        while queue:
            for index in outgoing.get(queue.popleft(), []):
                if index not in seen:
                    seen.add(index)
                    order.append(index)
                    queue.append(edges[index][1])
    return order


def group_peaks(
    nodes: Int[np.ndarray, " peaks"], matches: Sequence[Candidates], order: Sequence[int]
) -> tuple[Int[np.ndarray, " peaks"], Float[np.ndarray, " instances"]]:
    """Join peaks along their edges, so that an instance has each node once at most.

    An edge whose ends belong to no instance starts one; one that has an end in an instance adds the other end. Two
    instances that share no node are joined; otherwise the destination moves over to the instance of the source.

    Args:
        nodes: Node of each peak.
        matches: Chosen pairs of each edge, as `match_edges` returns them.
        order: Order of the edges, see `edge_order`.

    Returns:
        The instance of each peak (-1 without one) and the sum of the edge scores of each instance.
    """
    member, node_of = [-1] * len(nodes), nodes.tolist()
    parts: list[dict[int, int]] = []
    edge_scores: list[tuple[int, float]] = []
    for edge in order:
        for source, destination, score in zip(
            matches[edge].sources.tolist(),
            matches[edge].destinations.tolist(),
            matches[edge].scores.tolist(),
            strict=True,
        ):
            _join(member, parts, node_of, source, destination)
            if member[source] >= 0 and member[source] == member[destination]:
                edge_scores.append((source, score))
    totals = np.zeros(len(parts))
    for peak, score in edge_scores:
        if member[peak] >= 0:
            totals[member[peak]] += score
    return np.array(member, np.int64), totals


def _join(member: list[int], parts: list[dict[int, int]], nodes: list[int], source: int, destination: int) -> None:
    """Enter one edge into the instances that are being built (both arguments `member` and `parts` change)."""
    a, b = member[source], member[destination]
    source_node, destination_node = nodes[source], nodes[destination]
    if a < 0 and b < 0:
        parts.append({source_node: source, destination_node: destination})
        member[source] = member[destination] = len(parts) - 1
    elif b < 0:
        if destination_node not in parts[a]:
            parts[a][destination_node] = destination
            member[destination] = a
    elif a < 0:
        if source_node not in parts[b]:
            parts[b][source_node] = source
            member[source] = b
    elif a != b:
        if not parts[a].keys() & parts[b].keys():
            parts[a] |= parts[b]
            for peak in parts[b].values():
                member[peak] = a
            parts[b] = {}
        elif destination_node not in parts[a]:
            del parts[b][destination_node]
            parts[a][destination_node] = destination
            member[destination] = a


def enough_peaks(min_instance_peaks: float, num_nodes: int) -> int:
    """Return the fewest peaks of an instance; a number below 1 is a share of the nodes."""
    return int(min_instance_peaks * num_nodes) if 0 < min_instance_peaks < 1 else int(min_instance_peaks)
