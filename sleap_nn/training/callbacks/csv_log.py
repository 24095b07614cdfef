"""``training_log.csv``: one row an epoch, in the columns that the SLEAP GUI reads."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

COLUMNS = ("epoch", "train/loss", "val/loss", "learning_rate", "train/time", "val/time")


class CSVLog(Callback):
    """Appends a row when an epoch ends; every value belongs to that epoch, times are seconds."""

    def __init__(self, path: Path, extra_columns: Sequence[str] = ()) -> None:
        """Choose the file and the columns after the common ones."""
        self._path = path
        self._columns = [*COLUMNS, *extra_columns]
        self._rate = 0.0
        self._epoch_start = 0.0
        self._validation_start = 0.0
        self._validation_time = 0.0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the header of a new file."""
        if trainer.is_global_zero and not self._path.exists():
            self._append(self._columns)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop the rows of epochs that a resumed run makes again."""
        self._start_epoch(trainer)  # the engine announces no start of an epoch that is resumed in its middle
        if not trainer.is_global_zero:
            return
        with self._path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [list(self._columns)]
        kept = [row for row in rows if len(row) == len(header) and int(row[0]) < trainer.current_epoch]
        if len(kept) < len(rows):
            partial = self._path.with_name(f".{self._path.name}.partial")
            with partial.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([header, *kept])
            partial.replace(self._path)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the rate and the time at which the epoch starts."""
        self._start_epoch(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the time at which validation starts."""
        self._validation_start = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add up the time of validation."""
        self._validation_time += time.perf_counter() - self._validation_start

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row."""
        if not trainer.is_global_zero:
            return
        elapsed = time.perf_counter() - self._epoch_start
        values: dict[str, float | int] = {name: float(value) for name, value in trainer.callback_metrics.items()}
        values |= {
            "epoch": trainer.current_epoch,
            "learning_rate": self._rate,
            "train/time": elapsed - self._validation_time,
            "val/time": self._validation_time,
        }
        self._append([values.get(column, "") for column in self._columns])

    def _start_epoch(self, trainer: Trainer) -> None:
        """Note the rate and the time."""
        self._rate = trainer.optimizers[0].param_groups[0]["lr"]
        self._epoch_start = time.perf_counter()
        self._validation_time = 0.0

    def _append(self, row: Sequence[object]) -> None:
        """Add one line; a run that is killed keeps all lines before."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(row)
