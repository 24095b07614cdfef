"""Labels whose videos are read from new paths; the files that the labels came from are never written."""

from __future__ import annotations

from collections.abc import Sequence

from sleap_io.io.video_reading import HDF5Video
from sleap_io.model.labels import Labels
from sleap_io.model.video import Video

from sleap_nn.data.video_paths import StoredPath, VideoPaths
from sleap_nn.errors import ConfigError, DataError, MissingFileError

EMBEDDED = "(images embedded in the labels)"
_HDF5_SUFFIXES = (".h5", ".hdf5", ".slp")


def stored_paths(labels: Labels) -> list[StoredPath]:
    """Return the paths of the videos as the labels file holds them.

    A video that was found beside the labels file is read from another path than that. Images embedded in the file have
    none.
    """
    return [_stored_path(video) for video in labels.videos]


def move_videos(files: Sequence[Labels], paths: VideoPaths, optional: Sequence[Labels] = ()) -> None:
    """Let labels read their videos from new paths.

    Args:
        files: Labels, changed in place: whoever calls this has read or copied them.
        paths: The new paths.
        optional: Labels to which paths given in order apply only if no images are embedded in them, changed too.

    Raises:
        ConfigError: The number of videos differs, or an old path fits no video.
        MissingFileError: A new path of a video with labels does not exist.
        DataError: A new video cannot be read, or its frames have another size.
    """
    moved = [*files, *(labels for labels in optional if not (paths.video_paths and _is_package(labels)))]
    stored = [path for labels in [*files, *optional] for path in stored_paths(labels)]
    paths.check_all_used(stored)
    for labels in moved:
        try:
            new_paths = paths.replaced(stored_paths(labels))
        except ConfigError as error:
            raise ConfigError(f"{labels.provenance.get('filename', 'Labels in memory')}: {error}") from error
        used = {id(frame.video) for frame in labels.labeled_frames}
        for video, new in zip(labels.videos, new_paths, strict=True):
            if new is not None:
                _move(video, new, needed=id(video) in used)


def _stored_path(video: Video) -> StoredPath:
    filename = video.backend_metadata.get("filenames") or video.backend_metadata.get("filename")
    if filename == ".":
        return EMBEDDED
    return video.filename if filename is None else filename


def _is_package(labels: Labels) -> bool:
    """Tell whether images are embedded in labels."""
    return any(isinstance(video.backend, HDF5Video) and video.backend.has_embedded_images for video in labels.videos)


def _move(video: Video, new: StoredPath, needed: bool) -> None:
    """Let one video read from a new path.

    Args:
        video: Changed in place.
        new: The path.
        needed: Whether frames of it are labelled, so that it has to be there.
    """
    size = _frame_size(video)
    if isinstance(video.backend, HDF5Video) and not str(new).lower().endswith(_HDF5_SUFFIXES):
        grayscale = video.grayscale
        video.close()
        video.backend_metadata = {"grayscale": grayscale}  # the data set of the old file means nothing to a video
    video.source_video = None
    video.open_backend = True
    video.replace_filename(new, open=True)
    video.backend_metadata.pop("filenames", None)
    if isinstance(new, list):
        video.backend_metadata |= {"filename": new[0], "filenames": new}
    if not needed:
        return
    if not video.exists(check_all=True):
        first = new[0] if isinstance(new, list) else new
        raise MissingFileError(f"The new video path {first} does not exist; check the new video paths.")
    new_size = _frame_size(video)
    if new_size is None:
        raise DataError(f"The video {new} at a new path cannot be read; check the new video paths.")
    if size is not None and new_size != size:
        raise DataError(
            f"The frames of {new} have {new_size[0]} x {new_size[1]} px, but the labels were made on frames of "
            f"{size[0]} x {size[1]} px; check the new video paths."
        )


def _frame_size(video: Video) -> tuple[int, int] | None:
    """Return (height, width) in px, None if unknown."""
    shape = video.shape
    return None if shape is None else (int(shape[1]), int(shape[2]))
