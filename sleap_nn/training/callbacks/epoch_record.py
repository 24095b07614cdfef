"""`EpochRecord`: the values of every epoch with its times and rates, and which epoch was the best."""

from __future__ import annotations

import math
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

SHORTEST = 1e-9
"""Least time of an epoch in seconds, so that its rates are numbers."""


class EpochRecord(Callback):
    """Collects what is known of an epoch, once, for all who write it down.

    Attributes:
        best_epoch: The epoch with the best watched value, None before the first.
        best: All values of that epoch.
    """

    def __init__(self, monitor: str, mode: str) -> None:
        """Choose the value that decides, and whether ``min`` or ``max`` of it is best."""
        self._monitor = monitor
        self._sign = 1.0 if mode == "min" else -1.0
        self._values: dict[str, float] | None = None
        self._rate = 0.0
        self._start = 0.0
        self._validation_start = 0.0
        self._validation_time = 0.0
        self._steps = self._samples = self._frames = 0
        self.best_epoch: int | None = None
        self.best: dict[str, float] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start: the engine announces no start of an epoch that is resumed in its middle."""
        self._start_epoch(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start an epoch."""
        self._start_epoch(trainer)

    def _start_epoch(self, trainer: Trainer) -> None:
        """Note the learning rate and the time."""
        self._values = None
        self._rate = trainer.optimizers[0].param_groups[0]["lr"]
        self._start = time.perf_counter()
        self._validation_time = 0.0
        self._steps = self._samples = self._frames = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Any, batch_idx: int
    ) -> None:
        """Count."""
        self._steps += 1
        self._samples += len(batch)
        self._frames += len(set(batch.keys))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the time at which validation starts."""
        self._validation_start = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add up the time of validation."""
        self._validation_time += time.perf_counter() - self._validation_start

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Complete the epoch, also where nobody asks for its values."""
        self.values(trainer)

    def values(self, trainer: Trainer) -> dict[str, float]:
        """Return what is known of the epoch that ends: metrics, learning rate, seconds, and rates of all devices.

        Metrics that are NaN, which means not computed, are left out. The first call completes the epoch; it belongs
        into ``on_train_epoch_end``, when all metrics are logged.
        """
        if self._values is None:
            train_time = max(time.perf_counter() - self._start - self._validation_time, SHORTEST)
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            self._values = {name: value for name, value in metrics.items() if not math.isnan(value)} | {
                "learning_rate": self._rate,
                "train/time": train_time,
                "val/time": self._validation_time,
                "train/steps_per_sec": self._steps / train_time,
                "train/samples_per_sec": self._samples * trainer.world_size / train_time,
                "train/frames_per_sec": self._frames * trainer.world_size / train_time,
            }
            self._compare(trainer.current_epoch, self._values)
        return self._values

    def state_dict(self) -> dict[str, Any]:
        """Return the best epoch, so that a resumed run knows it."""
        return {"best_epoch": self.best_epoch, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.best_epoch, self.best = state_dict["best_epoch"], state_dict["best"]

    def _compare(self, epoch: int, values: dict[str, float]) -> None:
        """Keep the epoch if it is the best so far; one without the watched value is not."""
        value = values.get(self._monitor, math.nan)
        best = self.best.get(self._monitor, self._sign * math.inf)
        if self._sign * value < self._sign * best:
            self.best_epoch, self.best = epoch, values
