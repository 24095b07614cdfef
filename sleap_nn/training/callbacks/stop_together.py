"""`StopTogether`: a wish to end the run, uttered in any process, ends it in all of them after the same batch."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from sleap_nn.training.collectives import on_any_device


class StopTogether(Callback):
    """Makes ``trainer.should_stop`` of any process that of all.

    A callback that wants to end the run (time limit, stop button) sets ``trainer.should_stop`` in its own process, at
    the end of a batch, of a validation or of an epoch, and needs to know nothing of other processes. Processes that
    stopped on their own would leave the others waiting.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Agree after a batch."""
        self._agree(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Agree after a validation."""
        self._agree(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Agree after an epoch."""
        self._agree(trainer)

    def _agree(self, trainer: Any) -> None:
        trainer.should_stop = on_any_device(trainer.should_stop)
