"""Videos, label files, image folders and arrays, read as `Frame`s by `FrameKey`.

What a frame becomes for a network is decided in `input_spec`.
"""

from __future__ import annotations

import contextlib
import copy
import operator
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.error import FFmpegError
from sleap_io.io.main import load_video
from sleap_io.io.video_reading import HDF5Video
from sleap_io.model.video import Video
from torch import Tensor

from sleap_nn.data.fingerprint import digest, frame_fingerprints, source_fingerprint
from sleap_nn.data.image_folder import find_images, measure_images
from sleap_nn.data.images import channels_last, one_by_one
from sleap_nn.data.media import MediaReader
from sleap_nn.data.media_video import adopt, is_media_file, measure, media_video, num_frames, release
from sleap_nn.errors import DataError, MissingFileError, reason
from sleap_nn.structures.sample import Frame, FrameKey, FrameKeys

_MOST_NAMED = 5
READ_ERRORS = (
    OSError,
    ValueError,
    IndexError,
    KeyError,
    RuntimeError,
    MemoryError,
    TypeError,
    AttributeError,
    cv2.error,
    FFmpegError,
)
"""What sleap-io lets through when a decoder fails; AttributeError is its answer to an image that is no image."""


class FrameSource(ABC):
    """Frames that can be asked for one by one.

    Attributes:
        keys: The frames on offer, in order.
        on_disk: Whether the images are read from files.
    """

    keys: Sequence[FrameKey]
    on_disk: bool = True

    @abstractmethod
    def read(self, key: FrameKey) -> Frame:
        """Decode one frame.

        Raises:
            DataError: The frame cannot be decoded; the message names it.
        """

    @abstractmethod
    def videos(self) -> tuple[Video, ...]:
        """Return the videos that `FrameKey.video` counts, for the output file."""

    @abstractmethod
    def shapes(self) -> list[tuple[int, int, int]]:
        """Return the (height, width, channels) that each frame is expected to have; some may have another.

        Raises:
            DataError: The size of a video is not known.
        """

    @abstractmethod
    def fingerprints(self) -> list[str]:
        """Return what each frame is, see `fingerprint`."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return what the frames are as a whole, in constant memory."""

    @abstractmethod
    def reopened(self, video: int) -> FrameSource:
        """Return a source of the same frames whose file of one video is its own, for another thread to read."""

    def close(self) -> None:  # noqa: B027 - most sources hold nothing open
        """Close files; the next read opens them again. Open files pass neither a fork nor a pickle."""

    def close_own(self) -> None:  # noqa: B027 - as above
        """Close the files that reading has opened, not those of the videos that were given."""

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.keys)

    def __iter__(self) -> Iterator[Frame]:
        """Decode all frames in order."""
        return (self.read(key) for key in self.keys)


class VideoFrames(FrameSource):
    """Frames of sleap-io videos: media files, embedded images, image lists."""

    def __init__(self, videos: Sequence[Video], keys: Sequence[FrameKey] | None = None, in_order: bool = False) -> None:
        """Choose the frames.

        Args:
            videos: What `FrameKey.video` counts.
            keys: The frames on offer; None means all frames of all videos.
            in_order: Whether they will be read in order, by a process that does not fork meanwhile.

        Raises:
            MissingFileError: A video that is needed does not exist.
        """
        self._videos = tuple(videos)
        self._in_order = in_order
        needed = range(len(self._videos)) if keys is None else sorted({key.video for key in keys})
        for index in needed:
            _check_exists(self._videos[index])
            _measure(self._videos[index])
        self._readers: dict[int, MediaReader | None] = {}
        if keys is None:
            keys = [FrameKey(v, int(f)) for v in needed for f in frame_indices(self._videos[v])]
        self.keys = keys if isinstance(keys, FrameKeys) else tuple(keys)

    def read(self, key: FrameKey) -> Frame:
        """Decode one frame as (H, W, 1 or 3) uint8."""
        video = self._videos[key.video]
        try:
            if key.video not in self._readers:
                self._readers[key.video] = _media_reader(video, self._in_order)
            reader = self._readers[key.video]
            image = np.asarray(video[key.frame]) if reader is None else reader.read(key.frame)
        except DataError:
            raise
        except READ_ERRORS as error:
            # An image that cannot be decoded is None where it is used; those errors say nothing to a user.
            cause = "the image is damaged" if isinstance(error, AttributeError | TypeError) else reason(error)
            raise DataError(f"{_name(video, key.frame)} cannot be read ({cause}).") from error
        return Frame(key, _as_uint8(image, _name(video, key.frame)))

    def videos(self) -> tuple[Video, ...]:
        """Return the videos."""
        return self._videos

    def shapes(self) -> list[tuple[int, int, int]]:
        """Return the shape of the first frame of each frame's video."""
        needed = {key.video for key in self.keys}
        shapes = {i: (*frame_size(self._videos[i]), _num_channels(self._videos[i])) for i in needed}
        return [shapes[key.video] for key in self.keys]

    def fingerprints(self) -> list[str]:
        """Return what each frame is."""
        return frame_fingerprints(self._videos, self.keys)

    def fingerprint(self) -> str:
        """Return what the frames are as a whole."""
        return source_fingerprint(self._videos, self.keys)

    def reopened(self, video: int) -> VideoFrames:
        """Return a source that opens its own file of one video; the other videos it must not read."""
        videos = [Video(filename=other.filename, open_backend=False) for other in self._videos]
        videos[video] = _unopened(self._videos[video])
        source = copy.copy(self)
        source._videos = tuple(videos)
        source._readers = {}
        return source

    def close(self) -> None:
        """Close the files; the next read opens them again. Open files pass neither a fork nor a pickle."""
        self.close_own()
        for video in self._videos:
            release(video)

    def close_own(self) -> None:
        """Close the files that reading has opened, not those of the videos that were given."""
        for reader in self._readers.values():
            if reader is not None:
                reader.close()


class ArrayFrames(FrameSource):
    """Images in memory."""

    on_disk = False

    def __init__(
        self,
        images: np.ndarray | Tensor | Iterable[np.ndarray | Tensor | tuple[np.ndarray, int]],
        keys: Sequence[FrameKey] | None = None,
    ) -> None:
        """Take the images.

        Args:
            images: uint8 images (H, W), (H, W, C) or (C, H, W) of 1 or 3 channels, as a list, as one array, or as pairs
                of image and frame index; a single image is as good as a list of it.
            keys: Which frame each image is; None: those of the pairs, or counted from 0, of one video.

        Raises:
            DataError: Something is no image, an index is none, or two images are the same frame.
        """
        entries = [entry if isinstance(entry, tuple) else (entry, i) for i, entry in enumerate(one_by_one(images))]
        numbered = [FrameKey(0, _frame_index(index)) for _, index in entries] if keys is None else keys
        _check_once(numbered)
        self._images = {
            key: _as_uint8(channels_last(np.asarray(image)), f"Image {key.frame}")
            for key, (image, _) in zip(numbered, entries, strict=True)
        }
        self.keys = tuple(self._images)

    def read(self, key: FrameKey) -> Frame:
        """Return one image."""
        return Frame(key, self._images[key])

    def videos(self) -> tuple[Video, ...]:
        """Return videos without files."""
        count = 1 + max((key.video for key in self._images), default=0)
        return tuple(Video(filename="images in memory", open_backend=False) for _ in range(count))

    def shapes(self) -> list[tuple[int, int, int]]:
        """Return the shape of each image."""
        return [(image.shape[0], image.shape[1], image.shape[2]) for image in self._images.values()]

    def fingerprints(self) -> list[str]:
        """Return what each image is."""
        return [digest(image.shape, image.tobytes()) for image in self._images.values()]

    def fingerprint(self) -> str:
        """Return what the images on offer are as a whole."""
        return digest([(key, digest(self._images[key].tobytes())) for key in self.keys])

    def reopened(self, video: int) -> ArrayFrames:
        """Return this source, as nothing is open."""
        return self


def open_video(path: str | Path, dataset: str | None = None, input_format: str | None = None) -> Video:
    """Open a video file or image folder.

    Args:
        path: The file or folder.
        dataset: Name of the data set in an HDF5 file, None to find it.
        input_format: Order of the axes in an HDF5 file, ``channels_last`` or ``channels_first``.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is no video.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"The video {path} does not exist; check the path.")
    if is_media_file(path):
        return media_video(path)
    images = find_images(path) if path.is_dir() else []
    asked = {"dataset": dataset, "input_format": input_format}
    given = {name: value for name, value in asked.items() if value is not None}
    try:
        video = Video(filename=images) if images else load_video(str(path), **given)
        measure_images(video)
        shape = video.shape
    except READ_ERRORS as error:
        raise DataError(f"{path} cannot be read as a video ({reason(error)}).") from error
    if not shape or not shape[0]:
        raise DataError(f"{path} cannot be read as a video; it has no frames that a decoder recognises.")
    return video


def frame_size(video: Video) -> tuple[int, int]:
    """Return (height, width) of a video's frames in px.

    Raises:
        DataError: The size is not known.
    """
    if video.backend is not None:
        _measure(video)
    shape = video.shape
    if shape is None:
        raise DataError(f"The frame size of {video.filename} is not known; the video cannot be opened.")
    return int(shape[1]), int(shape[2])


def _num_channels(video: Video) -> int:
    """Return the number of channels of a video's frames, 3 if it is not known."""
    return 3 if video.shape is None else min(3, int(video.shape[3]))


def frame_indices(video: Video) -> Sequence[int]:
    """Return the frame indices a video holds, those included that its file has lost; embedded ones are sparse.

    Raises:
        MissingFileError: The video does not exist.
        DataError: The number of frames is not known.
    """
    embedded = stored_indices(video)
    if embedded is not None:
        return embedded
    _check_exists(video)
    if _is_media_file(video):
        return range(num_frames(Path(str(video.filename))))
    if video.shape is None:
        raise DataError(f"The number of frames of {video.filename} is not known; the video cannot be opened.")
    return range(video.shape[0])


def check_frames(source: FrameSource) -> None:
    """Refuse frames that their videos do not hold, as where labels refer to more frames than a package has images.

    Raises:
        MissingFileError: A video does not exist.
        DataError: The message names the first of the frames.
    """
    videos, keys = source.videos(), source.keys
    held = {index: frame_indices(videos[index]) for index in {key.video for key in keys}}
    held = {index: one if isinstance(one, range) else frozenset(one) for index, one in held.items()}
    # The length of some files is only estimated, so what seems to lie behind their end is tried.
    gone = [key for key in keys if key.frame not in held[key.video] and not _is_readable(source, key)]
    if not gone:
        return
    named = ", ".join(_name(videos[key.video], key.frame) for key in gone[:_MOST_NAMED])
    more = f" and {len(gone) - _MOST_NAMED} more" if len(gone) > _MOST_NAMED else ""
    raise DataError(
        f"{len(gone)} labelled frame(s) have no image, because their video or package does not hold them: "
        f"{named}{more}; delete these labels, or give the videos that they were made on."
    )


def _is_readable(source: FrameSource, key: FrameKey) -> bool:
    """Tell whether a frame can be decoded."""
    try:
        source.read(key)
    except DataError:
        return False
    return True


def _is_media_file(video: Video) -> bool:
    """Tell whether a video is a file that `media` decodes; sleap-io reads all others, and cuts parts out of frames."""
    return adopt(video) is not None and not video.is_cropped


def _media_reader(video: Video, in_order: bool) -> MediaReader | None:
    """Return what decodes a media file, None for another kind of video."""
    if not _is_media_file(video):
        return None
    _measure(video)
    return MediaReader(str(video.filename), None if video.backend is None else video.backend.grayscale, in_order)


def _name(video: Video, frame: int) -> str:
    """Return the name of a frame for messages; an image goes by its own."""
    names = video.filename
    if not isinstance(names, list):
        return f"Frame {frame} of {names}"
    if 0 <= frame < len(names):
        return f"Frame {frame}, the image {names[frame]},"
    return f"Frame {frame} of {len(names)} images in {Path(names[0]).parent if names else 'no folder'}"


def stored_indices(video: Video) -> list[int] | None:
    """Return the frame indices of images embedded in a labels file, None for other videos."""
    backend = video.backend
    if not isinstance(backend, HDF5Video) or not backend.frame_map:
        return None
    return sorted(int(index) for index in backend.frame_map)


def _check_exists(video: Video) -> None:
    """Refuse a video whose file is not there.

    Raises:
        MissingFileError: The message names the path that the labels hold.
    """
    if not video.exists():
        name = video.filename[0] if isinstance(video.filename, list) else video.filename
        raise MissingFileError(
            f"The video {name} of the labels does not exist here; put it there, say where it is now (--prefix-map or "
            "--video-path-map of train, preview and render), or save the labels with embedded images (.pkg.slp)."
        )


def _unopened(video: Video) -> Video:
    """Return a video that opens the same file in the same way when it is read; the one given stays as it is."""
    own = copy.copy(video)
    own.backend = None
    own.backend_metadata = dict(video.backend_metadata)
    if video.backend is not None:
        own.backend_metadata["grayscale"] = video.backend.grayscale
        own.backend_metadata["dataset"] = getattr(video.backend, "dataset", None)
    if video.is_cropped:
        own.backend_metadata |= {"crop": list(video.crop_rect or ()), "crop_fill": video.crop_fill}
    return own


def _frame_index(given: Any) -> int:
    """Return the frame index that comes with an image.

    Raises:
        DataError: It is no whole number.
    """
    try:
        return operator.index(given)
    except TypeError as error:
        raise DataError(f"{given!r} is no frame index; give pairs of an image and a whole number.") from error


def _check_once(keys: Sequence[FrameKey]) -> None:
    """Refuse two images of one frame, of which only one could be told from the result.

    Raises:
        DataError: The message names the frame.
    """
    key, count = Counter(keys).most_common(1)[0] if keys else (None, 0)
    if key is not None and count > 1:
        place = f"frame {key.frame}" if key.video == 0 else f"frame {key.frame} of video {key.video}"
        raise DataError(f"{count} images are {place}; give each an index of its own.")


def _measure(video: Video) -> None:
    """Let the first readable frame of a video decide its size and whether it is grey, not one that is read first."""
    with contextlib.suppress(*READ_ERRORS):  # what cannot be read is said when it is
        if measure(video) is None:
            measure_images(video)
            if video.backend is not None and video.backend.grayscale is None:
                video.backend.detect_grayscale()


def _as_uint8(image: np.ndarray, name: str) -> np.ndarray:
    """Return an image as (H, W, 1 or 3) uint8.

    Raises:
        DataError: It has another type or shape.
    """
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim == 3 and image.shape[2] == 4:
        image = image[..., :3]
    if image.dtype == np.bool_:
        image = image.astype(np.uint8) * np.uint8(255)
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or not image.size:
        raise DataError(
            f"{name} has type {image.dtype} and shape {image.shape}; images are uint8 with 1 or 3 channels."
        )
    return np.ascontiguousarray(image)
