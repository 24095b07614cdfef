"""Ctrl+C and SIGTERM after the last step: what is left to do can be made up for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sleap_nn.errors import TrainingInterruptedError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Make both signals end what follows a training like the training itself, where this thread gets them.

    Args:
        folder: The run folder, which still holds the state at the end of the training.

    Raises:
        TrainingInterruptedError: One of them came.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS} if is_main else {}
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise TrainingInterruptedError(
            "The evaluation after the training was interrupted; the weights are safe, make up for it with: "
            f"sleap-nn train --resume {folder}"
        ) from interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
