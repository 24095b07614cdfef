"""`EpochAverages`: the mean of every logged value over an epoch, exact across an interruption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class EpochAverages:
    """Weighted sums of named scalars, kept on the device so that a step never waits for them.

    Values that are added together form a group. Its state goes into checkpoints: an epoch that is interrupted and
    resumed logs what it would have logged.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._groups: dict[tuple[str, ...], Tensor] = {}

    def add(self, values: Mapping[str, Tensor], weight: float) -> None:
        """Add the values of a batch of `weight` samples; an undefined one (NaN) does not count.

        All batches of an epoch, and all processes of a distributed run, add the same groups in the same order, those
        without samples with the weight 0.
        """
        names = tuple(values)
        rows = torch.stack([value.detach().double() for value in values.values()])
        known = ~rows.isnan()
        added = torch.stack([torch.where(known, rows, 0.0), known.double()]) * weight
        earlier = self._groups.get(names)
        self._groups[names] = added if earlier is None else earlier.to(added.device) + added

    def means(self) -> dict[str, float]:
        """Return the means so far, over all processes; NaN for a value that never counted."""
        return {name: total / weight if weight > 0 else float("nan") for name, (total, weight) in self._sums().items()}

    def weights(self) -> dict[str, float]:
        """Return the weight that each mean stands for, over all processes: the samples in which it was defined."""
        return {name: weight for name, (_, weight) in self._sums().items()}

    def reset(self) -> None:
        """Forget everything."""
        self._groups = {}

    def state_dict(self) -> dict[str, Any]:
        """Return names and sums."""
        return {"groups": [{"names": list(names), "sums": sums.cpu()} for names, sums in self._groups.items()]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        self._groups = {tuple(group["names"]): group["sums"] for group in state["groups"]}

    def _sums(self) -> dict[str, tuple[float, float]]:
        """Return (weighted sum, weight) of every value."""
        found: dict[str, tuple[float, float]] = {}
        for names, sums in self._groups.items():
            joined = sums.clone()
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                torch.distributed.all_reduce(joined)
            totals, weights = joined.tolist()
            found |= dict(zip(names, zip(totals, weights, strict=True), strict=True))
        return found
