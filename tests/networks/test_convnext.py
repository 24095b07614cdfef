import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sleap_nn.config.backbone_config import ConvNextConfig
from sleap_nn.errors import ConfigError
from sleap_nn.networks.convnext import ConvNext

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "state_dict_shapes.json").read_text())
SMALL: dict[str, Any] = {"model_type": "own", "arch": {"depths": [1, 1, 2, 1], "channels": [4, 8, 12, 16]}}
HEAD_CHANNELS = 3, 4


def test_names_and_shapes_are_those_of_earlier_releases() -> None:
    with torch.device("meta"):
        backbone = ConvNext(ConvNextConfig(output_stride=2))
    shapes = GOLDEN["presets"]["convnext_tiny"]
    expected = {k.removeprefix("backbone."): tuple(v) for k, v in shapes.items() if k.startswith("backbone.")}
    assert {name: tuple(tensor.shape) for name, tensor in backbone.state_dict().items()} == expected


@pytest.mark.parametrize("size", ["tiny", "small", "base", "large"])
def test_numbers_of_parameters(size: str) -> None:
    with torch.device("meta"):
        backbone = ConvNext(ConvNextConfig(model_type=size, output_stride=2))
    heads = sum((backbone.channels[stride] + 1) * count for stride, count in zip((2, 4), HEAD_CHANNELS, strict=True))
    total = sum(parameter.numel() for parameter in backbone.parameters()) + heads
    assert total == GOLDEN["total_params"][f"convnext_{size}"]


@pytest.mark.parametrize("stem_stride", [1, 2, 4])
@pytest.mark.parametrize("kernel", [2, 3, 4, 7])
def test_maps_have_the_size_of_their_stride(stem_stride: int, kernel: int) -> None:
    backbone = ConvNext(ConvNextConfig(**SMALL, stem_patch_stride=stem_stride, stem_patch_kernel=kernel)).eval()
    assert backbone.max_stride == 16 * stem_stride
    side = backbone.max_stride
    with torch.inference_mode():
        features = backbone(torch.rand(1, 1, 2 * side, 3 * side))
    for stride, found in features.by_stride.items():
        assert found.shape[2:] == (2 * side // stride, 3 * side // stride)


@pytest.mark.parametrize("output_stride", [1, 2, 8, 32])
@pytest.mark.parametrize("options", [{}, {"up_interpolate": False}, {"convs_per_block": 1}, {"filters_rate": 1.5}])
def test_every_option_computes(output_stride: int, options: dict) -> None:
    backbone = ConvNext(ConvNextConfig(**SMALL, output_stride=output_stride, in_channels=3, **options))
    features = backbone(torch.rand(1, 3, 32, 64))
    assert min(features.by_stride) == output_stride
    features.by_stride[output_stride].mean().backward()


def test_impossible_sections_are_refused() -> None:
    with pytest.raises(ConfigError, match="stem_patch_stride is 3"):
        ConvNext(ConvNextConfig(**SMALL, stem_patch_stride=3))
    with pytest.raises(ConfigError, match="output_stride 64 is larger"):
        ConvNext(ConvNextConfig(**SMALL, output_stride=64))
    with pytest.raises(ConfigError, match="give arch with"):
        ConvNext(ConvNextConfig(arch={"channels": [1]}))
