"""The progress bar of a run: epoch, losses, samples per second, time left."""

from __future__ import annotations

import time
from contextlib import ExitStack

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch import Tensor

from sleap_nn.heartbeat import bar_shown
from sleap_nn.log import logger

_SMOOTHING = 0.05


class ProgressBar(Callback):
    """One bar an epoch on the terminal, and one log line when it ends."""

    def __init__(self, show_bar: bool, console: Console | None = None) -> None:
        """Choose whether bars are drawn; log lines are written either way."""
        self._console = Console(stderr=True) if console is None else console
        self._show_bar = show_bar and self._console.is_terminal
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._shown = ExitStack()
        self._start = 0.0
        self._num_samples = 0
        self._loss: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the bar: the engine announces no start of an epoch that is resumed in its middle."""
        self._start_epoch(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the bar of an epoch."""
        self._start_epoch(trainer)

    def _start_epoch(self, trainer: Trainer) -> None:
        """Reset the figures and show a new bar."""
        self._stop()
        self._start = time.perf_counter()
        self._num_samples = 0
        if not (self._show_bar and trainer.is_global_zero):
            return
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}  {task.fields[rate]} samples/s"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task(
            f"Epoch {trainer.current_epoch}", total=trainer.num_training_batches, loss="--", rate="--"
        )
        self._progress.start()
        self._shown.enter_context(bar_shown())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Advance the bar."""
        self._num_samples += len(batch) * trainer.world_size  # pyright: ignore[reportArgumentType]
        if self._progress is None or self._task is None:
            return
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor):
            value = float(loss) * trainer.accumulate_grad_batches  # by which the engine divides it
            self._loss = value if self._loss is None else self._loss + _SMOOTHING * (value - self._loss)
        rate = self._num_samples / (time.perf_counter() - self._start)
        self._progress.update(self._task, advance=1, loss=f"{self._loss:.3g}", rate=f"{rate:.1f}")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the bar away and log the epoch."""
        self._stop()
        metrics = trainer.callback_metrics
        elapsed = time.perf_counter() - self._start
        names = [name for name in ("train/loss", "val/loss") if name in metrics]
        losses = "  ".join(f"{name} {float(metrics[name]):.4g}" for name in names)
        logger.info(
            "Epoch %d: %s  (%.1f samples/s, %.0f s)",
            trainer.current_epoch,
            losses,
            self._num_samples / elapsed,
            elapsed,
        )

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the terminal as it was."""
        self._stop()

    def _stop(self) -> None:
        """End the bar, if there is one."""
        if self._progress is not None:
            self._progress.stop()
            self._shown.close()
            self._progress = None
