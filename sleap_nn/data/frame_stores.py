"""Where decoded frames are kept, by their position in a source: in memory, or in files.

Both stores are lossless, and any number of threads and processes may use them at once: two that save the same frame
save the same bytes. Which frames are kept, and who fills a store, is decided in `cache`.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import struct
import uuid
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8

from sleap_nn.data.memory import SharedBytes
from sleap_nn.log import logger
from sleap_nn.structures.sample import Frame, FrameKey

Image = UInt8[np.ndarray, "height width channels"]
Shape = tuple[int, int, int]
"""(height, width, channels) of a frame."""

RESERVE = 256 * 2**20
"""Bytes of the disk that stay free for checkpoints and everything else."""
NOBODY = bytes(16)
"""Owner of files that no run removes."""

_SUFFIX = ".frame"
_PARTIAL = ".partial"
_MAGIC = b"slnnfrm2"
_HEADER = struct.Struct("<8s6I16s")  # magic, shape of the image, size of the frame, checksum of the pixels, owner
_ENTRY = 24  # shape of the image, size of the frame, whether it was told that there is no room
_ALIGNMENT = 64


class FrameStore(ABC):
    """Keeps frames by their position in a source."""

    @abstractmethod
    def load(self, index: int, key: FrameKey) -> Frame | None:
        """Return a frame, None if it is not kept. The pixels are those of the store and must not be changed."""

    @abstractmethod
    def save(self, index: int, frame: Frame) -> None:
        """Keep a frame if there is room; never fails."""

    @abstractmethod
    def holds(self, index: int) -> bool:
        """Tell whether a frame is kept."""


class MemoryStore(FrameStore):
    """Frames in memory that all processes of a training share.

    Every frame has its place from the start: an entry with its shape, then, after all entries, its pixels. The shape is
    written last, and makes the frame visible.
    """

    def __init__(self, shapes: Sequence[Shape], between_processes: bool) -> None:
        """Set memory aside; it is taken from the system as frames come in.

        Args:
            shapes: The largest shape that each frame is expected to have.
            between_processes: Whether processes other than this one, and those that it forks, will read the frames.

        Raises:
            OSError: The system does not give so much.
        """
        sizes = [len(shapes) * _ENTRY, *map(math.prod, shapes)]
        self._starts = np.cumsum([-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes])
        self._memory = SharedBytes(int(self._starts[-1]), between_processes)
        self._find_frames()

    @staticmethod
    def num_bytes(shapes: Sequence[Shape]) -> int:
        """Return the memory that frames of these shapes take."""
        return sum(math.prod(shape) + _ENTRY + _ALIGNMENT for shape in shapes)

    def load(self, index: int, key: FrameKey) -> Frame | None:
        """Return a frame without copying it, None if it is not kept."""
        height, width, channels, *size, _ = self._entries[index].tolist()
        if not channels:
            return None
        start = self._starts[index]
        image = self._bytes[start : start + height * width * channels].reshape(height, width, channels)
        return _frame(key, image, size)

    def save(self, index: int, frame: Frame) -> None:
        """Keep a frame, unless it is larger than the place set aside for it."""
        image = frame.image
        start, end = self._starts[index : index + 2]
        if image.size > end - start:
            self._tell_once(index)
            return
        # The copy drops and takes the interpreter's lock, so that no processor shows the shape before the pixels.
        self._bytes[start : start + image.size] = image.reshape(-1)
        self._entries[index, 3:5] = frame.size
        self._entries[index, :2] = image.shape[:2]
        self._entries[index, 2] = image.shape[2]

    def holds(self, index: int) -> bool:
        """Tell whether a frame is kept."""
        return bool(self._entries[index, 2])

    def _find_frames(self) -> None:
        """Lay arrays over the memory."""
        self._bytes = self._memory.array()
        num_frames = len(self._starts) - 1
        self._entries = self._bytes[: num_frames * _ENTRY].view(np.uint32).reshape(num_frames, _ENTRY // 4)

    def _tell_once(self, index: int) -> None:
        """Warn of the first frame without room; the last number of its entry says that somebody did."""
        if not self._entries[:, -1].any():
            logger.warning(
                "Some frames are larger than their video says; they do not fit into the memory set aside, and are "
                "read from the source every time."
            )
        self._entries[index, -1] = 1

    def __getstate__(self) -> tuple[np.ndarray, SharedBytes]:
        """Return what finds the frames in another process."""
        return self._starts, self._memory

    def __setstate__(self, state: tuple[np.ndarray, SharedBytes]) -> None:
        """Find the frames."""
        self._starts, self._memory = state
        self._find_frames()


class DiskStore(FrameStore):
    """Frames in files, one a frame: a header with shape, checksum and owner, then the pixels as they are.

    A file is named by what the frame is, so a video that changed never finds the frames of its former self. Files
    appear whole, by a rename; one that is damaged all the same is noticed when a process first reads it, and made anew.
    """

    def __init__(self, folder: Path, names: Sequence[str], owner: bytes) -> None:
        """Choose where frames are.

        Args:
            folder: An existing folder; several runs may share it.
            names: Fingerprint of each frame.
            owner: 16 bytes that mark the files written here, see `remove_owned`.
        """
        self._folder = folder
        self._names = tuple(names)
        self._owner = owner
        self._checked: set[int] = set()
        self._given_up = SharedBytes(1, between_processes=True)

    def load(self, index: int, key: FrameKey) -> Frame | None:
        """Read a frame, None if there is no file or it is damaged."""
        path = self._path(index)
        try:
            with path.open("rb") as file:
                frame = _read(file, key, index not in self._checked)
        except OSError:
            return None
        if frame is None:
            logger.warning("The cached frame %s is damaged; it is made anew.", path)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        self._checked.add(index)
        return frame

    def save(self, index: int, frame: Frame) -> None:
        """Write a frame; after a failure, a full disk for example, nothing is written any more."""
        if self._given_up.array()[0]:
            return
        path = self._path(index)
        partial = self._folder / f".{self._names[index]}.{self._owner.hex()}.{uuid.uuid4().hex}{_PARTIAL}"
        image = np.ascontiguousarray(frame.image)
        try:
            if shutil.disk_usage(self._folder).free - image.nbytes < RESERVE:
                raise OSError(errno.ENOSPC, f"less than {RESERVE // 2**20} MB are left on the disk")
            with partial.open("xb") as file:
                file.write(_HEADER.pack(_MAGIC, *image.shape, *frame.size, zlib.crc32(image.data), self._owner))
                file.write(image.data)
            partial.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            if not path.exists():
                self._give_up(error)

    def holds(self, index: int) -> bool:
        """Tell whether there is a file for a frame."""
        return self._path(index).exists()

    def _path(self, index: int) -> Path:
        """Return the file of a frame."""
        return self._folder / f"{self._names[index]}{_SUFFIX}"

    def _give_up(self, error: OSError) -> None:
        """Stop writing in all processes, and say so once."""
        flag = self._given_up.array()
        if not flag[0]:
            flag[0] = 1
            logger.warning(
                "Frames can no longer be cached in %s (%s); those that are not there yet are read from the source.",
                self._folder,
                error.strerror or error,
            )


def remove_owned(folder: Path, owner: bytes) -> None:
    """Remove the files that an owner wrote, whole and partial ones; nothing else in the folder is touched."""
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            partial = path.name.endswith(_PARTIAL) and owner.hex() in path.name
            if partial or (path.suffix == _SUFFIX and _owner(path) == owner):
                path.unlink(missing_ok=True)


def _owner(path: Path) -> bytes | None:
    """Return who wrote a file, None if it is no cached frame."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
    except OSError:
        return None
    return _HEADER.unpack(header)[-1] if len(header) == _HEADER.size and header.startswith(_MAGIC) else None


def _read(file: BinaryIO, key: FrameKey, check: bool) -> Frame | None:
    """Return the frame in a file, None if it is damaged; `check` looks at the pixels too."""
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    magic, height, width, channels, *size, checksum, _ = _HEADER.unpack(header)
    num_bytes = os.fstat(file.fileno()).st_size - _HEADER.size
    if magic != _MAGIC or not 0 < num_bytes == height * width * channels:
        return None
    image = np.empty((height, width, channels), np.uint8)
    if file.readinto(image.data) != num_bytes or (check and zlib.crc32(image.data) != checksum):  # pyright: ignore[reportAttributeAccessIssue]
        return None
    return _frame(key, image, size)


def _frame(key: FrameKey, image: Image, size: Sequence[int]) -> Frame:
    """Return what was kept of a frame of a size (height, width)."""
    height, width = size
    return Frame(key, image, None if image.shape[:2] == (height, width) else (height, width))
