"""`TrainingModule`: the one LightningModule; it joins a task and a network, and knows nothing of either's kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.structures.sample import Batch
from sleap_nn.tasks.base import Task
from sleap_nn.training.averages import EpochAverages
from sleap_nn.training.negatives import counts_by_sign, losses_by_sign
from sleap_nn.training.optim import make_optimizer, make_schedule

AVERAGES = "train_averages"


class TrainingModule(LightningModule):
    """Steps, logs and optimises a network on a task.

    Random numbers of a step (dropout, stochastic depth) depend on the seed, the step and the rank alone, so that a
    resumed run draws what an uninterrupted one would have drawn.

    Attributes:
        task: The model type.
        model: The network; its weights are saved as ``model.*``.
        strengths: How much the output of every head said at most in the last validation, see `Head.strength`; empty
            before the first.
    """

    def __init__(
        self, task: Task, network: PoseNetwork, config: TrainerConfig, seed: int = 0, with_negatives: bool = False
    ) -> None:
        """Join the parts; `with_negatives` logs the losses of frames with and without animals by themselves."""
        super().__init__()
        self.task = task
        self.model = network
        self.strengths: dict[str, Tensor] = {}
        self._config = config
        self._seed = seed
        self._with_negatives = with_negatives
        self._train_averages = EpochAverages()
        self._val_averages = EpochAverages()
        self._schedule: LRScheduler | ReduceLROnPlateau | None = None
        self._schedule_state: dict[str, Any] | None = None

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the total loss of a batch."""
        step = self.trainer.current_epoch * int(self.trainer.num_training_batches) + batch_index
        torch.manual_seed(int(np.random.SeedSequence((self._seed, step, self.global_rank)).generate_state(1)[0]))
        outputs, targets = self._run(batch)
        losses = self.task.losses(outputs, targets, batch.weights)
        total = self.task.total_loss(losses)
        named = self.task.node_losses(outputs, targets) | self.task.metrics(outputs, targets)
        self._train_averages.add({"loss": total} | self._head_losses(losses) | named, len(batch))
        self._add_signs(self._train_averages, outputs, targets, batch, batch.weights)
        return total

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collect the losses of a batch and follow how much the heads say."""
        outputs, targets = self._run(batch)
        losses = self.task.losses(outputs, targets)
        values = {"loss": self.task.total_loss(losses)} | self._head_losses(losses)
        self._val_averages.add(values | self.task.metrics(outputs, targets), len(batch))
        self._add_signs(self._val_averages, outputs, targets, batch)
        own, earlier = self.task.strengths(outputs), self.strengths if batch_index else {}
        self.strengths = {name: torch.maximum(value, earlier.get(name, value)) for name, value in own.items()}

    def on_validation_epoch_end(self) -> None:
        """Log the averages of the epoch: every epoch ends with a validation."""
        for stage, averages in (("train", self._train_averages), ("val", self._val_averages)):
            counts = counts_by_sign(averages.weights()) if self._with_negatives else {}
            for name, value in (averages.means() | counts).items():
                self.log(f"{stage}/{name}", value)
        self._val_averages.reset()

    def on_train_epoch_end(self) -> None:
        """Step the schedule of the learning rate, before the checkpoint of the epoch is written."""
        self._train_averages.reset()
        if isinstance(self._schedule, ReduceLROnPlateau):
            self._schedule.step(float(self.trainer.callback_metrics["val/loss"]))
        elif self._schedule is not None:
            self._schedule.step()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer; its schedule is stepped by this module."""
        optimizer = make_optimizer(self.model.parameters(), self._config)
        self._schedule = make_schedule(optimizer, self._config.lr_scheduler, self._config.max_epochs)
        if self._schedule is not None and self._schedule_state is not None:
            self._schedule.load_state_dict(self._schedule_state)
        return optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the schedule and the averages of an unfinished epoch."""
        checkpoint["lr_schedulers"] = [] if self._schedule is None else [self._schedule.state_dict()]
        checkpoint[AVERAGES] = self._train_averages.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back what `on_save_checkpoint` added."""
        schedules = checkpoint.get("lr_schedulers", [])
        self._schedule_state = schedules[0] if schedules else None
        if AVERAGES in checkpoint:
            self._train_averages.load_state_dict(checkpoint[AVERAGES])

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Copy a batch to the device."""
        return batch.to(device)

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """Run the network as validation does, on images (B, C, H, W) uint8; returns its outputs as float32."""
        with self.trainer.precision_plugin.forward_context():
            outputs = self._outputs(images.to(self.device, non_blocking=True))
        return {name: output.float() for name, output in outputs.items()}

    def _outputs(self, images: Tensor) -> dict[str, Tensor]:
        """Run the network."""
        if self._config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return self.model(images)

    def _run(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return outputs and targets, both made on the device."""
        return self._outputs(batch.image), self.task.encode(batch)

    def _add_signs(
        self,
        averages: EpochAverages,
        outputs: dict[str, Tensor],
        targets: dict[str, Tensor],
        batch: Batch,
        weights: Tensor | None = None,
    ) -> None:
        """Add the losses of samples with and without animals, each as often as there are such samples."""
        if self._with_negatives:
            for values, count in losses_by_sign(self.task, outputs, targets, batch.is_negative, weights):
                averages.add(values, count)

    def _head_losses(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return each head's part of the loss under its documented name, where there are several."""
        return {head.loss_name: losses[head.name] for head in self.task.heads} if len(losses) > 1 else {}
