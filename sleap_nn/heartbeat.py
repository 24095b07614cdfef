"""Signs of life: while nothing else is printed, a line now and then says what a long silent phase is doing.

    with phase("decoding frames", total=1000) as step:
        for frame in source:
            step.done += 1

prints ``still decoding frames: 312 of 1000`` through the logger, five seconds after the last line and every five
seconds from then on. Quick phases print nothing. Phases may be nested; the innermost is named.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from sleap_nn.log import logger, rank, say_alive

SILENCE = 5.0
"""Seconds without a line after which one is printed."""


@dataclass(eq=False)
class Phase:
    """Something that takes time.

    Attributes:
        name: What goes on, as in "reading labels".
        start: When it began, in seconds of the clock.
        total: Steps it consists of, None if that is not known.
        silence: Seconds without a line that are tolerated in this phase.
        done: Steps that are done; whoever works counts them up.
    """

    name: str
    start: float
    total: int | None = None
    silence: float = SILENCE
    done: int = 0

    def line(self, now: float) -> str:
        """Return the sign of life."""
        if self.total is None:
            return f"still {self.name} ({now - self.start:.0f} s)"
        return f"still {self.name}: {self.done} of {self.total}"


class Heartbeat:
    """The phases that are open, and the thread that speaks for them.

    The thread exists only while a phase is open. It is a daemon, so it keeps no process alive, and it speaks under the
    lock, so nothing is printed for a phase that has ended.
    """

    def __init__(self, say: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        """Choose where lines go and what tells the time."""
        self._say = say
        self._clock = clock
        self._phases: list[Phase] = []
        self._num_bars = 0
        self._last_line = 0.0
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None

    @contextmanager
    def phase(self, name: str, total: int | None = None, silence: float = SILENCE) -> Iterator[Phase]:
        """Announce that something takes time, until the block ends."""
        opened = Phase(name, self._clock(), total, silence)
        with self._changed:
            if not self._phases:
                self._last_line = opened.start
            self._phases.append(opened)
            self._start_thread()
            self._changed.notify()
        try:
            yield opened
        finally:
            with self._changed:
                self._phases = [other for other in self._phases if other is not opened]
                self._changed.notify()

    @contextmanager
    def bar(self) -> Iterator[None]:
        """Stay silent until the block ends, because something on the terminal moves."""
        with self._changed:
            self._num_bars += 1
        try:
            yield
        finally:
            with self._changed:
                self._num_bars -= 1
                self._last_line = self._clock()

    def note_line(self) -> None:
        """Take note that a line was printed by somebody else; needs no lock, for it may come from a line of ours."""
        self._last_line = self._clock()

    def beat(self) -> float | None:
        """Print a line if one is due; call it with the lock held.

        Returns:
            Seconds until the next one may be due, None if nothing is going on.
        """
        if not self._phases:
            return None
        now, current = self._clock(), self._phases[-1]
        if self._num_bars:
            return current.silence
        left = self._last_line + current.silence - now
        if left > 0:
            return left
        self._last_line = now
        self._say(current.line(now))
        return current.silence

    def _start_thread(self) -> None:
        """Have somebody to speak."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        """Speak until all phases are over."""
        with self._changed:
            while (wait := self.beat()) is not None:
                self._changed.wait(wait)
            self._thread = None

    def before_fork(self) -> None:
        """Wait until no line is half printed."""
        self._changed.acquire()

    def after_fork(self) -> None:
        """Go on, in the process that was copied."""
        self._changed.release()

    def silence_copy(self) -> None:
        """Say nothing in the copy, which has neither the thread nor the phases; the original speaks for both."""
        self._changed = threading.Condition(threading.Lock())
        self._phases, self._thread, self._num_bars = [], None, 1


def _say(line: str) -> None:
    """Log a line; one process speaks for all that train together."""
    if rank() <= 0:
        say_alive(line)


_HEARTBEAT = Heartbeat(_say)


def phase(name: str, total: int | None = None, silence: float = SILENCE) -> AbstractContextManager[Phase]:
    """Announce that something takes time, until the block ends.

    Args:
        name: What goes on, as in "reading labels".
        total: Steps it consists of, to be counted up in `Phase.done`; None if that is not known.
        silence: Seconds without a line that are tolerated.
    """
    return _HEARTBEAT.phase(name, total, silence)


def bar_shown() -> AbstractContextManager[None]:
    """Print no signs of life until the block ends, because a progress bar on the terminal gives them."""
    return _HEARTBEAT.bar()


def _note_line(_record: logging.LogRecord) -> bool:
    """Let every line of the logger pass, and put off the next sign of life."""
    _HEARTBEAT.note_line()
    return True


logger.addFilter(_note_line)
if hasattr(os, "register_at_fork"):  # not on Windows, which never copies a process
    os.register_at_fork(
        before=_HEARTBEAT.before_fork, after_in_parent=_HEARTBEAT.after_fork, after_in_child=_HEARTBEAT.silence_copy
    )
