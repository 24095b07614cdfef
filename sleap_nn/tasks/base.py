"""`Task`: one model type as one object, the same for training, validation, prediction and export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from sleap_nn.heads.base import Head
from sleap_nn.heads.losses import channel_losses
from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.sample import Batch, FrameKey
from sleap_nn.structures.skeleton import Skeleton


@dataclass(frozen=True)
class DecodeSettings:
    """How maps are read: what a user may change at prediction time.

    Attributes:
        peak_threshold: Smallest map value of a point.
        refinement: ``integral`` or ``none``.
        patch_size: Window of the refinement in map cells, odd.
    """

    peak_threshold: float = 0.2
    refinement: str = "integral"
    patch_size: int = 5


@dataclass(frozen=True)
class Task(ABC):
    """A model type.

    Attributes:
        name: Key of the model type in ``head_configs``.
        view: What the network sees: the whole ``frame`` or a ``crop`` around an anchor.
        skeleton: The nodes of the labels, in order.
    """

    name: ClassVar[str]
    view: ClassVar[Literal["frame", "crop"]]
    skeleton: Skeleton

    @property
    @abstractmethod
    def heads(self) -> tuple[Head, ...]:
        """The outputs of the network, in the order of the saved weights."""

    @abstractmethod
    def anchors(self, points: Float[np.ndarray, "instances nodes 2"]) -> list[tuple[float, float] | None]:
        """Return what to train on in a frame of labelled instances (frame px).

        One entry makes one sample: None is the whole frame, a point the crop around it. An empty list leaves the
        frame out.

        Raises:
            DataError: The frame cannot be a training example of this model type.
        """

    @abstractmethod
    def detect(self, maps: Mapping[str, Tensor], settings: DecodeSettings) -> list[Detection]:
        """Read activated maps back: one `Detection` (input px) for every image of the batch."""

    @abstractmethod
    def assemble(self, key: FrameKey, detections: Sequence[Detection]) -> Predictions:
        """Join the lifted detections (frame px) of all regions of a frame to instances."""

    def encode(self, batch: Batch) -> dict[str, Tensor]:
        """Return the target of every head, made on the device of the batch."""
        return {head.name: head.encode(batch) for head in self.heads}

    def losses(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the loss of every head, before their weights."""
        return {head.name: head.loss(outputs[head.name].float(), targets[head.name]) for head in self.heads}

    def total_loss(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum of the head losses."""
        terms = [head.loss_weight * losses[head.name] for head in self.heads]
        return sum(terms[1:], start=terms[0])

    def activate(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return raw outputs as they are decoded."""
        return {head.name: head.activate(outputs[head.name]) for head in self.heads}

    def node_losses(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the plain squared error of every channel that a head names, as ``<head>/<channel>``."""
        named = {}
        for head in self.heads:
            if head.channel_names:
                errors = channel_losses(outputs[head.name].float(), targets[head.name])
                named |= {f"{head.name}/{name}": error for name, error in zip(head.channel_names, errors, strict=True)}
        return named

    def peak_height(self, outputs: Mapping[str, Tensor]) -> float:
        """Return the largest activated value of the first head; near 0 means that the network finds nothing."""
        head = self.heads[0]
        return float(head.activate(outputs[head.name]).max())
