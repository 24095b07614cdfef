"""The losses of frames with and without animals, each by themselves: whether both kinds are learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sleap_nn.tasks.base import Task

SIGNS = ("positive", "negative")


def negative_names(task: Task) -> list[str]:
    """Return what is logged of both kinds of frames, in the order of the log."""
    patterns = ["n_{}", "loss_{}", "loss_{}_unweighted", *(f"{head.loss_name}_{{}}" for head in task.heads)]
    return [pattern.format(sign) for pattern in patterns for sign in SIGNS]


@torch.no_grad()
def losses_by_sign(
    task: Task,
    outputs: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    is_negative: Sequence[bool],
    weights: Tensor | None = None,
) -> list[tuple[dict[str, Tensor], int]]:
    """Return the losses of a batch and the number of its samples that they are the mean of, positive samples first.

    Args:
        task: Names the heads.
        outputs: Raw outputs of the network.
        targets: What they should be.
        is_negative: For each sample, whether its frame shows no animal.
        weights: (B,) how much each sample counts; None: all the same. It enters ``loss_positive`` and
            ``loss_negative`` and nothing else.

    Returns:
        For each kind its values, NaN for a kind that is not in the batch, and its number of samples.
    """
    found = []
    for sign in SIGNS:
        rows = [i for i, negative in enumerate(is_negative) if negative == (sign == "negative")]
        names = [f"loss_{sign}", f"loss_{sign}_unweighted", *(f"{head.loss_name}_{sign}" for head in task.heads)]
        if rows:
            own_outputs, own_targets = ({n: maps[n][rows] for n in maps} for maps in (outputs, targets))
            losses = task.losses(own_outputs, own_targets)
            total = task.total_loss(losses)
            weighted = total if weights is None else total * weights[rows].mean()
            values = [weighted, total, *(losses[head.name] for head in task.heads)]
        else:
            values = [torch.full((), float("nan"), device=outputs[task.heads[0].name].device)] * len(names)
        found.append((dict(zip(names, values, strict=True)), len(rows)))
    return found


def counts_by_sign(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the number of samples of each kind in an epoch.

    Args:
        weights: `EpochAverages.weights` of averages to which `losses_by_sign` was added.
    """
    return {f"n_{sign}": weights.get(f"loss_{sign}_unweighted", 0.0) for sign in SIGNS}
