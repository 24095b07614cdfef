"""`Backbone`: the contract of a feature extractor.

To add a backbone: write ``networks/<name>.py`` with one class that derives from `Backbone`, add it to `BACKBONES` in
``network.py``, and give its section a class in ``config/model_config.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn


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
