"""Which frames a media file holds, and where its decoder can start: found without decoding, if time stamps allow it.

Times of packets number the frames where they can be true: a decoder gives pictures in the order of their times. Where
they cannot, frames are counted, see `media_survey`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from jaxtyping import Bool, Float, Int

from sleap_nn.data.media_file import decode, opened, packets
from sleap_nn.heartbeat import phase
from sleap_nn.log import logger

MOST_LATE = 16
"""Pictures that may be shown between two that follow each other in a file."""
_PROBED = 48
"""Packets that are decoded where a file claims that its pictures are stored in the order in which they are shown."""


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """The frames of a media file.

    A stamp is what tells the pictures of a file apart: their presentation time, or the place of their packet.

    Attributes:
        num_frames: Frames that the file holds.
        num_missing: Frames after those that its header promises, of a file that breaks off.
        stamps: (S,) ascending stamps of pictures; None where nothing is known that tells them apart, so that they can
            only be counted.
        numbers: (S,) the frame of each stamp; None if that is its position.
        key_stamps: (K,) stamps of the pictures at which decoding can start, in order of frames.
        key_numbers: (K,) their frames, ascending.
        by_packet: Whether stamps are places of packets.
        is_checked: Whether decoding the file has shown that this is the order of its frames, or the best that is known.
    """

    num_frames: int
    num_missing: int = 0
    stamps: Int[np.ndarray, " stamps"] | None = None
    numbers: Int[np.ndarray, " stamps"] | None = None
    key_stamps: Int[np.ndarray, " keys"] = field(default_factory=lambda: np.zeros(0, np.int64))
    key_numbers: Int[np.ndarray, " keys"] = field(default_factory=lambda: np.zeros(0, np.int64))
    by_packet: bool = False
    is_checked: bool = False

    @classmethod
    def scan(cls, path: Path) -> FrameIndex:
        """Read through a file.

        Raises:
            DataError: It cannot be opened.
        """
        with phase(f"indexing {path.name}"), opened(path) as container:
            stream = container.streams.video[0]
            duration, base = container.duration, stream.time_base
            found = _PacketTimes.read(container)
            num_missing = _num_missing(path, container, found)
            if num_missing is None:
                logger.warning(
                    "%s ends before its header says; it was cut off after frame %d.", path, len(found.pts) - 1
                )
            times = found.plausible_times(path, _reorder_depth(stream))
        if times is None:
            return cls(len(found.pts), num_missing or 0)
        if num_missing and found.last_dts is not None:  # a lost picture may have been shown before a later one
            certain = times <= found.last_dts
            num_missing += int((~certain).sum())
        else:
            certain = np.ones(len(times), bool)
        ordered = np.sort(times[certain])
        keys = np.sort(times[found.is_key & certain])
        if num_missing == 0 and duration and base:
            _warn_of_early_end(path, ordered * float(base), duration / av.time_base)
        return cls(len(ordered), num_missing or 0, ordered, None, keys, np.searchsorted(ordered, keys))

    @property
    def is_counted(self) -> bool:
        """Whether frames can only be counted from the first on."""
        return self.stamps is None

    def number_at(self, stamp: int | None) -> int | None:
        """Return the frame of a stamp, None if that is none of them."""
        if self.stamps is None or stamp is None:
            return None
        place = int(np.searchsorted(self.stamps, stamp))
        if place >= len(self.stamps) or self.stamps[place] != stamp:
            return None
        return place if self.numbers is None else int(self.numbers[place])

    def is_known(self, number: int) -> bool:
        """Tell whether it is known which picture a frame is."""
        return self.numbers is None or bool((self.numbers == number).any())

    def key_place(self, number: int, back: int = 0) -> int:
        """Return which key is the last one that is not after a frame, or one some keys before it; -1: none is."""
        return max(-1, int(np.searchsorted(self.key_numbers, number, side="right")) - 1 - back)

    def key_number(self, number: int) -> int:
        """Return the last key frame that is not after a frame, 0 if there is none."""
        place = self.key_place(number)
        return 0 if place < 0 else int(self.key_numbers[place])

    def key_after(self, number: int) -> int:
        """Return the first frame after a frame at which decoding can start; the number of frames if there is none."""
        place = self.key_place(number) + 1
        return self.num_frames if place >= len(self.key_numbers) else int(self.key_numbers[place])


@dataclass(frozen=True, eq=False)
class _PacketTimes:
    """What the packets of a file say, in its order, without those that are not to be shown.

    Attributes:
        pts: When each is shown.
        dts: When each is decoded.
        is_key: (F,) whether decoding can start at it.
        num_packets: Packets, those included that are not to be shown.
        last_dts: The largest of all times of decoding.
        breaks_off: Whether the file ends within a packet.
    """

    pts: list[int | None]
    dts: list[int | None]
    is_key: Bool[np.ndarray, " frames"]
    num_packets: int
    last_dts: int | None
    breaks_off: bool

    @classmethod
    def read(cls, container: InputContainer) -> _PacketTimes:
        """Read through the packets."""
        pts: list[int | None] = []
        dts: list[int | None] = []
        keys: list[bool] = []
        num_hidden = 0
        is_whole = True
        try:
            for packet in container.demux(container.streams.video[0]):
                if not packet.size:
                    continue
                is_whole = not packet.is_corrupt
                if packet.is_discard:
                    num_hidden += 1
                    continue
                pts.append(packet.pts)
                dts.append(packet.dts)
                keys.append(packet.is_keyframe)
        except FFmpegError:
            is_whole = False
        last_dts = max((time for time in dts if time is not None), default=None)
        return cls(pts, dts, np.array(keys, bool), len(pts) + num_hidden, last_dts, not is_whole)

    def plausible_times(self, path: Path, depth: int) -> Int[np.ndarray, " frames"] | None:
        """Return when each packet is shown; None where that cannot be the order in which a decoder gives pictures.

        Args:
            path: The file, whose beginning is decoded in case of doubt.
            depth: Pictures that may be stored before another and shown after it.
        """
        if None in self.pts or len(set(self.pts)) != len(self.pts):
            return None
        times = np.array(self.pts, np.int64)
        if (times[1:] > times[:-1]).all():
            return times if not depth or _begins_in_order(path) else None
        if not _is_a_reordering(times, self.is_key, depth):
            return None
        decoded = np.array([-(2**62) if time is None else time for time in self.dts], np.int64)
        return times if (times >= decoded).all() else None


def _reorder_depth(stream: VideoStream) -> int:
    """Return how many pictures a stream may store before another and show after it."""
    context = stream.codec_context
    return int(getattr(context, "reorder_depth", MOST_LATE)) if context.has_b_frames else 0


def _is_a_reordering(times: Int[np.ndarray, " frames"], is_key: Bool[np.ndarray, " frames"], depth: int) -> bool:
    """Tell whether pictures may be stored like this: none far from its place, none before a key but shown after it."""
    order = np.argsort(times)
    stored_later = order - np.arange(len(order))  # than it is shown
    if stored_later.max() > depth or stored_later.min() < -MOST_LATE:
        return False
    highest = np.maximum.accumulate(times)
    return not (is_key[1:] & (highest[:-1] > times[1:])).any()


def _begins_in_order(path: Path) -> bool:
    """Tell whether the first pictures of a file are decoded in the order of their times."""
    with opened(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        first = (packet for packet, _ in zip(packets(container), range(_PROBED), strict=False))
        times = [time for time, picture in decode(first, stream) if time is not None and not isinstance(picture, str)]
    return times == sorted(times)


def _num_missing(path: Path, container: InputContainer, found: _PacketTimes) -> int | None:
    """Return how many frames a file that is cut off has lost at its end; None if its header does not tell."""
    stream = container.streams.video[0]
    name, promised = container.format.name, stream.frames
    if not promised or (promised == found.num_packets and not found.breaks_off):
        return 0
    if "mp4" in name:  # the list of samples, which an edit list may have made shorter than the header says
        ends = [entry.pos + entry.size for entry in stream.index_entries if entry.size]
        is_cut = found.breaks_off or max(ends, default=0) > path.stat().st_size
        return max(0, len(ends) - found.num_packets) if is_cut else 0
    if name == "avi" and _is_cut(path):  # its header counts empty frames as well
        num_chunks = 0 if found.last_dts is None else found.last_dts + 1
        return max(0, promised - found.num_packets) if num_chunks <= found.num_packets else None
    return max(0, promised - found.num_packets) if found.breaks_off and name != "avi" else 0


def _is_cut(path: Path) -> bool:
    """Tell whether an AVI file is shorter than its first part says that it is."""
    with path.open("rb") as file:
        head = file.read(8)
    return len(head) == 8 and 8 + int.from_bytes(head[4:], "little") > path.stat().st_size


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
