"""What a frame is, as a short text: equal where the pixels are equal, another where they could differ.

It is made of the content of the file, not of its place, of the frame's index, and of everything that decides how the
file is decoded. Frames themselves are read in `sources`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
import cv2
from sleap_io.io.video_reading import VideoBackend
from sleap_io.model.video import Video

from sleap_nn.data.media_video import adopt
from sleap_nn.structures.sample import FrameKey

_FORMAT = 3
"""To be raised when `sources` turns decoded frames into other pixels than before."""
_DECODERS = ("sleap-io", "av", "imageio", "imageio-ffmpeg")
"""Packages that decode, besides OpenCV, which is installed under several names."""
_NUM_PIECES, _PIECE = 16, 16384
_PLACE = ("filename", "keep_open", "source_filename", "fps")
"""Fields of a reader that change no pixel."""


def frame_fingerprints(videos: Sequence[Video], keys: Sequence[FrameKey]) -> list[str]:
    """Return 40 characters for each frame.

    A file that cannot be looked at, one behind a URL for example, gets a new fingerprint each time.

    Args:
        videos: What `FrameKey.video` counts.
        keys: The frames.
    """
    facts = {index: _video_facts(videos[index]) for index in {key.video for key in keys}}
    prints = []
    for key in keys:
        files = videos[key.video].filename
        image = _file_facts(files[key.frame]) if isinstance(files, list) and key.frame < len(files) else None
        prints.append(digest(facts[key.video], image, key.frame))
    return prints


def source_fingerprint(videos: Sequence[Video], keys: Sequence[FrameKey]) -> str:
    """Return 40 characters for frames as a whole: which, in which order, and what they are."""
    content = blake2b(digest_size=20)
    seen: set[int] = set()
    for key in keys:
        files = videos[key.video].filename
        if key.video not in seen:
            seen.add(key.video)
            content.update(digest(_video_facts(videos[key.video])).encode())
        if isinstance(files, list) and key.frame < len(files):
            content.update(digest(_file_facts(files[key.frame])).encode())
        content.update(b"%d,%d;" % key)
    return content.hexdigest()


def digest(*facts: Any) -> str:
    """Return 40 characters for any facts whose `repr` tells them apart."""
    return blake2b(repr((_FORMAT, *facts)).encode(), digest_size=20).hexdigest()


def _video_facts(video: Video) -> tuple[Any, ...]:
    """Return the content of a video file, and how it is decoded; an image list has its content elsewhere."""
    adopt(video)
    content = None if isinstance(video.filename, list) else _file_facts(video.filename)
    decoders = [("cv2", cv2.__version__), *((name, _version(name)) for name in _DECODERS)]
    return content, decoders, None if video.backend is None else _reader_facts(video.backend)


def _reader_facts(backend: VideoBackend) -> list[Any]:
    """Return every setting of a reader that could change pixels, of whatever kind it is."""
    facts: list[Any] = [type(backend).__name__]
    for field in attrs.fields(type(backend)):
        value = getattr(backend, field.name)
        if isinstance(value, VideoBackend):
            facts.append((field.name, _reader_facts(value)))
        elif field.name[0] != "_" and field.name not in _PLACE and isinstance(value, str | int | float | tuple | None):
            facts.append((field.name, value))
    return facts


def _file_facts(path: str | Path) -> str | tuple[Any, ...]:
    """Return the content of a small file; of a large one its size, its time, and pieces from all over it."""
    try:
        stat = Path(path).stat()
        with Path(path).open("rb") as file:
            if stat.st_size <= _NUM_PIECES * _PIECE:
                return digest(file.read())
            content = blake2b()
            for number in range(_NUM_PIECES):
                file.seek(number * (stat.st_size - _PIECE) // (_NUM_PIECES - 1))
                content.update(file.read(_PIECE))
            return stat.st_size, stat.st_mtime_ns, content.hexdigest()
    except OSError:
        return secrets.token_hex(20)


def _version(package: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return version(package)
    except ModuleNotFoundError:
        return None
