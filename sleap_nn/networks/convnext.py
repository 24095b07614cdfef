"""`ConvNext`: a ConvNeXt encoder with a decoder like that of the UNet.

Liu et al., "A ConvNet for the 2020s", CVPR 2022; the blocks are torchvision's. Layer names and shapes are those of the
checkpoints of earlier releases.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torchvision.models.convnext import CNBlock, LayerNorm2d

from sleap_nn.config.model_config import ConvNextConfig
from sleap_nn.networks.backbone import Backbone, Block, Features
from sleap_nn.networks.pyramid import (
    STEM_PADDING,
    blocks_of,
    check_section,
    chosen_size,
    decode,
    draw_encoder,
    fitted,
    make_decoder,
)

SIZES = {
    "tiny": {"depths": (3, 3, 9, 3), "channels": (96, 192, 384, 768)},
    "small": {"depths": (3, 3, 27, 3), "channels": (96, 192, 384, 768)},
    "base": {"depths": (3, 3, 27, 3), "channels": (128, 256, 512, 1024)},
    "large": {"depths": (3, 3, 27, 3), "channels": (192, 384, 768, 1536)},
}
_WHERE = "model_config.backbone_config.convnext"
_LAYER_SCALE = 1e-6


class ConvNext(Backbone):
    """Four stages of depthwise convolutions; the bottleneck lies at 16 times the stride of the stem."""

    def __init__(self, config: ConvNextConfig) -> None:
        """Make the layers.

        Raises:
            ConfigError: The size is unknown, or the strides do not fit each other.
        """
        super().__init__()
        check_section(config, _WHERE)
        size = chosen_size(config.model_type, SIZES, config.arch, _WHERE)
        self.in_channels = config.in_channels
        self.max_stride = 16 * config.stem_patch_stride
        self.stem_stride = config.stem_patch_stride
        self.enc = _Encoder(config, list(size["depths"]), list(size["channels"]))
        self.middle_blocks, self.dec, self.channels = make_decoder(config, list(size["channels"]))
        self.bottleneck_channels = self.channels[self.max_stride]
        draw_encoder(self.enc)
        self.drawn = (self.enc,)

    def forward(self, image: Tensor) -> Features:
        """Map an image (B, C, H, W), floats 0..1, to features at the strides of `channels`."""
        x, skips = self.enc(image, self.stem_stride)
        return decode(x, skips, self.middle_blocks, self.dec, list(self.channels))

    def blocks(self) -> list[Block]:
        """Return the stages of the encoder, then bottleneck and decoder."""
        return blocks_of(cast(nn.ModuleList, self.enc.features), self.middle_blocks, self.dec)


class _Encoder(nn.Module):
    """Stem, then stages with a halving convolution before all but the first."""

    def __init__(self, config: ConvNextConfig, depths: list[int], channels: list[int]) -> None:
        super().__init__()
        stem = nn.Conv2d(
            config.in_channels, channels[0], config.stem_patch_kernel, config.stem_patch_stride, padding=STEM_PADDING
        )
        layers: list[nn.Module] = [nn.Sequential(stem, LayerNorm2d(channels[0], eps=1e-6))]
        for stage, (depth, width) in enumerate(zip(depths, channels, strict=True)):
            if stage:
                before = channels[stage - 1]
                shrink = nn.Conv2d(before, width, kernel_size=2, stride=2)
                layers.append(nn.Sequential(LayerNorm2d(before, eps=1e-6), shrink))
            layers.append(nn.Sequential(*(CNBlock(width, _LAYER_SCALE, 0.0) for _ in range(depth))))
        self.features = nn.ModuleList(layers)

    def forward(self, image: Tensor, stem_stride: int) -> tuple[Tensor, list[Tensor]]:
        """Return the last map, and what entered each stage."""
        height, width = (-(-side // stem_stride) for side in image.shape[2:])
        x = fitted(self.features[0](image), height, width)
        skips = []
        for index, layer in enumerate(list(cast(nn.ModuleList, self.features))[1:]):
            if index % 2 == 0:
                skips.append(x)
            x = layer(x)
        return x, skips
