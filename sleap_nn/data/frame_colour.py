"""Pictures of a video decoder as arrays: RGB, or grey levels straight from the luma where the picture has no colour.

Cameras of laboratories mostly film in grey, which files keep as luma with neutral chroma. Each grey level is then a
function of one luma value, so that a table gives what the conversion to RGB would, several times faster.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

_LUMA_FIRST = frozenset({"gray", "yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p"})
"""Formats of 8 bits a value whose first plane is luma, and whose others, if any, are chroma."""
_NEUTRAL = 128
_LEVELS = 256


def to_rgb(frame: VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
    """Return a picture in RGB."""
    # Threads of the converter would outlive the frame, and be waited for in vain by a forked process.
    return VideoReformatter().reformat(frame, format="rgb24", threads=1).to_ndarray()


def to_grey(frame: VideoFrame) -> UInt8[np.ndarray, "height width 1"]:
    """Return the first channel of `to_rgb`, which is all there is to a grey picture."""
    if frame.format.name in _LUMA_FIRST and all(plane.line_size > 0 for plane in frame.planes):  # else upside down
        luma, *chroma = (_values(plane) for plane in frame.planes)
        levels = _levels(frame)
        if levels is not None and all((values == _NEUTRAL).all() for values in chroma):
            return cv2.LUT(luma, levels)[..., None]
    return cv2.extractChannel(to_rgb(frame), 0)[..., None]


def _values(plane: VideoPlane) -> UInt8[np.ndarray, "height width"]:
    """Return a view of the values of a plane without what pads its rows."""
    buffer = cast("bytes", plane)  # as which PyAV's types do not know it
    return np.frombuffer(buffer, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _levels(frame: VideoFrame) -> UInt8[np.ndarray, " levels"] | None:
    """Return the grey level of each luma value in pictures like this, None where the place in the picture matters."""
    return _levels_of(frame.format.name, frame.width, frame.height, int(frame.color_range), int(frame.colorspace))


@lru_cache(maxsize=16)
def _levels_of(
    name: str, width: int, height: int, color_range: int, colorspace: int
) -> UInt8[np.ndarray, " levels"] | None:
    """Convert a picture that holds every luma value, and read the table off it."""
    if width * height < _LEVELS:
        return None
    frame = VideoFrame(width, height, name)
    frame.color_range, frame.colorspace = color_range, colorspace
    luma = np.resize(np.arange(_LEVELS, dtype=np.uint8), (height, width))
    for index, plane in enumerate(frame.planes):
        rows = np.full((plane.height, plane.line_size), _NEUTRAL, np.uint8)
        if index == 0:
            rows[:, :width] = luma
        plane.update(rows.tobytes())
    converted = to_rgb(frame)
    levels = np.zeros(_LEVELS, np.uint8)
    levels[luma] = converted[..., 0]
    return levels if np.array_equal(np.repeat(levels[luma][..., None], 3, axis=2), converted) else None
