"""Overlap: a thread decodes and prepares frames ahead of the network, and several run the network side by side."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import Full, Queue, SimpleQueue
from typing import Generic, TypeVar

import torch

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
        try:
            thread.start()
            while True:
                result, error, done = self._queue.get()
                if error is not None:
                    raise error
                if done:
                    return
                yield result  # pyright: ignore[reportReturnType]
        finally:
            self._stop.set()
            with suppress(RuntimeError):  # An interrupt has come before it ran; it ends by itself.
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


def side_by_side(function: Callable[[Item], Result], items: Iterable[Item], count: int) -> Iterator[Result]:
    """Yield the results of a function that computes with PyTorch, in order, of `count` items at a time.

    Two passes of a network, each on half of the processors, are done sooner than one after another on all of them: no
    thread waits for the others after every layer, and what happens between the layers of one overlaps with the other.

    Args:
        function: Called in other threads, if `count` is not 1.
        items: What it is called with; at most ``count + 1`` are taken ahead of the results.
        count: How many items are worked at.
    """
    if count == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with _computing_threads(count) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def _computing_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Start threads that share the processors; the number of threads that this one computes with stays as it is.

    Wherever an interrupt comes, the threads get past their start and end with the pool. Queue and lock are those of C,
    which an interrupt cannot leave half-taken.
    """
    all_threads = torch.get_num_threads()
    ready: SimpleQueue[None] = SimpleQueue()
    gate = threading.Lock()

    def start() -> None:
        torch.get_num_threads()  # A thread takes the number of the process when it is first asked.
        torch.set_num_threads(max(1, all_threads // count))
        ready.put(None)
        with gate:
            pass

    gate.acquire()  # So that none is idle before all are there: the pool starts no thread while one is.
    pool = ThreadPoolExecutor(count, "network", start)
    are_there = False
    try:
        try:
            first = [pool.submit(int) for _ in range(count)]
            for _ in first:
                ready.get()
            torch.set_num_threads(all_threads)  # What threads get that start later; those above keep their share.
            are_there = True
        finally:
            gate.release()
        for entry in first:
            entry.result()
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        if not are_there:
            torch.set_num_threads(all_threads)
