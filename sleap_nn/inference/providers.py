"""Sources of frames as objects that are iterated batch by batch, and that `predict` takes as a source.

They are views of a `Selection`: which frames, and where they are read, is decided there.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from sleap_nn.data.images import one_by_one
from sleap_nn.data.labels import LabelSet
from sleap_nn.data.sources import ArrayFrames, FrameSource, Video, VideoFrames
from sleap_nn.errors import ConfigError
from sleap_nn.inference.batches import Batch, Provider
from sleap_nn.inference.select import ChoiceKeywords, Frames, Images, Labels, Selection, select_frames
from sleap_nn.structures.sample import Frame, FrameKey

__all__ = ["Batch", "LabelsProvider", "MultiVideoProvider", "NumpyProvider", "Provider", "VideoProvider"]


@final
class VideoProvider(Provider):
    """The frames of a video."""

    def __init__(self, video: Video | str, batch_size: int = 4, frames: Frames | None = None) -> None:
        """Choose the frames.

        Args:
            video: The video, or its path.
            batch_size: Frames of a batch.
            frames: Frame indices; None: all.
        """
        self.batch_size = checked_size(batch_size)
        self.selection = select_frames(video, frames)

    def __iter__(self) -> Iterator[Batch]:
        """Decode the frames, batch by batch."""
        return batches(self.selection, self.batch_size)


@final
class LabelsProvider(Provider):
    """The frames that labels list; batches hold the labelled instances."""

    def __init__(
        self,
        labels: Labels | str,
        batch_size: int = 4,
        only_labeled_frames: bool = False,
        only_suggested_frames: bool = False,
        exclude_user_labeled: bool = False,
        only_predicted_frames: bool = False,
        frames: Frames | None = None,
    ) -> None:
        """Choose the frames.

        Args:
            labels: The labels, or their path.
            batch_size: Frames of a batch.
            only_labeled_frames: See `ChoiceKeywords`, as for the next three.
            only_suggested_frames: As above.
            exclude_user_labeled: As above.
            only_predicted_frames: As above.
            frames: Positions among these frames; None: all.
        """
        choice: ChoiceKeywords = {
            "only_labeled_frames": only_labeled_frames,
            "only_suggested_frames": only_suggested_frames,
            "exclude_user_labeled": exclude_user_labeled,
            "only_predicted_frames": only_predicted_frames,
        }
        self.batch_size = checked_size(batch_size)
        self.selection = select_frames(labels, frames, **choice)

    def __iter__(self) -> Iterator[Batch]:
        """Decode the frames, batch by batch."""
        labels = self.selection.labels
        found = [] if labels is None else LabelSet.from_labels([labels], user_instances_only=False).frames
        points = {frame.key: frame.points for frame in found}
        return (
            replace(batch, instances=_instances(batch, points)) for batch in batches(self.selection, self.batch_size)
        )


@final
class NumpyProvider(Provider):
    """Images in memory."""

    def __init__(
        self,
        images: Images,
        batch_size: int,
        frame_indices: Sequence[int] | None = None,
        video_indices: Sequence[int] | None = None,
    ) -> None:
        """Take the images.

        Args:
            images: An image, an array or a sequence of images, see `ArrayFrames`.
            batch_size: Frames of a batch.
            frame_indices: Their numbers; None: counted from 0.
            video_indices: Which video each belongs to; None: one for all.

        Raises:
            ConfigError: There are other numbers than images, or one that is no whole number from 0.
            DataError: Something is no image, or two images are the same frame.
        """
        entries = list(one_by_one(images))
        numbers = range(len(entries)) if frame_indices is None else frame_indices
        videos = [0] * len(entries) if video_indices is None else video_indices
        if len(numbers) != len(entries) or len(videos) != len(entries):
            raise ConfigError(f"There are {len(entries)} images; frame_indices and video_indices need one entry each.")
        keys = [FrameKey(_index(video), _index(number)) for video, number in zip(videos, numbers, strict=True)]
        self.batch_size = checked_size(batch_size)
        self.selection = Selection(ArrayFrames(entries, keys))

    def __iter__(self) -> Iterator[Batch]:
        """Return the images, batch by batch."""
        return batches(self.selection, self.batch_size)


@final
class MultiVideoProvider(Provider):
    """Several providers one after another, their videos counted through."""

    def __init__(self, providers: Sequence[Provider], video_offsets: Sequence[int] | None = None) -> None:
        """Join them.

        Args:
            providers: Of videos and labels files, or all of images in memory.
            video_offsets: Number of the first video of each; None: the videos of those before.

        Raises:
            ConfigError: There are none, or numbers do not fit.
        """
        if not providers:
            raise ConfigError("There are no providers to join; give at least one.")
        counts = [len(provider.videos) for provider in providers]
        starts = np.cumsum([0, *counts])[:-1].tolist() if video_offsets is None else list(video_offsets)
        if len(starts) != len(providers):
            raise ConfigError(f"video_offsets has {len(starts)} entries for {len(providers)} providers; give one each.")
        starts = [_index(start) for start in starts]
        self.batch_size = providers[0].batch_size
        self.selection = Selection(_joined([provider.selection.frames for provider in providers], starts))

    def __iter__(self) -> Iterator[Batch]:
        """Decode the frames, batch by batch."""
        return batches(self.selection, self.batch_size)


def checked_size(batch_size: int) -> int:
    """Return the size of a batch.

    Raises:
        ConfigError: It is no whole number from 1.
    """
    return _whole_number(batch_size, 1, "batch_size is {}; it must be a whole number of at least 1.")


def _index(number: object) -> int:
    """Return the index of a frame or a video.

    Raises:
        ConfigError: It is no whole number from 0.
    """
    return _whole_number(number, 0, "{} is no index of a frame or a video; give whole numbers from 0.")


def _whole_number(given: Any, lowest: int, complaint: str) -> int:
    """Return a whole number of any type, such as those of NumPy.

    Args:
        given: The number.
        lowest: The lowest that there may be.
        complaint: What is said of anything else, with a place for it.

    Raises:
        ConfigError: It is something else.
    """
    try:
        number = lowest - 1 if isinstance(given, bool) else operator.index(given)
    except TypeError:
        number = lowest - 1
    if number < lowest:
        raise ConfigError(complaint.format(repr(given)))
    return number


def batches(selection: Selection, batch_size: int) -> Iterator[Batch]:
    """Decode frames batch by batch; a batch ends early where the size of the frames changes."""
    waiting: list[Frame] = []
    for frame in selection.frames:
        if waiting and (len(waiting) == batch_size or frame.image.shape != waiting[0].image.shape):
            yield _batch(waiting)
            waiting = []
        waiting.append(frame)
    if waiting:
        yield _batch(waiting)


def _batch(frames: Sequence[Frame]) -> Batch:
    """Return decoded frames as a batch."""
    return Batch(
        images=torch.from_numpy(np.stack([frame.image.transpose(2, 0, 1) for frame in frames])),
        frame_indices=torch.tensor([frame.key.frame for frame in frames], dtype=torch.int64),
        video_indices=torch.tensor([frame.key.video for frame in frames], dtype=torch.int64),
    )


def _instances(batch: Batch, points: dict[FrameKey, np.ndarray]) -> Tensor | None:
    """Return the labelled instances of a batch (B, most, N, 2), NaN where there are none; None without any."""
    own = [points.get(key) for key in batch.frame_keys()]
    first = next((found for found in own if found is not None), None)
    if first is None:
        return None
    most = max(0 if found is None else len(found) for found in own)
    table = torch.full((len(own), most, *first.shape[1:]), torch.nan)
    for row, found in zip(table, own, strict=True):
        if found is not None:
            row[: len(found)] = torch.from_numpy(np.asarray(found, np.float32))
    return table


def _joined(sources: Sequence[FrameSource], starts: Sequence[int]) -> FrameSource:
    """Return the frames of several sources as one.

    Raises:
        ConfigError: Some are images in memory, and some are not; or two videos have one number.
    """
    keys = [
        FrameKey(start + key.video, key.frame)
        for source, start in zip(sources, starts, strict=True)
        for key in source.keys
    ]
    if all(not source.on_disk for source in sources):
        return ArrayFrames([frame.image for source in sources for frame in source], keys)
    if not all(source.on_disk for source in sources):
        raise ConfigError("Images in memory and video files cannot be joined; predict them one after another.")
    videos: list[Video | None] = [None] * (max(s + len(f.videos()) for f, s in zip(sources, starts, strict=True)))
    for source, start in zip(sources, starts, strict=True):
        for number, video in enumerate(source.videos(), start):
            before = videos[number]
            if before is not None and before.filename != video.filename:
                raise ConfigError(
                    f"{before.filename} and {video.filename} are both video {number}; give other video_offsets."
                )
            videos[number] = video
    named = [Video(filename="unknown", open_backend=False) if video is None else video for video in videos]
    return VideoFrames(named, keys, in_order=True)
