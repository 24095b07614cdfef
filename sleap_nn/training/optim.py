"""Optimizers and learning-rate schedules, as `trainer_config` names them."""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, pi

from torch import nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau, StepLR

from sleap_nn.config.trainer_config import (
    CosineAnnealingWarmupConfig,
    LinearWarmupLinearDecayConfig,
    LRSchedulerConfig,
    TrainerConfig,
)

OPTIMIZERS: dict[str, type[Adam] | type[AdamW]] = {"Adam": Adam, "AdamW": AdamW}


def make_optimizer(parameters: Iterable[nn.Parameter], config: TrainerConfig) -> Optimizer:
    """Return the optimizer over the trainable parameters.

    The fused kernels are not used where they stand in the way of gradient clipping: they take the gradients as they
    are, and mixed precision clips them first.
    """
    clipped_in_mixed = config.gradient_clip_val is not None and config.precision != "32"
    return OPTIMIZERS[config.optimizer_name](
        [parameter for parameter in parameters if parameter.requires_grad],
        lr=config.optimizer.lr,
        amsgrad=config.optimizer.amsgrad,
        fused=config.precision != "16-mixed" and not clipped_in_mixed,
    )


def make_schedule(
    optimizer: Optimizer, config: LRSchedulerConfig | None, max_epochs: int
) -> LRScheduler | ReduceLROnPlateau | None:
    """Return the schedule, stepped once an epoch; None keeps the rate constant.

    Of several sections the first of cosine, linear, step, plateau counts.
    """
    if config is None:
        return None
    base = optimizer.param_groups[0]["lr"]
    if config.cosine_annealing_warmup is not None:
        section = config.cosine_annealing_warmup
        return LambdaLR(optimizer, lambda epoch: cosine_rate(section, base, max_epochs, epoch) / base)
    if config.linear_warmup_linear_decay is not None:
        linear = config.linear_warmup_linear_decay
        return LambdaLR(optimizer, lambda epoch: linear_rate(linear, base, max_epochs, epoch) / base)
    if config.step_lr is not None:
        return StepLR(optimizer, step_size=config.step_lr.step_size, gamma=config.step_lr.gamma)
    plateau = config.reduce_lr_on_plateau
    if plateau is None:
        return None
    return ReduceLROnPlateau(
        optimizer,
        mode="min",
        factor=plateau.factor,
        patience=plateau.patience,
        threshold=plateau.threshold,
        threshold_mode=plateau.threshold_mode,  # pyright: ignore[reportArgumentType]
        cooldown=plateau.cooldown,
        min_lr=plateau.min_lr,
    )


def cosine_rate(config: CosineAnnealingWarmupConfig, base: float, max_epochs: int, epoch: int) -> float:
    """Return the rate of an epoch: a linear rise, then half a cosine down to ``eta_min``.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, without restarts.
    """
    warmup, last = config.warmup_epochs, max_epochs if config.max_epochs is None else config.max_epochs
    if epoch < warmup:
        return config.warmup_start_lr + (base - config.warmup_start_lr) * epoch / warmup
    if epoch >= last:
        return config.eta_min
    return config.eta_min + (base - config.eta_min) * (1 + cos(pi * (epoch - warmup) / (last - warmup))) / 2


def linear_rate(config: LinearWarmupLinearDecayConfig, base: float, max_epochs: int, epoch: int) -> float:
    """Return the rate of an epoch: a linear rise, then a straight line down to ``end_lr``."""
    warmup, last = config.warmup_epochs, max_epochs if config.max_epochs is None else config.max_epochs
    if epoch < warmup:
        return config.warmup_start_lr + (base - config.warmup_start_lr) * epoch / warmup
    if epoch >= last:
        return config.end_lr
    return base + (config.end_lr - base) * (epoch - warmup) / (last - warmup)
