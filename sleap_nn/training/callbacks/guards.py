"""What ends a run early or says aloud that it goes wrong: time limit, collapsed maps, losses that are no number."""

from __future__ import annotations

import math
import time
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from sleap_nn.errors import TrainingCollapsedError
from sleap_nn.log import logger
from sleap_nn.training.collapse import REMEDIES, HeadStrength, early_warnings, final_warnings
from sleap_nn.training.collectives import largest_over_devices
from sleap_nn.training.module import TrainingModule

__all__ = ["REMEDIES", "CollapseWatch", "TimeLimit"]

NUMERIC_REMEDIES = (
    "lower trainer_config.optimizer.lr, set trainer_config.gradient_clip_val=1 or train with precision=32"
)

_MOST_BAD = 3


class TimeLimit(Callback):
    """Ends the run after so many minutes, with a last validation.

    A schedule that falls to an end does so by then: after each epoch it is estimated anew how many epochs fit. The
    weights of a run that stopped at a high learning rate would never have settled.
    """

    def __init__(self, minutes: float) -> None:
        """Set the limit; it counts from the start of training, interruptions left out."""
        self._seconds = minutes * 60
        self._start: float | None = None
        self._used = 0.0
        self._first_epoch: tuple[int, float] | None = None
        self._fitting = math.inf

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.monotonic() - self._used
        self._set_num_epochs(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds used so far, so that a resumed run has the rest, and what was estimated from them."""
        used = 0.0 if self._start is None else time.monotonic() - self._start
        return {"used": used, "first_epoch": self._first_epoch, "fitting": self._fitting}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting where an interrupted run stopped."""
        self._used = state_dict["used"]
        self._first_epoch = state_dict.get("first_epoch")
        self._fitting = state_dict.get("fitting", math.inf)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Ask the run to end when the time is over."""
        if self._start is not None and time.monotonic() - self._start >= self._seconds and not trainer.should_stop:
            logger.info("The time limit of %g minutes is reached; training ends here.", self._seconds / 60)
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Estimate how many epochs fit; the first one does not count, as frames are still being decoded then."""
        if self._start is None:
            return
        done, used = trainer.current_epoch + 1, time.monotonic() - self._start
        if self._first_epoch is None:
            self._first_epoch = (done, used)
            return
        was_known = self._fitting < math.inf
        first, before = self._first_epoch
        if used <= before:  # Epochs shorter than a tick of the clock: any number of them fits.
            return
        self._fitting = largest_over_devices(done + (self._seconds - used) * (done - first) / (used - before))
        fit = self._set_num_epochs(trainer, pl_module)
        if fit < cast(int, trainer.max_epochs) and not was_known:
            logger.info(
                "About %d of %d epochs fit into %g minutes; a learning rate that falls to an end does so by then.",
                fit,
                trainer.max_epochs,
                self._seconds / 60,
            )

    def _set_num_epochs(self, trainer: Trainer, pl_module: LightningModule) -> float:
        """Tell the module how many epochs there will be, and return it."""
        module = cast(TrainingModule, pl_module)
        module.num_epochs = min(self._fitting, cast(int, trainer.max_epochs))
        return module.num_epochs


class CollapseWatch(Callback):
    """Follows how much the heads say on the validation set, and whether the losses are numbers.

    Outputs that stay flat mean a network that predicts "no animal anywhere": a low loss, and no predictions.

    Attributes:
        strengths: Those of the last validation, one for each head; empty before the first.
    """

    def __init__(self, patience: int = 5) -> None:
        """Warn after so many epochs with a flat head, once."""
        self._patience = patience
        self._unchecked: tuple[int, int, Tensor] | None = None
        self._num_bad = 0
        self.strengths: tuple[HeadStrength, ...] = ()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Stop a run whose loss is no number any more.

        The loss that is looked at is that of the step before, so that no step waits for the device.

        Raises:
            TrainingCollapsedError: It is NaN or infinite.
        """
        self._check_loss()
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        self._unchecked = (trainer.current_epoch, batch_idx, torch.as_tensor(loss).detach())

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the last loss of the epoch.

        Raises:
            TrainingCollapsedError: It is NaN or infinite.
        """
        self._check_loss()

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the outputs of this epoch."""
        if not isinstance(pl_module, TrainingModule):
            return
        said = pl_module.strengths
        self.strengths = tuple(
            HeadStrength(head.name, head.title, largest_over_devices(float(said[head.name])))
            for head in pl_module.task.heads
        )
        if trainer.current_epoch + 1 == self._patience:
            for text in early_warnings(self.strengths, self._patience):
                logger.warning(text)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Warn of a run that gives no numbers in validation, and stop one that goes on so.

        Raises:
            TrainingCollapsedError: There has never been a validation loss, or three validations had no numbers.
        """
        loss = float(trainer.callback_metrics.get("val/loss", math.nan))
        if math.isfinite(loss) and not any(math.isnan(head.value) for head in self.strengths):
            self._num_bad = 0
            return
        self._num_bad += 1
        text = f"On validation frames the network gives no numbers (epoch {trainer.current_epoch}); {NUMERIC_REMEDIES}."
        if math.isnan(loss) or self._num_bad == _MOST_BAD:
            raise TrainingCollapsedError(text)
        if self._num_bad == 1:
            logger.warning(text)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell of heads that are of no use beside one that is.

        Raises:
            TrainingCollapsedError: The loss of the last step is NaN or infinite.
        """
        self._check_loss()
        if not isinstance(pl_module, TrainingModule):
            return
        accuracy = trainer.callback_metrics.get("val/class_accuracy")
        known = None if accuracy is None else float(accuracy)
        for text in final_warnings(self.strengths, len(pl_module.task.classes), known):
            logger.warning(text)

    def _check_loss(self) -> None:
        """Look at the loss that was kept.

        Raises:
            TrainingCollapsedError: It is NaN or infinite.
        """
        if self._unchecked is None:
            return
        (epoch, batch, loss), self._unchecked = self._unchecked, None
        if not math.isfinite(value := float(loss)):
            raise TrainingCollapsedError(
                f"The training loss became {value} in epoch {epoch}, batch {batch}; {NUMERIC_REMEDIES}."
            )
