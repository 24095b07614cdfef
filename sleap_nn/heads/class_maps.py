"""Class maps: one map a class (identity), high where an animal of that class is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sleap_nn.heads.base import Head, map_layer
from sleap_nn.heads.losses import LossSettings
from sleap_nn.ops.class_maps import class_maps
from sleap_nn.structures.sample import Batch
from sleap_nn.structures.skeleton import Skeleton


@dataclass(frozen=True)
class ClassMapsHead(Head):
    """One map a class.

    Attributes:
        sigma: Spread in map cells of the confidence maps by which an animal claims cells.
        loss_settings: Weight of the foreground and hard keypoint mining.
    """

    name: ClassVar[str] = "class_maps"
    loss_name: ClassVar[str] = "classmap_loss"
    title: ClassVar[str] = "class maps"
    metric_names: ClassVar[tuple[str, ...]] = ("class_accuracy",)
    sigma: float = 5.0
    loss_settings: LossSettings = field(default_factory=LossSettings)

    def layer(self, in_channels: int) -> nn.Module:
        """Return a 1x1 convolution."""
        return map_layer(self.layer_name, in_channels, self.channels)

    def encode(self, batch: Batch) -> Float[Tensor, "batch classes h w"]:
        """Draw the maps of a batch."""
        height, width = batch.image.shape[2:]
        return class_maps(batch.points, batch.class_ids, self.channels, (height, width), self.sigma, self.output_stride)

    def loss(
        self,
        output: Float[Tensor, "batch classes h w"],
        target: Float[Tensor, "batch classes h w"],
        weights: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the weighted squared error of the probabilities; cells of any class are foreground for all."""
        foreground = target.amax(dim=1, keepdim=True).expand_as(target)
        return self.loss_settings(output.sigmoid(), target, weights, foreground)

    def activate(self, output: Float[Tensor, "batch classes h w"]) -> Float[Tensor, "batch classes h w"]:
        """Return probabilities."""
        return output.sigmoid()

    def strength(self, activated: Float[Tensor, "batch classes h w"]) -> Float[Tensor, ""]:
        """Return the largest difference between the classes of a cell, or between the cells of a single class."""
        dim = 1 if activated.shape[1] > 1 else (2, 3)
        return (activated.amax(dim=dim) - activated.amin(dim=dim)).amax()

    def counts(self, batch: Batch) -> Float[Tensor, " batch"]:
        """Return ones: every sample counts, also one without animals."""
        return torch.ones_like(batch.weights)

    def meaning(self, skeleton: Skeleton, classes: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the classes."""
        return tuple(classes)

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, Float[Tensor, ""]]:
        """Return the share of claimed cells whose likeliest class is right, as ``class_accuracy``."""
        claimed = target.amax(dim=1) > 0
        right = output.argmax(dim=1) == target.argmax(dim=1)
        return {"class_accuracy": right[claimed].float().mean()}

    def read_classes(
        self, maps: Float[Tensor, "batch classes h w"], points: Float[Tensor, "peaks 2"], samples: Tensor
    ) -> Float[Tensor, "peaks classes"]:
        """Return the maps at the cells nearest to points in input px."""
        height, width = maps.shape[2:]
        cells = (points / self.output_stride).round().long()
        return maps[samples, :, cells[:, 1].clamp(0, height - 1), cells[:, 0].clamp(0, width - 1)]
