"""Optimizers and learning-rate schedules, as `trainer_config` names them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import cos, pi
from typing import Any

from torch import nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau, StepLR

from sleap_nn.config.trainer_config import (
    CosineAnnealingWarmupConfig,
    LinearWarmupLinearDecayConfig,
    LRSchedulerConfig,
    OptimizerConfig,
    StepLRConfig,
    TrainerConfig,
)
from sleap_nn.errors import ConfigError, ModelError
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.networks.parts import depths

OPTIMIZERS: dict[str, type[Adam] | type[AdamW]] = {"Adam": Adam, "AdamW": AdamW}


def parameter_groups(network: PoseNetwork, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Return the trainable weights of a network by learning rate, the heads with the plain rate first.

    The rate falls by ``layer_decay`` from block to block (Howard and Ruder, "Universal Language Model Fine-tuning for
    Text Classification", ACL 2018). Without it and with ``backbone_lr_scale`` 1 there is one group.
    """
    decay = 1.0 if config.layer_decay is None else config.layer_decay
    weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    steps = depths(network)
    scales = {name: config.backbone_lr_scale * decay ** steps[name] if steps[name] else 1.0 for name in weights}
    if set(scales.values()) == {1.0}:
        return [{"params": list(weights.values()), "lr": config.lr}]
    groups: dict[float, list[nn.Parameter]] = {}
    for name in sorted(weights, key=lambda name: steps[name]):
        groups.setdefault(scales[name], []).append(weights[name])
    return [{"params": members, "lr": config.lr * scale} for scale, members in groups.items()]


def check_groups(saved: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]) -> None:
    """Refuse to go on with the state of an optimizer whose weights were grouped in another way.

    Raises:
        ModelError: The message names the options on which groups depend.
    """
    sizes = [len(group["params"]) for state in saved for group in state["param_groups"]]
    if sizes != [len(group["params"]) for group in groups]:
        raise ModelError(
            "The checkpoint was trained with other learning rates from part to part; resume with the same "
            "trainer_config.optimizer.backbone_lr_scale and layer_decay, and the same freeze of the encoder."
        )


def make_optimizer(groups: Iterable[dict[str, Any]], config: TrainerConfig) -> Optimizer:
    """Return the optimizer over groups of weights, see `parameter_groups`.

    The fused kernels are not used where they stand in the way of gradient clipping: they take the gradients as they
    are, and mixed precision clips them first.
    """
    clipped_in_mixed = config.gradient_clip_val is not None and config.precision != "32"
    options: dict[str, Any] = {"amsgrad": config.optimizer.amsgrad}
    if config.optimizer.weight_decay is not None:
        options["weight_decay"] = config.optimizer.weight_decay
    return OPTIMIZERS[config.optimizer_name](
        list(groups),
        lr=config.optimizer.lr,
        fused=config.precision != "16-mixed" and not clipped_in_mixed,
        **options,
    )


def make_schedule(
    optimizer: Optimizer, config: LRSchedulerConfig | None, num_epochs: Callable[[], float]
) -> LRScheduler | ReduceLROnPlateau | None:
    """Return the schedule, stepped once an epoch; None keeps the rate constant.

    Args:
        optimizer: Whose rates are set.
        config: The sections.
        num_epochs: Says at each step how many epochs the run will have, as far as is known by then.
    """
    base = optimizer.defaults["lr"]
    section = None if config is None else config.acting()
    if section is None:
        return None
    if isinstance(section, CosineAnnealingWarmupConfig):
        return LambdaLR(optimizer, lambda epoch: cosine_rate(section, base, num_epochs(), epoch) / base)
    if isinstance(section, LinearWarmupLinearDecayConfig):
        return LambdaLR(optimizer, lambda epoch: linear_rate(section, base, num_epochs(), epoch) / base)
    if isinstance(section, StepLRConfig):
        return StepLR(optimizer, step_size=section.step_size, gamma=section.gamma)
    return ReduceLROnPlateau(
        optimizer,
        mode="min",
        factor=section.factor,
        patience=section.patience,
        threshold=section.threshold,
        threshold_mode=section.threshold_mode,  # pyright: ignore[reportArgumentType]
        cooldown=section.cooldown,
        min_lr=_smallest_rates(section.min_lr, optimizer),
    )


def _smallest_rates(given: float | list[float], optimizer: Optimizer) -> list[float]:
    """Return the rate below which each group is not reduced; a single value is that of the plain rate.

    Raises:
        ConfigError: A list has another length than the groups.
    """
    groups = optimizer.param_groups
    if not isinstance(given, list):
        return [given * (group["lr"] / optimizer.defaults["lr"]) for group in groups]
    if len(given) != len(groups):
        raise ConfigError(
            f"trainer_config.lr_scheduler.reduce_lr_on_plateau.min_lr has {len(given)} values, but the weights are "
            f"optimised in {len(groups)} group(s); give one number, which is scaled for each group."
        )
    return given


def cosine_rate(config: CosineAnnealingWarmupConfig, base: float, num_epochs: float, epoch: int) -> float:
    """Return the rate of an epoch: a linear rise, then half a cosine down to ``eta_min``.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, without restarts.
    """
    warmup, last = config.warmup_epochs, num_epochs if config.max_epochs is None else config.max_epochs
    if epoch < warmup:
        return config.warmup_start_lr + (base - config.warmup_start_lr) * epoch / warmup
    if epoch >= last:
        return config.eta_min
    return config.eta_min + (base - config.eta_min) * (1 + cos(pi * (epoch - warmup) / (last - warmup))) / 2


def linear_rate(config: LinearWarmupLinearDecayConfig, base: float, num_epochs: float, epoch: int) -> float:
    """Return the rate of an epoch: a linear rise, then a straight line down to ``end_lr``."""
    warmup, last = config.warmup_epochs, num_epochs if config.max_epochs is None else config.max_epochs
    if epoch < warmup:
        return config.warmup_start_lr + (base - config.warmup_start_lr) * epoch / warmup
    if epoch >= last:
        return config.end_lr
    return base + (config.end_lr - base) * (epoch - warmup) / (last - warmup)
