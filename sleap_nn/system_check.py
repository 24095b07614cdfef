"""A self-test of the device: does a small convolution network compute there what it should?

The same weights and image go through float64 on the CPU (the reference), float32 and bfloat16 on the device.
What the machine is made of is reported by `system_info.py`.
"""

import statistics
import time
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ALLOWED_DIFFERENCE = 5e-3
"""Largest difference from the reference, relative to its largest value; leaves room for TF32 convolutions."""

SECONDS_PER_PRECISION = 1.0
MAX_TIMED_RUNS = 5
CHANNELS = 32
IMAGE_SIZE = 256


@dataclass(frozen=True)
class SelfTest:
    """What the self-test measured.

    Attributes:
        device: Where it ran: "cpu", "cuda", "mps".
        difference: Largest float32 difference from the reference, relative to the reference's largest value.
        bf16_difference: The same for bfloat16.
        bf16_speed: Time of the float32 forward divided by that of bfloat16: above 1, bfloat16 is faster.
    """

    device: str
    difference: float
    bf16_difference: float
    bf16_speed: float

    @property
    def passed(self) -> bool:
        """Whether float32 agrees with the reference; NaN does not."""
        return self.difference <= ALLOWED_DIFFERENCE


def run_self_test(device: str) -> SelfTest:
    """Run a small network on the device and compare it with float64 on the CPU; takes at most seconds.

    Args:
        device: "cpu", "cuda" or "mps".

    Returns:
        The differences and the relative speed of bfloat16.

    Raises:
        RuntimeError: If the device cannot run the network.
    """
    network, image = _network_and_image(batch_size=1 if device == "cpu" else 16)
    with torch.inference_mode():
        reference = deepcopy(network).double()(image.double())
        network, image = network.to(device), image.to(device)
        output, seconds = _timed_forward(network, image)
        with torch.autocast(device, dtype=torch.bfloat16):
            bf16_output, bf16_seconds = _timed_forward(network, image)
    return SelfTest(
        device=device,
        difference=_relative_difference(output, reference),
        bf16_difference=_relative_difference(bf16_output, reference),
        bf16_speed=seconds / bf16_seconds,
    )


def _network_and_image(batch_size: int) -> tuple[nn.Module, Tensor]:
    """Build the same weights and image each time, leaving the global random state alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(1, CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.MaxPool2d(2),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(CHANNELS, 2, 1),
        ).eval()
        return network, torch.rand(batch_size, 1, IMAGE_SIZE, IMAGE_SIZE)


def _timed_forward(network: nn.Module, image: Tensor) -> tuple[Tensor, float]:
    """Return the output on the CPU and the median seconds of a forward pass.

    Copying the output to the CPU waits for the device, so it is part of each timing.
    """
    output = network(image).cpu()
    seconds: list[float] = []
    while len(seconds) < MAX_TIMED_RUNS and sum(seconds) < SECONDS_PER_PRECISION:
        start = time.perf_counter()
        network(image).cpu()
        seconds.append(time.perf_counter() - start)
    return output, statistics.median(seconds)


def _relative_difference(output: Tensor, reference: Tensor) -> float:
    return ((output.double() - reference).abs().max() / reference.abs().max()).item()
