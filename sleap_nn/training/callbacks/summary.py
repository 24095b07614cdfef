"""`RunSummary`: a small table on the terminal when training ends."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table

from sleap_nn.training.callbacks.epoch_record import EpochRecord


class RunSummary(Callback):
    """Says which epoch was the best, how good it was, how long training took, and where everything is."""

    def __init__(self, record: EpochRecord, folder: Path | None, console: Console | None = None) -> None:
        """Take the record of the epochs and the run folder; nothing is printed where there is no terminal."""
        self._record = record
        self._folder = folder
        self._console = Console(stderr=True) if console is None else console
        self._start = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the table, if training got as far as the end of an epoch."""
        if not (trainer.is_global_zero and self._console.is_terminal) or self._record.best_epoch is None:
            return
        table = Table(title="Training ended", show_header=False, title_justify="left")
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        table.add_row("Best epoch", f"{self._record.best_epoch} (the last is {trainer.current_epoch - 1})")
        for name in ("train/loss", "val/loss"):
            if name in self._record.best:
                table.add_row(name, f"{self._record.best[name]:.4g}")
        table.add_row("Time", str(timedelta(seconds=round(time.perf_counter() - self._start))))
        table.add_row(
            "Run folder", "none (trainer_config.save_ckpt is false)" if self._folder is None else str(self._folder)
        )
        self._console.print(table)
