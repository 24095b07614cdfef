"""Media files (.mp4, .avi, .mkv, ...): frame k is the k-th frame that decoding from the start gives.

Which frames there are is found by reading through the file once without decoding (`media_index`), or, where its time
stamps cannot be true, by decoding it once (`media_survey`). After that, frames read in order are decoded in order,
without a seek, and others from the key frame before them. A frame that cannot be decoded is missing; all others keep
their numbers. What is not a media file is read by sleap-io, see `sources`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from jaxtyping import UInt8

from sleap_nn.data.media_file import decode, image_of, numbered_packets, opened, packets
from sleap_nn.data.media_index import MOST_LATE, FrameIndex
from sleap_nn.data.media_survey import frame_index
from sleap_nn.errors import DataError

__all__ = ["MediaReader", "frame_index"]

_MAX_FORWARD = 12
"""Frames that are decoded on the way to another rather than sought over."""
_MOST_PX_OF_ONE_THREAD = 640 * 480
"""Frames below this size take longer to be shared among threads than to be decoded by one."""
_UNSAID = "the decoder gives no picture for it"


class _WrongIndexError(Exception):
    """What the decoder gives contradicts the index, or frames can be counted no longer."""


class MediaReader:
    """Decodes the frames of one file; one thread at a time may use it.

    If frames are read in order and are not small, several are decoded at once on several cores. A decoder that works so
    may lose good frames beside a damaged one; therefore the surroundings of a frame that did not come are decoded
    again, one frame at a time, and from ever earlier key frames: not every one stands for itself.
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
        self._damaged = self._hopeless = range(0)
        self._back = 0
        self._forget()

    def _forget(self) -> None:
        """Be as if the file had never been opened."""
        self._container: InputContainer | None = None
        self._decoded: Iterator[tuple[int, VideoFrame | str]] = iter(())
        self._threads = False
        self._is_from_start = False
        self._most_late = 0
        self._position, self._last = -1, -1
        self._shown: VideoFrame | None = None
        self._ahead: dict[int, VideoFrame] = {}
        self._said: dict[int, str] = {}

    @property
    def index(self) -> FrameIndex:
        """The frames of the file."""
        if self._index is None:
            self._index = frame_index(self._path)
        return self._index

    def read(self, number: int) -> UInt8[np.ndarray, "height width channels"]:
        """Return a frame, gray or RGB, upright.

        Raises:
            DataError: There is no such frame, or it cannot be decoded.
        """
        try:
            frame = self._frame(number)
        except DataError as error:
            raise DataError(f"Frame {number} of {self._path} cannot be read ({error}).") from error
        if self._is_gray is None:
            image = image_of(frame, is_gray=False)
            self._is_gray = bool(np.array_equal(image[..., 0], image[..., 2]))
        return image_of(frame, self._is_gray)

    def _frame(self, number: int) -> VideoFrame:
        """Return a frame as the decoder gives it.

        Raises:
            DataError: There is none, and why.
        """
        try:
            return self._frame_of_index(number)
        except _WrongIndexError:
            self.close()
            self._index = frame_index(self._path, decoded=True)
            return self._frame_of_index(number)

    def _frame_of_index(self, number: int) -> VideoFrame:
        """Return a frame by the index that is known.

        Raises:
            DataError: There is none, and why.
            _WrongIndexError: The index is not that of this file.
        """
        if not 0 <= number < self.index.num_frames:
            promise = ", though its header promises more" if self.index.num_missing else ""
            raise DataError(f"the file ends after frame {self.index.num_frames - 1}{promise}")
        if not self.index.is_known(number):
            raise DataError("it is damaged, or a damaged one beside it leaves open which picture it is")
        frame = self._find(number)
        if frame is None and self._threads:
            self._damaged = range(number, self.index.key_after(number))
            frame = self._find(number)
        if frame is None and number not in self._said:
            frame = self._find_again(number)
        if frame is None:
            raise DataError(self._said.get(number, _UNSAID))
        return frame

    def _find_again(self, number: int) -> VideoFrame | None:
        """Look for a frame that the decoder left out, from ever earlier key frames."""
        frame = None
        back = self._back
        while frame is None and not self._is_from_start and number not in self._said and number not in self._hopeless:
            back = 2 * back + 1
            frame = self._find(number, back)
            self._back = self._back if frame is None else back
        if frame is None:
            self._hopeless = range(number, self.index.key_after(number))
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
        names = ("_path", "_is_gray", "_in_order", "_index", "_damaged", "_hopeless", "_back")
        return {name: vars(self)[name] for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start with a closed file."""
        vars(self).update(state)
        self._forget()

    def _find(self, number: int, back: int | None = None) -> VideoFrame | None:
        """Decode until a frame has come, or so many later ones that it comes no more.

        Args:
            number: The frame.
            back: Begin so many key frames before the one that is nearest to it; None: go on, or as is known to do.

        Raises:
            _WrongIndexError: Frames come in another order than the index says.
        """
        if self._position == number and self._shown is not None:
            return self._shown
        if back is not None or not self._is_reachable(number):
            self._start(number, self._back if back is None else back)
        self._ahead = {place: frame for place, frame in self._ahead.items() if place >= number}
        while number not in self._ahead and len(self._ahead) <= self._most_late:
            place, frame = next(self._decoded, (-1, None))
            if frame is None:
                break
            if isinstance(frame, str):
                self._said[place] = frame
            elif place >= number:
                self._ahead[place] = frame
            self._check_order(place, frame)
        self._position, self._shown = number, self._ahead.pop(number, None)
        return self._shown

    def _check_order(self, place: int, frame: VideoFrame | str) -> None:
        """Look at what the decoder gave: without damage, frames come in their order, and can be counted.

        Raises:
            _WrongIndexError: They do not.
        """
        is_wrong = self.index.is_counted if isinstance(frame, str) else place < self._last and not self._said
        if is_wrong and not self.index.is_checked:
            raise _WrongIndexError
        self._last = max(self._last, place)

    def _is_reachable(self, number: int) -> bool:
        """Tell whether decoding on is the way to a frame; one that was passed stays lost."""
        if self._container is None or number <= self._position or (self._threads and number in self._damaged):
            return False
        if not self._threads and self._damaged and number not in self._damaged and self._uses_threads():
            return False
        return number <= self._position + _MAX_FORWARD or self.index.key_number(number) <= self._position + 1

    def _uses_threads(self) -> bool:
        """Tell whether several threads would decode frames outside of damaged places."""
        if self._container is None or not self._in_order or self.index.is_counted:
            return False
        stream = self._container.streams.video[0]
        return stream.width * stream.height >= _MOST_PX_OF_ONE_THREAD

    def _start(self, number: int, back: int) -> None:
        """Open the file, and begin to decode at a key frame that is not after a frame, or some before it.

        Raises:
            _WrongIndexError: Frames can only be counted from the start, and it is not the start that is wanted.
        """
        index = self.index
        if index.is_counted and not index.is_checked and (self._container is not None or number > _MAX_FORWARD):
            raise _WrongIndexError
        self.close()
        key = index.key_place(number, back)
        if key < 0 or not self._open(number, key):
            self.close()
            self._open(number, -1)

    def _open(self, number: int, key: int) -> bool:
        """Open the file at a key frame, -1 for its start; False if the container leads to a later place than that."""
        self._container = opened(self._path)
        stream = self._container.streams.video[0]
        self._threads = self._uses_threads() and number not in self._damaged
        stream.thread_type = "AUTO" if self._threads else "NONE"
        self._most_late = MOST_LATE if stream.codec_context.codec.reorder else 0
        start = self._packets_from(self._container, key)
        if start is None:
            return False
        first, given = start
        self._is_from_start = first == 0
        self._position = self._last = first - 1
        decoded = decode(given, stream)
        self._decoded = _counted(decoded) if self.index.is_counted else _numbered(decoded, self.index)
        return True

    def _packets_from(self, container: InputContainer, key: int) -> tuple[int, Iterator[Packet]] | None:
        """Return the packets from a key frame on, and which frame that is; None if the container passes it by."""
        index = self.index
        first = 0 if key < 0 else int(index.key_numbers[key])
        if index.by_packet:
            return first, numbered_packets(container, 0 if key < 0 else int(index.key_stamps[key]))
        if first == 0:
            return 0, packets(container)
        stream = container.streams.video[0]
        try:
            container.seek(int(index.key_stamps[key]), stream=stream, backward=True)
        except FFmpegError:
            return None
        given = packets(container)
        packet = next(given, None)
        landed = None if packet is None else index.number_at(packet.pts)
        if packet is None or landed is None or landed > first:
            return None
        return landed, chain((packet,), given)


def _numbered(
    decoded: Iterator[tuple[int | None, VideoFrame | str]], index: FrameIndex
) -> Iterator[tuple[int, VideoFrame | str]]:
    """Yield frames, and what was said of packets, with the numbers that their stamps give them, -1 for none."""
    for stamp, frame in decoded:
        number = index.number_at(stamp)
        if number is not None or isinstance(frame, str):
            yield -1 if number is None else number, frame


def _counted(decoded: Iterator[tuple[int | None, VideoFrame | str]]) -> Iterator[tuple[int, VideoFrame | str]]:
    """Yield frames with their numbers in order; last what was said of the first damage, as it ends all counting."""
    for number, (_, frame) in enumerate(decoded):
        if isinstance(frame, str) or frame.is_corrupt:
            yield -1, frame if isinstance(frame, str) else _UNSAID
            return
        yield number, frame
