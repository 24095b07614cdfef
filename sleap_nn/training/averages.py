"""`EpochAverages`: the mean of every logged value over an epoch, exact across an interruption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class EpochAverages:
    """Weighted sums of named scalars, kept on the device so that a step never waits for them.

    Its state goes into checkpoints: an epoch that is interrupted and resumed logs what it would have logged.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._names: tuple[str, ...] = ()
        self._sums: Tensor | None = None

    def add(self, values: Mapping[str, Tensor], weight: float) -> None:
        """Add the values of a batch of `weight` samples; an undefined one (NaN) does not count.

        All batches of an epoch give the same names.
        """
        self._names = tuple(values)
        rows = torch.stack([value.detach().double() for value in values.values()])
        known = ~rows.isnan()
        added = torch.stack([torch.where(known, rows, 0.0), known.double()]) * weight
        self._sums = added if self._sums is None else self._sums.to(added.device) + added

    def means(self) -> dict[str, float]:
        """Return the means so far, over all processes of a distributed run; values that never counted are left out."""
        if self._sums is None:
            return {}
        sums = self._sums.clone()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        totals, weights = sums.tolist()
        return {
            name: total / weight for name, total, weight in zip(self._names, totals, weights, strict=True) if weight > 0
        }

    def reset(self) -> None:
        """Forget everything."""
        self._names, self._sums = (), None

    def state_dict(self) -> dict[str, Any]:
        """Return names and sums."""
        return {"names": list(self._names), "sums": None if self._sums is None else self._sums.cpu()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        self._names, self._sums = tuple(state["names"]), state["sums"]
