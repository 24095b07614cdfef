"""The launcher with programs in place of trainings; real ones are in `tests/e2e/test_distributed.py`."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from forking import fork_server

from sleap_nn.errors import DataError, DistributedError, TrainingInterruptedError
from sleap_nn.training import launch
from sleap_nn.training.lifeline import Failure

VARIABLES = "print(*[os.environ[name] for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE')])"
WAIT = "time.sleep(1000)"
OBEY = "signal.signal(signal.SIGINT, lambda *_: sys.exit(75)); print('ready'); " + WAIT
DEAF = "signal.signal(signal.SIGINT, signal.SIG_IGN); print('ready'); " + WAIT


def started(command: list[str], count: int, variables: dict[str, str] | None = None) -> launch._Ranks:
    ranks = launch._Ranks(command, count, {} if variables is None else variables)
    ranks.start()
    return ranks


def start(*programs: str) -> launch._Ranks:
    """Start a program for each process; they know which by their rank."""
    chosen = f"exec({list(programs)!r}[int(os.environ['RANK'])])"
    return started([sys.executable, "-c", f"import os, signal, sys, time; {chosen}"], len(programs), {"X": "y"})


def run(*programs: str, received: list[int] | None = None) -> launch._Ranks:
    """Return the processes when they have ended."""
    ranks = start(*programs)
    try:
        ranks.wait([] if received is None else received)
    finally:
        ranks.kill()
    return ranks


def failure(error: BaseException, rank: int = 0) -> Failure:
    return Failure.from_exception(error, rank)


def test_each_process_knows_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    ranks = run(VARIABLES, VARIABLES, VARIABLES)
    assert ranks.exit_codes == [0, 0, 0]
    assert sorted(capsys.readouterr().out.splitlines()) == ["0 3 0 3", "1 3 1 3", "2 3 2 3"]


def test_the_processes_import_what_this_one_imports_and_nothing_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise ValueError('shadow')")
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-P", "-c", "import random, sleap_nn, sys; sys.exit(0)"]
    ranks = started(command, 1)
    ranks.wait([])
    ranks.kill()
    assert ranks.exit_codes == [0]


def test_one_that_fails_takes_the_others_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "FAIL_TIMEOUT", 0.3)
    begin = time.monotonic()
    ranks = run(WAIT, "sys.exit(3)", WAIT)
    assert ranks.exit_codes == [-9, 3, -9]
    assert ranks.first_killed is None
    assert time.monotonic() - begin < 10


def test_one_that_is_killed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "FAIL_TIMEOUT", 0.3)
    ranks = run(WAIT, "os.kill(os.getpid(), signal.SIGKILL)")
    assert ranks.first_killed == (1, signal.SIGKILL)
    assert ranks.exit_codes == [-9, -9]


def await_lines(capsys: pytest.CaptureFixture[str], count: int) -> None:
    """Wait until the processes have printed so many lines."""
    printed, deadline = "", time.monotonic() + 30
    while printed.count("\n") < count and time.monotonic() < deadline:
        printed += capsys.readouterr().out
        time.sleep(0.05)
    assert printed.count("\n") == count


def test_a_signal_is_passed_on_once(capsys: pytest.CaptureFixture[str]) -> None:
    ranks = start(OBEY, OBEY)
    await_lines(capsys, 2)
    ranks.wait([signal.SIGTERM])
    ranks.kill()
    assert ranks.exit_codes == [75, 75]


def test_who_does_not_obey_is_killed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "STOP_TIMEOUT", 0.3)
    ranks = start(DEAF, OBEY)
    await_lines(capsys, 2)
    ranks.wait([signal.SIGINT])
    ranks.kill()
    assert ranks.exit_codes == [-9, 75]


def test_a_second_ctrl_c_waits_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    ranks = start(DEAF)
    await_lines(capsys, 1)
    received: list[int] = [signal.SIGINT]
    threading.Timer(0.5, received.append, (signal.SIGINT,)).start()
    begin = time.monotonic()
    ranks.wait(received)
    ranks.kill()
    assert ranks.exit_codes == [-9]
    assert time.monotonic() - begin < 10


def test_what_they_log_is_logged_and_what_they_print_is_printed(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "level", logging.INFO)
    program = (
        "from sleap_nn import log; log.relay(20); log.logger.info('one 100%'); log.logger.debug('no'); print('two');"
        "print('three', file=sys.stderr)"
    )
    ranks = run(program, "")
    assert ranks.exit_codes == [0, 0]
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("INFO", "one 100%")]
    assert capsys.readouterr() == ("two\n", "three\n")


def test_if_one_cannot_be_started_those_before_it_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    begin, begun = subprocess.Popen, list[subprocess.Popen[str]]()

    def begin_one(_command: list[str], **options: Any) -> subprocess.Popen[str]:
        if begun:
            raise OSError(12, "Cannot allocate memory")
        begun.append(begin([sys.executable, "-c", f"import time; {WAIT}"], **options))
        return begun[0]

    monkeypatch.setattr(subprocess, "Popen", begin_one)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        launch.train_in_processes(2, {}, (None, None), evaluate=False)
    assert [process.returncode for process in begun] == [-signal.SIGKILL]


def test_signals_are_collected_and_given_back() -> None:
    before = [signal.getsignal(number) for number in launch.SIGNALS]
    with launch._signals() as received:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        deadline = time.monotonic() + 5
        while len(received) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert sorted(received) == sorted(launch.SIGNALS)
    assert [signal.getsignal(number) for number in launch.SIGNALS] == before


def test_in_another_thread_signals_are_left_alone() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def look() -> None:
        with launch._signals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]


class Ended:
    """Processes that have ended."""

    def __init__(self, *exit_codes: int, first_killed: tuple[int, int] | None = None) -> None:
        self.exit_codes = exit_codes
        self.first_killed = first_killed


def raised(ranks: Any, failed: Failure | None, received: list[int], run_dir: str | None = "models/run") -> Any:
    with pytest.raises(BaseException) as caught:
        launch._raise_for(ranks, failed, received, run_dir)
    return caught.value


def test_the_error_is_that_of_the_process_that_failed() -> None:
    error = raised(Ended(1, 1), failure(DataError("Frame 3 cannot be read.")), [])
    assert (type(error), str(error)) == (DataError, "Frame 3 cannot be read.")


def test_a_killed_process_is_named_with_what_can_be_done() -> None:
    lost = failure(DistributedError("Another process of the training is gone without a word."))
    error = raised(Ended(1, -9, first_killed=(1, 9)), lost, [])
    assert str(error) == (
        "Process 1 of the training was ended by the signal SIGKILL, as happens when memory runs out; all others were "
        "stopped. Continue with: sleap-nn train --resume models/run"
    )
    error = raised(Ended(-15, 1, first_killed=(0, 15)), None, [], None)
    assert str(error) == "Process 0 of the training was ended by the signal SIGTERM; all others were stopped."
    error = raised(Ended(1, -9, first_killed=(1, 9)), failure(DataError("Frame 3 cannot be read.")), [])
    assert type(error) is DataError


def test_one_that_ends_without_a_word_is_named_by_its_exit_code() -> None:
    error = raised(Ended(0, 4), None, [], None)
    assert str(error) == "Process 1 of the training ended with exit code 4; the others were stopped."


def test_an_interruption_is_one_only_if_there_is_something_to_resume(tmp_path: Path) -> None:
    stopped = failure(TrainingInterruptedError("Training was interrupted."))
    assert type(raised(Ended(75, 75), stopped, [signal.SIGTERM])) is TrainingInterruptedError
    (tmp_path / "training_config.yaml").touch()
    assert type(raised(Ended(1, 1), failure(KeyboardInterrupt()), [signal.SIGINT], str(tmp_path))) is KeyboardInterrupt
    assert not tmp_path.exists()


def test_sigterm_ends_a_program_that_has_nothing_to_save() -> None:
    program = fork_server().Process(target=launch._raise_for, args=(None, None, [signal.SIGTERM], None))
    program.start()
    program.join(60)
    assert program.exitcode == -signal.SIGTERM
