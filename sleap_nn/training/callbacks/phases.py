"""Signs of life while a run is silent: before the first batch, in the first step, in long epochs and validations."""

from __future__ import annotations

from contextlib import ExitStack

from lightning.pytorch import Callback, LightningModule, Trainer

from sleap_nn.heartbeat import SILENCE, Phase, phase

EPOCH_SILENCE = 30.0
"""Seconds without a line that are tolerated while the steps of an epoch go on."""


class Phases(Callback):
    """Announces what the engine is doing to `sleap_nn.heartbeat`; progress bars silence it."""

    def __init__(self) -> None:
        """Start with nothing announced."""
        self._outer = ExitStack()
        self._inner = ExitStack()
        self._counted: Phase | None = None
        self._validated: Phase | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Announce that workers start and the first samples are read."""
        self._begin("waiting for the first batch")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Announce an epoch; the first one begins with its first batch."""
        if self._counted is not None:
            self._begin_epoch(trainer, 0)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Announce the first step, in which libraries compile and choose algorithms."""
        if self._counted is None:
            self._begin("running the first step")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Count."""
        if self._counted is None:
            self._begin_epoch(trainer, batch_idx)
        if self._counted is not None:
            self._counted.done = batch_idx + 1

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Announce a validation."""
        self._inner.close()
        total = sum(int(count) for count in trainer.num_val_batches)
        self._validated = self._inner.enter_context(phase(f"validating epoch {trainer.current_epoch}", total))

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count."""
        if self._validated is not None:
            self._validated.done += 1

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the validation."""
        self._inner.close()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Announce nothing more."""
        self._end()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Announce nothing more."""
        self._end()

    def _begin(self, name: str, total: int | None = None, silence: float = SILENCE) -> Phase:
        """End what went on, and announce what comes."""
        self._end()
        return self._outer.enter_context(phase(name, total, silence))

    def _begin_epoch(self, trainer: Trainer, done: int) -> None:
        """Announce the steps of an epoch."""
        name = f"training epoch {trainer.current_epoch}"
        self._counted = self._begin(name, int(trainer.num_training_batches), EPOCH_SILENCE)
        self._counted.done = done

    def _end(self) -> None:
        """End what went on."""
        self._inner.close()
        self._outer.close()
