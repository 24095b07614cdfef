"""`TrainingModule`: the one LightningModule; it joins a task and a network, and knows nothing of either's kind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

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
from sleap_nn.training.checkpoints import BATCH_SIZES, set_batch
from sleap_nn.training.collectives import is_shared, share_buffers, sum_gradients, sum_over_devices
from sleap_nn.training.freezing import Freeze
from sleap_nn.training.microbatches import MicroBatches
from sleap_nn.training.negatives import counts_by_sign, losses_by_sign
from sleap_nn.training.optim import check_groups, make_optimizer, make_schedule, parameter_groups
from sleap_nn.training.strategies import divide_weights

AVERAGES = "train_averages"
PARTS = "micro_batches"

Signs = Sequence[tuple[Mapping[str, Tensor], int]]
"""Losses of the samples with and without animals, and the number of such samples."""


@dataclass(frozen=True, eq=False)
class Step:
    """What a batch, or a part of one, says in training.

    Attributes:
        total: The loss that is learnt from.
        losses: It and those of the heads, by their names in the log.
        named: What else is logged.
        signs: Losses of samples with and without animals, where they are logged by themselves.
    """

    total: Tensor
    losses: Mapping[str, Tensor]
    named: Mapping[str, Tensor]
    signs: Signs


class TrainingModule(LightningModule):
    """Steps, logs and optimises a network on a task.

    Random numbers of a step (dropout, stochastic depth) depend on the seed, the step and the rank alone, so that a
    resumed run draws what an uninterrupted one would have drawn.

    Attributes:
        task: The model type.
        model: The network; its weights are saved as ``model.*``.
        strengths: How much the output of every head said at most in the last validation, see `Head.strength`, as far
            as this process saw; empty before the first.
        first_batch: Batches of its first epoch that a resumed run has done, None where the checkpoint says it.
        num_own_val_batches: Validation batches that count; more of them only keep step with other processes.
        num_epochs: How many epochs the run will have, as far as is known: a schedule that falls to an end does so by
            then.
    """

    first_batch: int | None = None
    num_own_val_batches: float = math.inf

    def __init__(
        self, task: Task, network: PoseNetwork, config: TrainerConfig, seed: int = 0, with_negatives: bool = False
    ) -> None:
        """Join the parts; `with_negatives` logs the losses of frames with and without animals by themselves.

        Raises:
            ConfigError: What is to be frozen is no part of the network, or all of it.
        """
        super().__init__()
        self.task = task
        self.model = network
        self.strengths: dict[str, Tensor] = {}
        self.num_epochs: float = config.max_epochs
        self._config = config
        self._seed = seed
        self._with_negatives = with_negatives
        self._train_averages = EpochAverages()
        self._val_averages = EpochAverages()
        self._train_parts, self._val_parts = MicroBatches(), MicroBatches()
        self._groups = parameter_groups(network, config.optimizer)
        self._freeze = Freeze(network, config)
        self._schedule: LRScheduler | ReduceLROnPlateau | None = None
        self._schedule_state: dict[str, Any] | None = None

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The groups in which weights are optimised, see `parameter_groups`."""
        return self._groups

    def configure_model(self) -> None:
        """Divide the weights over the devices where that was asked for, and freeze what is frozen from the start."""
        if divide_weights(self, self.model):
            self._groups = parameter_groups(self.model, self._config.optimizer)
            self._freeze = Freeze(self.model, self._config)
        self._freeze.prepare(self._is_divided)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the total loss of a batch.

        The gradients are added up here, see `_learn`, since a device may have to do so in parts, and then over all
        processes. Only where weights are divided that is left to the engine, which puts them together on the way.
        """
        number = self.trainer.current_epoch * int(self.trainer.num_training_batches) + batch_index
        torch.manual_seed(int(np.random.SeedSequence((self._seed, number, self.global_rank)).generate_state(1)[0]))
        self._freeze.hold(self.trainer.current_epoch)
        counts = self._counts_of_all(batch)
        if self._is_divided:
            (shares,) = self._shares([batch], counts)
            step = self._losses(batch, shares)
            self._log(step, step.losses, len(batch))
            return step.total
        weights = list(self.model.parameters())
        first = batch_index % self.trainer.accumulate_grad_batches == 0
        earlier = [None if first else weight.grad for weight in weights]
        total = self._train_parts.run(batch, partial(self._learn, counts=counts))
        for weight, gradient in zip(weights, earlier, strict=True):
            if gradient is not None:
                weight.grad = gradient if weight.grad is None else gradient.add_(weight.grad)
        done = batch_index + 1
        if done % self.trainer.accumulate_grad_batches == 0 or done == self.trainer.num_training_batches:
            sum_gradients(weights)
        return total.requires_grad_()  # a leaf: what the engine does with it reaches no weight

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """Leave the gradients that `training_step` has added up."""
        if self._is_divided:
            optimizer.zero_grad()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Drop gradients that would move frozen weights."""
        self._freeze.drop_gradients(self.trainer.current_epoch)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collect the losses of a batch and follow how much the heads say."""
        joined = self._joined_outputs
        outputs = joined([batch]) if self._is_divided else self._val_parts.run(batch, joined)
        targets = self.task.encode(batch)
        losses = self.task.losses(outputs, targets)
        values = {"loss": self.task.total_loss(losses)} | self._head_losses(losses)
        counts = batch_index < self.num_own_val_batches
        self._val_averages.add(values | self.task.metrics(outputs, targets), len(batch) * counts)
        for signed, count in self._signs(outputs, targets, batch):
            self._val_averages.add(signed, count * counts)
        own, earlier = self.task.strengths(outputs), self.strengths if batch_index else {}
        self.strengths = {name: torch.maximum(value, earlier.get(name, value)) for name, value in own.items()}

    def on_validation_epoch_start(self) -> None:
        """Validate the same network on all devices, whatever they saw."""
        share_buffers(self.model)

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
        optimizer = make_optimizer(self._groups, self._config)
        self._schedule = make_schedule(optimizer, self._config.lr_scheduler, lambda: self.num_epochs)
        if self._schedule is not None and self._schedule_state is not None:
            self._schedule.load_state_dict(self._schedule_state)
        return optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the schedule and the averages of an unfinished epoch."""
        checkpoint["lr_schedulers"] = [] if self._schedule is None else [self._schedule.state_dict()]
        checkpoint[AVERAGES] = self._train_averages.state_dict()
        loaders = (self._config.train_data_loader, self._config.val_data_loader)
        checkpoint[BATCH_SIZES] = [int(loader.batch_size) for loader in loaders]
        checkpoint[PARTS] = [parts.state_dict() for parts in (self._train_parts, self._val_parts)]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back what `on_save_checkpoint` added.

        Raises:
            ModelError: The weights were optimised in other groups.
        """
        check_groups(checkpoint["optimizer_states"], self._groups)
        schedules = checkpoint.get("lr_schedulers", [])
        self._schedule_state = schedules[0] if schedules else None
        if self._schedule is not None and self._schedule_state is not None:  # where weights are divided, it exists
            self._schedule.load_state_dict(self._schedule_state)
        if AVERAGES in checkpoint:
            self._train_averages.load_state_dict(checkpoint[AVERAGES], self.global_rank, self.trainer.world_size)
        for parts, state in zip((self._train_parts, self._val_parts), checkpoint.get(PARTS, ()), strict=False):
            parts.load_state_dict(state)
        if self.first_batch is not None:
            set_batch(checkpoint, self.first_batch)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Copy a batch to the device."""
        return batch.to(device)

    @property
    def _is_divided(self) -> bool:
        """Whether this device has only a part of the weights."""
        return self.device_mesh is not None

    def _learn(self, parts: Sequence[Batch], counts: Mapping[str, Tensor] | None) -> Tensor:
        """Set the gradients to those of a batch, given in parts, and return its loss.

        The loss is a mean over samples, so every part counts as much as it has samples, with their weights, among
        those of all processes. Only hard keypoint mining, which looks for the worst channels of what it is given,
        mines each part for itself.
        """
        self.model.zero_grad()
        losses: dict[str, Tensor] = {}
        steps: list[Step] = []
        in_step = self.trainer.accumulate_grad_batches * self.trainer.world_size
        for part, shares in zip(parts, self._shares(parts, counts), strict=True):
            step = self._losses(part, shares)
            with torch.autocast(self.device.type, enabled=False), cast(Any, self.trainer).profiler.profile("backward"):
                self.trainer.strategy.backward(step.total / in_step, None)
            losses = {name: loss.detach() + losses.get(name, 0) for name, loss in step.losses.items()}
            steps.append(replace(step, total=step.total.detach()))
        for part, step in zip(parts, steps, strict=True):
            self._log(step, losses, len(part))
        return losses["loss"].clone()

    def _counts_of_all(self, batch: Batch) -> dict[str, Tensor] | None:
        """Return how much the batches of all processes count for every head, divided by their number; None: alone."""
        if not is_shared():
            return None
        counts = self.task.counts(batch)
        sums = sum_over_devices(torch.stack(list(counts.values()))) / self.trainer.world_size
        return dict(zip(counts, sums, strict=True))

    def _shares(self, parts: Sequence[Batch], together: Mapping[str, Tensor] | None) -> list[dict[str, Tensor] | None]:
        """Return the share of each part in the loss of every head; None for a whole batch.

        Args:
            parts: Those of a batch.
            together: What `_counts_of_all` says: the mean over processes of what their parts make is the loss of all.
        """
        if together is None and len(parts) == 1:
            return [None]
        counts = [self.task.counts(part) for part in parts]
        if together is None:
            together = {name: torch.stack([count[name] for count in counts]).sum() for name in counts[0]}
        return [
            {name: torch.where(together[name] > 0, own / together[name], 0.0) for name, own in count.items()}
            for count in counts
        ]

    def _losses(self, batch: Batch, shares: Mapping[str, Tensor] | None) -> Step:
        """Return what a batch says, with the losses of its heads taken by their shares."""
        outputs, targets = self._outputs(batch.image), self.task.encode(batch)
        losses = self.task.losses(outputs, targets, batch.weights)
        if shares is not None:
            losses = {name: loss * shares[name] for name, loss in losses.items()}
        total = self.task.total_loss(losses)
        named = self.task.node_losses(outputs, targets) | self.task.metrics(outputs, targets)
        signs = self._signs(outputs, targets, batch, batch.weights)
        return Step(total, {"loss": total} | self._head_losses(losses), named, signs)

    def _log(self, step: Step, losses: Mapping[str, Tensor], num_samples: int) -> None:
        """Add a batch, or a part of one, to the averages of the epoch."""
        self._train_averages.add({**losses, **step.named}, num_samples)
        for values, count in step.signs:
            self._train_averages.add(values, count)

    def _signs(
        self, outputs: dict[str, Tensor], targets: dict[str, Tensor], batch: Batch, weights: Tensor | None = None
    ) -> Signs:
        """Return the losses of samples with and without animals, each with the number of such samples."""
        if not self._with_negatives:
            return []
        return losses_by_sign(self.task, outputs, targets, batch.is_negative, weights)

    def _joined_outputs(self, parts: Sequence[Batch]) -> dict[str, Tensor]:
        """Return the outputs of a batch that is given in parts."""
        outputs = [self._outputs(part.image) for part in parts]
        return outputs[0] if len(parts) == 1 else {name: torch.cat([o[name] for o in outputs]) for name in outputs[0]}

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """Run the network as validation does, on images (B, C, H, W) uint8; returns its outputs as float32."""
        with self.trainer.precision_plugin.forward_context():
            outputs = self._outputs(images.to(self.device, non_blocking=True))
        return {name: output.float() for name, output in outputs.items()}

    def _outputs(self, images: Tensor) -> dict[str, Tensor]:
        """Run the network."""
        layout = torch.channels_last if self._config.channels_last else torch.contiguous_format
        return self.model(images.contiguous(memory_format=layout))

    def _head_losses(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return each head's part of the loss under its documented name, where there are several."""
        return {head.loss_name: losses[head.name] for head in self.task.heads} if len(losses) > 1 else {}
