"""Frames that are decoded once and kept."""

from __future__ import annotations

from sleap_io.model.video import Video

from sleap_nn.data.sources import FrameSource
from sleap_nn.structures.sample import Frame, FrameKey


class MemoryCache(FrameSource):
    """Every frame of a source, decoded once and kept as uint8 in memory."""

    def __init__(self, source: FrameSource) -> None:
        """Decode all frames of the source."""
        self.keys = source.keys
        self._source = source
        self._frames = {frame.key: frame for frame in source}

    def read(self, key: FrameKey) -> Frame:
        """Return a kept frame."""
        return self._frames[key]

    def videos(self) -> tuple[Video, ...]:
        """Return the videos of the source."""
        return self._source.videos()

    def close(self) -> None:
        """Close the files of the source; the frames stay."""
        self._source.close()
