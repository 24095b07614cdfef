"""`SwinT`: a Swin transformer encoder with a decoder like that of the UNet.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021; the blocks are
torchvision's. Layer names and shapes are those of the checkpoints of earlier releases.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torchvision.models.swin_transformer import PatchMerging, SwinTransformerBlock

from sleap_nn.config.model_config import SwinTConfig
from sleap_nn.errors import ConfigError
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
    "tiny": {"embed": 96, "depths": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24)},
    "small": {"embed": 96, "depths": (2, 2, 18, 2), "num_heads": (3, 6, 12, 24)},
    "base": {"embed": 128, "depths": (2, 2, 18, 2), "num_heads": (4, 8, 16, 32)},
}
_WHERE = "model_config.backbone_config.swint"
_STOCHASTIC_DEPTH = 0.1


class SwinT(Backbone):
    """Four stages of attention within windows; the bottleneck lies at 16 times the stride of the stem."""

    def __init__(self, config: SwinTConfig) -> None:
        """Make the layers.

        Raises:
            ConfigError: The size is unknown, or the strides do not fit each other.
        """
        super().__init__()
        check_section(config, _WHERE)
        size = chosen_size(config.model_type, SIZES, config.arch, _WHERE)
        depths, heads = list(size["depths"]), list(size["num_heads"])
        channels = [int(size["embed"]) * 2**stage for stage in range(len(depths))]
        if any(width % count for width, count in zip(channels, heads, strict=True)):
            raise ConfigError(
                f"{_WHERE}.arch.num_heads is {heads}; each must divide the channels, which are {channels}."
            )
        self.in_channels = config.in_channels
        self.max_stride = 16 * config.stem_patch_stride
        self.stem_stride = config.stem_patch_stride
        self.enc = _Encoder(config, depths, heads, channels)
        self.middle_blocks, self.dec, self.channels = make_decoder(config, channels)
        self.bottleneck_channels = self.channels[self.max_stride]
        draw_encoder(self.enc)
        self.drawn = (self.enc,)

    def forward(self, image: Tensor) -> Features:
        """Map an image (B, C, H, W), floats 0..1, to features at the strides of `channels`."""
        x, skips = self.enc(image, self.stem_stride)
        return decode(x, skips, self.middle_blocks, self.dec, list(self.channels))

    def blocks(self) -> list[Block]:
        """Return the stages of the encoder, then bottleneck and decoder."""
        return blocks_of([*cast(nn.ModuleList, self.enc.features), self.enc.norm], self.middle_blocks, self.dec)


class _Encoder(nn.Module):
    """Stem, then stages with merging of 2 x 2 patches before all but the first; channels come last inside."""

    def __init__(self, config: SwinTConfig, depths: list[int], heads: list[int], channels: list[int]) -> None:
        super().__init__()
        stem = nn.Conv2d(
            config.in_channels, channels[0], config.patch_size, config.stem_patch_stride, padding=STEM_PADDING
        )
        layers: list[nn.Module] = [nn.Sequential(stem, nn.Identity(), nn.LayerNorm(channels[0], eps=1e-5))]
        number, last = 0, max(1, sum(depths) - 1)
        for stage, depth in enumerate(depths):
            if stage:
                layers.append(PatchMerging(channels[stage - 1]))
            blocks = []
            for block in range(depth):
                shift = config.window_size // 2 if block % 2 else 0
                blocks.append(
                    SwinTransformerBlock(
                        channels[stage],
                        heads[stage],
                        window_size=[config.window_size] * 2,
                        shift_size=[shift] * 2,
                        stochastic_depth_prob=_STOCHASTIC_DEPTH * number / last,
                    )
                )
                number += 1
            layers.append(nn.Sequential(*blocks))
        self.features = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(channels[-1], eps=1e-5)

    def forward(self, image: Tensor, stem_stride: int) -> tuple[Tensor, list[Tensor]]:
        """Return the last map, and what entered each stage, channels first."""
        height, width = (-(-side // stem_stride) for side in image.shape[2:])
        conv, _, norm = cast(nn.Sequential, self.features[0])
        x = norm(fitted(conv(image), height, width).permute(0, 2, 3, 1))
        skips = []
        for index, layer in enumerate(list(cast(nn.ModuleList, self.features))[1:]):
            if index % 2 == 0:
                skips.append(x.permute(0, 3, 1, 2))
            x = layer(x)
        return self.norm(x).permute(0, 3, 1, 2), skips
