"""Frames that are decoded once and kept, and the threads that decode them while training already runs.

Where they are kept is decided in `frame_stores`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sleap_io.model.video import Video

from sleap_nn.data.frame_stores import FrameStore
from sleap_nn.data.sources import FrameSource
from sleap_nn.errors import DataError
from sleap_nn.structures.sample import Frame, FrameKey

_LARGEST_PIECE = 64
"""Frames that a thread reads before it closes the video: enough to make the opening cheap."""


class CachedFrames(FrameSource):
    """The frames of a source; each is kept when it is first read."""

    def __init__(self, source: FrameSource, store: FrameStore, reduced: Callable[[Frame], Frame] | None = None) -> None:
        """Choose what is kept and where.

        Args:
            source: Where frames are read.
            store: Where they are kept; it counts frames as `source.keys` does.
            reduced: Makes a smaller copy of a frame, which is kept in its place; None keeps frames as they are.
        """
        self.keys = source.keys
        self._source = source
        self._store = store
        self._reduced = reduced
        self._index = {key: index for index, key in enumerate(self.keys)}

    def read(self, key: FrameKey) -> Frame:
        """Return a frame; the image may be the store's own memory and must not be changed."""
        index = self._index.get(key)
        kept = None if index is None else self._store.load(index, key)
        if kept is not None:
            return kept
        frame = self._source.read(key)
        if index is None:
            return frame
        if self._reduced is not None:
            frame = self._reduced(frame)
        self._store.save(index, frame)
        return frame

    def holds(self, key: FrameKey) -> bool:
        """Tell whether a frame is kept."""
        return self._store.holds(self._index[key])

    def videos(self) -> tuple[Video, ...]:
        """Return the videos of the source."""
        return self._source.videos()

    def shapes(self) -> list[tuple[int, int, int]]:
        """Return the shapes that the source expects."""
        return self._source.shapes()

    def fingerprints(self) -> list[str]:
        """Return what each frame of the source is."""
        return self._source.fingerprints()

    def fingerprint(self) -> str:
        """Return what the frames of the source are as a whole."""
        return self._source.fingerprint()

    def reopened(self, video: int) -> CachedFrames:
        """Return a source that keeps frames in the same place, but reads its own file of one video."""
        return CachedFrames(self._source.reopened(video), self._store, self._reduced)

    def close(self) -> None:
        """Close the files of the source; the frames stay."""
        self._source.close()


@dataclass(frozen=True)
class _Piece:
    """Frames of one video that one thread reads in one go."""

    cache: CachedFrames
    video: int
    keys: tuple[FrameKey, ...]


class CacheFiller:
    """Threads that read all frames of caches once, so that they are kept before training asks for them.

    A decoder serves one thread only, so each thread opens its own files, one video at a time. Training that asks for a
    frame which is not there yet reads it itself.
    """

    def __init__(self, caches: Sequence[CachedFrames], num_threads: int, start: float = 0.0) -> None:
        """Choose what to fill, the most urgent first.

        Args:
            caches: What is filled.
            num_threads: How many threads; 0 does nothing.
            start: Where in each cache to begin, 0 to 1: processes that fill the same files share the work by it.
        """
        self._caches = tuple(caches)
        self._num_threads = num_threads
        self._start = start
        self._pieces: deque[_Piece] = deque()
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()

    def start(self) -> None:
        """Start the threads."""
        if self._num_threads == 0:
            return
        self._stop.clear()
        for cache in self._caches:
            pieces = _pieces(cache, self._num_threads)
            first = int(self._start * len(pieces))
            self._pieces += [*pieces[first:], *pieces[:first]]
        self._threads = [
            threading.Thread(target=self._work, name=f"cache-{number}", daemon=True)
            for number in range(min(self._num_threads, len(self._pieces)))
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads, each after the frame it is at; their files are closed."""
        self._stop.set()
        self.wait()
        self._pieces.clear()

    def wait(self) -> None:
        """Wait until every frame was read."""
        while self._threads:
            self._threads.pop().join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let no thread run meanwhile, for a fork: it would copy locks that nobody then releases."""
        running = bool(self._threads)
        self.stop()
        try:
            yield
        finally:
            if running:
                self.start()

    def _work(self) -> None:
        """Read pieces until none is left."""
        while not self._stop.is_set():
            try:
                piece = self._pieces.popleft()
            except IndexError:
                return
            self._fill(piece)

    def _fill(self, piece: _Piece) -> None:
        """Read the frames of a piece that are not kept yet."""
        own = piece.cache.reopened(piece.video)
        try:
            for key in piece.keys:
                if self._stop.is_set():
                    return
                if not own.holds(key):
                    _try_to_read(own, key)
        finally:
            own.close()


def _try_to_read(source: FrameSource, key: FrameKey) -> None:
    """Read a frame; one that cannot be read is left to training, which says so where it is needed."""
    try:
        source.read(key)
    except DataError:
        return


def _pieces(cache: CachedFrames, num_threads: int) -> list[_Piece]:
    """Divide what is missing, in the order of the videos, so that all threads have something to do."""
    missing: dict[int, list[FrameKey]] = {}
    for key in sorted(set(cache.keys)):
        if not cache.holds(key):
            missing.setdefault(key.video, []).append(key)
    pieces = []
    for video, keys in missing.items():
        size = min(_LARGEST_PIECE, -(-len(keys) // max(1, num_threads)))
        pieces += [_Piece(cache, video, tuple(keys[i : i + size])) for i in range(0, len(keys), size)]
    return pieces
