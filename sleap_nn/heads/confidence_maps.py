"""Confidence maps: one Gaussian around every visible point, or around every anchor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sleap_nn.heads.base import Head, map_layer
from sleap_nn.heads.losses import LossSettings, foreground_split
from sleap_nn.ops.confidence_maps import confidence_maps
from sleap_nn.ops.peaks import LocalPeaks, find_global_peaks, find_local_peaks
from sleap_nn.structures.sample import Batch
from sleap_nn.structures.skeleton import Skeleton


@dataclass(frozen=True)
class ConfidenceMapsHead(Head):
    """One map a node.

    Attributes:
        sigma: Spread of the Gaussian in map cells.
        loss_settings: Weight of the foreground and hard keypoint mining.
        of_anchors: One map of the anchors of all instances, in place of one map a node.
    """

    name: ClassVar[str] = "confmaps"
    loss_name: ClassVar[str] = "confmaps_loss"
    title: ClassVar[str] = "confidence maps"
    sigma: float = 5.0
    loss_settings: LossSettings = field(default_factory=LossSettings)
    of_anchors: bool = False

    def layer(self, in_channels: int) -> nn.Module:
        """Return a 1x1 convolution."""
        return map_layer(self.layer_name, in_channels, self.channels)

    def encode(self, batch: Batch) -> Float[Tensor, "batch nodes h w"]:
        """Draw the maps of a batch."""
        height, width = batch.image.shape[2:]
        points = batch.anchors[:, :, None] if self.of_anchors else batch.points
        return confidence_maps(points, height, width, self.sigma, self.output_stride)

    def loss(
        self,
        output: Float[Tensor, "batch nodes h w"],
        target: Float[Tensor, "batch nodes h w"],
        weights: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the weighted squared error, plus the mined term if mining is on."""
        return self.loss_settings(output, target, weights)

    def activate(self, output: Float[Tensor, "batch nodes h w"]) -> Float[Tensor, "batch nodes h w"]:
        """Return the output as it is: the maps are linear."""
        return output

    def strength(self, activated: Float[Tensor, "batch nodes h w"]) -> Float[Tensor, ""]:
        """Return the highest value."""
        return activated.amax()

    def counts(self, batch: Batch) -> Float[Tensor, " batch"]:
        """Return ones: every sample counts, also one without animals."""
        return torch.ones_like(batch.weights)

    def meaning(self, skeleton: Skeleton, classes: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the nodes, or that of the anchors."""
        return ("anchor",) if self.of_anchors else skeleton.node_names

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, Float[Tensor, ""]]:
        """Return the error on and off the targets, and their share of the cells."""
        return foreground_split(output, target)

    def read_peaks(
        self, maps: Float[Tensor, "batch nodes h w"], threshold: float, refinement: str, patch_size: int
    ) -> tuple[Float[np.ndarray, "batch nodes 2"], Float[np.ndarray, "batch nodes"]]:
        """Return the peak of every map in input px (NaN without one) and its value (0 without one)."""
        points, values = find_global_peaks(maps, threshold, refinement, patch_size)
        joined = torch.cat([points * self.output_stride, values[..., None]], dim=-1).cpu().numpy()
        return joined[..., :2], joined[..., 2]

    def read_local_peaks(
        self, maps: Float[Tensor, "batch nodes h w"], threshold: float, refinement: str, patch_size: int
    ) -> LocalPeaks:
        """Return all peaks of all maps, points in input px."""
        peaks = find_local_peaks(maps, threshold, refinement, patch_size)
        return peaks._replace(points=peaks.points * self.output_stride)
