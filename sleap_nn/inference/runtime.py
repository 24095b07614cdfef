"""What executes a network: images in, raw outputs by head name out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sleap_nn.errors import ConfigError
from sleap_nn.networks.compilation import compiled
from sleap_nn.networks.devices import native_bfloat16, resolve_accelerator
from sleap_nn.networks.host_memory import keep_host_memory
from sleap_nn.networks.network import PoseNetwork

_DTYPES = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}


class TorchRuntime:
    """Runs a `PoseNetwork` in PyTorch.

    Attributes:
        device: Where the network is.
        precision: ``32``, ``bf16`` or ``16``.
    """

    def __init__(self, network: PoseNetwork, device: str = "cpu", precision: str = "auto") -> None:
        """Move the network to the device, in the precision, with channels last; it is not trained from here on.

        Raises:
            ConfigError: The device is not here, or the precision is unknown.
        """
        self.device = resolve_device(device)
        self.precision = _resolve_precision(precision, self.device)
        if self.device.type == "cpu":
            keep_host_memory()
        network = network.eval().requires_grad_(False).to(self.device, _DTYPES[self.precision])
        self._network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._run: Callable[[Tensor], dict[str, Tensor]] = self._network
        self._casts_to_fp16 = False

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Run images (B, C, H, W) uint8; the outputs (B, K, h, w) float32 stay on the device."""
        images = images.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.float16, enabled=self._casts_to_fp16):
            outputs = self._run(images)
        return {name: output.float() for name, output in outputs.items()}

    @property
    def use_fp16(self) -> bool:
        """Whether layers compute in float16."""
        return self._casts_to_fp16 or self.precision == "16"

    def set_fp16(self, is_on: bool) -> None:
        """Compute in float16, or in the precision of the weights again; only a CUDA device has a use for it.

        Raises:
            ConfigError: The weights themselves are in float16.
        """
        if not is_on and self.precision == "16":
            raise ConfigError("The weights were loaded in float16; load the models with precision='32' or 'auto'.")
        self._casts_to_fp16 = is_on and self.device.type == "cuda" and self.precision != "16"

    @property
    def use_compile(self) -> bool:
        """Whether the network is translated for its device when it is called."""
        return self._run is not self._network

    @property
    def shares_processor(self) -> bool:
        """Whether several threads may run the network at a time, each on a part of the processor."""
        return self.device.type == "cpu" and not self.use_compile

    def set_compile(self, is_on: bool) -> None:
        """Translate the network when it is called next, or take it as it is again."""
        if is_on != self.use_compile:
            self._run = compiled(self._network) if is_on else self._network


class Backend:
    """What executes the networks of a layer; a switch acts from the next image on."""

    __slots__ = ("_runtimes",)

    def __init__(self, runtimes: Sequence[Callable[..., Any]]) -> None:
        """Take what runs the networks.

        Raises:
            ConfigError: Something other than PyTorch does.
        """
        own = [runtime for runtime in runtimes if isinstance(runtime, TorchRuntime)]
        if len(own) != len(runtimes):
            raise ConfigError("An exported model runs as it was exported; only run folders have a backend to switch.")
        self._runtimes = tuple(own)

    @property
    def use_fp16(self) -> bool:
        """Whether layers compute in float16; without a CUDA device this stays off."""
        return all(runtime.use_fp16 for runtime in self._runtimes)

    @use_fp16.setter
    def use_fp16(self, is_on: bool) -> None:
        """Switch all networks."""
        for runtime in self._runtimes:
            runtime.set_fp16(is_on)

    @property
    def use_compile(self) -> bool:
        """Whether networks are translated for their device, which costs up to a minute at the first image."""
        return all(runtime.use_compile for runtime in self._runtimes)

    @use_compile.setter
    def use_compile(self, is_on: bool) -> None:
        """Switch all networks."""
        for runtime in self._runtimes:
            runtime.set_compile(is_on)


def precision_in_use(runtime: Callable[..., Any], loaded: str) -> str:
    """Return the precision in which a network computes, which is `loaded` unless its backend was switched."""
    return "16" if isinstance(runtime, TorchRuntime) and runtime.use_fp16 else loaded


def passes_at_a_time(runtimes: Sequence[Callable[..., Any]], num_batches: int) -> int:
    """Return on how many batches networks run at a time; on a processor of several cores that is two.

    It depends on all batches of a source, not on those that are left, so that a run that was interrupted goes on with
    the very same sums.

    Args:
        runtimes: What runs the networks of a chain.
        num_batches: Batches of the source; one pass of a few is done sooner on all cores.
    """
    together = all(isinstance(one, TorchRuntime) and one.shares_processor for one in runtimes)
    return 2 if together and num_batches > 2 and torch.get_num_threads() > 1 else 1


def resolve_device(name: str) -> torch.device:
    """Return the device that a name stands for; ``auto`` is cuda, else mps, else cpu.

    Raises:
        ConfigError: The device is unknown or not here.
    """
    if name == "auto":
        return torch.device(resolve_accelerator(name))
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"The device {name!r} cannot be used here; choose auto, or one that `sleap-nn system` lists."
        ) from error
    return device


def _resolve_precision(name: str, device: torch.device) -> str:
    """Return the precision that a name stands for; ``auto`` is bf16 where the hardware computes it, else 32.

    Raises:
        ConfigError: The name is unknown.
    """
    if name == "auto":
        return "bf16" if native_bfloat16(device.type) else "32"
    if name not in _DTYPES:
        raise ConfigError(f"The precision {name!r} is unknown; choose auto, {', '.join(_DTYPES)}.")
    return name
