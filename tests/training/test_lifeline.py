import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from torch.distributed import PrefixStore, TCPStore  # pyright: ignore[reportPrivateImportUsage]

from sleap_nn.cli.stopping import TerminatedError
from sleap_nn.config.errors import UnknownKeyError
from sleap_nn.errors import ConfigError, DataError, DistributedError, TrainingCollapsedError, TrainingInterruptedError
from sleap_nn.training import lifeline
from sleap_nn.training.lifeline import Failure, Lifeline, read_failure

SERVER = """
import sys, time
from torch.distributed import TCPStore
store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
print(store.port, flush=True)
time.sleep(1000)
"""


class Network:
    """Lifelines in one process, with the exit codes of those that would have ended their process."""

    def __init__(self, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.port = port
        self.ended: list[int] = []
        self.lifelines: list[Lifeline] = []
        monkeypatch.setattr(lifeline, "BEAT", 0.02)
        monkeypatch.setattr(lifeline, "SILENCE", 0.4)
        monkeypatch.setattr(lifeline, "GRACE", 0.05)
        monkeypatch.setattr(lifeline, "NOTICE", 0.5)
        monkeypatch.setattr(lifeline, "_end_process", self._end)

    def _end(self, exit_code: int) -> None:
        self.ended.append(exit_code)

    def store(self) -> PrefixStore:
        client = TCPStore("127.0.0.1", self.port, timeout=timedelta(seconds=5), wait_for_workers=False)
        return PrefixStore("test", client)

    def join(self, rank: int, size: int, holds_store: bool = False, is_spokesman: bool = True) -> Lifeline:
        joined = Lifeline(self.store(), rank, size, holds_store=holds_store, is_spokesman=is_spokesman)
        joined.start()
        self.lifelines.append(joined)
        return joined

    def wait_for_ends(self, count: int, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while len(self.ended) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.ended) == count


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    made = Network(server.port, monkeypatch)
    yield made
    for joined in made.lifelines:
        joined.stop()


def failure(rank: int = 1, message: str = "It went wrong.") -> Failure:
    return Failure.from_exception(DataError(message), rank)


def test_an_error_of_the_user_comes_out_as_it_is_elsewhere() -> None:
    for error, code in (
        (DataError("No labels."), 1),
        (TrainingCollapsedError("NaN."), 3),
        (TrainingInterruptedError("Stopped."), 75),
    ):
        described = Failure.from_exception(error, 2)
        assert (described.rank, described.exit_code) == (2, code)
        again = described.error()
        assert (type(again), str(again)) == (type(error), str(error))
    assert type(Failure.from_exception(UnknownKeyError("No such key."), 0).error()) is ConfigError
    assert type(Failure.from_exception(KeyboardInterrupt(), 0).error()) is KeyboardInterrupt
    assert type(Failure.from_exception(TerminatedError("SIGTERM"), 0).error()) is KeyboardInterrupt


def test_a_defect_comes_out_with_a_hint_at_its_traceback() -> None:
    again = Failure.from_exception(ZeroDivisionError("division by zero"), 3).error()
    assert type(again) is DistributedError
    assert str(again) == (
        "Process 3 of the training failed with ZeroDivisionError (division by zero); its traceback is above."
    )


def test_while_all_live_nothing_ends(network: Network) -> None:
    for rank in range(3):
        network.join(rank, 3)
    time.sleep(0.8)
    assert network.ended == []
    assert network.lifelines[0].failure() is None


def test_a_failure_ends_the_others_with_its_exit_code(network: Network) -> None:
    first, second, third = (network.join(rank, 3) for rank in range(3))
    stopped = Failure.from_exception(TrainingInterruptedError("Stopped."), 1)
    assert second.report(stopped) == stopped
    network.wait_for_ends(2)
    assert network.ended == [75, 75]
    assert read_failure(network.store()) == first.failure() == third.failure() == stopped


def test_only_the_first_failure_counts(network: Network) -> None:
    first, second = (network.join(rank, 2) for rank in range(2))
    assert first.report(failure(0, "One.")) == failure(0, "One.")
    assert second.report(failure(1, "Two.")) == failure(0, "One.")


def test_who_left_in_time_is_not_ended(network: Network) -> None:
    first, second = (network.join(rank, 2) for rank in range(2))
    first.stop()
    second.report(failure())
    time.sleep(0.3)
    assert network.ended == []


@pytest.mark.parametrize("silent", [0, 1])
def test_silence_is_a_failure(network: Network, silent: int, capfd: pytest.CaptureFixture[str]) -> None:
    pair = [network.join(rank, 2) for rank in range(2)]
    time.sleep(0.1)
    pair[silent].stop()
    network.wait_for_ends(1)
    found = read_failure(network.store())
    assert found is not None
    assert (found.rank, found.kind) == (1 - silent, "DistributedError")
    assert f"Process {silent} of the training has given no sign of life" in found.message


def test_a_process_that_stood_still_itself_blames_nobody(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = [network.join(rank, 2) for rank in range(2)]
    time.sleep(0.1)
    looked = Lifeline._look

    def slow(self: Lifeline, now: float) -> Failure | None:
        time.sleep(0.5)
        return looked(self, now)

    monkeypatch.setattr(Lifeline, "_look", slow)
    time.sleep(1.2)
    monkeypatch.setattr(Lifeline, "_look", looked)
    assert network.ended == []
    assert pair[0].failure() is None


def test_who_holds_the_store_waits_until_the_others_know(network: Network) -> None:
    holder, other = network.join(0, 2, holds_store=True), network.join(1, 2)
    start = time.monotonic()
    holder.report(failure(0))
    assert other.failure() == failure(0)
    assert time.monotonic() - start < 0.45
    start = time.monotonic()
    alone = Lifeline(PrefixStore("other", network.store()), 0, 2, holds_store=True, is_spokesman=True)
    alone.report(failure(0))
    assert 0.45 < time.monotonic() - start < 2


def test_the_end_of_the_store_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        network = Network(int(server.stdout.readline()), monkeypatch)
        pair = [network.join(rank, 2, is_spokesman=rank == 0) for rank in range(2)]
        time.sleep(0.1)
        server.kill()
        network.wait_for_ends(2)
        assert network.ended == [1, 1]
        assert pair[0].report(failure(0)) == failure(0)
