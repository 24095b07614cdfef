"""`Head`: the contract of one kind of output map.

To add a kind, write one file with a frozen dataclass that derives from `Head`, and name it in the tasks that use
it. A head holds hyper-parameters only; its weights live in the layer that it makes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from sleap_nn.structures.sample import Batch


@dataclass(frozen=True)
class Head(ABC):
    """One output of the network.

    Attributes:
        name: Short name in logs (``confmaps``).
        layer_name: Name of the layer in saved weights (``SingleInstanceConfmapsHead``).
        channels: Number of output channels.
        output_stride: Input px of one map cell.
        loss_weight: Factor of this head in the total loss.
        channel_names: Names under which the loss of each channel is logged; empty logs none.
    """

    name: ClassVar[str]
    layer_name: str
    channels: int
    output_stride: int
    loss_weight: float = 1.0
    channel_names: tuple[str, ...] = ()

    @abstractmethod
    def layer(self, in_channels: int) -> nn.Module:
        """Return the layer from backbone features to the raw output."""

    @abstractmethod
    def encode(self, batch: Batch) -> Tensor:
        """Return the target of a batch, made on the device where the batch is."""

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Float[Tensor, ""]:
        """Return the loss of a raw output, before `loss_weight`."""

    @abstractmethod
    def activate(self, output: Tensor) -> Tensor:
        """Return the output as it is decoded."""
