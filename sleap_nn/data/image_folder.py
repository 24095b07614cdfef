"""Folders of images as videos: which files are frames, and how large they are."""

from __future__ import annotations

from pathlib import Path

import cv2
from sleap_io.io.video_reading import ImageVideo
from sleap_io.model.video import Video

from sleap_nn.errors import DataError

_SUFFIXES = tuple(f".{suffix}" for suffix in ImageVideo.EXTS)


def find_images(folder: Path) -> list[str]:
    """Return the paths of the images in a folder, in order of their names; upper and lower case endings are alike.

    Raises:
        DataError: There is none.
    """
    found = sorted(path.as_posix() for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not found:
        raise DataError(f"The folder {folder} holds no images; put files of {', '.join(_SUFFIXES)} there.")
    return found


def measure_images(video: Video) -> None:
    """Let the first image that can be read decide size and colour, where the very first cannot."""
    backend = video.backend
    if not isinstance(backend, ImageVideo) or backend._cached_shape is not None:
        return
    names = backend.filename if isinstance(backend.filename, list) else [backend.filename]
    for number in range(len(names)):
        try:
            image = backend._read_frame(number)
        except (OSError, ValueError, IndexError, TypeError, AttributeError, cv2.error):
            continue
        if backend.grayscale is None:
            backend.detect_grayscale(image)
        height, width, channels = image.shape
        backend._cached_shape = (len(names), height, width, 1 if backend.grayscale else channels)
        return
