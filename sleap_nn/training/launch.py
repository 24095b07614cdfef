"""Training in several processes of this machine, started and watched by one that stands apart.

The launcher has read and checked everything; the processes it starts run `sleap_nn.worker`, never the script of the
user, so that it does not matter where training was called: on the command line, in a script, in a notebook. However it
ends, no process is left over, and the user hears of one error, not of one from every process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from sleap_nn import log
from sleap_nn.errors import DistributedError, TrainingInterruptedError
from sleap_nn.log import logger
from sleap_nn.training import run_folder
from sleap_nn.training.handover import GivenLabels, Handover, Outcome
from sleap_nn.training.lifeline import Failure
from sleap_nn.training.team import HANDOVER, HostedStore

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOP_TIMEOUT = 20.0
"""Seconds that the processes have to save their state and end when they are told to stop."""
FAIL_TIMEOUT = 12.0
"""Seconds that the others have to end when one has failed."""
_POLL = 0.1


def train_in_processes(count: int, decisions: Mapping[str, Any], labels: GivenLabels, evaluate: bool) -> Outcome:
    """Train in so many processes.

    Args:
        count: Number of processes.
        decisions: What has been decided for all of them, by the keys of `Team.take`.
        labels: Labels that are not in files.
        evaluate: Whether the first process predicts and evaluates afterwards.

    Returns:
        What the first process ended with.

    Raises:
        UserError: A process failed; the error is the one that it had.
        DistributedError: A process was killed.
        KeyboardInterrupt: Ctrl+C, and there is nothing to resume.
    """
    with TemporaryDirectory(prefix="sleap_nn_") as folder:
        handover = Handover(Path(folder))
        handover.write_labels(labels)
        store = HostedStore(decisions)
        command = [sys.executable, "-P", "-m", "sleap_nn.worker", str(logger.getEffectiveLevel())]
        command += ["evaluate"] if evaluate else []
        ranks = _Ranks(command, count, {HANDOVER: folder, "MASTER_PORT": str(store.port)})
        with _signals() as received:
            try:
                ranks.start()
                ranks.wait(received)
            finally:
                ranks.kill()
        failure = store.failure()
        if received or failure is not None or any(ranks.exit_codes):
            _raise_for(ranks, failure, received, store.decision("run_dir"))
        return handover.read_outcome()


class _Ranks:
    """The processes.

    Attributes:
        exit_codes: What they ended with, in their order; negative for a signal.
        first_killed: Number and signal of the first one that was killed from outside.
    """

    def __init__(self, command: list[str], count: int, variables: Mapping[str, str]) -> None:
        """Choose the program, in how many processes it runs, and variables of their environment."""
        self._command = command
        self._count = count
        self._variables = variables
        self.exit_codes: list[int] = []
        self.first_killed: tuple[int, int] | None = None
        self._readers: list[threading.Thread] = []
        self._processes: list[subprocess.Popen[str]] = []

    def start(self) -> None:
        """Start them; those that were started before a failure are left to `kill`."""
        for rank in range(self._count):
            self._processes.append(self._start(rank))

    def wait(self, received: list[int]) -> None:
        """Wait until all have ended, pass signals on, and do not wait for long when one has failed or is told to stop.

        Args:
            received: Signals that this process gets meanwhile.
        """
        deadline, passed_on = float("inf"), 0
        while any(process.poll() is None for process in self._processes) and time.monotonic() < deadline:
            time.sleep(_POLL)
            if len(received) > passed_on:
                if passed_on and signal.SIGINT in received[passed_on:]:
                    return
                self._interrupt()
                passed_on = len(received)
                deadline = min(deadline, time.monotonic() + STOP_TIMEOUT)
            if self._failed() and deadline == float("inf"):
                deadline = time.monotonic() + FAIL_TIMEOUT

    def kill(self) -> None:
        """End those that are left, and read what they still had to say."""
        self._failed()
        for process in self._processes:
            process.kill()
        self.exit_codes = [process.wait() for process in self._processes]
        for reader in self._readers:
            reader.join(timeout=5)

    def _start(self, rank: int) -> subprocess.Popen[str]:
        """Start one, in a session of its own: a Ctrl+C of the terminal reaches it once, from this process."""
        threads = max(1, (os.cpu_count() or 1) // self._count)
        environment = {
            "OMP_NUM_THREADS": str(threads),
            "TORCH_CPP_LOG_LEVEL": "ERROR",  # lost connections, of which the launcher knows the reason
            **{name: value for name, value in os.environ.items() if not name.startswith("TORCHELASTIC_")},
            **self._variables,
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(self._count),
            "LOCAL_WORLD_SIZE": str(self._count),
            "GROUP_RANK": "0",
            "MASTER_ADDR": "127.0.0.1",
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
            "PYTHONUNBUFFERED": "1",
        }
        shown = sys.stderr is sys.__stderr__
        process = subprocess.Popen(
            self._command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if shown else subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        for source, target in ((process.stdout, sys.stdout), (process.stderr, sys.stderr)):
            if source is not None:
                self._readers.append(threading.Thread(target=_pass_on, args=(source, target), daemon=True))
                self._readers[-1].start()
        return process

    def _interrupt(self) -> None:
        """Tell all that are left to save their state and end."""
        for process in self._processes:
            process.send_signal(signal.SIGINT)

    def _failed(self) -> bool:
        """Tell whether one has ended other than well, and note the first that was killed."""
        codes = [process.poll() for process in self._processes]
        killed = [(rank, -code) for rank, code in enumerate(codes) if code is not None and code < 0]
        if killed and self.first_killed is None:
            self.first_killed = killed[0]
        return any(codes)


def _pass_on(source: IO[str], target: IO[str]) -> None:
    """Print the lines of a process, and log those that it logged."""
    with source:
        for line in source:
            if not log.relayed(line):
                target.write(line)
                target.flush()


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect signals instead of obeying them, where this is the thread that gets them."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.signal(number, lambda number, _: received.append(number)) for number in SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_for(ranks: _Ranks, failure: Failure | None, received: list[int], run_dir: str | None) -> None:
    """Raise the one error for what happened.

    Raises:
        TrainingInterruptedError: All were told to stop, and have saved their state.
        KeyboardInterrupt: All were told to stop, and had nothing to save.
        UserError: The error of the process that failed first.
        DistributedError: One was killed, or ended without a word.
    """
    if received:
        if failure is not None and failure.kind == TrainingInterruptedError.__name__:
            raise failure.error()
        if run_dir is not None and Path(run_dir).is_dir():
            run_folder.remove_unfinished(Path(run_dir))
        if signal.SIGINT not in received:
            signal.raise_signal(received[0])
        raise KeyboardInterrupt
    hint = "" if run_dir is None else f" Continue with: sleap-nn train --resume {run_dir}"
    if ranks.first_killed is not None and (failure is None or failure.kind == DistributedError.__name__):
        rank, number = ranks.first_killed
        name = signal.Signals(number).name
        guess = ", as happens when memory runs out" if number == signal.SIGKILL else ""
        raise DistributedError(
            f"Process {rank} of the training was ended by the signal {name}{guess}; all others were stopped.{hint}"
        )
    if failure is not None:
        raise failure.error()
    rank, code = next((rank, code) for rank, code in enumerate(ranks.exit_codes) if code)
    raise DistributedError(
        f"Process {rank} of the training ended with exit code {code}; the others were stopped.{hint}"
    )
