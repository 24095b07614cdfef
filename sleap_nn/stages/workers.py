"""Overlap: a thread decodes and prepares frames ahead of the network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from queue import Full, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_POLL_SECONDS = 0.1


class ReadAhead(Generic[Item, Result]):
    """Applies a function to items in another thread, keeping at most `depth` results waiting.

    Iterating yields the results in order; an exception of the function is raised where its result would have come.
    Leaving the iteration early stops the thread.
    """

    def __init__(self, function: Callable[[Item], Result], items: Iterable[Item], depth: int) -> None:
        """Choose what is done ahead, and how far."""
        self._function = function
        self._items = items
        self._queue: Queue[tuple[Result | None, BaseException | None, bool]] = Queue(maxsize=max(1, depth))
        self._stop = threading.Event()

    def __iter__(self) -> Iterator[Result]:
        """Start the thread and yield its results."""
        thread = threading.Thread(target=self._work, name="read-ahead", daemon=True)
        thread.start()
        try:
            while True:
                result, error, done = self._queue.get()
                if error is not None:
                    raise error
                if done:
                    return
                yield result  # pyright: ignore[reportReturnType]
        finally:
            self._stop.set()
            thread.join()

    def _work(self) -> None:
        """Fill the queue until the items end, the reader leaves, or the function fails."""
        try:
            for item in self._items:
                if not self._put((self._function(item), None, False)):
                    return
            self._put((None, None, True))
        except BaseException as error:  # noqa: BLE001 - handed to the reader, who raises it
            self._put((None, error, False))

    def _put(self, entry: tuple[Result | None, BaseException | None, bool]) -> bool:
        """Wait for a free place; False when the reader has left."""
        while not self._stop.is_set():
            try:
                self._queue.put(entry, timeout=_POLL_SECONDS)
            except Full:
                continue
            return True
        return False
