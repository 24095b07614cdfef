"""What executes a network: images in, raw outputs by head name out."""

from __future__ import annotations

import torch
from torch import Tensor

from sleap_nn.errors import ConfigError
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
        """Move the network to the device, in the precision, with channels last.

        Raises:
            ConfigError: The device is not here, or the precision is unknown.
        """
        self.device = resolve_device(device)
        self.precision = _resolve_precision(precision, self.device)
        if self.device.type == "cpu":
            keep_host_memory()
        network = network.eval().to(self.device, _DTYPES[self.precision])
        self._network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Run images (B, C, H, W) uint8; the outputs (B, K, h, w) float32 stay on the device."""
        images = images.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        return {name: output.float() for name, output in self._network(images).items()}


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
