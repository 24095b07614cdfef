"""`NodeErrors`: how well each node is found, so that a node that is never found shows although it has no error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from sleap_nn.evaluation.matches import Matches
from sleap_nn.ops.similarity import visible_nodes

PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class NodeErrors:
    """How well one node is found.

    Attributes:
        name: The node.
        num_labelled: Labelled points of all animals.
        num_in_pairs: Those of them in animals that were found.
        num_compared: Those of these that are predicted.
        num_surplus: Predicted points of the pairs that are not labelled.
        quantiles: Percentiles 5, 25, 50, 75 and 95 of the errors in px, NaN without any.
    """

    name: str
    num_labelled: int
    num_in_pairs: int
    num_compared: int
    num_surplus: int
    quantiles: tuple[float, ...]

    @property
    def missed(self) -> float:
        """Share of the labelled points of found animals that were not predicted, NaN without any."""
        return 1 - self.num_compared / self.num_in_pairs if self.num_in_pairs else float("nan")


def node_errors(names: Sequence[str], matches: Matches, num_labelled: Int[np.ndarray, " nodes"]) -> list[NodeErrors]:
    """Return how well each node is found.

    Args:
        names: Nodes, in the order of the points of `matches`.
        matches: Paired instances.
        num_labelled: Labelled points of all true instances, also of those that were not found.
    """
    distances, labelled = matches.distances, visible_nodes(matches.truth)
    surplus = visible_nodes(matches.predicted) & ~labelled
    rows = []
    for index, name in enumerate(names):
        known = distances[~np.isnan(distances[:, index]), index]
        quantiles = np.percentile(known, PERCENTILES) if known.size else np.full(len(PERCENTILES), np.nan)
        in_all, in_pairs = int(num_labelled[index]), int(labelled[:, index].sum())
        spread = tuple(map(float, quantiles))
        rows.append(NodeErrors(name, in_all, in_pairs, known.size, int(surplus[:, index].sum()), spread))
    return rows
