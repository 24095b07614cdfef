"""`EpochAverages`: the mean of every logged value over an epoch, exact across an interruption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sleap_nn.training.collectives import gathered, sum_over_devices


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
        totals, weights = sum_over_devices(self._sums).tolist()
        return {
            name: total / weight for name, total, weight in zip(self._names, totals, weights, strict=True) if weight > 0
        }

    def reset(self) -> None:
        """Forget everything."""
        self._names, self._sums = (), None

    def state_dict(self) -> dict[str, Any]:
        """Return the names, and the sums of every process; all processes call this together."""
        return {"names": list(self._names), "sums": gathered(None if self._sums is None else self._sums.cpu())}

    def load_state_dict(self, state: Mapping[str, Any], part: int = 0, num_parts: int = 1) -> None:
        """Go on from a saved state.

        Args:
            state: What `state_dict` returned.
            part: Number of this process.
            num_parts: Number of processes; if it has changed, the first one takes all sums.
        """
        saved = state["sums"]
        if len(saved) != num_parts:
            known = [sums for sums in saved if sums is not None]
            saved = [torch.stack(known).sum(dim=0) if known else None, *[None] * (num_parts - 1)]
        self._names, self._sums = tuple(state["names"]), saved[part]
