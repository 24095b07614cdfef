"""``training_log.csv``: one row an epoch, in the columns that the SLEAP GUI reads."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from sleap_nn.errors import OutputError
from sleap_nn.training.callbacks.epoch_record import EpochRecord
from sleap_nn.whole_files import whole_file

COLUMNS = ("epoch", "train/loss", "val/loss", "learning_rate", "train/time", "val/time")


class CSVLog(Callback):
    """Appends a row when an epoch ends; every value belongs to that epoch, times are seconds."""

    def __init__(self, path: Path, record: EpochRecord, extra_columns: Sequence[str] = ()) -> None:
        """Choose the file, where the values come from, and the columns after the common ones."""
        self._path = path
        self._record = record
        self._columns = [*COLUMNS, *extra_columns]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the header of a new file."""
        if trainer.is_global_zero and not self._path.exists():
            self._append(self._columns)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop the rows of epochs that a resumed run makes again; what it logs anew gets columns at the end."""
        if not trainer.is_global_zero:
            return
        with self._path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [list(self._columns)]
        kept = [row for row in rows if len(row) == len(header) and int(row[0]) < trainer.current_epoch]
        added = [column for column in self._columns if column not in header]
        self._columns = [*header, *added]
        if added or len(kept) < len(rows):
            kept = [[*row, *[""] * len(added)] for row in kept]
            with whole_file(self._path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([self._columns, *kept])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row."""
        if not trainer.is_global_zero:
            return
        values = {**self._record.values(trainer), "epoch": trainer.current_epoch}
        self._append([values.get(column, "") for column in self._columns])

    def _append(self, row: Sequence[object]) -> None:
        """Add one line; a run that is killed keeps all lines before.

        Raises:
            OutputError: The disk is full or the folder is gone.
        """
        try:
            with self._path.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow(row)
        except OSError as error:
            raise OutputError(
                f"The training log {self._path} could not be written ({error.strerror}); all epochs before are safe. "
                f"Make room, then continue with: sleap-nn train --resume {self._path.parent}"
            ) from error
