import signal
import threading

import pytest

from sleap_nn.cli.stopping import TerminatedError, stopping_on_sigterm


def test_the_first_sigterm_is_raised_and_later_ones_change_nothing() -> None:
    with pytest.raises(TerminatedError), stopping_on_sigterm():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_someone_else_stays() -> None:
    received: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        with stopping_on_sigterm():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert received == [signal.SIGTERM]


def test_other_threads_cannot_and_need_not() -> None:
    done: list[bool] = []

    def run() -> None:
        with stopping_on_sigterm():
            done.append(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [True]
