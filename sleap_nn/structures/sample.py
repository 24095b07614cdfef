"""What flows from the labels to the training step: `FrameKey`, `Frame`, `Sample`, `Batch`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, overload

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sleap_nn.structures.transform import Transform


class FrameKey(NamedTuple):
    """Which frame: position of the video in its source, and frame index in that video."""

    video: int
    frame: int


@dataclass(frozen=True)
class FrameKeys(Sequence[FrameKey]):
    """Frames of one video; each key is made when it is asked for, so that hours of video take no memory.

    Attributes:
        video: Position of the video.
        frames: Frame indices, a range if possible.
    """

    video: int
    frames: Sequence[int]

    @overload
    def __getitem__(self, index: int) -> FrameKey: ...

    @overload
    def __getitem__(self, index: slice) -> FrameKeys: ...

    def __getitem__(self, index: int | slice) -> FrameKey | FrameKeys:
        if isinstance(index, slice):
            return FrameKeys(self.video, self.frames[index])
        return FrameKey(self.video, int(self.frames[index]))

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded frame, or a smaller copy of it.

    Attributes:
        key: Which frame it is.
        image: (H, W, C) uint8, C is 1 or 3 (RGB).
        full_size: (height, width) of the frame that a smaller copy was made of, None for the frame itself.
    """

    key: FrameKey
    image: UInt8[np.ndarray, "height width channels"]
    full_size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in which positions in the frame (frame px) are counted."""
        height, width = self.image.shape[:2] if self.full_size is None else self.full_size
        return height, width


@dataclass(frozen=True, eq=False)
class Sample:
    """One training example.

    Attributes:
        key: The frame it was read from.
        image: (C, H, W) uint8, input px.
        points: (I, N, 2) float32, input px; NaN where a node is not visible or outside the input.
        anchors: (I, 2) float32, input px; the centre of each instance, NaN outside the input.
        class_ids: (I,) int64, -1 without identity.
        transform: Frame px to input px.
        weight: How much the sample counts in the loss.
        mixed: What is mixed into it, None for nothing.
        is_negative: Whether its frame is one of those that show no animal.
    """

    key: FrameKey
    image: UInt8[np.ndarray, "channels height width"]
    points: Float[np.ndarray, "instances nodes 2"]
    anchors: Float[np.ndarray, "instances 2"]
    class_ids: Int[np.ndarray, " instances"]
    transform: Transform
    weight: float = 1.0
    mixed: Mixed | None = None
    is_negative: bool = False


class Mixed(NamedTuple):
    """A second sample that shines through the first, in its image and in its targets.

    Attributes:
        sample: The second sample.
        weight: Its share, 0 to 1.
    """

    sample: Sample
    weight: float


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples stacked for one step; instances are padded with NaN points and class -1.

    Attributes:
        image: (B, C, H, W) uint8, channels last in memory.
        points: (B, I, N, 2) float32, input px.
        anchors: (B, I, 2) float32, input px.
        class_ids: (B, I) int64.
        weights: (B,) float32, how much each sample counts in the loss.
        transforms: (B, 2, 3) float64, frame px to input px.
        keys: The frames, in order.
        is_negative: For each sample, whether its frame is one of those that show no animal; empty means none.
        mixed: The samples that are mixed into these, None if there are none.
        mix_weights: (B,) float32, the share of each of those, 0 for none.
    """

    image: UInt8[Tensor, "batch channels height width"]
    points: Float[Tensor, "batch instances nodes 2"]
    anchors: Float[Tensor, "batch instances 2"]
    class_ids: Int[Tensor, "batch instances"]
    weights: Float[Tensor, " batch"]
    transforms: Float[Tensor, "batch 2 3"]
    keys: tuple[FrameKey, ...]
    is_negative: tuple[bool, ...] = ()
    mixed: Batch | None = None
    mix_weights: Float[Tensor, " batch"] | None = None

    @classmethod
    def stack(cls, samples: Sequence[Sample]) -> Batch:
        """Stack samples of one input size; images of unequal size are padded at the bottom and right."""
        num_instances = max(1, *(len(sample.points) for sample in samples))
        num_nodes = samples[0].points.shape[1]
        height = max(sample.image.shape[1] for sample in samples)
        width = max(sample.image.shape[2] for sample in samples)
        images = np.zeros((len(samples), height, width, samples[0].image.shape[0]), np.uint8)
        points = np.full((len(samples), num_instances, num_nodes, 2), np.nan, np.float32)
        anchors = np.full((len(samples), num_instances, 2), np.nan, np.float32)
        class_ids = np.full((len(samples), num_instances), -1, np.int64)
        for row, sample in enumerate(samples):
            images[row, : sample.image.shape[1], : sample.image.shape[2]] = sample.image.transpose(1, 2, 0)
            points[row, : len(sample.points)] = sample.points
            anchors[row, : len(sample.anchors)] = sample.anchors
            class_ids[row, : len(sample.class_ids)] = sample.class_ids
        any_mixed = any(sample.mixed is not None for sample in samples)
        return cls(
            image=torch.from_numpy(images).permute(0, 3, 1, 2),
            points=torch.from_numpy(points),
            anchors=torch.from_numpy(anchors),
            class_ids=torch.from_numpy(class_ids),
            weights=torch.tensor([sample.weight for sample in samples], dtype=torch.float32),
            transforms=torch.from_numpy(np.stack([sample.transform.matrix for sample in samples])),
            keys=tuple(sample.key for sample in samples),
            is_negative=tuple(sample.is_negative for sample in samples),
            mixed=Batch.stack([s if s.mixed is None else replace(s.mixed.sample, mixed=None) for s in samples])
            if any_mixed
            else None,
            mix_weights=torch.tensor([0.0 if s.mixed is None else s.mixed.weight for s in samples])
            if any_mixed
            else None,
        )

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on another device."""
        return self._moved(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory, for quick copies to a GPU."""
        return self._moved(Tensor.pin_memory)

    def _moved(self, move: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with everything that a training step reads moved; transforms and keys stay."""
        return replace(
            self,
            image=move(self.image),
            points=move(self.points),
            anchors=move(self.anchors),
            class_ids=move(self.class_ids),
            weights=move(self.weights),
            mixed=None if self.mixed is None else self.mixed._moved(move),
            mix_weights=None if self.mix_weights is None else move(self.mix_weights),
        )

    def split(self, size: int | None) -> list[Batch]:
        """Return parts of at most `size` samples, in order; None: the whole."""
        if size is None or size >= len(self):
            return [self]
        return [self._part(slice(start, start + size)) for start in range(0, len(self), size)]

    def _part(self, rows: slice) -> Batch:
        """Return some of the samples."""
        return replace(
            self._moved(lambda tensor: tensor[rows]),
            transforms=self.transforms[rows],
            keys=self.keys[rows],
            is_negative=self.is_negative[rows],
            mixed=None if self.mixed is None else self.mixed._part(rows),
        )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.keys)
