"""What flows from the labels to the training step: `FrameKey`, `Frame`, `Sample`, `Batch`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sleap_nn.structures.transform import Transform


class FrameKey(NamedTuple):
    """Which frame: position of the video in its source, and frame index in that video."""

    video: int
    frame: int


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded frame.

    Attributes:
        key: Which frame it is.
        image: (H, W, C) uint8, C is 1 or 3 (RGB).
    """

    key: FrameKey
    image: UInt8[np.ndarray, "height width channels"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One training example.

    Attributes:
        key: The frame it was read from.
        image: (C, H, W) uint8, input px.
        points: (I, N, 2) float32, input px; NaN where a node is not visible or outside the input.
        class_ids: (I,) int64, -1 without identity.
        transform: Frame px to input px.
    """

    key: FrameKey
    image: UInt8[np.ndarray, "channels height width"]
    points: Float[np.ndarray, "instances nodes 2"]
    class_ids: Int[np.ndarray, " instances"]
    transform: Transform


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples stacked for one step; instances are padded with NaN points and class -1.

    Attributes:
        image: (B, C, H, W) uint8.
        points: (B, I, N, 2) float32, input px.
        class_ids: (B, I) int64.
        transforms: (B, 2, 3) float64, frame px to input px.
        keys: The frames, in order.
    """

    image: UInt8[Tensor, "batch channels height width"]
    points: Float[Tensor, "batch instances nodes 2"]
    class_ids: Int[Tensor, "batch instances"]
    transforms: Float[Tensor, "batch 2 3"]
    keys: tuple[FrameKey, ...]

    @classmethod
    def stack(cls, samples: Sequence[Sample]) -> Batch:
        """Stack samples of one input size; images of unequal size are padded at the bottom and right."""
        num_instances = max(1, *(len(sample.points) for sample in samples))
        num_nodes = samples[0].points.shape[1]
        height = max(sample.image.shape[1] for sample in samples)
        width = max(sample.image.shape[2] for sample in samples)
        images = np.zeros((len(samples), samples[0].image.shape[0], height, width), np.uint8)
        points = np.full((len(samples), num_instances, num_nodes, 2), np.nan, np.float32)
        class_ids = np.full((len(samples), num_instances), -1, np.int64)
        for row, sample in enumerate(samples):
            images[row, :, : sample.image.shape[1], : sample.image.shape[2]] = sample.image
            points[row, : len(sample.points)] = sample.points
            class_ids[row, : len(sample.class_ids)] = sample.class_ids
        return cls(
            image=torch.from_numpy(images),
            points=torch.from_numpy(points),
            class_ids=torch.from_numpy(class_ids),
            transforms=torch.from_numpy(np.stack([sample.transform.matrix for sample in samples])),
            keys=tuple(sample.key for sample in samples),
        )

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on another device."""
        return Batch(
            image=self.image.to(device, non_blocking=True),
            points=self.points.to(device, non_blocking=True),
            class_ids=self.class_ids.to(device, non_blocking=True),
            transforms=self.transforms,
            keys=self.keys,
        )

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory, for quick copies to a GPU."""
        return Batch(
            image=self.image.pin_memory(),
            points=self.points.pin_memory(),
            class_ids=self.class_ids.pin_memory(),
            transforms=self.transforms,
            keys=self.keys,
        )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.keys)
