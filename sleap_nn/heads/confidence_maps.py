"""Confidence maps: one Gaussian around every visible point."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sleap_nn.heads.base import Head
from sleap_nn.heads.losses import LossSettings, map_loss
from sleap_nn.ops.confidence_maps import confidence_maps
from sleap_nn.ops.peaks import find_global_peaks
from sleap_nn.structures.sample import Batch


@dataclass(frozen=True)
class ConfidenceMapsHead(Head):
    """One map a node.

    Attributes:
        sigma: Spread of the Gaussian in map cells.
        loss_settings: Weight of the foreground and hard keypoint mining.
    """

    name: ClassVar[str] = "confmaps"
    sigma: float = 5.0
    loss_settings: LossSettings = field(default_factory=LossSettings)

    def layer(self, in_channels: int) -> nn.Module:
        """Return a 1x1 convolution that starts near zero, as the maps do."""
        conv = nn.Conv2d(in_channels, self.channels, kernel_size=1)
        nn.init.normal_(conv.weight, std=1e-3)
        nn.init.zeros_(conv.bias)  # pyright: ignore[reportArgumentType]
        return nn.Sequential(OrderedDict([(self.layer_name, nn.Sequential(conv))]))

    def encode(self, batch: Batch) -> Float[Tensor, "batch nodes h w"]:
        """Draw the maps of a batch."""
        height, width = batch.image.shape[2:]
        return confidence_maps(batch.points, height, width, self.sigma, self.output_stride)

    def loss(
        self, output: Float[Tensor, "batch nodes h w"], target: Float[Tensor, "batch nodes h w"]
    ) -> Float[Tensor, ""]:
        """Return the weighted squared error, plus the mined term if mining is on."""
        mining = self.loss_settings.mining
        loss = map_loss(output, target, self.loss_settings.foreground_weight)
        return loss if mining is None else loss + mining(output, target)

    def activate(self, output: Float[Tensor, "batch nodes h w"]) -> Float[Tensor, "batch nodes h w"]:
        """Return the output as it is: the maps are linear."""
        return output

    def read_peaks(
        self, maps: Float[Tensor, "batch nodes h w"], threshold: float, refinement: str, patch_size: int
    ) -> tuple[Float[np.ndarray, "batch nodes 2"], Float[np.ndarray, "batch nodes"]]:
        """Return the peak of every map in input px (NaN without one) and its value (0 without one)."""
        points, values = find_global_peaks(maps, threshold, refinement, patch_size)
        joined = torch.cat([points * self.output_stride, values[..., None]], dim=-1).cpu().numpy()
        return joined[..., :2], joined[..., 2]
