"""Class probabilities to one class an instance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.ops.assignment import assign

_LEAST_SHARE = 0.1
"""Share of a peak's best class that the class it gets must have."""


def assign_classes(
    probabilities: Float[np.ndarray, "instances classes"],
) -> tuple[Int[np.ndarray, " instances"], Float[np.ndarray, " instances"]]:
    """Give every class to one instance of a frame at most, so that the sum of probabilities is largest.

    Kuhn, "The Hungarian Method for the Assignment Problem", 1955. An instance may get a class that is not its best.

    Returns:
        Class and its probability for each instance; -1 and 0 for instances that got none.
    """
    class_ids = np.full(len(probabilities), -1, np.int64)
    scores = np.zeros(len(probabilities), np.float32)
    rows, columns = assign(probabilities, maximize=True)
    class_ids[rows] = columns
    scores[rows] = probabilities[rows, columns]
    return class_ids, scores


def group_by_class(
    nodes: Int[np.ndarray, " peaks"],
    probabilities: Float[np.ndarray, "peaks classes"],
    num_nodes: int,
    heights: Float[np.ndarray, " peaks"] | None = None,
) -> Int[np.ndarray, " peaks"]:
    """Give every class one peak of each node at most, so that class probabilities sum to the most.

    A peak is kept only by the class that is its best. Where a network draws a second, weaker peak of a node on an
    animal, both are of its class, and the class map cannot tell which is the right one. With `heights`, probabilities
    are weighed by them; then a peak may also get a class that is not its best, unless that is hardly probable.

    Args:
        nodes: Node of each peak.
        probabilities: Of each peak, by class.
        num_nodes: Number of nodes.
        heights: Value of the confidence map at each peak.

    Returns:
        The class of each peak, -1 for peaks that are dropped.
    """
    values = probabilities if heights is None else probabilities * heights[:, None]
    least = 1.0 if heights is None else _LEAST_SHARE
    classes = np.full(len(nodes), -1, np.int64)
    for node in range(num_nodes):
        own = np.flatnonzero(nodes == node)
        assigned, _ = assign_classes(values[own])
        given = np.take_along_axis(values[own], np.maximum(assigned, 0)[:, None], axis=1)[:, 0]
        enough = given >= least * values[own].max(axis=1, initial=0.0)
        classes[own] = np.where((assigned >= 0) & enough, assigned, -1)
    return classes


def same_identity(truth: Sequence[str | None], predicted: Sequence[str | None]) -> dict[str, float]:
    """Return how often matched instances carry the identity of their label.

    Args:
        truth: Track name of each labelled instance, None without one.
        predicted: Track name of the prediction matched to it.

    Returns:
        ``n_pairs`` with an identity in the truth, ``n_right``, ``n_wrong``, ``n_missing`` (predicted without one)
        and ``accuracy``, the share of right ones, NaN without any pair.
    """
    pairs = [(t, p) for t, p in zip(truth, predicted, strict=True) if t is not None]
    right = sum(t == p for t, p in pairs)
    missing = sum(p is None for _, p in pairs)
    return {
        "n_pairs": len(pairs),
        "n_right": right,
        "n_wrong": len(pairs) - right - missing,
        "n_missing": missing,
        "accuracy": right / len(pairs) if pairs else float("nan"),
    }
