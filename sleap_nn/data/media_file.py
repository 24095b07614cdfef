"""What PyAV gives of a media file: packets, pictures, and what the decoder says where it fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from sleap_nn.data.frame_colour import to_grey, to_rgb
from sleap_nn.errors import DataError

_OPEN_ERRORS = (FFmpegError, OSError, ValueError, IndexError)


def opened(path: Path) -> InputContainer:
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
    if container.streams.video[0].codec_context is None:  # which PyAV's types deny
        container.close()
        raise DataError(f"{path} cannot be read as a video; there is no decoder for it.")
    return container


def packets(container: InputContainer) -> Iterator[Packet]:
    """Yield the packets that hold a picture, until the file ends or breaks off."""
    with suppress(FFmpegError):
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                yield packet


def numbered_packets(container: InputContainer, first: int = 0) -> Iterator[Packet]:
    """Yield packets from the first on, whose presentation time is their place in the file; pictures take it over."""
    for place, packet in enumerate(packets(container)):
        if place >= first:
            packet.pts = place
            yield packet


def decode(given: Iterable[Packet], stream: VideoStream) -> Iterator[tuple[int | None, VideoFrame | str]]:
    """Yield pictures, and what the decoder says where it fails; each with the presentation time of its packet."""
    for packet in given:
        time = packet.pts
        try:
            for picture in stream.codec_context.decode(packet):
                yield picture.pts, picture
        except FFmpegError as error:
            yield time, str(error.strerror)
    with suppress(FFmpegError):
        for picture in stream.codec_context.decode(None):
            yield picture.pts, picture


def first_image(path: Path) -> UInt8[np.ndarray, "height width 3"] | None:
    """Return the first picture that a file gives, in RGB and upright; None if it gives none.

    Raises:
        DataError: The file cannot be opened.
    """
    with closing(opened(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for _, picture in decode(packets(container), stream):
            if isinstance(picture, VideoFrame):
                return image_of(picture, is_gray=False)
    return None


def image_of(picture: VideoFrame, is_gray: bool) -> UInt8[np.ndarray, "height width channels"]:
    """Return a picture, gray or RGB, turned as its file says that it is to be shown."""
    image = to_grey(picture) if is_gray else to_rgb(picture)
    turns, rest = divmod(picture.rotation, 90)
    return image if rest or not turns % 4 else np.ascontiguousarray(np.rot90(image, turns))


def frame_rate(path: Path) -> float:
    """Return the frames per second that a file claims, 0 if it claims nothing.

    Raises:
        DataError: The file cannot be opened.
    """
    with closing(opened(path)) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate
    return 0.0 if rate is None else float(rate)
