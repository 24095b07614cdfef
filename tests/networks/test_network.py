import json
import math
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sleap_nn.config.model_config import BackboneConfig, UNetConfig
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.networks.network import PoseNetwork, initialise
from sleap_nn.networks.unet import UNet

SHAPES = json.loads((Path(__file__).parents[1] / "golden" / "state_dict_shapes.json").read_text())["presets"]
LAYERS = (nn.Conv2d, nn.ConvTranspose2d)


class CoarseHead(ConfidenceMapsHead):
    """Maps under another name, so that a network can have two."""

    name: ClassVar[str] = "coarse"


def head(output_stride: int = 2, channels: int = 3) -> ConfidenceMapsHead:
    return ConfidenceMapsHead("SingleInstanceConfmapsHead", channels, output_stride)


def make_network(**options: object) -> PoseNetwork:
    return PoseNetwork(UNet(UNetConfig(**{"filters": 4, "max_stride": 8, "output_stride": 2, **options})), [head()])


def image(channels: int = 1, side: int = 32, batch: int = 2) -> Tensor:
    drawn = np.random.default_rng(0).integers(0, 256, (batch, channels, side, side), dtype=np.uint8)
    return torch.from_numpy(drawn)


def spreads(network: PoseNetwork, batch: Tensor) -> list[float]:
    """Return the standard deviation of every convolution of the backbone, in the order of computation."""
    seen: list[float] = []
    for layer in network.backbone.modules():
        if isinstance(layer, LAYERS):
            layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(float(output.detach().std())))
    network(batch)  # as in training, where every layer is called by itself
    return seen


@pytest.mark.parametrize(
    "options",
    [{"max_stride": 32}, {"max_stride": 16, "up_interpolate": False}, {"max_stride": 16, "convs_per_block": 3}],
)
def test_the_signal_keeps_its_spread_through_the_depth(options: dict) -> None:
    torch.manual_seed(0)
    network = make_network(filters=12, **options)
    initialise(network, "default")
    seen = spreads(network, image(side=64))
    assert len(seen) > 12
    assert max(seen) / min(seen) < 8


def test_without_it_a_deep_network_starts_blind() -> None:
    torch.manual_seed(0)
    seen = spreads(make_network(filters=12, max_stride=32), image(side=64))
    assert max(seen) / min(seen) > 12


def test_xavier_draws_all_weights_within_its_bounds() -> None:
    torch.manual_seed(0)
    network = make_network(filters=8, up_interpolate=False)
    initialise(network, "xavier")
    layers = [layer for layer in network.modules() if isinstance(layer, LAYERS)]
    assert any(isinstance(layer, nn.ConvTranspose2d) for layer in layers)
    for layer in layers:
        cells = math.prod(layer.kernel_size)
        bound = math.sqrt(6 / (cells * (layer.in_channels + layer.out_channels)))
        largest = float(layer.weight.detach().abs().max())
        assert 0.7 * bound < largest <= bound * 1.0001


@pytest.mark.parametrize("scheme", ["default", "xavier"])
def test_all_biases_start_at_zero(scheme: str) -> None:
    network = make_network(up_interpolate=False)
    for layer in network.modules():
        if isinstance(layer, LAYERS) and layer.bias is not None:
            nn.init.constant_(layer.bias, 7.0)
    initialise(network, scheme)
    backbone = [p for name, p in network.backbone.named_parameters() if name.endswith("bias")]
    assert len(backbone) > 8
    assert all(not parameter.any() for parameter in backbone)


def test_default_leaves_the_start_of_the_heads_alone() -> None:
    network = make_network()
    before = [parameter.detach().clone() for parameter in network.head_layers.parameters()]
    initialise(network, "default")
    assert all(torch.equal(a, b) for a, b in zip(before, network.head_layers.parameters(), strict=True))
    initialise(network, "xavier")
    assert not torch.equal(before[0], next(network.head_layers.parameters()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_levels_give_the_same_as_uint8_and_as_floats(channels: int, dtype: torch.dtype) -> None:
    network = make_network(in_channels=channels).to(dtype)
    assert network.dtype == dtype
    levels = image(channels)
    with torch.no_grad():
        a, b = network(levels)["confmaps"], network(levels.float())["confmaps"]
    assert a.dtype == dtype
    assert torch.equal(a, b)


def test_white_reaches_the_backbone_as_one() -> None:
    network = make_network()
    seen = []
    network.backbone.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    network(torch.full((1, 1, 16, 16), 255, dtype=torch.uint8))
    assert torch.equal(seen[0], torch.ones(1, 1, 16, 16))


def test_heads_at_different_strides_read_their_own_features() -> None:
    backbone = UNet(UNetConfig(filters=4, max_stride=16, output_stride=2))
    network = PoseNetwork(backbone, [head(2, 3), CoarseHead("CoarseHead", 5, 8)])
    outputs = network(image(side=32))
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {
        "confmaps": (2, 3, 16, 16),
        "coarse": (2, 5, 4, 4),
    }
    features = backbone(image(side=32).float() / 255).by_stride
    torch.testing.assert_close(network.head_layers[1](features[8]), outputs["coarse"])
    names = [name for name in network.state_dict() if name.startswith("head_layers")]
    assert names == [
        "head_layers.0.SingleInstanceConfmapsHead.0.weight",
        "head_layers.0.SingleInstanceConfmapsHead.0.bias",
        "head_layers.1.CoarseHead.0.weight",
        "head_layers.1.CoarseHead.0.bias",
    ]


def test_num_parameters_counts_every_weight_frozen_ones_too() -> None:
    backbone = UNet(UNetConfig(output_stride=2))
    network = PoseNetwork(backbone, [head(2, 3)])
    golden = sum(math.prod(shape) for name, shape in SHAPES["unet"].items() if name.startswith("backbone."))
    expected = golden + 3 * backbone.channels[2] + 3
    assert network.num_parameters == expected
    for parameter in network.backbone.parameters():
        parameter.requires_grad_(False)
    assert network.num_parameters == expected


def test_from_config_builds_the_backbone_that_is_set() -> None:
    config = BackboneConfig(unet=UNetConfig(filters=4, max_stride=8, output_stride=2, in_channels=3))
    network = PoseNetwork.from_config(config, [head()])
    assert isinstance(network.backbone, UNet)
    assert network(image(3))["confmaps"].shape == (2, 3, 16, 16)
