"""`TrainingModule`: the one LightningModule; it joins a task and a network, and knows nothing of either's kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.structures.sample import Batch
from sleap_nn.tasks.base import Task
from sleap_nn.training.optim import make_optimizer, make_schedule


class TrainingModule(LightningModule):
    """Steps, logs and optimises a network on a task.

    Attributes:
        task: The model type.
        model: The network; its weights are saved as ``model.*``.
        peak_height: Largest map value of the last validation, a sign of whether the maps rise at all.
    """

    def __init__(self, task: Task, network: PoseNetwork, config: TrainerConfig) -> None:
        """Join the parts."""
        super().__init__()
        self.task = task
        self.model = network
        self.peak_height = float("nan")
        self._config = config

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the total loss of a batch."""
        outputs, targets = self._run(batch)
        losses = self.task.losses(outputs, targets, batch.weights)
        total = self.task.total_loss(losses)
        self._log_losses("train", total, losses, len(batch))
        self._log("train", self.task.node_losses(outputs, targets), len(batch))
        self._log("train", self.task.metrics(outputs, targets), len(batch))
        return total

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Log the losses of a batch and follow the height of the maps."""
        outputs, targets = self._run(batch)
        losses = self.task.losses(outputs, targets)
        self._log("val", self.task.metrics(outputs, targets), len(batch))
        self._log_losses("val", self.task.total_loss(losses), losses, len(batch))
        height = self.task.peak_height(outputs)
        self.peak_height = height if batch_index == 0 else max(self.peak_height, height)

    def configure_optimizers(self) -> Any:
        """Return the optimizer and, unless the rate is constant, its schedule."""
        optimizer = make_optimizer(self.model.parameters(), self._config)
        schedule = make_schedule(optimizer, self._config.lr_scheduler, self._config.max_epochs)
        if schedule is None:
            return optimizer
        entry: dict[str, Any] = {"scheduler": schedule, "interval": "epoch"}
        if isinstance(schedule, ReduceLROnPlateau):
            entry["monitor"] = "val/loss"
        return {"optimizer": optimizer, "lr_scheduler": entry}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Copy a batch to the device."""
        return batch.to(device)

    def _run(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return outputs and targets, both made on the device."""
        image = batch.image
        if self._config.channels_last:
            image = image.contiguous(memory_format=torch.channels_last)
        return self.model(image), self.task.encode(batch)

    def _log_losses(self, stage: str, total: Tensor, losses: dict[str, Tensor], batch_size: int) -> None:
        """Log the total, and each head's part where there are several."""
        values = {"loss": total}
        if len(losses) > 1:
            values |= {head.loss_name: losses[head.name] for head in self.task.heads}
        self._log(stage, values, batch_size)

    def _log(self, stage: str, values: Mapping[str, Tensor], batch_size: int) -> None:
        """Add values to the averages of the epoch; an undefined one (NaN) does not count, unless it is the loss."""
        for name, value in values.items():
            if name == "loss" or not bool(value.isnan()):
                self.log(f"{stage}/{name}", value, on_step=False, on_epoch=True, batch_size=batch_size)
