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
from sleap_nn.networks.backbone import Backbone, Block, Features
from sleap_nn.networks.blocks import ConvBlock, Stack, UpBlock, halve

STEM_KERNEL_SIZE = 7


class UNet(Backbone):
    """A U-shaped network; with a stem the bottleneck lies at twice ``max_stride``, as in earlier releases.

    With ``keras_layers`` it computes what SLEAP up to 1.4 did: nothing is pooled between stem and encoder, the stem is
    no skip, and transposed convolutions keep other cells.

    Several stacks follow each other (Newell et al., "Stacked Hourglass Networks", ECCV 2016): each further one reads
    the finest map of the one before, goes down to the bottleneck and up again. Heads read the last.
    """

    def __init__(self, config: UNetConfig) -> None:
        """Make the layers.

        Raises:
            ConfigError: The strides do not fit each other.
        """
        super().__init__()
        _check_strides(config)
        self.in_channels = config.in_channels
        self.num_stem = 0 if config.stem_stride is None else int(log2(config.stem_stride))
        num_encoder = int(log2(config.max_stride)) - self.num_stem
        self._pools_after_stem = not config.keras_layers
        self.max_stride = config.max_stride * (2 if self.num_stem and self._pools_after_stem else 1)
        num_decoder = int(log2(self.max_stride // config.output_stride))
        if self.num_stem:
            self.stem = Stack("stem_stack", [_stem_block(config, i) for i in range(self.num_stem)])
        depth = num_encoder + self.num_stem
        self.bottleneck_channels = filters_at(config, depth if config.middle_block else depth - 1)
        self.channels = {self.max_stride: self.bottleneck_channels}
        encoders, decoders, middle = [], [], []
        for stack in range(config.stacks):
            num_down = num_encoder if stack == 0 else num_decoder
            num_skips = num_down + (1 if self.num_stem and stack == 0 and self._pools_after_stem else 0)
            encoders.append(Stack("encoder_stack", _encoder_blocks(config, stack, num_down, depth)))
            decoder, self.channels = self._decoder(config, stack, depth, num_skips)
            decoders.append(Stack("decoder_stack", decoder))
            middle += _middle_blocks(config, stack, num_down, depth)
        self.encoders, self.decoders = nn.ModuleList(encoders), nn.ModuleList(decoders)
        self.middle_blocks = nn.ModuleList(middle)

    def _decoder(
        self, config: UNetConfig, stack: int, depth: int, num_skips: int
    ) -> tuple[list[nn.Module], dict[int, int]]:
        """Make the decoder blocks of a stack, and the channels at each stride, the bottleneck first."""
        incoming, stride = self.bottleneck_channels, self.max_stride
        blocks: list[nn.Module] = []
        channels = {stride: incoming}
        while stride > config.output_stride:
            i = len(blocks)
            out = filters_at(config, max(0, depth - 1 - i))
            has_skip = i < num_skips
            blocks.append(
                UpBlock(
                    prefix=f"stack{stack}_dec{i}_s{stride}_to_s{stride // 2}",
                    channels=(incoming, out if has_skip else 0, out),
                    num_convs=config.convs_per_block if has_skip else 1,
                    kernel_size=config.kernel_size,
                    interpolate=config.up_interpolate,
                    keep_first=config.keras_layers,
                )
            )
            incoming, stride = out, stride // 2
            channels[stride] = out
        return blocks, channels

    def forward(self, image: Tensor) -> Features:
        """Map an image (B, C, H, W), floats 0..1, to features at the strides of `channels`."""
        x = halve(self.stem(image)) if self.num_stem else image
        skips = [x] if self.num_stem and self._pools_after_stem else []
        per_stack = len(self.middle_blocks) // len(self.encoders)
        by_stride: dict[int, Tensor] = {}
        for stack, (encoder, decoder) in enumerate(zip(self.encoders, self.decoders, strict=True)):
            for block in cast(Stack, encoder):
                x = block(x)
                skips.append(x)
            x = halve(x)
            for block in self.middle_blocks[stack * per_stack : (stack + 1) * per_stack]:
                x = block(x)
            by_stride = {self.max_stride: x}
            for stride, block in zip(list(self.channels)[1:], cast(Stack, decoder), strict=True):
                x = block(x, skips.pop() if skips else None)
                by_stride[stride] = x
            skips = []
        return Features(by_stride, by_stride[self.max_stride])

    def blocks(self) -> list[Block]:
        """Return stem, then encoder, bottleneck and decoder of each stack."""
        found = [Block(block, True) for block in cast(Stack, self.stem)] if self.num_stem else []
        per_stack = len(self.middle_blocks) // len(self.encoders)
        for stack, (encoder, decoder) in enumerate(zip(self.encoders, self.decoders, strict=True)):
            middle = self.middle_blocks[stack * per_stack : (stack + 1) * per_stack]
            found += [Block(block, True) for block in cast(Stack, encoder)]
            found += [Block(block, False) for block in (*middle, *cast(Stack, decoder))]
        return found


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
    if config.stacks > 1 and config.output_stride == config.max_stride:
        raise ConfigError(
            f"{where}.stacks is {config.stacks}, but without a decoder (output_stride {config.output_stride} equals "
            "max_stride) there is nothing to stack; lower output_stride of the heads, or set stacks=1."
        )


def _stem_block(config: UNetConfig, level: int) -> ConvBlock:
    """Make a block of the stem."""
    return ConvBlock(
        names=[f"stem{level}_conv{j}" for j in range(config.convs_per_block)],
        in_channels=config.in_channels if level == 0 else filters_at(config, level - 1),
        out_channels=filters_at(config, level),
        kernel_size=STEM_KERNEL_SIZE,
        pool_first=level > 0,
    )


def _encoder_blocks(config: UNetConfig, stack: int, count: int, depth: int) -> list[nn.Module]:
    """Make the encoder of a stack; a further one mirrors the decoder before it, whose finest map it reads."""
    first = depth - count
    levels = [max(0, level) for level in range(first, depth)]
    if stack:
        incoming = filters_at(config, max(0, first))
    else:
        incoming = config.in_channels if first == 0 else filters_at(config, first - 1)
    blocks: list[nn.Module] = []
    for i, level in enumerate(levels):
        out = filters_at(config, level)
        blocks.append(
            ConvBlock(
                names=[f"stack{stack}_enc{i}_conv{j}" for j in range(config.convs_per_block)],
                in_channels=incoming,
                out_channels=out,
                kernel_size=config.kernel_size,
                pool_first=i > 0 or (stack == 0 and first > 0 and not config.keras_layers),
            )
        )
        incoming = out
    return blocks


def _middle_blocks(config: UNetConfig, stack: int, num_down: int, depth: int) -> list[nn.Module]:
    """Make the blocks at the bottleneck: one that widens, one that keeps."""
    if not config.middle_block:
        return []
    above, below = filters_at(config, depth - 1), filters_at(config, depth)
    num_expand = config.convs_per_block - 1
    expand = [f"stack{stack}_enc{num_down + 1}_middle_expand_conv{j}" for j in range(num_expand)]
    contract = [f"stack{stack}_enc{num_down + 2}_middle_contract_conv0"]
    return [
        ConvBlock(expand, above, below, config.kernel_size),
        ConvBlock(contract, below if expand else above, below, config.kernel_size),
    ]
