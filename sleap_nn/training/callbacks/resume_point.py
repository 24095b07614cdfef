"""`ResumePoint`: the checkpoint from which an interrupted run goes on, and what happens on Ctrl+C and SIGTERM."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from sleap_nn.errors import TrainingInterruptedError
from sleap_nn.log import logger
from sleap_nn.training.checkpoints import POSITION, Position
from sleap_nn.training.collectives import gathered, on_any_device

SIGNALS = (signal.SIGINT, signal.SIGTERM)
OVER = "over"
"""Key of a checkpoint after which no epoch comes: the settings by which the run ended."""
PATIENCE = 4.0
"""Seconds that a stop waits for the end of a validation, after which the epoch is complete and saved."""
LONG = 60.0
"""Seconds of training after which the state is also saved before the last step of an epoch, ahead of its validation."""


class ResumePoint(Checkpoint):
    """Saves the whole state of a run after every epoch, and once more when the run is told to stop.

    A signal is obeyed between two steps, where the state is consistent, and by all processes after the same step. A
    second Ctrl+C ends the process at once.
    """

    def __init__(
        self, path: Path, seed: int, group: int | None = None, end_rules: Mapping[str, Any] | None = None
    ) -> None:
        """Choose the file.

        Args:
            path: The checkpoint.
            seed: That of all draws.
            group: Number of samples in a step over all devices.
            end_rules: Settings that decide when the run ends, as plain values.
        """
        self._path = path
        self._seed = seed
        self._group = group
        self._end_rules = None if end_rules is None else dict(end_rules)
        self._is_over = False
        self._handlers: dict[int, Any] = {}
        self._stop_since: float | None = None
        self._saved = 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Note where in the epoch a checkpoint stands, whoever writes it."""
        self._next = self._at(0, 0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the signals, where this is the thread that gets them."""
        self._next = self._at(trainer.current_epoch, 0)
        self._saved = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._on_signal) for number in SIGNALS}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Save and stop if told so; an epoch whose steps are all done goes on to its validation.

        A validation can be long and end in an interruption or a crash. Of the steps before it at most one is lost.

        Raises:
            TrainingInterruptedError: The run was told to stop, and its state is saved.
        """
        done = batch_idx + 1
        self._next = self._at(trainer.current_epoch, done)
        step, total = trainer.accumulate_grad_batches, trainer.num_training_batches
        if done % step or done >= total:
            return
        if on_any_device(self._stop_since is not None):
            trainer.save_checkpoint(self._path)
            self._interrupt()
        if done + step >= total and on_any_device(time.monotonic() - self._saved > LONG):
            trainer.save_checkpoint(self._path)

    def on_validation_batch_end(self, *args: Any, **keywords: Any) -> None:
        """Do not wait for a long validation.

        Raises:
            TrainingInterruptedError: The run was told to stop.
        """
        self.give_way()

    def give_way(self) -> None:
        """End a run that was told to stop a while ago; what takes long after an epoch calls this now and then.

        What is saved is the last complete epoch, or the steps of a long one.

        Raises:
            TrainingInterruptedError: The run was told to stop.
        """
        impatient = self._stop_since is not None and time.monotonic() - self._stop_since > PATIENCE
        if on_any_device(impatient):
            self._interrupt()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the complete epoch.

        Raises:
            TrainingInterruptedError: The run was told to stop.
        """
        self._next = self._at(trainer.current_epoch + 1, 0)
        self._is_over = trainer.should_stop
        trainer.save_checkpoint(self._path)
        self._saved = time.monotonic()
        if on_any_device(self._stop_since is not None):
            self._interrupt()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop before what follows a training, if told so after its last step.

        Raises:
            TrainingInterruptedError: The run was told to stop; its last epoch is saved.
        """
        if on_any_device(self._stop_since is not None):
            self._interrupt()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the position; best and last weights are saved at the end of an epoch, just before this callback's."""
        progress: Any = trainer.fit_loop.epoch_progress.current
        at_end = progress.processed > progress.completed
        position = self._at(trainer.current_epoch + 1, 0) if at_end else self._next
        checkpoint[POSITION] = position.to_dict()
        if self._is_over:
            checkpoint[OVER] = self._end_rules

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Let the records of kept weights point into this folder, or forget them where it holds no such weights.

        A run folder may have been moved since; and a run can go on in a new folder, which has its own best weights. A
        run that was over before the last of its epochs is over still, unless what ended it has been changed.
        """
        if checkpoint.get(OVER) is not None and checkpoint[OVER] == self._end_rules:
            trainer.should_stop = True
        for name, state in list(checkpoint["callbacks"].items()):
            if "best_k_models" not in state:
                continue
            here = (self._path.parent / Path(state["best_model_path"]).name).absolute()
            folder, found = gathered((str(here.parent.resolve()), here.is_file()))[0]  # the only one who need see it
            if found:
                checkpoint["callbacks"][name] = moved(state, Path(folder))
            else:
                del checkpoint["callbacks"][name]

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the signals back, where the engine has not done so: its own handlers came before these and are gone."""
        while self._handlers:
            number, handler = self._handlers.popitem()
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, handler)

    def _at(self, epoch: int, batch: int) -> Position:
        """Return a position of this run."""
        return Position(epoch, batch, self._seed, self._group)

    def _on_signal(self, number: int, frame: object) -> None:
        """Ask the run to stop; give a second Ctrl+C its usual meaning."""
        logger.info("%s received; the state of the run is being saved.", signal.Signals(number).name)
        if self._stop_since is None:  # batch systems may repeat themselves
            self._stop_since = time.monotonic()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _interrupt(self) -> None:
        """End the run.

        Raises:
            TrainingInterruptedError: Always.
        """
        folder = self._path.parent
        raise TrainingInterruptedError(f"Training was interrupted; continue with: sleap-nn train --resume {folder}")


def moved(state: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the state of a `ModelCheckpoint` whose files are now in `folder`, an absolute path like the engine's."""

    def here(path: str) -> str:
        return str(folder / Path(path).name) if path else path

    paths = {key: here(state[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")}
    best = {here(path): score for path, score in state["best_k_models"].items()}
    return {**state, **paths, "dirpath": str(folder), "best_k_models": best}
