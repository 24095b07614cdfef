"""Who belongs to whom: optimal and greedy assignment, and the removal of duplicates by score.

Everything takes a matrix of costs or similarities and returns indices; the matrices come from
`sleap_nn.ops.similarity`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from sleap_nn.ops.assignment import assign

Indices = Int[np.ndarray, " pairs"]


def hungarian(cost: Float[np.ndarray, "rows columns"], max_cost: float = np.inf) -> tuple[Indices, Indices]:
    """Assign rows to columns: as many allowed pairs as possible, and among those the smallest total cost.

    Kuhn, "The Hungarian Method for the Assignment Problem", 1955. Pairs that are not allowed are kept out
    before solving, so that they take no partner away from an allowed pair.

    Args:
        cost: Cost of each pair; NaN and infinity are never assigned.
        max_cost: Largest cost of an allowed pair.

    Returns:
        Row and column of each pair, by ascending row.
    """
    allowed = np.isfinite(cost) & (cost <= max_cost)
    if not allowed.any():
        return np.empty(0, np.int64), np.empty(0, np.int64)
    lowest, highest = cost[allowed].min(), cost[allowed].max()
    # Dearer than any set of allowed pairs, so that one more allowed pair always wins.
    forbidden = (highest - lowest + 1.0) * (min(cost.shape) + 1)
    rows, columns = assign(np.where(allowed, cost - lowest, forbidden))
    kept = allowed[rows, columns]
    return rows[kept], columns[kept]


def greedy(cost: Float[np.ndarray, "rows columns"], max_cost: float = np.inf) -> tuple[Indices, Indices]:
    """Assign rows to columns, cheapest pair first; equal costs by row, then column.

    Args:
        cost: Cost of each pair; NaN and infinity are never assigned.
        max_cost: Largest cost of an allowed pair.

    Returns:
        Row and column of each pair, in the order in which they were chosen.
    """
    allowed = np.isfinite(cost) & (cost <= max_cost)
    order = np.argsort(np.where(allowed, cost, np.inf), axis=None, kind="stable")[: int(allowed.sum())]
    free_rows, free_columns = np.ones(cost.shape[0], bool), np.ones(cost.shape[1], bool)
    pairs = []
    for row, column in zip(*np.unravel_index(order, cost.shape), strict=True):
        if free_rows[row] and free_columns[column]:
            free_rows[row] = free_columns[column] = False
            pairs.append((row, column))
    chosen = np.array(pairs, np.int64).reshape(-1, 2)
    return chosen[:, 0], chosen[:, 1]


def greedy_in_order(
    similarity: Float[np.ndarray, "rows columns"],
    order: Int[np.ndarray, " rows"],
    threshold: float,
    preference: Float[np.ndarray, "rows columns"],
) -> tuple[Indices, Indices]:
    """Let each row in turn take the free column most similar to it.

    Args:
        similarity: Similarity of each pair.
        order: Rows in the order in which they choose.
        threshold: Only pairs strictly above it are made.
        preference: Which of several equally similar columns a row takes: the one with the largest value, then
            the first.

    Returns:
        Row and column of each pair, in the order of choice.
    """
    free = np.ones(similarity.shape[1], bool)
    rows, columns = [], []
    for row in order:
        candidates = np.flatnonzero(free & (similarity[row] > threshold))
        if candidates.size == 0:
            continue
        best = np.lexsort((-preference[row, candidates], -similarity[row, candidates]))[0]
        free[candidates[best]] = False
        rows.append(row)
        columns.append(candidates[best])
    return np.array(rows, np.int64), np.array(columns, np.int64)


def non_maximum_suppression(
    similarity: Float[np.ndarray, "instances instances"],
    scores: Float[np.ndarray, " instances"],
    threshold: float,
) -> Int[np.ndarray, " kept"]:
    """Keep instances by descending score, unless one is too similar to an instance already kept.

    Args:
        similarity: Row: the instance being tested; column: the instance kept. For "closer than" pass negative
            distances and a negative threshold. NaN is never too similar.
        scores: One a instance; NaN comes last, equal scores by index.
        threshold: Dropped when strictly above it.

    Returns:
        Indices of the kept instances, by descending score.
    """
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if not (similarity[index, kept] > threshold).any():
            kept.append(int(index))
    return np.array(kept, np.int64)


def unmatched(size: int, matched: Indices) -> Int[np.ndarray, " rest"]:
    """Return the indices below `size` that are not in `matched`, ascending."""
    rest: Bool[np.ndarray, " size"] = np.ones(size, bool)
    rest[matched] = False
    return np.flatnonzero(rest)
