"""`Batch` and `Provider`: frames that come in batches, as `predict` takes them from a user."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from sleap_nn.structures.sample import FrameKey

if TYPE_CHECKING:
    from sleap_nn.data.sources import Video
    from sleap_nn.inference.select import Selection


@dataclass(frozen=True, eq=False)
class Batch:
    """Some frames.

    Attributes:
        images: (B, C, H, W) uint8.
        frame_indices: (B,) int64, None if they are only counted.
        video_indices: (B,) int64, None for one video.
        instances: (B, most, N, 2) labelled points in frame px, NaN where there are none; None without labels.
    """

    images: Tensor
    frame_indices: Tensor | None = None
    video_indices: Tensor | None = None
    instances: Tensor | None = None

    def frame_keys(self, start: int = 0) -> list[FrameKey]:
        """Return which frames these are; without indices they are counted from `start`."""
        count = len(self.images)
        frames = range(start, start + count) if self.frame_indices is None else self.frame_indices.tolist()
        videos = [0] * count if self.video_indices is None else self.video_indices.tolist()
        return [FrameKey(video, frame) for video, frame in zip(videos, frames, strict=True)]


class Provider(ABC):
    """Frames that come in batches.

    Attributes:
        selection: The frames.
        batch_size: Most frames of a batch.
    """

    selection: Selection
    batch_size: int

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]:
        """Decode the frames, batch by batch."""

    def __len__(self) -> int:
        """Return the number of batches, if all frames have one size."""
        return -(-self.num_frames() // self.batch_size)

    def num_frames(self) -> int:
        """Return the number of frames."""
        return len(self.selection.frames)

    @property
    def videos(self) -> list[Video]:
        """What `Batch.video_indices` counts."""
        return list(self.selection.videos)
