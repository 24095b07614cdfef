"""`EpochAverages`: the mean of every logged value over an epoch, exact across an interruption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sleap_nn.training.collectives import gathered, sum_over_devices

_Groups = dict[tuple[str, ...], Tensor]


class EpochAverages:
    """Weighted sums of named scalars, kept on the device so that a step never waits for them.

    Values that are added together form a group. Its state goes into checkpoints: an epoch that is interrupted and
    resumed logs what it would have logged.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._groups: _Groups = {}

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
        """Return the names, and the sums of every process; all processes call this together."""
        return {"groups": gathered([(list(names), sums.cpu()) for names, sums in self._groups.items()])}

    def load_state_dict(self, state: Mapping[str, Any], part: int = 0, num_parts: int = 1) -> None:
        """Go on from a saved state.

        Args:
            state: What `state_dict` returned.
            part: Number of this process.
            num_parts: Number of processes; if it has changed, the first one takes all sums.
        """
        saved = [{tuple(names): sums for names, sums in groups} for groups in state["groups"]]
        if len(saved) != num_parts:
            saved = [_together(saved), *[{} for _ in range(num_parts - 1)]]
        self._groups = saved[part]

    def _sums(self) -> dict[str, tuple[float, float]]:
        """Return (weighted sum, weight) of every value."""
        found: dict[str, tuple[float, float]] = {}
        for names, sums in self._groups.items():
            totals, weights = sum_over_devices(sums).tolist()
            found |= dict(zip(names, zip(totals, weights, strict=True), strict=True))
        return found


def _together(parts: Sequence[_Groups]) -> _Groups:
    """Return the sums of several processes added up."""
    names = dict.fromkeys(name for groups in parts for name in groups)
    return {name: torch.stack([groups[name] for groups in parts if name in groups]).sum(dim=0) for name in names}
