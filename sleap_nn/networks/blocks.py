"""Layers that several backbones share. Layer names are part of the checkpoint format."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sleap_nn.networks.devices import native_bfloat16
from sleap_nn.networks.kernels import Kernels, kernels_of, packed

_WIDTH = 16
"""Sums in float32, one a channel, that a register of 512 bits holds."""


class ConvBlock(nn.Module):
    """A chain of convolutions, each followed by ReLU; the size of the map does not change."""

    def __init__(
        self, names: list[str], in_channels: int, out_channels: int, kernel_size: int = 3, pool_first: bool = False
    ) -> None:
        """Make the layers.

        Args:
            names: Layer names in saved weights, one a convolution.
            in_channels: Channels of the input.
            out_channels: Channels of every output.
            kernel_size: Side of the kernel, odd.
            pool_first: Halve the map with a 2x2 maximum before the first convolution.
        """
        super().__init__()
        self.pool_first = pool_first
        channels = [in_channels] + [out_channels] * len(names)
        self.blocks = nn.Sequential(
            OrderedDict(
                (name, nn.Conv2d(channels[i], out_channels, kernel_size, padding="same"))
                for i, name in enumerate(names)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in, h, w) to (B, out, h, w), or half the size with `pool_first`."""
        if self.pool_first:
            x = halve(x)
        for conv in self.blocks:
            x = conv_relu(cast(nn.Conv2d, conv), x)
        return x


class UpBlock(nn.Module):
    """One step up a U: double the map, join it with the skip of that size, convolve."""

    def __init__(
        self,
        prefix: str,
        channels: tuple[int, int, int],
        num_convs: int,
        kernel_size: int,
        interpolate: bool,
        keep_first: bool = False,
    ) -> None:
        """Make the layers.

        Args:
            prefix: Start of the layer names, ``stack0_dec0_s16_to_s8``.
            channels: Channels coming from below, of the skip (0 for none), and of the output.
            num_convs: Convolutions after joining.
            kernel_size: Side of the kernel, odd.
            interpolate: Double by bilinear interpolation, else by a transposed convolution.
            keep_first: Of the 2n + 1 cells of a transposed convolution keep the first 2n, as Keras does, not the last.
        """
        super().__init__()
        self.keep_first = keep_first
        incoming, skip, out = channels
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        self.transposed_name = None if interpolate else f"{prefix}_trans_conv"
        if self.transposed_name is not None:
            layers[self.transposed_name] = nn.ConvTranspose2d(
                incoming,
                out,
                kernel_size=3,
                stride=2,
                padding=0 if keep_first else 1,
                output_padding=0 if keep_first else 1,
            )
            incoming = out
        self.conv_names = [f"{prefix}_refine_conv{j}" for j in range(num_convs)]
        for j, name in enumerate(self.conv_names):
            layers[name] = nn.Conv2d(incoming + skip if j == 0 else out, out, kernel_size, padding="same")
        self.blocks = nn.ModuleDict(layers)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """Map (B, incoming, h, w) and the skip to (B, out, 2h, 2w)."""
        convs = [cast(nn.Conv2d, self.blocks[name]) for name in self.conv_names]
        interpolates = self.transposed_name is None
        if interpolates and skip is not None and convs and _convolves_before_doubling(convs[0], x, skip):
            x, convs = _conv_relu_of_doubled(convs[0], x, skip), convs[1:]
        else:
            x = _joined(self._doubled(x), skip)
        for conv in convs:
            x = conv_relu(conv, x)
        return x

    def _doubled(self, x: Tensor) -> Tensor:
        """Map (B, incoming, h, w) to twice the size."""
        if self.transposed_name is None:
            return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        height, width = 2 * x.shape[2], 2 * x.shape[3]
        x = self.blocks[self.transposed_name](x)
        if self.keep_first:
            x = x[:, :, :height, :width]
        return functional.relu(x, inplace=True)


def _joined(x: Tensor, skip: Tensor | None) -> Tensor:
    """Return a map behind the skip, in its size."""
    if skip is None:
        return x
    if x.shape[2:] != skip.shape[2:]:
        x = functional.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)
    return torch.cat([skip, x], dim=1)


class Stack(nn.Module):
    """A list of blocks whose place in saved weights has a name of its own."""

    def __init__(self, name: str, blocks: Sequence[nn.Module]) -> None:
        """Register the blocks under `name`."""
        super().__init__()
        self.add_module(name, nn.ModuleList(blocks))

    def __iter__(self) -> Iterator[nn.Module]:
        """Go through the blocks in order."""
        (blocks,) = self.children()
        return iter(cast(nn.ModuleList, blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the blocks one after another."""
        for block in self:
            x = block(x)
        return x


def conv_relu(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Convolve, and set what is negative to zero, in the fastest way to the same numbers."""
    if _leaves_registers_half_empty(conv, x):
        return _conv_relu_of_pairs(conv, x)
    if not conv.kernel_size[0] % 2 or not _has_layers_of_several_steps(x) or x.dtype != torch.bfloat16:
        return functional.relu(conv(x), inplace=True)
    padding = [side // 2 for side in conv.kernel_size]

    def make(keep: bool) -> Kernels:
        return _kernels([conv.weight], conv.bias, x, keep, padding=padding)

    return _in_one_go(x, kernels_of(conv, "plain", x, make), padding=padding)


def _leaves_registers_half_empty(conv: nn.Conv2d, x: Tensor) -> bool:
    """Tell whether a convolution computes so few channels that two pixels of them fit the registers of a processor."""
    # On maps narrower than the kernels of pairs, the library of convolutions reads past their end.
    fits = conv.kernel_size == (3, 3) and x.shape[3] % 2 == 0 and x.shape[3] >= _WIDTH
    return fits and conv.out_channels <= _WIDTH // 2 and _only_predicts(x) and _has_wide_registers()


def _conv_relu_of_pairs(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Return what `conv_relu` makes of a map of even width, two pixels of a row at a time.

    Every second pixel is convolved with twice the kernels: once in their place, and once a column further to the
    right. With channels last, the channels of the result are already the pixels of a map in order.
    """
    in_one_go = x.dtype == torch.bfloat16 and _has_layers_of_several_steps(x)

    def make(keep: bool) -> Kernels:
        weight = torch.cat([functional.pad(conv.weight, (0, 1)), functional.pad(conv.weight, (1, 0))])
        bias = None if conv.bias is None else conv.bias.repeat(2)
        if in_one_go:
            return _kernels([weight], bias, x, keep, stride=(1, 2), padding=(1, 1))
        return Kernels((weight.contiguous(memory_format=torch.channels_last),), bias)

    kernels = kernels_of(conv, "pairs", x, make)
    if in_one_go:
        pairs = _in_one_go(x, kernels, stride=(1, 2), padding=(1, 1))
    else:
        (weight,), bias = kernels
        pairs = functional.relu(functional.conv2d(x, weight, bias, (1, 2), (1, 1)), inplace=True)
    return pairs.permute(0, 2, 3, 1).reshape(len(x), *x.shape[2:], -1).permute(0, 3, 1, 2)


def _convolves_before_doubling(conv: nn.Conv2d, x: Tensor, skip: Tensor) -> bool:
    """Tell whether `_conv_relu_of_doubled` can do it, and sooner."""
    fits = conv.kernel_size == (3, 3) and skip.shape[2:] == (2 * x.shape[2], 2 * x.shape[3])
    return fits and x.dtype == skip.dtype and _has_layers_of_several_steps(x)


@torch.autocast("cpu", enabled=False)  # which would interpolate in float32, unlike a network in bfloat16
def _conv_relu_of_doubled(conv: nn.Conv2d, x: Tensor, skip: Tensor) -> Tensor:
    """Return what `conv_relu` makes of the skip and the doubled map, with fewer multiplications.

    Doubling is linear and the same for every channel, so that a kernel may as well be applied before it: each of its
    three rows is, to a map of doubled width, which has half as many cells. The results are doubled in height and added
    a row apart.
    """
    num_skip = skip.shape[1]
    wide = _interpolated(x, (1.0, 2.0))

    def make(keep: bool) -> Kernels:
        rows = [conv.weight[:, num_skip:, row : row + 1] for row in range(3)]
        of_rows, _ = _kernels(rows, None, wide, keep, padding=(0, 1))
        of_skip, bias = _kernels([conv.weight[:, :num_skip]], conv.bias, skip, keep, padding=(1, 1))
        return Kernels((*of_rows, *of_skip), bias)

    (*rows, of_skip), bias = kernels_of(conv, "doubled", x, make)
    above, middle, below = (
        _interpolated(_in_one_go(wide, Kernels((row,), None), padding=(0, 1), then="none"), (2.0, 1.0)) for row in rows
    )
    middle[:, :, 1:] += above[:, :, :-1]
    middle[:, :, :-1] += below[:, :, 1:]
    return torch.ops.mkldnn._convolution_pointwise_.binary(
        middle, skip, of_skip, bias, (1, 1), (1, 1), (1, 1), 1, "add", 1, "relu", [], ""
    )


def _interpolated(x: Tensor, factors: tuple[float, float]) -> Tensor:
    """Return a map in another height and width."""
    return functional.interpolate(x, scale_factor=factors, mode="bilinear", align_corners=False)


def _kernels(
    weights: Sequence[Tensor],
    bias: Tensor | None,
    x: Tensor,
    keep: bool,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (1, 1),
) -> Kernels:
    """Return weights and a bias as convolutions of maps like `x` read them, in the type of the map as autocast has it.

    Args:
        weights: Of layers that read such a map.
        bias: Of one of them.
        x: The map.
        keep: Whether they are used again, so that it pays to put them in order.
        stride: Of the layers.
        padding: Of the layers.
    """
    cast = [weight.to(x.dtype).contiguous(memory_format=torch.channels_last) for weight in weights]
    ordered = [packed(weight, x, stride, padding) for weight in cast] if keep else cast
    return Kernels(tuple(ordered), None if bias is None else bias.to(x.dtype))


def _in_one_go(
    x: Tensor,
    kernels: Kernels,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (1, 1),
    then: str = "relu",
) -> Tensor:
    """Convolve with zeros around the map, and set what is negative to zero; the latter not with `then` as ``none``."""
    (weight,), bias = kernels
    return torch.ops.mkldnn._convolution_pointwise.default(x, weight, bias, padding, stride, (1, 1), 1, then, [], "")


def _has_layers_of_several_steps(x: Tensor) -> bool:
    """Tell whether PyTorch has them for what is done with a map here, in its type."""
    casts = x.dtype == torch.float32 and torch.is_autocast_enabled("cpu")
    return _only_predicts(x) and not casts and x.dtype in _types_of_layers()


@cache
def _types_of_layers() -> tuple[torch.dtype, ...]:
    """Return the types for which PyTorch has, on this processor, the layers that it compiles networks to."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_convolution_pointwise_"):
        return ()
    return (torch.float32, torch.bfloat16) if native_bfloat16("cpu") else (torch.float32,)


@cache
def _has_wide_registers() -> bool:
    """Tell whether registers of this processor hold `_WIDTH` sums of a convolution."""
    return torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def halve(x: Tensor) -> Tensor:
    """Take the maximum of every 2x2 cells; an odd last row or column makes a cell of its own."""
    if _only_predicts(x) and x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0:
        # PyTorch's pooling on a processor also notes where each maximum was, one value at a time for few channels.
        x = torch.maximum(x[:, :, 0::2], x[:, :, 1::2])
        return torch.maximum(x[..., 0::2], x[..., 1::2])
    return functional.max_pool2d(x, kernel_size=2, stride=2, ceil_mode=True)


def _only_predicts(x: Tensor) -> bool:
    """Tell whether a map is on the processor, and nothing else than its values is wanted of what is done with it."""
    is_recorded = torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage] - it is documented
    followed = is_recorded or torch.is_grad_enabled() or torch.compiler.is_compiling()
    return x.device.type == "cpu" and not followed
