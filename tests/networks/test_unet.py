import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sleap_nn.config.model_config import UNetConfig, UNetLargeRFConfig, UNetMediumRFConfig
from sleap_nn.errors import ConfigError
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.networks.unet import UNet

GOLDEN = Path(__file__).parents[1] / "golden"
FORWARD = json.loads((GOLDEN / "unet_forward.json").read_text())["cases"]
SHAPES = json.loads((GOLDEN / "state_dict_shapes.json").read_text())["presets"]
PRESETS = {"unet": UNetConfig, "unet_medium_rf": UNetMediumRFConfig, "unet_large_rf": UNetLargeRFConfig}


def head(output_stride: int, channels: int = 2) -> ConfidenceMapsHead:
    return ConfidenceMapsHead("SingleInstanceConfmapsHead", channels, output_stride)


def formula_weights(network: PoseNetwork) -> None:
    """Fill the weights by the rule of the golden file."""
    for index, tensor in enumerate(network.state_dict().values()):
        numbers = np.arange(tensor.numel(), dtype=np.float64)
        spread = 0.05 if tensor.ndim == 1 else 0.8 / math.sqrt(tensor[0].numel())
        values = np.sin(0.7 * numbers + 0.13 * index) * spread
        tensor.copy_(torch.from_numpy(values.reshape(tensor.shape)).float())


@pytest.mark.parametrize("case", FORWARD)
def test_names_shapes_and_forward_are_those_of_earlier_checkpoints(case: str) -> None:
    golden = FORWARD[case]
    network = PoseNetwork(UNet(UNetConfig(**golden["config"])), [head(golden["config"]["output_stride"])])
    assert {name: list(tensor.shape) for name, tensor in network.state_dict().items()} == golden["keys"]
    assert list(network.state_dict()) == list(golden["keys"])
    formula_weights(network)
    y, x = np.mgrid[:16, :16]
    image = torch.from_numpy(0.5 + 0.5 * np.sin(0.3 * x + 0.5 * y)).float()[None, None]
    output = network(image * 255)["confmaps"].detach()
    expected = torch.tensor(golden["output"]).reshape(output.shape)
    torch.testing.assert_close(output, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_the_documented_backbone_shapes(preset: str) -> None:
    backbone = UNet(PRESETS[preset](output_stride=2))
    expected = {name: shape for name, shape in SHAPES[preset].items() if name.startswith("backbone.")}
    assert {f"backbone.{name}": list(t.shape) for name, t in backbone.state_dict().items()} == expected
    assert list(expected) == [f"backbone.{name}" for name in backbone.state_dict()]


@pytest.mark.parametrize(
    "options",
    [
        {"stem_stride": 4, "max_stride": 16, "output_stride": 1},
        {"stem_stride": 2, "max_stride": 8, "output_stride": 8},
        {"middle_block": False},
        {"convs_per_block": 1},
        {"convs_per_block": 1, "middle_block": False, "up_interpolate": False},
        {"max_stride": 8, "output_stride": 8},
        {"kernel_size": 5, "in_channels": 3},
    ],
)
def test_every_option_gives_the_strides_it_promises(options: dict) -> None:
    config = UNetConfig(**{"filters": 4, "max_stride": 16, "output_stride": 2, **options})
    backbone = UNet(config)
    stride = backbone.max_stride
    features = backbone(torch.rand(1, config.in_channels, 2 * stride, 3 * stride))
    assert config.output_stride in features.by_stride
    for stride, channels in backbone.channels.items():
        expected = (1, channels, 2 * backbone.max_stride // stride, 3 * backbone.max_stride // stride)
        assert features.by_stride[stride].shape == expected
    assert features.bottleneck.shape[1] == backbone.bottleneck_channels


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"max_stride": 8, "output_stride": 16}, "output_stride"),
        ({"stem_stride": 16, "max_stride": 16}, "stem_stride"),
        ({"stacks": 2, "max_stride": 8, "output_stride": 8}, "nothing to stack"),
    ],
)
def test_strides_that_do_not_fit_are_refused(options: dict, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        UNet(UNetConfig(**options))


def test_a_head_at_a_stride_without_features_is_refused() -> None:
    with pytest.raises(ConfigError, match="output_stride"):
        PoseNetwork(UNet(UNetConfig(output_stride=4)), [head(2)])


@pytest.mark.parametrize(
    "options",
    [
        {"stacks": 2, "output_stride": 2},
        {"stacks": 3, "output_stride": 4},
        {"stacks": 2, "output_stride": 1, "stem_stride": 2},
        {"stacks": 2, "output_stride": 2, "middle_block": False},
        {"stacks": 2, "output_stride": 2, "up_interpolate": False},
        {"middle_block": False},
        {"convs_per_block": 1},
        {"stem_stride": 4, "output_stride": 1},
        {"output_stride": 8},
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_unusual_shapes_compute_and_train(options: dict, channels: int) -> None:
    torch.manual_seed(0)
    backbone = UNet(UNetConfig(**{"filters": 4, "max_stride": 8, "in_channels": channels, **options}))
    side = backbone.max_stride
    features = backbone(torch.rand(1, channels, side, 3 * side))
    assert {s: f.shape[1] for s, f in features.by_stride.items()} == backbone.channels
    for stride, found in features.by_stride.items():
        assert found.shape[2:] == (side // stride, 3 * side // stride)
    finest = features.by_stride[min(features.by_stride)]
    finest.square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in backbone.parameters())


def test_a_further_stack_leaves_the_names_of_the_first_alone() -> None:
    one, two = (UNet(UNetConfig(filters=4, max_stride=8, output_stride=2, stacks=n)) for n in (1, 2))
    shapes = {name: tensor.shape for name, tensor in two.state_dict().items()}
    assert {name: tensor.shape for name, tensor in one.state_dict().items()}.items() <= shapes.items()
    further = set(shapes) - set(one.state_dict())
    assert all("stack1_" in name for name in further)
    assert any(
        name.startswith("decoders.1.decoder_stack.0.blocks.stack1_dec0_s8_to_s4_refine_conv0") for name in further
    )
