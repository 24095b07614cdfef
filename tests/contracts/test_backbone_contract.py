"""What every feature extractor promises to the heads that read it."""

import pickle
from typing import Any

import pytest
import torch
from small_backbones import section

from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.networks.backbone import Backbone
from sleap_nn.networks.network import BACKBONES, PoseNetwork, initialise

pytestmark = pytest.mark.parametrize("name", BACKBONES)


def build(name: str, **options: object) -> Backbone:
    torch.manual_seed(0)
    make: Any = BACKBONES[name]()
    return make(section(name, **options).which_oneof()).eval()


@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("output_stride", [1, 2, 4])
def test_features_are_as_announced(name: str, in_channels: int, output_stride: int) -> None:
    backbone = build(name, in_channels=in_channels, output_stride=output_stride)
    assert backbone.in_channels == in_channels
    assert output_stride in backbone.channels
    height, width = backbone.max_stride, 2 * backbone.max_stride
    with torch.inference_mode():
        features = backbone(torch.rand(2, in_channels, height, width))
    assert set(features.by_stride) == set(backbone.channels)
    for stride, channels in backbone.channels.items():
        assert features.by_stride[stride].shape == (2, channels, height // stride, width // stride)
    assert features.bottleneck.shape[:2] == (2, backbone.bottleneck_channels)
    assert features.bottleneck.shape[3] == 2 * features.bottleneck.shape[2]


def test_every_weight_takes_a_gradient(name: str) -> None:
    backbone = build(name, output_stride=1)
    side = backbone.max_stride
    features = backbone(torch.rand(1, backbone.in_channels, side, side))
    maps = [*features.by_stride.values(), features.bottleneck]
    torch.stack([feature.square().mean() for feature in maps]).sum().backward()
    without = [path for path, parameter in backbone.named_parameters() if parameter.grad is None]
    assert without == []


def test_samples_of_a_batch_do_not_mix(name: str) -> None:
    backbone = build(name, output_stride=2)
    images = torch.rand(3, backbone.in_channels, backbone.max_stride, backbone.max_stride)
    with torch.inference_mode():
        together = backbone(images).by_stride[2]
        alone = torch.cat([backbone(image[None]).by_stride[2] for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_a_network_is_built_from_its_section_and_reads_bytes(name: str) -> None:
    heads = [
        ConfidenceMapsHead("MultiInstanceConfmapsHead", channels=3, output_stride=2),
        ConfidenceMapsHead("CentroidConfmapsHead", channels=1, output_stride=4),
    ]
    network = PoseNetwork.from_config(section(name, output_stride=2), heads[:1]).eval()
    side = network.backbone.max_stride
    image = torch.randint(0, 256, (2, network.backbone.in_channels, side, side), dtype=torch.uint8)
    with torch.inference_mode():
        outputs = network(image)
        torch.testing.assert_close(outputs["confmaps"], network(image.float())["confmaps"])
    assert outputs["confmaps"].shape == (2, 3, side // 2, side // 2)
    assert network.num_parameters == sum(parameter.numel() for parameter in network.parameters())
    two_strides = PoseNetwork(network.backbone, heads)
    assert len(two_strides.head_layers) == 2


@pytest.mark.parametrize("scheme", ["default", "xavier"])
def test_drawn_weights_carry_the_signal_to_the_output(name: str, scheme: str) -> None:
    torch.manual_seed(1)
    head = ConfidenceMapsHead("SingleInstanceConfmapsHead", channels=2, output_stride=2)
    network = PoseNetwork.from_config(section(name, output_stride=2), [head])
    initialise(network, scheme)
    side = 2 * network.backbone.max_stride
    with torch.inference_mode():
        features = network.backbone(torch.rand(1, network.backbone.in_channels, side, side))
    assert 1e-3 < float(features.by_stride[2].std()) < 1e2
    assert all(not p.any() for path, p in network.named_parameters() if path.endswith("bias") and p.ndim == 1)


def test_a_copy_computes_the_same(name: str) -> None:
    backbone = build(name, output_stride=2)
    copy = pickle.loads(pickle.dumps(backbone))
    image = torch.rand(1, backbone.in_channels, backbone.max_stride, backbone.max_stride)
    with torch.inference_mode():
        assert torch.equal(copy(image).by_stride[2], backbone(image).by_stride[2])


@pytest.mark.parametrize("options", [{}, {"stacks": 2, "stem_stride": 2}])
def test_the_blocks_hold_every_weight_once_from_the_image_on(name: str, options: dict[str, int]) -> None:
    backbone = build(name, output_stride=2, **options)
    blocks = backbone.blocks()
    held = [parameter for block in blocks for parameter in block.module.parameters()]
    assert sorted(map(id, held)) == sorted(map(id, backbone.parameters()))
    first_convolution = next(module for module in backbone.modules() if isinstance(module, torch.nn.Conv2d))
    assert any(parameter is first_convolution.weight for parameter in blocks[0].module.parameters())
    assert blocks[0].encoder
    assert not blocks[-1].encoder
