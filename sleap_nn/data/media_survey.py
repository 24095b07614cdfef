"""The frames of a media file as decoding it once from start to end shows them: for files whose times cannot be true.

Pictures are told apart by the place of their packet in the file, and numbered in the order in which the decoder gives
them. Of a file with damaged packets the lost pictures have numbers, too. Which, can be open among a few: then none of
these few is given, rather than one under a wrong number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from av.packet import Packet
from jaxtyping import Bool, Int

from sleap_nn.data.media_file import decode, numbered_packets, opened
from sleap_nn.data.media_index import FrameIndex
from sleap_nn.errors import DataError
from sleap_nn.heartbeat import phase
from sleap_nn.log import logger


def frame_index(path: str | Path, decoded: bool = False) -> FrameIndex:
    """Return the frames of a file, which is read through once as long as it does not change.

    Args:
        path: The file.
        decoded: Decode it, as its times have turned out not to be the order of its frames; later calls know it, too.

    Raises:
        DataError: It cannot be opened.
    """
    path = Path(path)
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be opened ({error}).") from error
    state = (path, stat.st_size, stat.st_mtime_ns)
    if decoded and state not in _DECODED:
        _DECODED[state] = _checked(path, _scanned(*state))
    return _DECODED[state] if state in _DECODED else _scanned(*state)


_DECODED: dict[tuple[Path, int, int], FrameIndex] = {}
"""Files that had to be decoded to know their frames; there are few."""

_MOST_BYTES_OF_NOTHING = 8
"""Size of packets that stand for a picture which an earlier packet holds, as AVI files of MPEG-4 may have them."""


@lru_cache(maxsize=64)
def _scanned(path: Path, _size: int, _time: int) -> FrameIndex:
    return FrameIndex.scan(path)


@dataclass(frozen=True, eq=False)
class _Survey:
    """What decoding a whole file gave.

    Attributes:
        order: (P,) the packet of each picture, in the order in which they came.
        before: (N,) how many pictures had come when each packet was given to the decoder.
        is_key: (N,) whether decoding can start at each packet.
        is_packed: Whether a packet may hold a picture and the beginning of the next.
        lost: (L,) packets to show that gave no picture, ascending.
        is_damaged: Whether the decoder complained.
    """

    order: Int[np.ndarray, " pictures"]
    before: Int[np.ndarray, " packets"]
    is_key: Bool[np.ndarray, " packets"]
    is_packed: bool
    lost: Int[np.ndarray, " lost"]
    is_damaged: bool


def _checked(path: Path, known: FrameIndex) -> FrameIndex:
    """Return the frames of a file whose index is in doubt.

    If its times could be true and pictures are lost, they stay: damage, too, gives pictures in a wrong order.
    """
    logger.info("%s: its time stamps do not number its frames; it is decoded once to count them.", path)
    survey = _surveyed(path, "AUTO")
    if survey.is_damaged:  # several threads may lose good frames beside a damaged one
        survey = _surveyed(path, "NONE")
    if not known.is_counted and (survey.is_damaged or len(survey.lost)):
        return replace(known, is_checked=True)
    return _numbered(survey, known.num_missing)


def _surveyed(path: Path, threads: str) -> _Survey:
    """Decode a file."""
    order: list[int] = []
    before: list[int] = []
    keys: list[bool] = []
    hidden: set[int] = set()
    is_damaged = is_packed = False
    with phase(f"decoding {path.name}"), opened(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = threads

        def given() -> Iterator[Packet]:
            nonlocal is_packed
            for packet in numbered_packets(container):
                is_packed |= packet.size <= _MOST_BYTES_OF_NOTHING
                before.append(len(order))
                keys.append(packet.is_keyframe)
                if packet.is_discard:
                    hidden.add(len(keys) - 1)
                yield packet

        for place, picture in decode(given(), stream):
            if isinstance(picture, str):
                is_damaged = True
            elif place is not None:
                order.append(place)
                is_damaged |= picture.is_corrupt
    lost = sorted(set(range(len(keys))) - set(order) - hidden)
    return _Survey(
        order=np.array(order, np.int64),
        before=np.array(before, np.int64),
        is_key=np.array(keys, bool),
        is_packed=is_packed,
        lost=np.array(lost, np.int64),
        is_damaged=is_damaged,
    )


def _numbered(survey: _Survey, num_missing: int) -> FrameIndex:
    """Number pictures in the order in which they came; where the decoder complained, with places for lost ones."""
    order = survey.order
    lost = survey.lost if survey.is_damaged else survey.lost[:0]
    if len(np.unique(order)) < len(order):  # several pictures of one packet
        return FrameIndex(len(order) + len(lost), num_missing, is_checked=True)
    earliest, latest = _places(survey, lost)
    positions = np.arange(len(order))
    fewest, most = (np.searchsorted(np.sort(places), positions, side="right") for places in (latest, earliest))
    certain = fewest == most
    packets, numbers = order[certain], (positions + fewest)[certain]
    by_packet = np.argsort(packets, kind="stable")
    is_key = survey.is_key[packets] & (not survey.is_packed)  # decoding a packed stream starts at its head
    return FrameIndex(
        num_frames=len(order) + len(lost),
        num_missing=num_missing,
        stamps=packets[by_packet],
        numbers=numbers[by_packet],
        key_stamps=packets[is_key],
        key_numbers=numbers[is_key],
        by_packet=True,
        is_checked=True,
    )


def _places(
    survey: _Survey, lost: Int[np.ndarray, " lost"]
) -> tuple[Int[np.ndarray, " lost"], Int[np.ndarray, " lost"]]:
    """Return before which of the pictures that came each lost one was shown at the earliest, and at the latest.

    Not before those that had come when its packet was read; before the next key, and not later after its packet than
    any other picture of the file.
    """
    order, earliest = survey.order, survey.before[lost]
    shown = np.arange(len(order)) + np.searchsorted(lost, order)
    most_late = int(np.max(shown - order, initial=0))
    latest = lost + most_late - np.arange(len(lost))
    keys = np.flatnonzero(survey.is_key[order])
    next_key = np.append(keys, len(order))[np.searchsorted(order[keys], lost)]
    return earliest, np.maximum(earliest, np.minimum(latest, next_key))
