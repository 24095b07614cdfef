"""`Lifeline`: how the processes of a training learn that one of them failed or died, and end instead of waiting for it.

A process that waits in a collective operation for one that is gone waits for hours, or forever. So a thread in every
process gives signs of life through the common store, and ends its process when another one has failed.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass

from torch.distributed import DistError, Store  # pyright: ignore[reportPrivateImportUsage]

from sleap_nn import errors
from sleap_nn.errors import DistributedError, UserError
from sleap_nn.log import logger

BEAT = 2.0
"""Seconds between two signs of life."""
SILENCE = 20.0
"""Seconds without one after which a process counts as dead."""
GRACE = 3.0
"""Seconds in which a process may end by itself when another one has failed."""
NOTICE = 5.0
"""Seconds for which a process that failed keeps the store open, if it holds it, for the others to see why."""

_FAILURE, _NOTICED = "failure", "noticed"


@dataclass(frozen=True)
class Failure:
    """Why a training ended.

    Attributes:
        rank: The process in which it happened first.
        host: The machine of that process.
        kind: Name of the class in `sleap_nn.errors`, or of another exception.
        message: What the exception says.
        exit_code: What all processes end with.
    """

    rank: int
    host: str
    kind: str
    message: str
    exit_code: int

    @classmethod
    def from_exception(cls, error: BaseException, rank: int) -> Failure:
        """Describe an exception of this process."""
        known = [
            kind for kind in type(error).__mro__ if vars(errors).get(kind.__name__) is kind or kind is KeyboardInterrupt
        ]
        exit_code = error.exit_code if isinstance(error, UserError) else UserError.exit_code
        return cls(rank, socket.gethostname(), (known or [type(error)])[0].__name__, str(error), exit_code)

    def error(self) -> UserError | KeyboardInterrupt:
        """Return the exception for a process that has none of its own."""
        if self.kind == KeyboardInterrupt.__name__:
            return KeyboardInterrupt()
        kind = vars(errors).get(self.kind)
        if isinstance(kind, type) and issubclass(kind, UserError):
            return kind(self.message)
        return DistributedError(
            f"Process {self.rank} of the training failed with {self.kind} ({self.message}); its traceback is above."
        )


def read_failure(store: Store) -> Failure | None:
    """Return what ended the training of a store, None while it goes on."""
    return Failure(**json.loads(store.get(_FAILURE))) if store.check([_FAILURE]) else None


class Lifeline:
    """Signs of life of this process, and an eye on those of the others.

    The first process watches all others; these watch the first. Which failure was the first is decided by the store.
    """

    def __init__(self, store: Store, rank: int, size: int, *, holds_store: bool, is_spokesman: bool) -> None:
        """Take a connection to the common store that nothing else uses.

        Args:
            store: The connection; a blocking wait on another one must not hold up the signs of life.
            rank: Of this process.
            size: Number of processes.
            holds_store: Whether the store ends with this process.
            is_spokesman: Whether this process speaks for its machine when the store is gone.
        """
        self._store = store
        self._rank = rank
        self._size = size
        self._holds_store = holds_store
        self._is_spokesman = is_spokesman
        self._has_noticed = False
        self._watched = [other for other in (range(size) if rank == 0 else range(1)) if other != rank]
        self._seen: dict[int, tuple[int, float]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lifeline", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End: the others may go on without this process."""
        self._stopped.set()
        self._thread.join()

    def report(self, failure: Failure) -> Failure:
        """Tell the others of a failure, and return the one that came first, this one or another's."""
        try:
            first = self._record(failure)
            self._notice()
            if first != failure:
                return first
            self._stopped.set()  # this process knows, and ends by itself
            deadline = time.monotonic() + NOTICE
            while self._holds_store and self._store.add(_NOTICED, 0) < self._size and time.monotonic() < deadline:
                time.sleep(0.05)
        except (DistError, RuntimeError):
            self._stopped.set()
        return failure

    def failure(self) -> Failure | None:
        """Return what ended the training, None while it goes on."""
        failure = read_failure(self._store)
        if failure is not None:
            self._notice()
        return failure

    def _run(self) -> None:
        """Give signs of life until stopped, or until something ends the training."""
        last = time.monotonic()
        while not self._stopped.wait(BEAT):
            now = time.monotonic()
            if now - last > SILENCE / 2:
                self._seen.clear()  # it was this process that stood still
            last = now
            try:
                failure = self._look(now)
            except (DistError, RuntimeError):
                failure = Failure(self._rank, "", "", "the process that all others are connected to is gone", 1)
                if self._is_spokesman:
                    logger.error("Training ends: %s.", failure.message)
            if failure is None:
                continue
            if not self._stopped.wait(GRACE):
                _end_process(failure.exit_code)
            return

    def _look(self, now: float) -> Failure | None:
        """Give a sign of life, and return what ended the training, if anything."""
        self._store.add(f"beat/{self._rank}", 1)
        for other in self._watched:
            count = self._store.add(f"beat/{other}", 0)
            if count != self._seen.get(other, (-1, now))[0]:
                self._seen[other] = (count, now)
            elif now - self._seen[other][1] > SILENCE:
                message = f"Process {other} of the training has given no sign of life for {SILENCE:.0f} s"
                silent = Failure(self._rank, socket.gethostname(), DistributedError.__name__, message, 1)
                if self._record(silent) == silent:
                    logger.error("%s; the training ends.", message)
        return self.failure()

    def _record(self, failure: Failure) -> Failure:
        """Write a failure down unless there is one, and return the one that is there."""
        return Failure(**json.loads(self._store.compare_set(_FAILURE, "", json.dumps(asdict(failure)))))

    def _notice(self) -> None:
        """Let the process that holds the store know that this one has seen the failure."""
        if not self._has_noticed:
            self._has_noticed = True
            self._store.add(_NOTICED, 1)


def _end_process(exit_code: int) -> None:
    """End this process at once, whatever its other threads are waiting for."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(exit_code)
