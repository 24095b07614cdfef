"""Part affinity fields: vectors along the edges of the skeleton, by which points are joined to animals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sleap_nn.heads.base import Head, map_layer
from sleap_nn.heads.losses import LossSettings
from sleap_nn.ops.part_affinity_fields import LineReading, Lines, line_scores, part_affinity_fields
from sleap_nn.structures.sample import Batch
from sleap_nn.structures.skeleton import Skeleton


@dataclass(frozen=True)
class PartAffinityFieldsHead(Head):
    """Two maps an edge: the x and the y component of its direction.

    Attributes:
        edges: Source and destination node of each edge.
        sigma: Width of the fields, see `ops.part_affinity_fields`.
        loss_settings: Weight of the foreground and hard keypoint mining.
    """

    name: ClassVar[str] = "pafs"
    loss_name: ClassVar[str] = "paf_loss"
    title: ClassVar[str] = "part affinity fields"
    edges: tuple[tuple[int, int], ...] = ()
    sigma: float = 15.0
    loss_settings: LossSettings = field(default_factory=LossSettings)

    def layer(self, in_channels: int) -> nn.Module:
        """Return a 1x1 convolution."""
        return map_layer(self.layer_name, in_channels, self.channels)

    def encode(self, batch: Batch) -> Float[Tensor, "batch fields h w"]:
        """Draw the fields of a batch."""
        height, width = batch.image.shape[2:]
        edges = torch.tensor(self.edges, device=batch.points.device)
        return part_affinity_fields(batch.points, edges, (height, width), self.sigma, self.output_stride)

    def loss(
        self,
        output: Float[Tensor, "batch fields h w"],
        target: Float[Tensor, "batch fields h w"],
        weights: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the weighted squared error; a cell is foreground as far as the vector of its edge is long."""
        length = target.unflatten(1, (-1, 2)).norm(dim=2).clamp(max=1).repeat_interleave(2, dim=1)
        return self.loss_settings(output, target, weights, foreground=length)

    def activate(self, output: Float[Tensor, "batch fields h w"]) -> Float[Tensor, "batch fields h w"]:
        """Return the output as it is: the fields are linear."""
        return output

    def strength(self, activated: Float[Tensor, "batch fields h w"]) -> Float[Tensor, ""]:
        """Return the length of the longest vector."""
        return activated.unflatten(1, (-1, 2)).norm(dim=2).amax()

    def counts(self, batch: Batch) -> Float[Tensor, " batch"]:
        """Return ones: every sample counts, also one without animals."""
        return torch.ones_like(batch.weights)

    def meaning(self, skeleton: Skeleton, classes: Sequence[str]) -> tuple[str, ...]:
        """Return the edge and the component of each field."""
        names = skeleton.node_names
        return tuple(f"{names[a]} to {names[b]} ({axis})" for a, b in self.edges for axis in ("x", "y"))

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, Float[Tensor, ""]]:
        """Return nothing beside the loss."""
        return {}

    def score_lines(
        self, fields: Float[Tensor, "batch fields h w"], lines: Lines, reading: LineReading
    ) -> Float[Tensor, " candidates"]:
        """Return the score of candidate edges between points in input px, see `ops.part_affinity_fields`."""
        return line_scores(fields, lines, self.output_stride, reading)
