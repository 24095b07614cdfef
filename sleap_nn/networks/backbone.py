"""`Backbone`: the contract of a feature extractor.

To add a backbone: write ``networks/<name>.py`` with one class that derives from `Backbone`, add it to `BACKBONES` in
``network.py``, and give its section a class in ``config/model_config.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sleap_nn.errors import ConfigError

MOST_WEIGHTS = 2**31
"""Most weights of a network, which take 8 GB; the largest encoders in use have half as many."""
_DRAWS = frozenset({"normal_", "uniform_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "erfinv_"})
"""Functions and methods of PyTorch that fill a tensor at random."""


class Features(NamedTuple):
    """What a backbone makes of an image.

    Attributes:
        by_stride: (B, C, H / stride, W / stride) maps of bottleneck and decoder, keyed by stride in input px.
        bottleneck: (B, C, h, w) map at the coarsest stride, before the decoder.
    """

    by_stride: dict[int, Tensor]
    bottleneck: Tensor


class Block(NamedTuple):
    """A step on the way from the image to the finest map.

    Attributes:
        module: Its layers.
        encoder: Whether it lies before the bottleneck, in the half that shrinks the map.
    """

    module: nn.Module
    encoder: bool


class Backbone(nn.Module, ABC):
    """A feature pyramid.

    Attributes:
        in_channels: Channels of the image.
        max_stride: The sides of an image must be multiples of this.
        channels: Channels of each entry of `Features.by_stride`.
        bottleneck_channels: Channels of `Features.bottleneck`.
        drawn: Parts whose weights the backbone has drawn itself, in a way of their own.
    """

    in_channels: int
    max_stride: int
    channels: dict[int, int]
    bottleneck_channels: int
    drawn: tuple[nn.Module, ...] = ()

    @abstractmethod
    def forward(self, image: Tensor) -> Features:
        """Map an image (B, C, H, W), floats 0..1, to features."""

    @abstractmethod
    def blocks(self) -> list[Block]:
        """Return the steps in the order in which an image passes them; together they hold all weights."""


class _Undrawn(TorchFunctionMode):
    """Leaves new weights undrawn: on the meta device there are none, and drawing them would load PyTorch's compiler."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call everything but the ways to draw."""
        named = kwargs or {}
        if func.__name__ in _DRAWS:
            return named["tensor"] if "tensor" in named else args[0]
        return func(*args, **named)


def check_size(make: Callable[[], nn.Module], where: str) -> None:
    """Refuse layers that no memory holds, before there are any: PyTorch's meta device knows shapes only.

    Args:
        make: Makes the layers.
        where: The section that asks for them, for the message.

    Raises:
        ConfigError: They are too many.
    """
    try:
        with torch.device("meta"), _Undrawn():
            layers = make()
        count = sum(tensor.numel() for tensor in (*layers.parameters(), *layers.buffers()))
        found = f"{count:,}"
    except (RuntimeError, OverflowError, TypeError, MemoryError):  # a size beyond what PyTorch can count
        count, found = MOST_WEIGHTS + 1, "more than can be counted"
    if count > MOST_WEIGHTS:
        raise ConfigError(
            f"The network of {where} would have {found} weights, more than {MOST_WEIGHTS:,}; lower its filters, rates "
            "and strides, or the layers of its heads."
        )
