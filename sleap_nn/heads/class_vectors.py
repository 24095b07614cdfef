"""Class vectors: the class (identity) of the animal in a crop, from the bottleneck."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sleap_nn.heads.base import Head
from sleap_nn.structures.sample import Batch
from sleap_nn.structures.skeleton import Skeleton


@dataclass(frozen=True)
class ClassVectorsHead(Head):
    """One probability a class.

    Attributes:
        num_fc_layers: Fully connected layers before the class scores.
        num_fc_units: Units of each of them.
    """

    name: ClassVar[str] = "class_vectors"
    loss_name: ClassVar[str] = "classvector_loss"
    title: ClassVar[str] = "class vectors"
    reads: ClassVar[Literal["map", "bottleneck"]] = "bottleneck"
    metric_names: ClassVar[tuple[str, ...]] = ("class_accuracy",)
    num_fc_layers: int = 1
    num_fc_units: int = 64

    def layer(self, in_channels: int) -> nn.Module:
        """Return a global maximum, fully connected layers, and one score a class."""
        layers: OrderedDict[str, nn.Module] = OrderedDict(pool=nn.AdaptiveMaxPool2d(1), flatten=nn.Flatten())
        for i in range(self.num_fc_layers):
            layers[f"pre_classification{i}_fc"] = nn.Linear(in_channels, self.num_fc_units)
            layers[f"pre_classification{i}_relu"] = nn.ReLU()
            in_channels = self.num_fc_units
        layers[self.layer_name] = nn.Linear(in_channels, self.channels)
        return nn.Sequential(layers)

    def encode(self, batch: Batch) -> Float[Tensor, "batch classes"]:
        """Return 1 for the class of the animal, zeros for an animal without class."""
        class_ids = batch.class_ids[:, :1]
        return (class_ids == torch.arange(self.channels, device=class_ids.device)).float()

    def loss(
        self,
        output: Float[Tensor, "batch classes"],
        target: Float[Tensor, "batch classes"],
        weights: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the cross-entropy of the scores, averaged over the samples that have a class; 0 without any."""
        counts = target.sum(dim=1) if weights is None else target.sum(dim=1) * weights
        error = -(target * functional.log_softmax(output, dim=1)).sum(dim=1)
        error = error if weights is None else error * weights
        return error.sum() / counts.sum().clamp(min=torch.finfo(counts.dtype).tiny)

    def activate(self, output: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes"]:
        """Return probabilities."""
        return output.softmax(dim=1)

    def strength(self, activated: Float[Tensor, "batch classes"]) -> Float[Tensor, ""]:
        """Return the largest difference between the classes of an animal; a single class leaves nothing to say."""
        if activated.shape[1] == 1:
            return activated.amax()
        return (activated.amax(dim=1) - activated.amin(dim=1)).amax()

    def counts(self, batch: Batch) -> Float[Tensor, " batch"]:
        """Return 1 for a sample that has a class, else 0."""
        return self.encode(batch).sum(dim=1)

    def meaning(self, skeleton: Skeleton, classes: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the classes."""
        return tuple(classes)

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, Float[Tensor, ""]]:
        """Return the share of samples with a class whose likeliest class is right, as ``class_accuracy``."""
        known = target.sum(dim=1) > 0
        right = output.argmax(dim=1) == target.argmax(dim=1)
        return {"class_accuracy": right[known].float().mean()}
