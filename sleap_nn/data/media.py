"""Media files (.mp4, .avi, .mkv, ...): frame k is the k-th frame that decoding from the start gives.

Which frames there are is found by reading through the file once without decoding (`FrameIndex`); after that, frames
read in order are decoded in order, without a seek, and others from the key frame before them. A frame that cannot be
decoded is missing; all others keep their numbers. What is not a media file is read by sleap-io, see `sources`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float, Int, UInt8

from sleap_nn.data.frame_colour import to_grey, to_rgb
from sleap_nn.errors import DataError
from sleap_nn.heartbeat import phase
from sleap_nn.log import logger

_OPEN_ERRORS = (FFmpegError, OSError, ValueError, IndexError)
_MAX_FORWARD = 12
"""Frames that are decoded on the way to another rather than sought over."""
_MOST_PX_OF_ONE_THREAD = 640 * 480
"""Frames below this size take longer to be shared among threads than to be decoded by one."""


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """The frames of a media file.

    Attributes:
        num_frames: Frames that the file holds.
        num_missing: Frames after those that its header promises, of a file that breaks off.
        times: (F,) presentation time of each frame, ascending; None where times do not tell frames apart, so that
            they can only be counted.
        key_times: (K,) presentation times of the frames at which decoding can start, ascending.
    """

    num_frames: int
    num_missing: int
    times: Int[np.ndarray, " frames"] | None
    key_times: Int[np.ndarray, " keys"]

    @classmethod
    def scan(cls, path: Path) -> FrameIndex:
        """Read through a file.

        Raises:
            DataError: It cannot be opened.
        """
        with phase(f"indexing {path.name}"), _opened(path) as container:
            stream = container.streams.video[0]
            promised, duration, base = stream.frames, container.duration, stream.time_base
            times, keys, breaks_off = _scan(container)
        if None in times or None in keys or len(set(times)) != len(times):
            return cls(len(times), 0, None, np.zeros(0, np.int64))
        ordered, key_times = (np.sort(np.array(values, np.int64)) for values in (times, keys))
        if not breaks_off and duration and base:
            _warn_of_early_end(path, ordered * float(base), duration / av.time_base)
        return cls(len(times), max(0, promised - len(times)) if breaks_off else 0, ordered, key_times)

    @property
    def first_time(self) -> int:
        """The time of the first frame."""
        return 0 if self.times is None or not len(self.times) else int(self.times[0])

    def number_at(self, time: int | None) -> int | None:
        """Return which frame is shown at a time, None if that is none of them."""
        if self.times is None or time is None:
            return None
        number = int(np.searchsorted(self.times, time))
        return number if number < self.num_frames and self.times[number] == time else None

    def key_before(self, number: int) -> int | None:
        """Return the time of the last key frame that is not after a frame; None: decode from the start."""
        if self.times is None:
            return None
        position = int(np.searchsorted(self.key_times, self.times[number], side="right")) - 1
        return int(self.key_times[position]) if position >= 0 else None

    def key_number(self, number: int) -> int:
        """Return the last key frame that is not after a frame, 0 if there is none."""
        key = self.key_before(number)
        return 0 if key is None else self.key_number_at(key)

    def key_number_at(self, time: int) -> int:
        """Return the frame of a key time."""
        return 0 if self.times is None else int(np.searchsorted(self.times, time))

    def key_after(self, number: int) -> int:
        """Return the first frame after a frame at which decoding can start; the number of frames if there is none."""
        if self.times is None:
            return self.num_frames
        position = int(np.searchsorted(self.key_times, self.times[number], side="right"))
        return self.num_frames if position == len(self.key_times) else self.key_number_at(int(self.key_times[position]))


def frame_index(path: str | Path) -> FrameIndex:
    """Return the frames of a file, which is read through once as long as it does not change.

    Raises:
        DataError: It cannot be opened.
    """
    path = Path(path)
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be opened ({error}).") from error
    return _frame_index(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _frame_index(path: Path, _size: int, _time: int) -> FrameIndex:
    return FrameIndex.scan(path)


class MediaReader:
    """Decodes the frames of one file; one thread at a time may use it.

    If frames are read in order and are not small, several are decoded at once on several cores. A decoder that works so
    may lose good frames beside a damaged one; therefore the surroundings of a frame that did not come are decoded
    again, one frame at a time.
    """

    def __init__(self, path: str | Path, is_gray: bool | None = None, in_order: bool = False) -> None:
        """Choose the file; it is opened when it is read.

        Args:
            path: The file.
            is_gray: Whether frames have one channel; None: as the first that is read.
            in_order: Whether frames will be read in order, by a process that does not fork meanwhile.
        """
        self._path = Path(path)
        self._is_gray = is_gray
        self._in_order = in_order
        self._index: FrameIndex | None = None
        self._damaged = range(0)
        self._forget()

    def _forget(self) -> None:
        """Be as if the file had never been opened."""
        self._container: InputContainer | None = None
        self._decoded: Iterator[tuple[int, VideoFrame | str]] = iter(())
        self._is_careful = False
        self._shown: VideoFrame | str = ""
        self._said = "the decoder gives no picture for it"
        self._number, self._before = -1, -1

    @property
    def index(self) -> FrameIndex:
        """The frames of the file."""
        if self._index is None:
            self._index = frame_index(self._path)
        return self._index

    def read(self, number: int) -> UInt8[np.ndarray, "height width channels"]:
        """Return a frame, gray or RGB.

        Raises:
            DataError: There is no such frame, or it cannot be decoded.
        """
        try:
            frame = self._frame(number)
        except DataError as error:
            raise DataError(f"Frame {number} of {self._path} cannot be read ({error}).") from error
        if self._is_gray is None:
            image = to_rgb(frame)
            self._is_gray = bool(np.array_equal(image[..., 0], image[..., 2]))
        return to_grey(frame) if self._is_gray else to_rgb(frame)

    def _frame(self, number: int) -> VideoFrame:
        """Return a frame as the decoder gives it.

        Raises:
            DataError: There is none, and why.
        """
        if not 0 <= number < self.index.num_frames:
            promise = ", though its header promises more" if self.index.num_missing else ""
            raise DataError(f"the file ends after frame {self.index.num_frames - 1}{promise}")
        frame = self._find(number)
        if isinstance(frame, str) and number not in self._damaged:
            self._damaged = range(number, self.index.key_after(number))
            frame = self._find(number)
        if isinstance(frame, str):
            raise DataError(frame)
        return frame

    def reopened(self) -> MediaReader:
        """Return a reader of the same file for another thread."""
        other = copy.copy(self)
        other._forget()
        return other

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._container is not None:
            self._container.close()
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open file behind."""
        names = ("_path", "_is_gray", "_in_order", "_index", "_damaged")
        return {name: vars(self)[name] for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start with a closed file."""
        vars(self).update(state)
        self._forget()

    def _find(self, number: int) -> VideoFrame | str:
        """Decode until a frame has come, or its place is passed; then return what the decoder said of it."""
        if not self._is_reachable(number):
            self._start(number)
        while self._number < number:
            place, frame = next(self._decoded, (self.index.num_frames, ""))
            self._said = frame if isinstance(frame, str) and frame else self._said
            if place > self._number:
                self._before, self._number, self._shown = self._number, place, frame
        return self._shown if self._number == number and self._shown else self._said

    def _is_reachable(self, number: int) -> bool:
        """Tell whether decoding on is the way to a frame; one that was passed without being seen stays lost."""
        if self._container is None or self._is_careful != (number in self._damaged) or number <= self._before:
            return False
        return number <= self._number + _MAX_FORWARD or self.index.key_number(number) <= self._number + 1

    def _start(self, number: int) -> None:
        """Open the file, and begin to decode at the key frame before a frame."""
        self.close()
        self._is_careful = number in self._damaged
        key = self.index.key_before(number)
        if not self._open(key):
            self.close()
            self._is_careful = number in self._damaged
            self._open(None)

    def _open(self, key: int | None) -> bool:
        """Open the file at a time, or at its start; False if the container leads to a later place than that."""
        self._container = _opened(self._path)
        stream = self._container.streams.video[0]
        is_small = stream.width * stream.height < _MOST_PX_OF_ONE_THREAD
        one_by_one = self._is_careful or not self._in_order or self.index.times is None or is_small
        stream.thread_type = "NONE" if one_by_one else "AUTO"
        if key is not None and key > self.index.first_time:
            try:
                self._container.seek(key, stream=stream, backward=True)
            except FFmpegError:
                return False
        packets = _packets(self._container)
        first = next(packets, None)
        if key is not None and first is not None:
            landed = self.index.number_at(first.pts)
            if landed is None or landed > self.index.key_number_at(key):
                return False
            self._number = self._before = landed - 1
        decoded = _decode(packets if first is None else chain((first,), packets), stream)
        self._decoded = enumerate(decoded) if self.index.times is None else _numbered(decoded, self.index)
        return True


def _decode(packets: Iterable[Packet], stream: VideoStream) -> Iterator[VideoFrame | str]:
    """Yield the frames that packets give, and what the decoder says where it fails."""
    for packet in packets:
        try:
            yield from stream.codec_context.decode(packet)
        except FFmpegError as error:
            yield str(error.strerror)
    with suppress(FFmpegError):
        yield from stream.codec_context.decode(None)


def _numbered(decoded: Iterable[VideoFrame | str], index: FrameIndex) -> Iterator[tuple[int, VideoFrame | str]]:
    """Yield frames with the numbers that their times give them; what is no frame has none, which is -1."""
    for frame in decoded:
        number = None if isinstance(frame, str) else index.number_at(frame.pts)
        if isinstance(frame, str) or number is not None:
            yield -1 if number is None else number, frame


def _opened(path: Path) -> InputContainer:
    """Open a file that holds a video.

    Raises:
        DataError: It cannot be opened.
    """
    try:
        container = av.open(str(path))
    except _OPEN_ERRORS as error:
        raise DataError(f"{path} cannot be read as a video ({error}).") from error
    if not container.streams.video:
        container.close()
        raise DataError(f"{path} holds no video stream.")
    return container


def _packets(container: InputContainer) -> Iterator[Packet]:
    """Yield the packets that hold a frame to show, until the file ends or breaks off."""
    with suppress(FFmpegError):
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                yield packet


def _scan(container: InputContainer) -> tuple[list[int | None], list[int | None], bool]:
    """Return the times of all frames and of the key frames, and whether the file breaks off."""
    times: list[int | None] = []
    keys: list[int | None] = []
    is_whole = True
    try:
        for packet in container.demux(container.streams.video[0]):
            if not packet.size:
                continue
            is_whole = not packet.is_corrupt
            if packet.is_discard:
                continue
            times.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
    except FFmpegError:
        is_whole = False
    return times, keys, not is_whole


def _warn_of_early_end(path: Path, seconds: Float[np.ndarray, " frames"], duration: float) -> None:
    """Say that a file ends long before the time that its header gives, as one does that was cut off."""
    if len(seconds) < 2:
        return
    interval = float(np.max(np.diff(seconds)))
    if seconds[-1] - min(0.0, seconds[0]) + 10 * interval + 1.0 < duration:
        logger.warning(
            "%s ends after frame %d at %.1f s, but its header gives %.1f s; it may have been cut off.",
            path,
            len(seconds) - 1,
            seconds[-1],
            duration,
        )
