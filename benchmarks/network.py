"""Milliseconds of a UNet, forward and as a training step, by number format and memory layout.

``python -m benchmarks.network`` from the root of the repository. The fastest device counts unless ``--device`` names
one. Ratios are against float32 with channels first; above 1 is faster.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.measure import median_seconds, print_table
from sleap_nn.config.model_config import UNetConfig
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.networks.devices import native_bfloat16, resolve_accelerator
from sleap_nn.networks.network import PoseNetwork, initialise
from sleap_nn.networks.unet import UNet

NUM_NODES, OUTPUT_STRIDE = 9, 2


@dataclass(frozen=True)
class Way:
    """How a network is computed."""

    name: str
    channels_last: bool
    bfloat16: bool


WAYS = (
    Way("float32, channels first", False, False),
    Way("float32, channels last", True, False),
    Way("bfloat16, channels first", False, True),
    Way("bfloat16, channels last", True, True),
)


def make_network(device: str, channels_last: bool) -> PoseNetwork:
    """Return a UNet of usual size with a head of confidence maps."""
    torch.manual_seed(0)
    backbone = UNet(UNetConfig(filters=16, filters_rate=2.0, max_stride=16, output_stride=OUTPUT_STRIDE))
    network = PoseNetwork(backbone, [ConfidenceMapsHead("Head", NUM_NODES, OUTPUT_STRIDE)])
    initialise(network, "default")
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return network.to(device=device, memory_format=layout)  # pyright: ignore[reportCallIssue]


def make_step(way: Way, images: Tensor, training: bool) -> Callable[[], None]:
    """Return one forward pass, or one step of training, that ends when the device has finished."""
    device = images.device.type
    network = make_network(device, way.channels_last).train(training)
    layout = torch.channels_last if way.channels_last else torch.contiguous_format
    images = images.contiguous(memory_format=layout)
    height, width = images.shape[2] // OUTPUT_STRIDE, images.shape[3] // OUTPUT_STRIDE
    target = torch.rand(len(images), NUM_NODES, height, width, device=device)
    optimizer = torch.optim.Adam(network.parameters())

    def step() -> None:
        with torch.set_grad_enabled(training), torch.autocast(device, torch.bfloat16, enabled=way.bfloat16):
            output = network(images)["confmaps"]
        if training:
            optimizer.zero_grad()
            functional.mse_loss(output.float(), target).backward()
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return step


def main() -> None:
    """Measure all ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=resolve_accelerator("auto"))
    parser.add_argument("--size", type=int, default=256, help="side of the images in px")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    shape = (options.batch_size, 1, options.size, options.size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=options.device)
    columns = []
    for training in (False, True):
        seconds = median_seconds([make_step(way, images, training) for way in WAYS], options.rounds)
        columns.append([1000 * value for value in seconds])
    forward, step = columns
    rows = [[way.name, forward[i], forward[0] / forward[i], step[i], step[0] / step[i]] for i, way in enumerate(WAYS)]
    hardware = "in hardware" if native_bfloat16(options.device) else "emulated"
    title = (
        f"UNet on {options.device}, {options.batch_size} images of {options.size} x {options.size}, "
        f"{torch.get_num_threads()} thread(s), bfloat16 {hardware}"
    )
    print_table(title, ["", "forward ms", "ratio", "training step ms", "ratio"], rows)


if __name__ == "__main__":
    main()
