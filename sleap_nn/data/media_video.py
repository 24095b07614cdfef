"""sleap-io videos whose files are read by `media`: the same frames, as many and as large, for whoever asks sleap-io.

sleap-io reads a media file through OpenCV, which guesses the number of its frames and seeks by time. It tells its
readers apart by their type, so a reader of our own would not be written to labels; instead its own reader gets, in
place of OpenCV's, a `Capture`. Labels that are saved name such a video like any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from sleap_io.io.video_reading import CropVideoBackend, MediaVideo
from sleap_io.model.video import Video

from sleap_nn.data.media import MediaReader, frame_index
from sleap_nn.data.media_file import first_image, frame_rate
from sleap_nn.errors import DataError

MEDIA_SUFFIXES = (
    *(f".{suffix}" for suffix in MediaVideo.EXTS),
    *(".webm", ".m4v", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp", ".gif"),
    *(".h264", ".hevc"),
)
"""Endings of files that `media` reads."""


class Capture:
    """What sleap-io takes for OpenCV's reader of a file; it opens the file when it is read, and may be closed."""

    def __init__(self, path: Path) -> None:
        """Choose the file."""
        self.path = path
        self._reader = MediaReader(path, is_gray=False)
        self._next = 0

    def get(self, prop: int) -> float:
        """Return the number of frames, the next one, or the frames per second, 0 where there is no such thing."""
        if prop == cv2.CAP_PROP_FRAME_COUNT:
            return num_frames(self.path)
        if prop == cv2.CAP_PROP_POS_FRAMES:
            return self._next
        return frame_rate(self.path) if prop == cv2.CAP_PROP_FPS else 0.0

    def set(self, prop: int, value: float) -> bool:
        """Choose the next frame."""
        if prop == cv2.CAP_PROP_POS_FRAMES:
            self._next = int(value)
        return prop == cv2.CAP_PROP_POS_FRAMES

    def read(self) -> tuple[bool, UInt8[np.ndarray, "height width 3"]]:
        """Return that there is a frame, and the frame in BGR.

        Raises:
            DataError: It cannot be read.
        """
        image = self._reader.read(self._next)
        self._next += 1
        return True, image[..., ::-1]

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        self._reader.close()


def num_frames(path: Path) -> int:
    """Return the number of frames of a file, those included that it has lost at its end."""
    index = frame_index(path)
    return index.num_frames + index.num_missing


def media_video(path: Path) -> Video:
    """Return a media file as a video.

    Raises:
        DataError: It cannot be read, or none of its frames.
    """
    backend = _backend(path.as_posix())
    video = Video(filename=path.as_posix(), backend=backend)
    measure(video)
    return video


def adopt(video: Video) -> MediaVideo | None:
    """Let a media file be read by `media` from now on, and return what sleap-io has for it; None for other videos."""
    if video.backend is None and video.exists():
        _open(video)
    backend = video.backend
    inner = backend.inner if isinstance(backend, CropVideoBackend) else backend
    if not isinstance(inner, MediaVideo) or "://" in str(inner.filename):
        return None
    if isinstance(inner._open_reader, Capture):
        return inner
    inner.close()
    own = _backend(str(inner.filename), inner.grayscale, inner._fps)
    if isinstance(backend, CropVideoBackend):
        backend.inner = own
    else:
        video.backend = own
    return own


def measure(video: Video) -> MediaVideo | None:
    """Find the size, colour and number of the frames of a media file, whichever its first readable frame is.

    Returns:
        What sleap-io has for it; None for other videos.

    Raises:
        DataError: The file cannot be read, or none of its frames.
    """
    backend = adopt(video)
    if backend is None or backend._cached_shape is not None:
        return backend
    path = Path(str(backend.filename))
    image = first_image(path)
    if image is None:
        raise DataError(f"{path} cannot be read as a video; it has no frames that a decoder recognises.")
    if backend.grayscale is None:
        backend.grayscale = bool(np.array_equal(image[..., 0], image[..., 2]))
    outer = video.backend
    if isinstance(outer, CropVideoBackend) and outer.grayscale is None:
        outer.grayscale = backend.grayscale
    backend._cached_shape = (num_frames(path), image.shape[0], image.shape[1], 1 if backend.grayscale else 3)
    return backend


def resemble(video: Video, known: MediaVideo) -> None:
    """Let a copy of a video be read by `media`, and know what is known of the original."""
    backend = adopt(video)
    if backend is not None:
        backend.grayscale, backend._cached_shape = known.grayscale, known._cached_shape


def release(video: Video) -> None:
    """Close the file of a video; the next read opens it again. Open files pass neither a fork nor a pickle."""
    if not close_media(video):
        video.close()


def close_media(video: Video) -> bool:
    """Close the file of a video that is read by `media`, and tell whether it is; the next read opens it again."""
    backend = video.backend
    inner = backend.inner if isinstance(backend, CropVideoBackend) else backend
    if not isinstance(inner, MediaVideo) or not isinstance(inner._open_reader, Capture):
        return False
    inner._open_reader.close()
    return True


def is_media_file(path: str | Path) -> bool:
    """Tell whether a file is read by `media`, judged by its ending."""
    return Path(path).suffix.lower() in MEDIA_SUFFIXES


def _open(video: Video) -> None:
    """Open a video as its metadata say; sleap-io does not know every kind of media file."""
    path = str(video.filename)
    known = video.backend_metadata
    if isinstance(video.filename, str) and is_media_file(path) and not path.lower().endswith(MediaVideo.EXTS):
        video.backend = _backend(path, known.get("grayscale"), known.get("fps"))
    else:
        video.open()


def _backend(path: str, grayscale: bool | None = None, fps: float | None = None) -> MediaVideo:
    """Return sleap-io's reader of a media file with a `Capture` to read from."""
    given: dict[str, Any] = {"grayscale": grayscale, "fps": fps, "open_reader": Capture(Path(path))}
    return MediaVideo(path, keep_open=True, plugin="opencv", **given)
