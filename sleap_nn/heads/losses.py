"""Losses on maps: squared error, its weight on the foreground, and hard keypoint mining."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

FOREGROUND_FROM = 0.1
"""Target value above which a cell counts as foreground in `foreground_split`."""


@dataclass(frozen=True)
class HardKeypointMining:
    """Online hard keypoint mining: an extra loss on the channels that are worst in a batch.

    Attributes:
        hard_to_easy_ratio: A channel is hard when its loss is this many times the smallest channel loss.
        min_hard_keypoints: Fewest channels mined.
        max_hard_keypoints: Most channels mined, None for all.
        loss_scale: Weight of the extra term.
    """

    hard_to_easy_ratio: float = 2.0
    min_hard_keypoints: int = 2
    max_hard_keypoints: int | None = None
    loss_scale: float = 5.0

    def __call__(
        self, output: Float[Tensor, "batch channels h w"], target: Float[Tensor, "batch channels h w"]
    ) -> Float[Tensor, ""]:
        """Return the weighted mean squared error of the mined channels."""
        num_channels = output.shape[1]
        channel_loss = ((output - target) ** 2).sum(dim=(0, 2, 3))
        smallest = channel_loss.min()
        num_hard = int((channel_loss >= self.hard_to_easy_ratio * smallest).sum())
        most = num_channels if self.max_hard_keypoints is None else self.max_hard_keypoints
        num_mined = min(max(num_hard, self.min_hard_keypoints), most, num_channels)
        cells = output.shape[0] * output.shape[2] * output.shape[3] * max(num_mined, 1)  # none mined costs 0
        return self.loss_scale * channel_loss.topk(num_mined).values.sum() / cells


@dataclass(frozen=True)
class LossSettings:
    """How map losses are formed, the same for every map head of a task.

    Attributes:
        foreground_weight: Extra weight of cells under a target, see `map_loss`.
        mining: Online hard keypoint mining, or None.
    """

    foreground_weight: float = 0.0
    mining: HardKeypointMining | None = None

    def __call__(
        self,
        output: Float[Tensor, "batch channels h w"],
        target: Float[Tensor, "batch channels h w"],
        weights: Float[Tensor, " batch"] | None = None,
        foreground: Float[Tensor, "batch channels h w"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the weighted squared error, plus the mined term if mining is on.

        Args:
            output: Maps of the network.
            target: Maps of the labels.
            weights: How much each sample counts in the mean; None: all the same.
            foreground: How much each cell belongs to the foreground, 0 to 1; None: the target itself.
        """
        loss = map_loss(output, target, self.foreground_weight, weights, foreground)
        return loss if self.mining is None else loss + self.mining(output, target)


def map_loss(
    output: Float[Tensor, "batch channels h w"],
    target: Float[Tensor, "batch channels h w"],
    foreground_weight: float = 0.0,
    weights: Float[Tensor, " batch"] | None = None,
    foreground: Float[Tensor, "batch channels h w"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean squared error of maps, cells of the foreground counting more.

    A cell weighs ``1 + foreground_weight * foreground``. With 0 this is the plain mean squared error, whose easiest
    minimum on large empty images is a map of zeros.
    """
    error = (output - target) ** 2
    if foreground_weight:
        error = error * (1 + foreground_weight * (target if foreground is None else foreground))
    return sample_mean(error.mean(dim=(1, 2, 3)), weights)


def sample_mean(values: Float[Tensor, " batch"], weights: Float[Tensor, " batch"] | None) -> Float[Tensor, ""]:
    """Return the mean over samples, each counting by its weight; None: all the same."""
    return values.mean() if weights is None else (values * weights).sum() / weights.sum()


def channel_losses(
    output: Float[Tensor, "batch channels h w"], target: Float[Tensor, "batch channels h w"]
) -> Float[Tensor, " channels"]:
    """Return the plain mean squared error of every channel."""
    with torch.no_grad():
        return ((output - target) ** 2).mean(dim=(0, 2, 3))


@torch.no_grad()
def foreground_split(
    output: Float[Tensor, "batch channels h w"], target: Float[Tensor, "batch channels h w"]
) -> dict[str, Float[Tensor, ""]]:
    """Return the plain mean squared error on and off the targets, and the share of cells on them.

    Maps that collapse to zero show as an error on the targets that does not fall while the other one does.

    Returns:
        ``confmap_loss_fg`` and ``confmap_loss_bg``, NaN where there is no such cell, and ``confmap_fg_frac``.
    """
    error, on_target = (output - target) ** 2, target > FOREGROUND_FROM
    share, on = on_target.float().mean(), (error * on_target).mean()
    return {
        "confmap_loss_fg": on / share,
        "confmap_loss_bg": (error.mean() - on) / (1 - share),
        "confmap_fg_frac": share,
    }
