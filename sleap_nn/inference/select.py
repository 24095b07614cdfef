"""What to predict on: a user's source and frame choice become a `FrameSource`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sleap_nn.data.labels import Labels, load_labels
from sleap_nn.data.sources import ArrayFrames, FrameSource, Video, VideoFrames, frame_indices, open_video
from sleap_nn.errors import ConfigError, DataError
from sleap_nn.log import logger
from sleap_nn.structures.sample import FrameKey

Source = str | Path | Video | Labels | np.ndarray | Sequence[np.ndarray]


@dataclass(frozen=True, eq=False)
class Selection:
    """The frames of a prediction.

    Attributes:
        frames: Where they are read.
        path: The input file, if there is one.
        labels: The labels the frames were chosen from, if any.
        record: What was chosen, for the provenance.
    """

    frames: FrameSource
    path: Path | None = None
    labels: Labels | None = None
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def image_files(self) -> list[Path]:
        """The files that images are read from."""
        names = [video.filename for video in self.frames.videos()]
        return [Path(name) for entry in names for name in ([entry] if isinstance(entry, str) else entry)]


def select_frames(
    source: Source,
    frames: Sequence[int] | None = None,
    video_index: int | None = None,
    only_labeled_frames: bool = False,
) -> Selection:
    """Choose frames.

    Args:
        source: Path of a video or labels file, a video, labels, or images (H, W, C) uint8.
        frames: Frame indices of a video; positions in the list of frame entries of a labels file. Values that do
            not exist are left out with a warning.
        video_index: One video of a labels file; `frames` are then frame indices of it.
        only_labeled_frames: Frames with user instances only.

    Raises:
        MissingFileError: A file is not there.
        DataError: The source cannot be read.
        ConfigError: The choice does not fit the source.
        TypeError: The source is of no known type.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None:
        source = load_labels(path) if path.suffix == ".slp" else open_video(path)
    if isinstance(source, Labels):
        return _from_labels(source, path, frames, video_index, only_labeled_frames)
    if only_labeled_frames:
        logger.warning("The input is a video without labels; only_labeled_frames has no effect.")
    if isinstance(source, Video):
        keys = _existing(frames, [FrameKey(0, int(i)) for i in frame_indices(source)])
        record = _record("all" if frames is None else "specified", len(keys), len(frame_indices(source)))
        return Selection(VideoFrames([source], keys), path, None, record)
    if isinstance(source, np.ndarray | list | tuple):
        images = ArrayFrames(source)
        total = len(images)
        images.keys = tuple(_existing(frames, list(images.keys)))
        return Selection(images, None, None, _record("all" if frames is None else "specified", len(images), total))
    raise TypeError(f"The source is a {type(source).__name__}; give a path, a Video, Labels, or images.")


def _from_labels(
    labels: Labels,
    path: Path | None,
    frames: Sequence[int] | None,
    video_index: int | None,
    only_labeled_frames: bool,
) -> Selection:
    """Choose among the frames of labels."""
    if not labels.videos:
        raise DataError(f"The labels {path or 'in memory'} name no video, so there are no images to predict on.")
    position = {id(video): i for i, video in enumerate(labels.videos)}
    entries = [entry for entry in labels.labeled_frames if entry.has_user_instances or not only_labeled_frames]
    keys = sorted(FrameKey(position[id(entry.video)], int(entry.frame_idx)) for entry in entries)
    total = len(keys)
    if video_index is not None:
        keys = _of_one_video(labels, keys, video_index, frames, only_labeled_frames)
    elif frames is not None:
        chosen = sorted(set(frames))
        _warn_missing([i for i in chosen if not 0 <= i < total], f"{total} (positions in the labels file, from 0)")
        keys = [keys[i] for i in chosen if 0 <= i < total]
    method = "labeled" if only_labeled_frames else ("all" if frames is None and video_index is None else "specified")
    return Selection(VideoFrames(labels.videos, keys), path, labels, _record(method, len(keys), total))


def _of_one_video(
    labels: Labels,
    keys: list[FrameKey],
    video_index: int,
    frames: Sequence[int] | None,
    only_labeled_frames: bool,
) -> list[FrameKey]:
    """Return frames of one video: all of it, or the labelled ones only."""
    video = video_at(labels, video_index)
    if only_labeled_frames:
        offered = [key for key in keys if key.video == video_index]
    else:
        offered = [FrameKey(video_index, int(i)) for i in frame_indices(video)]
    return _existing(frames, offered)


def video_at(labels: Labels, index: int) -> Video:
    """Return one video of labels.

    Raises:
        ConfigError: There is no such video.
    """
    if not 0 <= index < len(labels.videos):
        raise ConfigError(
            f"video_index is {index}, but the labels hold {len(labels.videos)} video(s); choose 0 to "
            f"{len(labels.videos) - 1}."
        )
    return labels.videos[index]


def _existing(frames: Sequence[int] | None, offered: list[FrameKey]) -> list[FrameKey]:
    """Return the offered frames with the wanted indices, in order; None wants all."""
    if frames is None:
        return offered
    wanted = set(frames)
    missing = sorted(wanted - {key.frame for key in offered})
    _warn_missing(missing, f"frames {offered[0].frame} to {offered[-1].frame}" if offered else "none")
    return [key for key in offered if key.frame in wanted]


def _warn_missing(missing: Sequence[int], offered: str) -> None:
    """Say which frames were asked for and do not exist."""
    if missing:
        listed = ", ".join(str(i) for i in missing[:10]) + (", ..." if len(missing) > 10 else "")
        logger.warning(
            "%d requested frame(s) do not exist and are left out: %s; there are %s.", len(missing), listed, offered
        )


def _record(method: str, processed: int, total: int) -> dict[str, Any]:
    """Return the provenance entry of a choice."""
    return {"method": method, "frames_processed": processed, "frames_total": total}
