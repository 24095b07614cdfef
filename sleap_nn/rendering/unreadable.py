"""Frames that cannot be read: black ones stand for them, and a warning says how many there were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sleap_nn.data.sources import FrameSource, Video, frame_size
from sleap_nn.errors import DataError
from sleap_nn.log import logger
from sleap_nn.structures.sample import FrameKey


def read_or_error(frames: FrameSource, key: FrameKey) -> np.ndarray | DataError:
    """Return the image of a frame, or what is wrong with it, as a value that another thread can take."""
    try:
        return frames.read(key).image
    except DataError as error:
        return error


class BlackFrames:
    """Stands in for the frames of one output that cannot be read."""

    def __init__(self, videos: Sequence[Video]) -> None:
        """Begin an output; `videos` is what `FrameKey.video` counts."""
        self._videos = videos
        self._failures: list[DataError] = []

    def image(self, key: FrameKey, read: np.ndarray | DataError) -> np.ndarray:
        """Return what `read_or_error` gave for a frame, or a black image (height, width, 1) in place of an error.

        Raises:
            DataError: The size of the frames is not known.
        """
        if not isinstance(read, DataError):
            return read
        self._failures.append(read)
        return np.zeros((*frame_size(self._videos[key.video]), 1), np.uint8)

    def report(self, num_frames: int, output: str) -> None:
        """Say how many of the frames of an output are black.

        Raises:
            DataError: All are.
        """
        if not self._failures:
            return
        if len(self._failures) == num_frames:
            raise DataError(f"None of the {num_frames} frames can be read, the first because: {self._failures[0]}")
        logger.warning(
            "%d of %d frames of the %s cannot be read and are black: %s",
            len(self._failures),
            num_frames,
            output,
            self._failures[0],
        )
