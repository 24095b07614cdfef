"""`LossWatch`: remembers the losses of a run, and says at its end if it has learned the training frames by heart."""

from __future__ import annotations

import math
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from sleap_nn.log import logger
from sleap_nn.training.overfitting import REMEDIES, find_overfitting


class LossWatch(Callback):
    """Keeps training and validation loss of every epoch, also across an interruption."""

    def __init__(self, keeps_best: bool) -> None:
        """Say whether the weights with the lowest validation loss are kept."""
        self._keeps_best = keeps_best
        self._losses: dict[int, tuple[float, float]] = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the losses of the epoch."""
        metrics = trainer.callback_metrics
        train, val = (float(metrics.get(name, math.nan)) for name in ("train/loss", "val/loss"))
        self._losses[trainer.current_epoch] = (train, val)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say once, for the whole run, if it overfits."""
        epochs = sorted(self._losses)
        pairs = [self._losses[epoch] for epoch in epochs]
        found = find_overfitting([train for train, _ in pairs], [val for _, val in pairs])
        if found is None:
            return
        kept = " The weights of the best epoch are kept." if self._keeps_best else ""
        logger.warning(
            "Overfitting since epoch %d: the validation loss rose from %.3g to %.3g while the training loss fell from "
            "%.3g to %.3g.%s %s",
            epochs[found.epoch],
            *found.val,
            *found.train,
            kept,
            REMEDIES,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the losses so far."""
        return {"losses": [[epoch, *pair] for epoch, pair in self._losses.items()]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        self._losses = {int(epoch): (train, val) for epoch, train, val in state_dict["losses"]}
