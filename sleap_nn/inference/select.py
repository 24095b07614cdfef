"""What to predict on: a user's source and frame choice become a `FrameSource`."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack, cast

import numpy as np
from torch import Tensor

from sleap_nn.config.frames import chosen_frames
from sleap_nn.data.labels import Labels, load_labels, user_frames
from sleap_nn.data.media_video import close_media
from sleap_nn.data.other_formats import is_labels
from sleap_nn.data.sources import (
    ArrayFrames,
    FrameSource,
    Video,
    VideoFrames,
    frame_indices,
    open_video,
    stored_indices,
)
from sleap_nn.data.video_names import image_files
from sleap_nn.errors import ConfigError, DataError, UsageError
from sleap_nn.inference.batches import Batch, Provider
from sleap_nn.inference.to_labels import AnySkeleton
from sleap_nn.log import logger
from sleap_nn.networks import model_dir
from sleap_nn.structures.sample import FrameKey, FrameKeys

Images = np.ndarray | Tensor | Iterable[np.ndarray | Tensor]
Frames = Sequence[int] | np.ndarray | Tensor | str
Source = str | Path | Video | Labels | Images | Iterable[Batch] | Provider | Sequence[str | Path | Video | Labels]


class ChoiceKeywords(TypedDict, total=False):
    """Which frames are predicted; of several label filters the first in this order counts.

    Attributes:
        video_index: One video of a labels file; `frames` are then frame indices of it.
        only_labeled_frames: Frames with user instances.
        only_suggested_frames: Suggested frames without user instances.
        exclude_user_labeled: Frames without user instances.
        only_predicted_frames: Frames with predicted instances.
        video_dataset: Data set of an HDF5 video, None to find it.
        video_input_format: Order of its axes: ``channels_last`` or ``channels_first``.
    """

    video_index: int | None
    only_labeled_frames: bool
    only_suggested_frames: bool
    exclude_user_labeled: bool
    only_predicted_frames: bool
    video_dataset: str | None
    video_input_format: str


_FILTERS = {
    "only_labeled_frames": "labeled",
    "only_suggested_frames": "suggested",
    "exclude_user_labeled": "unlabeled",
    "only_predicted_frames": "predicted",
}
"""Label filter -> what the provenance calls it, by priority."""


@dataclass(frozen=True, eq=False)
class Selection:
    """The frames of a prediction.

    Attributes:
        frames: Where they are read.
        path: The input file, if there is one.
        labels: The labels the frames were chosen from, if any.
        record: What was chosen, for the provenance.
        skeleton: What labels of these frames call their skeleton, None for the model's own.
        named_videos: What they call the videos, None for those of the source.
        opened: Videos that were opened to choose the frames, not given by a user.
    """

    frames: FrameSource
    path: Path | None = None
    labels: Labels | None = None
    record: dict[str, Any] = field(default_factory=dict)
    skeleton: AnySkeleton | None = None
    named_videos: tuple[Video, ...] | None = None
    opened: tuple[Video, ...] = ()

    def named(self, skeleton: AnySkeleton | None, videos: Sequence[Video] | None) -> Selection:
        """Return the same frames, whose labels get another skeleton or other videos; None changes nothing.

        Raises:
            ConfigError: There are fewer videos than the frames come from.
        """
        count = len(self.frames.videos())
        if videos is not None and len(videos) < count:
            raise ConfigError(f"videos names {len(videos)} video(s), but the frames come from {count}; name them all.")
        return replace(
            self,
            skeleton=self.skeleton if skeleton is None else skeleton,
            named_videos=self.named_videos if videos is None else tuple(videos),
        )

    @property
    def videos(self) -> tuple[Video, ...]:
        """What labels of these frames call the videos."""
        return self.frames.videos() if self.named_videos is None else self.named_videos

    @property
    def image_files(self) -> list[Path]:
        """The files that images are read from."""
        return image_files(self.frames.videos())

    def close(self) -> None:
        """Close the files that were opened for these frames; whatever is read later opens its file again."""
        self.frames.close_own()
        for video in self.opened:
            if not close_media(video) and video.backend is not None:
                video.backend.close()

    @property
    def has_stored_images(self) -> bool:
        """Whether the images are stored in the labels file itself."""
        return any(stored_indices(video) is not None for video in self.frames.videos())


def select_frames(source: Source, frames: Frames | None = None, **choice: Unpack[ChoiceKeywords]) -> Selection:
    """Choose frames.

    Args:
        source: Path of a video or labels file, a video, labels, images (H, W, C) uint8 or one of them; or several
            paths, videos and labels, whose frames are joined.
        frames: Frame indices of a video; positions in the list of frame entries of a labels file, after a label
            filter; also as a text, ``0,5,10-20``. Values that do not exist are left out with a warning.
        **choice: Which frames, see `ChoiceKeywords`.

    Raises:
        MissingFileError: A file is not there.
        DataError: The source cannot be read.
        ConfigError: The choice does not fit the source.
        TypeError: The source is of no known type, or a keyword does not exist.
    """
    _check(choice)
    frames = chosen_frames(frames)
    if isinstance(source, Provider):
        return source.selection if frames is None else _of_provider(source, frames)
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None:
        opened = _opened(path, choice)
        videos = tuple(opened.videos) if isinstance(opened, Labels) else (opened,)
        return replace(_chosen(opened, path, frames, choice), opened=videos)
    if choice.get("video_dataset") is not None or choice.get("video_input_format", _LAST) != _LAST:
        raise UsageError("video_dataset and video_input_format need the path of an HDF5 video as input.")
    return _chosen(source, None, frames, choice)


@contextmanager
def closed_after(selection: Selection, source: object) -> Iterator[Selection]:
    """Close what a selection has opened when its use ends; one that a user has made is the user's to close.

    Args:
        selection: The frames.
        source: What they were chosen from.

    Yields:
        The selection.
    """
    try:
        yield selection
    finally:
        if not isinstance(source, Selection | Provider):
            selection.close()


def _chosen(source: Source, path: Path | None, frames: Sequence[int] | None, choice: ChoiceKeywords) -> Selection:
    """Choose frames of something that is open; errors as for `select_frames`."""
    if isinstance(source, Labels):
        return _from_labels(source, path, frames, choice)
    ignored = [name for name in ("video_index", *_FILTERS) if choice.get(name) not in (None, False)]
    if ignored:
        logger.warning("The input holds no labels; %s has no effect.", " and ".join(ignored))
    if isinstance(source, Video):
        offered = FrameKeys(0, frame_indices(source))
        keys = _existing(frames, offered)
        record = _record("all" if frames is None else "specified", len(keys), len(offered))
        return Selection(VideoFrames([source], keys, in_order=True), path, None, record)
    if isinstance(source, list | tuple) and not source:
        raise DataError("The list of inputs is empty; name at least one.")
    several = _several(source)
    if several:
        return _joined(several, frames, choice)
    if isinstance(source, np.ndarray | Tensor | Iterable) and not isinstance(source, str | Mapping | Set):
        images = _image_frames(cast(Images | Iterable[Batch], source))
        total = len(images)
        images.keys = _existing(frames, images.keys)
        return Selection(images, None, None, _record("all" if frames is None else "specified", len(images), total))
    raise TypeError(f"The source is a {type(source).__name__}; give a path, a Video, Labels, or images.")


_LAST = "channels_last"


def _of_provider(provider: Provider, frames: Sequence[int]) -> Selection:
    """Return some frames of a provider.

    Raises:
        UsageError: It has chosen its frames from several videos.
    """
    if len(provider.videos) > 1:
        raise UsageError("frames is for one video; let the providers choose their frames.")
    source = copy.copy(provider.selection.frames)
    source.keys = _existing(frames, source.keys)
    return replace(provider.selection, frames=source)


def _image_frames(images: Images | Iterable[Batch]) -> ArrayFrames:
    """Return images in memory, those of batches one by one."""
    if isinstance(images, np.ndarray | Tensor):
        return ArrayFrames(images)
    entries: list[Any] = list(images)
    if entries and all(isinstance(entry, Batch) for entry in entries):
        return _of_batches(entries)
    return ArrayFrames(entries)


def _of_batches(batches: Sequence[Batch]) -> ArrayFrames:
    """Return the images of batches; those without indices are counted through."""
    keys: list[FrameKey] = []
    for batch in batches:
        keys += batch.frame_keys(len(keys))
    return ArrayFrames([image for batch in batches for image in batch.images], keys)


def _several(source: Any) -> list[str | Path | Video | Labels]:
    """Return the sources in a list of paths, videos and labels; none for anything else."""
    if not isinstance(source, list | tuple):
        return []
    parts = [part for part in source if isinstance(part, str | Path | Video | Labels)]
    return parts if len(parts) == len(source) else []


def _check(choice: ChoiceKeywords) -> None:
    """Refuse what cannot be meant.

    Raises:
        TypeError: A keyword does not exist.
        UsageError: Filters exclude each other.
    """
    unknown = sorted(choice.keys() - ChoiceKeywords.__annotations__.keys())
    if unknown:
        raise TypeError(f"{unknown[0]!r} is no keyword of prediction.")
    if choice.get("only_labeled_frames") and choice.get("exclude_user_labeled"):
        raise UsageError("only_labeled_frames and exclude_user_labeled exclude each other; give one of them.")


def _opened(path: Path, choice: ChoiceKeywords) -> Labels | Video:
    """Open a file.

    Raises:
        UsageError: Options of HDF5 videos were given for something else, or the file is a model.
    """
    dataset, axes = choice.get("video_dataset"), choice.get("video_input_format", _LAST)
    labels = is_labels(path)
    if path.suffix.lower() in (".h5", ".hdf5") and not labels:
        return open_video(_whole(path), dataset=dataset, input_format=axes)
    if dataset is not None or axes != _LAST:
        raise UsageError(f"video_dataset and video_input_format are for HDF5 videos (.h5), which {path} is not.")
    if labels:
        return load_labels(path)
    try:
        return open_video(_whole(path))
    except DataError:
        if not (path / model_dir.CONFIG).is_file():
            raise
        raise UsageError(
            f"{path} is the folder of a trained model; name it as the model, and a video or labels as the input."
        ) from None


def _whole(path: Path) -> Path:
    """Return the path of a video as predictions name it, for whoever reads them, from wherever that is.

    However it is given, it is the same; links stay, but for those before a way back (``..``).
    """
    if not path.exists():
        return path
    if ".." not in path.parts:
        return path.absolute()
    return path.resolve() if path.name == ".." else path.parent.resolve() / path.name


def _from_labels(labels: Labels, path: Path | None, frames: Sequence[int] | None, choice: ChoiceKeywords) -> Selection:
    """Choose among the frames of labels."""
    if not labels.videos:
        raise DataError(f"The labels {path or 'in memory'} name no video, so there are no images to predict on.")
    name = label_filter(choice)
    index = choice.get("video_index")
    if index is not None:
        video_at(labels, index)
    keys: Sequence[FrameKey] = _with_images(labels, sorted(offered_frames(labels, name, index)))
    total = len(keys)
    if index is not None:
        keys = _existing(frames, keys)
    elif frames is not None:
        chosen = sorted(set(frames))
        _warn_missing([i for i in chosen if not 0 <= i < total], f"{total} (positions in the labels file, from 0)")
        keys = [keys[i] for i in chosen if 0 <= i < total]
    method = _FILTERS[name] if name else ("all" if frames is None and index is None else "specified")
    return Selection(VideoFrames(labels.videos, keys, in_order=True), path, labels, _record(method, len(keys), total))


def label_filter(choice: ChoiceKeywords) -> str | None:
    """Return the label filter that counts, None without any."""
    filters = [name for name in _FILTERS if choice.get(name)]
    if len(filters) > 1:
        logger.warning("Of several label filters only %s counts.", filters[0])
    return filters[0] if filters else None


def offered_frames(labels: Labels, name: str | None, index: int | None = None) -> set[FrameKey]:
    """Return the frames that a label filter lets pass, of all videos or of one.

    Of all videos these are frames that the labels list; of one video all of its frames are on offer.

    Args:
        labels: The labels.
        name: The filter, None for all frames.
        index: The one video; None: all.
    """
    position = {id(video): i for i, video in enumerate(labels.videos)}
    listed = {FrameKey(position[id(e.video)], int(e.frame_idx)): e for e in labels.labeled_frames}
    by_user = user_frames(labels)
    offered = set(listed) if index is None else {FrameKey(index, int(i)) for i in frame_indices(labels.videos[index])}
    if name == "only_labeled_frames":
        offered &= by_user
    elif name == "only_suggested_frames":
        suggested = {FrameKey(position[id(s.video)], int(s.frame_idx)) for s in labels.suggestions}
        offered = {key for key in suggested - by_user if index is None or key.video == index}
    elif name == "exclude_user_labeled":
        offered -= by_user
    elif name == "only_predicted_frames":
        offered = {key for key in offered if key in listed and listed[key].predicted_instances}
    return offered


def _with_images(labels: Labels, keys: Sequence[FrameKey]) -> list[FrameKey]:
    """Return the frames whose image is there; those that a package does not store are left out with a warning."""
    stored = {}
    for index in {key.video for key in keys}:
        indices = stored_indices(labels.videos[index])
        if indices is not None:
            stored[index] = set(indices)
    kept = [key for key in keys if key.video not in stored or key.frame in stored[key.video]]
    if len(kept) < len(keys):
        logger.warning(
            "%d frame(s) are left out because the labels file does not store their images.", len(keys) - len(kept)
        )
    return kept


def _joined(
    sources: Sequence[str | Path | Video | Labels], frames: Sequence[int] | None, choice: ChoiceKeywords
) -> Selection:
    """Join the frames of several sources, whose videos are counted through."""
    if frames is not None or choice.get("video_index") is not None:
        raise UsageError("frames and video_index are for one input at a time; predict the inputs one by one.")
    parts = [select_frames(source, **choice) for source in sources]
    videos: list[Video] = []
    keys: list[FrameKey] = []
    for part in parts:
        keys += [FrameKey(len(videos) + key.video, key.frame) for key in part.frames.keys]
        videos += part.frames.videos()
    total = sum(part.record["frames_total"] for part in parts)
    record = _record(parts[0].record["method"], len(keys), total)
    opened = tuple(video for part in parts for video in part.opened)
    return Selection(VideoFrames(videos, keys, in_order=True), None, None, record, opened=opened)


def video_at(labels: Labels, index: int) -> Video:
    """Return one video of labels.

    Raises:
        UsageError: There is no such video.
    """
    if not 0 <= index < len(labels.videos):
        raise UsageError(
            f"video_index is {index}, but the labels hold {len(labels.videos)} video(s); choose 0 to "
            f"{len(labels.videos) - 1}."
        )
    return labels.videos[index]


def _existing(frames: Sequence[int] | None, offered: Sequence[FrameKey]) -> Sequence[FrameKey]:
    """Return the offered frames with the wanted indices, in order; None wants all."""
    if frames is None:
        return offered
    wanted = set(frames)
    kept = [key for key in offered if key.frame in wanted]
    missing = sorted(wanted - {key.frame for key in kept})
    _warn_missing(missing, f"frames {offered[0].frame} to {offered[-1].frame}" if offered else "none")
    return kept


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
