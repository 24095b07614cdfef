"""`Task`: one model type as one object, the same for training, validation, prediction and export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from jaxtyping import Float
from torch import Tensor

from sleap_nn.heads.base import Head
from sleap_nn.heads.losses import LossSettings, channel_losses
from sleap_nn.ops.centroids import centroids
from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.sample import Batch, FrameKey
from sleap_nn.structures.skeleton import Skeleton


@dataclass(frozen=True)
class DecodeSettings:
    """How maps are read: what a user may change at prediction time. A task takes what it has a use for.

    Attributes:
        peak_threshold: Smallest map value of a point.
        refinement: ``integral``, ``gaussian`` or ``none``.
        patch_size: Window of the refinement in map cells, odd.
        max_instances: Most instances of a frame, the best are kept; None keeps all.
        num_line_points: Points at which a field is read along an edge.
        max_edge_length_ratio: Edges longer than this share of the field's longest side are penalised.
        dist_penalty_weight: Weight of that penalty.
        min_line_score: Smallest score of an edge that joins two points.
        min_instance_peaks: Fewest points of an instance; below 1 a share of the nodes.
        class_assignment: ``probability`` or ``weighted``, see `ops.identity.group_by_class`.
    """

    peak_threshold: float = 0.2
    refinement: str = "integral"
    patch_size: int = 5
    max_instances: int | None = None
    num_line_points: int = 10
    max_edge_length_ratio: float = 0.25
    dist_penalty_weight: float = 1.0
    min_line_score: float = 0.25
    min_instance_peaks: float = 0
    class_assignment: str = "probability"


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A model type.

    Attributes:
        name: Key of the model type in ``head_configs``.
        view: What the network sees: the whole ``frame`` or a ``crop`` around an anchor.
        max_labelled: Most labelled instances of a training frame, None for any number.
        one_point: Whether an instance is predicted as a single point, its anchor.
        skeleton: The nodes of the labels, in order.
        anchor_node: Node that stands for an instance, None for the mean of the visible nodes.
        classes: Names of the identities that are learned, in order.
    """

    name: ClassVar[str]
    view: ClassVar[Literal["frame", "crop"]]
    max_labelled: ClassVar[int | None] = None
    one_point: ClassVar[bool] = False
    skeleton: Skeleton
    anchor_node: int | None = None
    classes: tuple[str, ...] = ()

    @classmethod
    @abstractmethod
    def from_config(cls, config: Any, skeleton: Skeleton, loss_settings: LossSettings | None = None) -> Self:
        """Build the task from its resolved section of ``head_configs``."""

    @property
    @abstractmethod
    def heads(self) -> tuple[Head, ...]:
        """The outputs of the network, in the order of the saved weights."""

    @abstractmethod
    def detect(self, maps: Mapping[str, Tensor], settings: DecodeSettings) -> list[Detection]:
        """Read activated maps back: one `Detection` (input px) for every image of the batch."""

    @abstractmethod
    def assemble(self, key: FrameKey, detections: Sequence[Detection], settings: DecodeSettings) -> Predictions:
        """Join the lifted detections (frame px) of all regions of a frame to instances."""

    @property
    def predicted_skeleton(self) -> Skeleton:
        """The nodes of what is predicted."""
        return Skeleton(("centroid",), name="centroid") if self.one_point else self.skeleton

    def anchors(self, points: Float[np.ndarray, "instances nodes 2"]) -> Float[np.ndarray, "instances 2"]:
        """Return the point that stands for each instance, in the coordinates of `points`; NaN without any point."""
        return centroids(points, self.anchor_node)

    def encode(self, batch: Batch) -> dict[str, Tensor]:
        """Return the target of every head, made on the device of the batch; those of mixed samples are mixed."""
        targets = {head.name: head.encode(batch) for head in self.heads}
        if batch.mixed is None or batch.mix_weights is None:
            return targets
        shares = batch.mix_weights
        return {
            head.name: targets[head.name].lerp(
                head.encode(batch.mixed), shares.view(-1, *[1] * (targets[head.name].ndim - 1))
            )
            for head in self.heads
        }

    def losses(
        self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], weights: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the loss of every head, before their weights; `weights` (B,) are those of the samples."""
        return {head.name: head.loss(outputs[head.name].float(), targets[head.name], weights) for head in self.heads}

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Return how much a batch counts for the loss of every head: its samples, each with its weight.

        The loss of a batch is the mean of the losses of its parts, each with its count.
        """
        counts = {head.name: head.counts(batch) for head in self.heads}
        if batch.mixed is not None and batch.mix_weights is not None:
            counts = {h.name: counts[h.name].lerp(h.counts(batch.mixed), batch.mix_weights) for h in self.heads}
        return {name: (count * batch.weights).sum() for name, count in counts.items()}

    def meaning(self) -> dict[str, tuple[str, ...]]:
        """Return what each channel of every head shows."""
        return {head.name: head.meaning(self.skeleton, self.classes) for head in self.heads}

    def total_loss(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum of the head losses."""
        terms = [head.loss_weight * losses[head.name] for head in self.heads]
        return sum(terms[1:], start=terms[0])

    def activate(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return raw outputs as they are decoded."""
        return {head.name: head.activate(outputs[head.name]) for head in self.heads}

    def metrics(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the metrics of all heads."""
        return {
            name: value
            for head in self.heads
            for name, value in head.metrics(outputs[head.name].float(), targets[head.name]).items()
        }

    def node_losses(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the plain squared error of every channel that a head names, as ``<head>/<channel>``."""
        named = {}
        for head in self.heads:
            if head.channel_names:
                errors = channel_losses(outputs[head.name].float(), targets[head.name])
                named |= {f"{head.name}/{name}": error for name, error in zip(head.channel_names, errors, strict=True)}
        return named

    def strengths(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return how much the output of every head says; near 0 in the first, the network finds nothing."""
        return {head.name: head.strength(head.activate(outputs[head.name].float())) for head in self.heads}
