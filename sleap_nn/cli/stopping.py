"""SIGTERM, with which batch systems end a job at its time limit: a prediction stops as it does on Ctrl+C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class TerminatedError(KeyboardInterrupt):
    """SIGTERM has come; whatever handles Ctrl+C handles it."""


@contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """Raise `TerminatedError` on the first SIGTERM; more of them, as some batch systems send, change nothing.

    Where another handler is set, or this is not the main thread, nothing is changed.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise TerminatedError("Stopped by SIGTERM.")

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
