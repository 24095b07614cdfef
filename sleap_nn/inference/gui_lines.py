"""Progress of a prediction as JSON lines on standard output, for programs that start it.

Every line is one object. It says under ``event`` what it is, and under ``version`` how to read it:

- ``start``, ``progress`` and ``done`` carry ``n_processed``, ``n_total`` (null if unknown), ``rate`` (frames a second)
  and ``eta`` (seconds, null if unknown); ``start`` carries ``source``, ``done`` the files under ``outputs``.
  Frames that are tracked after they were predicted are a second series of ``progress``, which counts from 1 again and
  carries ``phase``: ``tracking``.
- ``error`` carries ``error`` (true), ``type`` and ``message``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

VERSION = 1
_MIN_SECONDS = 0.25
"""Time between two lines of progress: at most four a second."""


class ProgressListener(Protocol):
    """Who is told how far a prediction is."""

    def started(self, source: str, total: int | None) -> None:
        """Hear that frames are going to be predicted."""

    def __call__(self, done: int, total: int) -> None:
        """Hear how many frames are predicted."""

    def tracked(self, done: int, total: int) -> None:
        """Hear how many frames are tracked."""

    def finished(self, outputs: Sequence[Path]) -> None:
        """Hear which files are written."""


class Unheard:
    """Listens, and says nothing."""

    def started(self, source: str, total: int | None) -> None:
        """Say nothing."""

    def __call__(self, done: int, total: int) -> None:
        """Say nothing."""

    def tracked(self, done: int, total: int) -> None:
        """Say nothing."""

    def finished(self, outputs: Sequence[Path]) -> None:
        """Say nothing."""


class GuiLines:
    """Speaks for one run; use it in a ``with`` block, which reports a failure inside it and lets it pass on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Choose what tells the time."""
        self._clock = clock
        self._start = clock()
        self._said: float | None = None
        self._last: tuple[int, int | None] = (0, None)
        self._state = self._measured()
        self._predicted: dict[str, Any] | None = None

    def __enter__(self) -> GuiLines:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Report a failure."""
        if kind is not None and error is not None:
            self.failed(error)

    def started(self, source: str, total: int | None) -> None:
        """Say that frames are going to be predicted; a series of progress begins."""
        self._start, self._said, self._last = self._clock(), None, (0, total)
        self._state = self._measured()
        self._predicted = None
        self._say("start", **self._state, source=source)

    def __call__(self, done: int, total: int) -> None:
        """Say how far it is, unless that was said a moment ago; the last state is always said."""
        state = (done, None if total < 0 else total)
        now = self._clock()
        is_last = done == total
        if (is_last and state == self._last and self._said is not None) or (
            not is_last and self._said is not None and now - self._said < _MIN_SECONDS
        ):
            return
        self._said, self._last = now, state
        self._state = self._measured()
        self._say("progress", **self._state, **({} if self._predicted is None else {"phase": "tracking"}))

    def tracked(self, done: int, total: int) -> None:
        """Say how far the tracking of predicted frames is, in a series of its own."""
        if self._predicted is None:
            self._predicted = self._state
            self._start, self._said, self._last = self._clock(), None, (0, total)
        self(done, total)

    def finished(self, outputs: Sequence[Path]) -> None:
        """Say that the files are written; the rate is that of predicting, not of writing."""
        state = self._state if self._predicted is None else self._predicted
        self._say("done", **state, outputs=[path.as_posix() for path in outputs])

    def failed(self, error: BaseException) -> None:
        """Say what went wrong."""
        message = str(error) if str(error) else type(error).__name__
        self._say("error", error=True, type=type(error).__name__, message=message)

    def _measured(self) -> dict[str, Any]:
        """Return how far it is now."""
        done, total = self._last
        seconds = self._clock() - self._start
        rate = done / seconds if done and seconds > 0 else 0.0
        eta = (total - done) / rate if total is not None and rate > 0 else None
        return {
            "n_processed": done,
            "n_total": total,
            "rate": round(rate, 1),
            "eta": None if eta is None else round(eta, 1),
        }

    def _say(self, event: str, **values: Any) -> None:
        """Print a line."""
        print(json.dumps({"version": VERSION, "event": event, **values}), flush=True)
