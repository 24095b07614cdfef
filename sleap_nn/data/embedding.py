"""Labels with the images of their frames in one file, a package (``.pkg.slp``).

Frames are read as everywhere else, see `sources`. One that cannot be read keeps its labels and has no image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sleap_io.model.labels import Labels

from sleap_nn.data.media_video import adopt, release, resemble
from sleap_nn.data.sources import READ_ERRORS, VideoFrames
from sleap_nn.errors import DataError, UserError, reason
from sleap_nn.log import logger
from sleap_nn.structures.sample import FrameKey

_MOST_NAMED = 8


def write_package(labels: Labels, path: str | Path) -> None:
    """Write labels and the images of all frames that they list.

    Args:
        labels: They stay as they are.
        path: Where.

    Raises:
        MissingFileError: A video is not there.
        DataError: No image can be read.
    """
    keys = _listed(labels)
    unreadable = _unreadable(labels, [key for key in keys if isinstance(labels.videos[key.video].filename, list)])
    try:
        _write(labels, path, keys, unreadable)
    except (*READ_ERRORS, DataError) as error:
        found = _unreadable(labels, keys)
        if found.keys() == unreadable.keys():
            if isinstance(error, OSError | UserError):
                raise
            raise DataError(f"The images cannot be stored ({reason(error)}).") from error
        unreadable = found
        _write(labels, path, keys, unreadable)
    if unreadable:
        logger.warning(
            "%d of %d frames cannot be read, so the package holds their labels without an image: %s.",
            len(unreadable),
            len(keys),
            _named(unreadable),
        )


def _listed(labels: Labels) -> list[FrameKey]:
    """Return the frames that labels list: labelled, predicted, suggested."""
    position = {id(video): i for i, video in enumerate(labels.videos)}
    listed = [*labels.labeled_frames, *labels.suggestions]
    return sorted({FrameKey(position[id(entry.video)], int(entry.frame_idx)) for entry in listed})


def _unreadable(labels: Labels, keys: Sequence[FrameKey]) -> dict[FrameKey, str]:
    """Return the frames that cannot be read, and why.

    Raises:
        MissingFileError: A video is not there.
    """
    found: dict[FrameKey, str] = {}
    source = VideoFrames(labels.videos, keys, in_order=True)
    for key in keys:
        try:
            source.read(key)
        except DataError as error:
            found[key] = reason(error).rstrip(".")
    source.close()
    return found


def _named(unreadable: dict[FrameKey, str]) -> str:
    """Return the first of the frames that cannot be read, for a message."""
    named = list(unreadable.values())[:_MOST_NAMED]
    return "; ".join([*named, *([f"and {len(unreadable) - len(named)} more"] if len(named) < len(unreadable) else [])])


def _write(labels: Labels, path: str | Path, keys: Sequence[FrameKey], unreadable: dict[FrameKey, str]) -> None:
    """Write labels with the images of those frames that can be read.

    Raises:
        DataError: None can.
    """
    if keys and len(unreadable) == len(keys):
        raise DataError(f"None of the images to store can be read: {_named(unreadable)}.")
    own = _copied(labels)
    frames = [(own.videos[key.video], key.frame) for key in keys if key not in unreadable]
    try:
        own.save(str(path), embed=frames or "all", embed_inplace=True, verbose=False)
    finally:
        for video in own.videos:
            release(video)


def _copied(labels: Labels) -> Labels:
    """Return a copy of labels whose media files are read by `media`, too; sleap-io's own copies are not."""
    opened = {id(video): backend for video in labels.videos if (backend := adopt(video)) is not None}
    outer = [(video, video.backend) for video in labels.videos if id(video) in opened]
    for video, _ in outer:  # what is closed is not opened anew
        video.backend = None
    try:
        own = labels.copy()
    finally:
        for video, backend in outer:
            video.backend = backend
    for video, copied in zip(labels.videos, own.videos, strict=True):
        if id(video) in opened:
            resemble(copied, opened[id(video)])
    return own
