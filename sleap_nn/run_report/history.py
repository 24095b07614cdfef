"""The training log as arrays, under today's column names whichever program wrote it."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.errors import DataError

RENAMED = {
    "train_loss": "train/loss",
    "val_loss": "val/loss",
    "train_time": "train/time",
    "val_time": "val/time",
    "loss": "train/loss",
    "lr": "learning_rate",
}
"""Columns of earlier programs, and what they are called now."""

HEAD_LOSS = re.compile(r"(train|val)[/_](\w+_loss)")


@dataclass(frozen=True, eq=False)
class History:
    """What was logged, one value an epoch; NaN where a field was empty.

    Attributes:
        epochs: Numbers of the epochs.
        columns: Values by column name.
    """

    epochs: Int[np.ndarray, " epochs"]
    columns: dict[str, Float[np.ndarray, " epochs"]]

    @classmethod
    def read(cls, path: Path) -> History:
        """Read a log; of an epoch that has several rows the last one counts.

        Raises:
            DataError: The file is no log.
        """
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                header, *rows = list(csv.reader(file)) or [[]]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path.name} cannot be read ({error}).") from error
        if "epoch" not in header:
            raise DataError(f"{path.name} has no column named epoch.")
        values = np.array([[_number(row, i) for i in range(len(header))] for row in rows]).reshape(-1, len(header))
        numbers = values[:, header.index("epoch")]
        values, numbers = values[~np.isnan(numbers)], numbers[~np.isnan(numbers)].astype(np.int64)
        epochs, from_end = np.unique(numbers[::-1], return_index=True)
        kept = values[::-1][from_end]
        columns = {_canonical(name): kept[:, i] for i, name in enumerate(header) if name != "epoch"}
        return cls(epochs, {name: column for name, column in columns.items() if not np.isnan(column).all()})

    def __len__(self) -> int:
        """Return the number of epochs."""
        return len(self.epochs)

    @property
    def seconds(self) -> float:
        """Time of all epochs, NaN if it was not logged."""
        times = [self.columns[name] for name in ("train/time", "val/time") if name in self.columns]
        return float(np.nansum(times)) if times else float("nan")

    @property
    def head_losses(self) -> list[str]:
        """Names of the parts of the loss that were logged for training or validation, such as ``paf_loss``."""
        found = [HEAD_LOSS.fullmatch(name) for name in self.columns]
        return list(dict.fromkeys(match.group(2) for match in found if match))

    def best(self, monitor: str = "val/loss", mode: str = "min") -> int | None:
        """Return the position of the epoch whose weights were kept, None if what decided it was not logged."""
        values = self.columns.get(_canonical(monitor))
        if values is None or not np.isfinite(values).any():
            return None
        worst = np.inf if mode == "min" else -np.inf
        comparable = np.where(np.isfinite(values), values, worst)
        return int(comparable.argmin() if mode == "min" else comparable.argmax())


def _canonical(name: str) -> str:
    """Return today's name of a column."""
    match = HEAD_LOSS.fullmatch(name)
    return f"{match.group(1)}/{match.group(2)}" if match else RENAMED.get(name, name)


def _number(row: Sequence[str], index: int) -> float:
    """Return a field as a number, NaN if it is empty, missing or no number."""
    try:
        return float(row[index])
    except (ValueError, IndexError):
        return float("nan")
