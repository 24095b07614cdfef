"""`Devices`: how many devices train, which ones, and how they share the work; checked before anything slow."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from socket import gethostname
from typing import Any

import torch

from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError
from sleap_nn.log import quiet
from sleap_nn.networks.devices import freest_gpus, num_devices, resolve_accelerator, resolve_precision

DDP = ("ddp", "ddp_find_unused_parameters_false", "ddp_find_unused_parameters_true")
FSDP = "fsdp"
STRATEGIES = ("auto", *DDP, FSDP)


@dataclass(frozen=True)
class Devices:
    """The devices of this machine that train, one process each.

    Attributes:
        accelerator: ``cpu``, ``cuda`` or ``mps``.
        count: How many there are.
        indices: Which GPUs they are, None for the first ones and where there are none.
        strategy: One of `STRATEGIES` without ``auto``, or ``single`` for one device.
        precision: Precision of the network.
    """

    accelerator: str
    count: int
    indices: tuple[int, ...] | None
    strategy: str
    precision: str

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Devices:
        """Return the devices whose fields, as JSON keeps them, are given."""
        indices = values["indices"]
        return cls(**{**values, "indices": None if indices is None else tuple(indices)})

    def as_stored(self, settings: TrainerConfig) -> int | str:
        """Return ``trainer_devices`` for the saved configuration: ``auto`` stays, indices give their number."""
        if settings.trainer_device_indices:
            return len(settings.trainer_device_indices)
        return "auto" if settings.trainer_devices is None else settings.trainer_devices

    def check_here(self, num_started: int) -> None:
        """Check that this machine has them too.

        Raises:
            ConfigError: It has less.
        """
        same = resolve_accelerator(self.accelerator) == self.accelerator
        if not same or (self.accelerator != "cpu" and num_started > num_devices(self.accelerator)):
            raise ConfigError(
                f"{num_started} process(es) on {gethostname()} train on {self.accelerator}, of which this machine has "
                "not so many devices; start one process a device."
            )

    @property
    def is_divided(self) -> bool:
        """Whether every device has only a part of the weights."""
        return self.strategy == FSDP

    def use(self, local_rank: int) -> torch.device:
        """Make the device of a process of this machine the one it works on."""
        device = self.device(local_rank)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        return device

    def device(self, local_rank: int) -> torch.device:
        """Return the device of a process of this machine."""
        if self.accelerator != "cuda":
            return torch.device(self.accelerator)
        return torch.device("cuda", local_rank if self.indices is None else self.indices[local_rank])

    @classmethod
    def from_config(cls, settings: TrainerConfig, num_started: int | None = None) -> Devices:
        """Choose the devices.

        Args:
            settings: What the user set.
            num_started: Processes that a launcher has started on this machine already, None if there is none.

        Raises:
            ConfigError: There are not so many devices, or the settings contradict each other.
        """
        strategy = _strategy(settings.trainer_strategy)
        accelerator = resolve_accelerator(settings.trainer_accelerator)
        indices = _indices(settings.trainer_device_indices, accelerator)
        count = _count(settings, indices, accelerator, num_started)
        available = num_devices(accelerator)
        if accelerator != "cuda":
            indices = None
        elif indices is None and num_started is None and count < available:
            indices = freest_gpus(count)
        precision = resolve_precision(str(settings.precision), accelerator)
        if count == 1 and num_started is None:
            strategy = "single"
        if strategy == FSDP:
            precision = _check_sharded(settings, precision)
        return cls(accelerator, count, indices, strategy, precision)


def _strategy(name: str) -> str:
    """Return the strategy that a name stands for.

    Raises:
        ConfigError: There is none; the message names the nearest.
    """
    if name == "auto":
        return "ddp"
    if name in STRATEGIES:
        return name
    nearest = difflib.get_close_matches(name, STRATEGIES, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else "leave it at auto."
    raise ConfigError(f"trainer_config.trainer_strategy is {name!r}, which is none of {', '.join(STRATEGIES)}; {hint}")


def _indices(given: Sequence[int] | None, accelerator: str) -> tuple[int, ...] | None:
    """Return the indices that the user chose, None if none.

    Raises:
        ConfigError: There is no such device, or one is named twice.
    """
    if not given:
        return None
    available = num_devices(accelerator)
    if len(set(given)) < len(given):
        raise ConfigError(f"trainer_config.trainer_device_indices is {list(given)}; name every device once.")
    if max(given) >= available:
        here = f"{available} GPUs (indices 0 to {available - 1})" if available > 1 else f"one device ({accelerator}, 0)"
        raise ConfigError(
            f"trainer_config.trainer_device_indices is {list(given)}, but this machine has {here}; choose among these."
        )
    return tuple(given)


def _count(settings: TrainerConfig, indices: tuple[int, ...] | None, accelerator: str, num_started: int | None) -> int:
    """Return the number of devices.

    Raises:
        ConfigError: It is 0, more than there are, or not the number of processes that were started.
    """
    available = num_devices(accelerator)
    wanted = settings.trainer_devices if indices is None else len(indices)
    asked = isinstance(wanted, int)
    name = "trainer_devices" if indices is None else "trainer_device_indices"
    if num_started is not None and asked and wanted != num_started:
        raise ConfigError(
            f"trainer_config.{name} asks for {wanted} device(s), but {num_started} process(es) were started on this "
            "machine; start one process a device, or leave the setting at auto."
        )
    count = num_started if num_started is not None else wanted if isinstance(wanted, int) else available
    if count == 0:
        raise ConfigError("trainer_config.trainer_devices is 0; give at least 1, or auto for all there are.")
    if accelerator == "cpu" and (settings.trainer_accelerator == "cpu" or not asked):
        return count
    if count > available:
        here = "no GPU" if accelerator == "cpu" else f"{available} ({accelerator})"
        raise ConfigError(
            f"Training on {count} devices was asked for (trainer_config.{name}), but this machine has {here}; give a "
            "smaller number, or set trainer_config.trainer_accelerator=cpu to train in so many processes on the CPU."
        )
    return count


def _check_sharded(settings: TrainerConfig, precision: str) -> str:
    """Return the precision for weights that are divided over the devices.

    Raises:
        ConfigError: A setting does not go together with that.
    """
    if settings.ema_decay > 0:
        raise ConfigError(
            "trainer_config.ema_decay keeps a second copy of the weights, which fsdp cannot divide; set ema_decay=0, "
            "or trainer_strategy=ddp."
        )
    if precision == "16-mixed" and settings.precision == "16-mixed":
        raise ConfigError("trainer_config.precision=16-mixed does not work with fsdp; use bf16-mixed or 32.")
    return "32" if precision == "16-mixed" else precision


def with_devices(config: Any, num_started: int | None) -> TrainingJobConfig:
    """Return a configuration of any form as an object, if its devices are here: a check before labels are read.

    Raises:
        ConfigError: The configuration is wrong, or asks for devices that are not here.
    """
    job = TrainingJobConfig.from_cfg(config)
    with quiet():  # the choice that counts is made again
        Devices.from_config(job.trainer_config, num_started)
    return job
