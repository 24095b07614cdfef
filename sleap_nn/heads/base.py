"""`Head`: the contract of one kind of output map.

To add a kind, write one file with a frozen dataclass that derives from `Head`, and name it in the tasks that use
it. A head holds hyper-parameters only; its weights live in the layer that it makes. A target depends on its own
sample alone, never on the rest of the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from sleap_nn.structures.sample import Batch
from sleap_nn.structures.skeleton import Skeleton


@dataclass(frozen=True)
class Head(ABC):
    """One output of the network.

    Attributes:
        name: Key in the output of the network, and in ``head_configs`` (``confmaps``).
        loss_name: Name of the loss in logs (``confmaps_loss``).
        title: What its output is called in messages ("confidence maps").
        reads: What the layer reads: the backbone's map at `output_stride`, or its bottleneck.
        metric_names: Those of `metrics` that are columns of the log; live monitors get them all.
        layer_name: Name of the layer in saved weights (``SingleInstanceConfmapsHead``).
        channels: Number of output channels.
        output_stride: Input px of one map cell.
        loss_weight: Factor of this head in the total loss.
        channel_names: Names under which the loss of each channel is logged; empty logs none.
    """

    name: ClassVar[str]
    loss_name: ClassVar[str]
    title: ClassVar[str]
    reads: ClassVar[Literal["map", "bottleneck"]] = "map"
    metric_names: ClassVar[tuple[str, ...]] = ()
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
    def loss(self, output: Tensor, target: Tensor, weights: Float[Tensor, " batch"] | None = None) -> Float[Tensor, ""]:
        """Return the loss of a raw output, before `loss_weight`.

        Args:
            output: What the layer returned.
            target: What `encode` returned.
            weights: How much each sample counts; None: all the same.
        """

    @abstractmethod
    def activate(self, output: Tensor) -> Tensor:
        """Return the output as it is decoded."""

    @abstractmethod
    def strength(self, activated: Tensor) -> Float[Tensor, ""]:
        """Return how much an activated output says: 0 where it is flat, about 1 for the target of a label."""

    @abstractmethod
    def counts(self, batch: Batch) -> Float[Tensor, " batch"]:
        """Return how much each sample counts in the mean that is the loss, before its own weight."""

    @abstractmethod
    def meaning(self, skeleton: Skeleton, classes: Sequence[str]) -> tuple[str, ...]:
        """Return what each channel shows, in names by which heads of two models can be compared."""

    @abstractmethod
    def metrics(self, output: Tensor, target: Tensor) -> dict[str, Float[Tensor, ""]]:
        """Return what else is logged, by name, at least `metric_names`; NaN where it is undefined."""


def map_layer(layer_name: str, in_channels: int, channels: int) -> nn.Module:
    """Return a 1x1 convolution to maps, which starts near zero as most cells of a map are."""
    conv = nn.Conv2d(in_channels, channels, kernel_size=1)
    nn.init.normal_(conv.weight, std=1e-3)
    nn.init.zeros_(conv.bias)  # pyright: ignore[reportArgumentType]
    return nn.Sequential(OrderedDict([(layer_name, nn.Sequential(conv))]))
