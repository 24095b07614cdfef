"""What encoders of four stages share: the coarsest blocks, and the decoder with its skips.

Layer names are part of the checkpoint format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log2
from typing import Any, NamedTuple, cast

from torch import Tensor, nn
from torch.nn import functional

from sleap_nn.config.limits import MOST_FILTERS, MOST_LAYERS
from sleap_nn.config.model_config import ConvNextConfig, SwinTConfig
from sleap_nn.errors import ConfigError
from sleap_nn.networks.backbone import Block, Features
from sleap_nn.networks.blocks import ConvBlock, Stack, UpBlock, halve

NUM_STAGES = 4
STEM_PADDING = 1


class Decoder(NamedTuple):
    """The part of a network after its encoder.

    Attributes:
        middle: Blocks at the bottleneck.
        stack: Blocks that double the map.
        channels: Channels at each stride, the bottleneck first.
    """

    middle: nn.ModuleList
    stack: Stack
    channels: dict[int, int]


def check_section(config: ConvNextConfig | SwinTConfig, where: str) -> None:
    """Refuse strides that do not fit each other.

    Raises:
        ConfigError: The message names the stride.
    """
    stride = config.stem_patch_stride
    if stride & (stride - 1):
        raise ConfigError(f"{where}.stem_patch_stride is {stride}; it must be a power of two.")
    if config.output_stride > 16 * stride:
        raise ConfigError(
            f"{where}.output_stride {config.output_stride} is larger than the stride of the bottleneck, {16 * stride}; "
            "lower it, or raise stem_patch_stride."
        )


def chosen_size(model_type: str, sizes: Mapping[str, Mapping], arch: Mapping | None, where: str) -> Mapping:
    """Return the sizes of an encoder by its name, or those given for another name.

    Raises:
        ConfigError: The name is unknown and no sizes are given, or they lack an entry.
    """
    if model_type in sizes and arch is None:
        return sizes[model_type]
    keys = next(iter(sizes.values())).keys()
    if arch is None or keys - arch.keys():
        raise ConfigError(
            f"{where}.model_type is {model_type!r}; choose one of {', '.join(sizes)}, or give arch with "
            f"{', '.join(sorted(keys))}."
        )
    for key in sorted(keys):
        _check_numbers(arch[key], isinstance(next(iter(sizes.values()))[key], Sequence), f"{where}.arch.{key}")
    return arch


def _check_numbers(given: Any, is_list: bool, where: str) -> None:
    """Refuse what is not a size for every stage, or one size.

    Raises:
        ConfigError: The message names the entry.
    """
    numbers: list[Any] = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    whole = all(type(number) is int and 1 <= number <= MOST_FILTERS for number in numbers)
    if not whole or is_list != isinstance(given, Sequence) or (is_list and len(numbers) != NUM_STAGES):
        asked = f"{NUM_STAGES} whole numbers" if is_list else "one whole number"
        raise ConfigError(f"{where} is {given!r}; give {asked} from 1 to {MOST_FILTERS}.")
    if where.endswith("depths") and sum(numbers) > NUM_STAGES * MOST_LAYERS:
        raise ConfigError(f"{where} is {given!r}; give at most {NUM_STAGES * MOST_LAYERS} layers in all.")


def make_decoder(config: ConvNextConfig | SwinTConfig, channels: Sequence[int]) -> Decoder:
    """Make the blocks from the end of the encoder to the finest map.

    Args:
        config: The section of the backbone.
        channels: Channels of the four stages, finest first; a stage's skip is what enters it.
    """
    coarsest = int(channels[-1] * config.filters_rate)
    num_expand = config.convs_per_block - 1
    expand = [f"convnext_middle_expand_conv{j}" for j in range(num_expand)]
    middle = [
        ConvBlock(expand, channels[-1], coarsest, config.kernel_size),
        ConvBlock(
            ["convnext_middle_contract_conv0"],
            coarsest if expand else channels[-1],
            coarsest,
            config.kernel_size,
        ),
    ]
    stride = 16 * config.stem_patch_stride
    by_stride = {stride: coarsest}
    blocks = []
    incoming = coarsest
    for i in range(int(log2(stride // config.output_stride))):
        out = int(channels[0] * config.filters_rate ** max(0, NUM_STAGES - 1 - i))
        skip = channels[NUM_STAGES - 1 - i] if i < NUM_STAGES else 0
        blocks.append(
            UpBlock(
                prefix=f"dec{i}_s{stride}_to_s{stride // 2}",
                channels=(incoming, skip, out),
                num_convs=config.convs_per_block if skip else 1,
                kernel_size=config.kernel_size,
                interpolate=config.up_interpolate,
            )
        )
        incoming, stride = out, stride // 2
        by_stride[stride] = out
    return Decoder(nn.ModuleList(middle), Stack("decoder_stack", blocks), by_stride)


def blocks_of(encoder: Iterable[nn.Module], middle: Iterable[nn.Module], stack: nn.Module) -> list[Block]:
    """Return the steps of a network of these parts; layers without weights are left out."""
    found = [Block(layer, True) for layer in encoder]
    found += [Block(layer, False) for layer in (*middle, *cast(Stack, stack))]
    return [block for block in found if next(block.module.parameters(), None) is not None]


def decode(x: Tensor, skips: list[Tensor], middle: nn.ModuleList, stack: nn.Module, strides: Sequence[int]) -> Features:
    """Run the blocks of `make_decoder` on the end of an encoder.

    Args:
        x: (B, C, h, w) map of the last stage.
        skips: What entered each stage, finest first.
        middle: Blocks at the bottleneck.
        stack: Blocks that double the map.
        strides: Stride of the bottleneck, then of each block.
    """
    x = halve(x)
    for block in middle:
        x = block(x)
    by_stride = {strides[0]: x}
    bottleneck = x
    for i, (stride, block) in enumerate(zip(strides[1:], cast(Stack, stack), strict=True)):
        x = block(x, skips[-1 - i] if i < len(skips) else None)
        by_stride[stride] = x
    return Features(by_stride, bottleneck)


def fitted(x: Tensor, height: int, width: int) -> Tensor:
    """Cut a map to a size, or continue its border; a stem whose kernel is no 4 x 4 misses the size by a little."""
    x = x[..., :height, :width]
    if x.shape[2:] == (height, width):
        return x
    return functional.pad(x, (0, width - x.shape[3], 0, height - x.shape[2]), mode="replicate")


def draw_encoder(encoder: nn.Module) -> None:
    """Draw the weights of an encoder as its authors did: truncated normal of spread 0.02, no bias."""
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
