"""What ends a run early or says aloud that it goes wrong: time limit, collapsed maps, losses that are no number."""

from __future__ import annotations

import math
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from sleap_nn.errors import TrainingCollapsedError
from sleap_nn.log import logger
from sleap_nn.training.collectives import largest_over_devices
from sleap_nn.training.module import TrainingModule

RISEN = 0.1


class TimeLimit(Callback):
    """Ends the run after so many minutes, with a last validation."""

    def __init__(self, minutes: float) -> None:
        """Set the limit; it counts from the start of training, interruptions left out."""
        self._seconds = minutes * 60
        self._start: float | None = None
        self._used = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.monotonic() - self._used

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds used so far, so that a resumed run has the rest."""
        return {"used": 0.0 if self._start is None else time.monotonic() - self._start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting where an interrupted run stopped."""
        self._used = state_dict["used"]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Ask the run to end when the time is over."""
        if self._start is not None and time.monotonic() - self._start >= self._seconds and not trainer.should_stop:
            logger.info("The time limit of %g minutes is reached; training ends here.", self._seconds / 60)
            trainer.should_stop = True


class CollapseWatch(Callback):
    """Follows the height of the maps on the validation set.

    Maps that stay flat mean a network that predicts "no animal anywhere": a low loss, and no predictions.

    Attributes:
        height: Largest map value of the last validation, NaN before the first.
    """

    def __init__(self, patience: int = 5) -> None:
        """Warn after so many epochs of flat maps, once."""
        self._patience = patience
        self.height = math.nan

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the maps of this epoch."""
        if not isinstance(pl_module, TrainingModule):
            return
        self.height = largest_over_devices(pl_module.peak_height)
        if trainer.current_epoch + 1 == self._patience and self.height < RISEN:
            logger.warning(
                "After %d epochs the highest confidence map value is %.3f of 1: the maps have not risen. %s",
                self._patience,
                self.height,
                REMEDIES,
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Stop a run whose loss is no number any more.

        Raises:
            TrainingCollapsedError: The loss of this batch is NaN or infinite.
        """
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if not math.isfinite(float(loss)):  # pyright: ignore[reportArgumentType]
            raise TrainingCollapsedError(
                f"The training loss became {float(loss)} in epoch {trainer.current_epoch}, batch {batch_idx}; "  # pyright: ignore[reportArgumentType]
                "lower trainer_config.optimizer.lr, set trainer_config.gradient_clip_val=1 or train with precision=32."
            )


REMEDIES = (
    "Try a larger trainer_config.foreground_weight, a larger sigma or output_stride of the head, a smaller "
    "preprocessing.scale, a higher trainer_config.optimizer.lr, or more epochs."
)
