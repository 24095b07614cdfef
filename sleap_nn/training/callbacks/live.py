"""`LiveLog`: tells the listeners of a run what happens in it, and ends it when one of them asks for that."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from sleap_nn.log import logger
from sleap_nn.training.callbacks.epoch_record import EpochRecord
from sleap_nn.training.callbacks.listeners import Event, Listeners


class LiveLog(Callback):
    """Turns the hooks of the engine into events.

    Attributes:
        is_stopped: Whether a listener ended the run.
    """

    def __init__(self, listeners: Listeners, record: EpochRecord, may_stop: bool) -> None:
        """Connect the two ends.

        Args:
            listeners: Who is told; only the first process opens them.
            record: Where the values of an epoch come from.
            may_stop: Whether to ask the listeners after every batch if the run shall end; the same in all processes.
        """
        self._listeners = listeners
        self._record = record
        self._may_stop = may_stop
        self._epoch: int | None = None
        self.is_stopped = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the listeners and tell them that the run begins."""
        if trainer.is_global_zero:
            self._listeners.open()
        self._listeners.write(Event("train_begin", url=self._listeners.url))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell that an epoch begins."""
        self._begin_epoch(trainer.current_epoch)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Tell that a batch begins; the engine announces no start of an epoch that is resumed in its middle."""
        self._begin_epoch(trainer.current_epoch)
        self._listeners.write(Event("batch_start", epoch=trainer.current_epoch, batch=batch_idx))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: object, batch_idx: int
    ) -> None:
        """Tell the loss of a batch, and see whether the run shall end."""
        if trainer.is_global_zero:
            # The engine divides the loss by the number of batches whose gradients it adds up.
            loss = float(outputs["loss"]) * trainer.accumulate_grad_batches
            self._listeners.write(
                Event("batch_end", trainer.current_epoch, batch_idx, trainer.global_step, values={"loss": loss})
            )
        self._stop_if_asked(trainer, wait=True)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See whether the run shall end: it would otherwise begin another epoch, and validate once more."""
        self._stop_if_asked(trainer, wait=False)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell all that is known of the epoch."""
        self._listeners.write(Event("epoch_end", epoch=trainer.current_epoch, values=self._record.values(trainer)))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell that the run is over, and the values of its best epoch, also where a resumed run had no step to do."""
        self._listeners.write(Event("train_end", epoch=self._record.best_epoch, values=self._record.best))

    def _begin_epoch(self, epoch: int) -> None:
        """Tell that an epoch begins, once."""
        if self._epoch != epoch:
            self._epoch = epoch
            self._listeners.write(Event("epoch_begin", epoch=epoch))

    def _stop_if_asked(self, trainer: Trainer, wait: bool) -> None:
        """End all processes of the run as soon as one is told to; what follows a run still takes place."""
        if not self._may_stop or self.is_stopped:
            return
        if trainer.strategy.reduce_boolean_decision(self._listeners.wants_stop(wait), all=False):
            self.is_stopped = trainer.should_stop = True
            logger.info("The stop command was received; training ends here.")
