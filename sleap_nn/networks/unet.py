"""`UNet`: an encoder that halves, a decoder that doubles, and skips between them; no normalisation layers.

Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015. Layer names and
shapes are those of the checkpoints of earlier releases.
"""

from __future__ import annotations

from math import log2
from typing import cast

from torch import Tensor, nn

from sleap_nn.config.model_config import UNetConfig
from sleap_nn.errors import ConfigError
from sleap_nn.networks.backbone import Backbone, Features
from sleap_nn.networks.blocks import ConvBlock, Stack, UpBlock, halve

STEM_KERNEL_SIZE = 7


class UNet(Backbone):
    """A U-shaped network; with a stem the bottleneck lies at twice ``max_stride``, as in earlier releases."""

    def __init__(self, config: UNetConfig) -> None:
        """Make the layers.

        Raises:
            ConfigError: The strides do not fit each other.
        """
        super().__init__()
        _check_strides(config)
        self.in_channels = config.in_channels
        self.num_stem = 0 if config.stem_stride is None else int(log2(config.stem_stride))
        self.num_encoder = int(log2(config.max_stride)) - self.num_stem
        bottom_stride = config.max_stride * (2 if self.num_stem else 1)
        self.num_decoder = int(log2(bottom_stride // config.output_stride))
        self.max_stride = bottom_stride
        if self.num_stem:
            self.stem = Stack("stem_stack", [_stem_block(config, i) for i in range(self.num_stem)])
        encoder = [_encoder_block(config, i, self.num_stem) for i in range(self.num_encoder)]
        self.encoders = nn.ModuleList([Stack("encoder_stack", encoder)])
        decoder, self.channels = self._decoder(config, bottom_stride)
        self.decoders = nn.ModuleList([Stack("decoder_stack", decoder)])
        self.middle_blocks = nn.ModuleList(_middle_blocks(config, self.num_encoder, self.num_stem))
        depth = self.num_encoder + self.num_stem
        self.bottleneck_channels = filters_at(config, depth if config.middle_block else depth - 1)
        self.channels = {bottom_stride: self.bottleneck_channels, **self.channels}

    def _decoder(self, config: UNetConfig, stride: int) -> tuple[list[nn.Module], dict[int, int]]:
        """Make the decoder blocks, and the channels at each stride that they reach."""
        depth = self.num_encoder + self.num_stem
        incoming = filters_at(config, depth if config.middle_block else depth - 1)
        num_skips = self.num_encoder + (1 if self.num_stem else 0)
        blocks: list[nn.Module] = []
        channels = {}
        for i in range(self.num_decoder):
            out = filters_at(config, max(0, depth - 1 - i))
            has_skip = i < num_skips
            blocks.append(
                UpBlock(
                    prefix=f"stack0_dec{i}_s{stride}_to_s{stride // 2}",
                    channels=(incoming, out if has_skip else 0, out),
                    num_convs=config.convs_per_block if has_skip else 1,
                    kernel_size=config.kernel_size,
                    interpolate=config.up_interpolate,
                )
            )
            incoming, stride = out, stride // 2
            channels[stride] = out
        return blocks, channels

    def forward(self, image: Tensor) -> Features:
        """Map an image (B, C, H, W), floats 0..1, to features at the strides of `channels`."""
        x = image
        skips: list[Tensor] = []
        if self.num_stem:
            x = halve(self.stem(x))
            skips.append(x)
        for block in cast(Stack, self.encoders[0]):
            x = block(x)
            skips.append(x)
        x = halve(x)
        for block in self.middle_blocks:
            x = block(x)
        bottleneck = x
        by_stride = {self.max_stride: bottleneck}
        for stride, block in zip(list(self.channels)[1:], cast(Stack, self.decoders[0]), strict=True):
            x = block(x, skips.pop() if skips else None)
            by_stride[stride] = x
        return Features(by_stride, bottleneck)


def filters_at(config: UNetConfig, level: int) -> int:
    """Return the number of filters `level` steps below the first block."""
    return int(config.filters * config.filters_rate**level)


def _check_strides(config: UNetConfig) -> None:
    """Refuse strides that no U has.

    Raises:
        ConfigError: A stride is no power of two, or one does not fit the others.
    """
    where = "model_config.backbone_config.unet"
    stem = 1 if config.stem_stride is None else config.stem_stride
    strides = {"max_stride": config.max_stride, "output_stride": config.output_stride, "stem_stride": stem}
    for name, value in strides.items():
        if value < 1 or value & (value - 1):
            raise ConfigError(f"{where}.{name} is {value}; it must be a power of two.")
    if config.output_stride > config.max_stride:
        raise ConfigError(
            f"{where}.output_stride {config.output_stride} is larger than max_stride {config.max_stride}; "
            "lower the first or raise the second."
        )
    if stem >= config.max_stride > 1:
        raise ConfigError(f"{where}.stem_stride {stem} must be smaller than max_stride {config.max_stride}.")
    if config.stacks != 1:
        raise ConfigError(f"{where}.stacks is {config.stacks}; more than one stack is not available yet.")


def _stem_block(config: UNetConfig, level: int) -> ConvBlock:
    """Make a block of the stem."""
    return ConvBlock(
        names=[f"stem{level}_conv{j}" for j in range(config.convs_per_block)],
        in_channels=config.in_channels if level == 0 else filters_at(config, level - 1),
        out_channels=filters_at(config, level),
        kernel_size=STEM_KERNEL_SIZE,
        pool_first=level > 0,
    )


def _encoder_block(config: UNetConfig, index: int, num_stem: int) -> ConvBlock:
    """Make a block of the encoder."""
    level = index + num_stem
    return ConvBlock(
        names=[f"stack0_enc{index}_conv{j}" for j in range(config.convs_per_block)],
        in_channels=config.in_channels if level == 0 else filters_at(config, level - 1),
        out_channels=filters_at(config, level),
        kernel_size=config.kernel_size,
        pool_first=level > 0,
    )


def _middle_blocks(config: UNetConfig, num_encoder: int, num_stem: int) -> list[nn.Module]:
    """Make the blocks at the bottleneck: one that widens, one that keeps."""
    if not config.middle_block:
        return []
    depth = num_encoder + num_stem
    above, below = filters_at(config, depth - 1), filters_at(config, depth)
    num_expand = config.convs_per_block - 1
    expand = [f"stack0_enc{num_encoder + 1}_middle_expand_conv{j}" for j in range(num_expand)]
    contract = [f"stack0_enc{num_encoder + 2}_middle_contract_conv0"]
    return [
        ConvBlock(expand, above, below, config.kernel_size),
        ConvBlock(contract, below if expand else above, below, config.kernel_size),
    ]
