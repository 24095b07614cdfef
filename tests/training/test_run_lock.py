import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sleap_nn.errors import OutputError
from sleap_nn.training.run_lock import LOCK, RunLock, refuse_running

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks are taken where POSIX has them")


HOLD = """
import os, pathlib, sys, time
from sleap_nn.training.run_lock import RunLock
lock = RunLock()
lock.take(pathlib.Path(sys.argv[1]))
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(30)
"""


class Holder:
    """Another process that holds a folder, with a child of its own that outlives it."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.child = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        os.kill(self.child, signal.SIGKILL)
        self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_a_folder_is_held_until_its_holder_is_gone(tmp_path: Path) -> None:
    holder = Holder(tmp_path)
    try:
        lock = RunLock()
        for attempt in (lambda: lock.take(tmp_path), lambda: refuse_running(tmp_path)):
            with pytest.raises(OutputError, match=f"Another process is training in {tmp_path} at this moment"):
                attempt()
        holder.kill()
        assert (tmp_path / LOCK).exists()
        refuse_running(tmp_path)
        with lock:
            lock.take(tmp_path)
            assert (tmp_path / LOCK).exists()
        assert not (tmp_path / LOCK).exists()
    finally:
        holder.close()


def test_the_outermost_block_gives_back(tmp_path: Path) -> None:
    with RunLock() as lock:
        with lock:
            lock.take(tmp_path)
            lock.take(tmp_path)
        assert (tmp_path / LOCK).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_removed_meanwhile_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take, calls = fcntl.lockf, []

    def removed_once(descriptor: int, how: int) -> None:
        take(descriptor, how)
        calls.append(how)
        if len(calls) == 1:
            (tmp_path / LOCK).unlink()

    monkeypatch.setattr(fcntl, "lockf", removed_once)
    with RunLock() as lock:
        lock.take(tmp_path)
        assert (tmp_path / LOCK).exists()
    assert len(calls) == 2


def test_drives_without_locks_do_not_stop_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", without)
    with RunLock() as lock:
        lock.take(tmp_path)
        lock.take(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []
