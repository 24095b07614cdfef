"""`RunLock`: a run folder belongs to one training at a time.

Two that write into one folder, as when a batch system starts a job again that is still alive, would spoil it for both.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from sleap_nn.errors import OutputError
from sleap_nn.training.nested_block import NestedBlock

if sys.platform != "win32":
    import fcntl

LOCK = ".training.lock"


class RunLock(NestedBlock):
    """Holds a run folder from `take` to the end of the outermost ``with`` block.

    The system gives the folder back however the process ends, also by ``kill -9``; processes that it has forked do not
    keep it. Where the system or the drive has no locks, nothing is held.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._held: tuple[int, Path] | None = None

    def take(self, folder: Path) -> None:
        """Hold a folder that exists.

        Raises:
            OutputError: Another process trains in it.
        """
        if sys.platform == "win32" or self._held is not None:
            return
        path = folder / LOCK
        while (descriptor := _opened(path)) is not None:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:
                os.close(descriptor)
                raise OutputError(
                    f"Another process is training in {folder} at this moment; wait until it ends, or stop it first."
                ) from error
            except OSError:  # a file system without locks
                os.close(descriptor)
                path.unlink(missing_ok=True)
                return
            if _is_at(descriptor, path):
                self._held = descriptor, path
                return
            os.close(descriptor)  # the one who held it before has removed the file meanwhile

    def release(self) -> None:
        """Give the folder back."""
        if self._held is None:
            return
        descriptor, path = self._held
        self._held = None
        with suppress(OSError):
            path.unlink()
        with suppress(OSError):
            os.close(descriptor)

    def _leave(self, failed: bool) -> None:
        """Give it back, however the outermost block ends."""
        self.release()


def refuse_running(folder: Path) -> None:
    """Refuse a run folder in which a training is going on, before anything slow starts.

    Raises:
        OutputError: One is.
    """
    if (folder / LOCK).exists():
        with RunLock() as lock:
            lock.take(folder)


def _opened(path: Path) -> int | None:
    """Return a descriptor of the lock file, None where it cannot be made: then nothing else can be written either."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return None


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether an open file is still the one of its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
