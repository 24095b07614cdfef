"""The cheapest way to pair rows with columns."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Shaped


def assign(
    cost: Shaped[np.ndarray, "rows columns"], *, maximize: bool = False
) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Return the rows (ascending) and columns of the pairs whose summed cost is least, or most.

    Kuhn's problem, solved by SciPy (Crouse, "On implementing 2D rectangular assignment algorithms", IEEE TAES 2016).
    SciPy's optimisers load with the first call, since many predictions never pair anything.

    Raises:
        ValueError: A cost is not a number, or no assignment has a finite cost.
    """
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(cost, maximize=maximize)
