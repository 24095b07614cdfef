"""Memory of the machine: how much is free, and bytes that several processes see."""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
import uuid
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

if sys.platform != "win32":
    from multiprocessing.reduction import DupFd


class SharedBytes:
    """Zeros at first; what one process writes, all others read.

    A forked process sees the bytes anyway, one that is spawned when it is handed the object. Pages that nobody wrote
    take no memory. There is nothing to clean up: the bytes are gone when the last process that knows them is.
    """

    def __init__(self, size: int, between_processes: bool) -> None:
        """Set bytes aside.

        Args:
            size: Their number.
            between_processes: False: only this process and those that it forks will need them; elsewhere a copy of
                this object starts with zeros of its own.

        Raises:
            OSError: The system does not give so many.
        """
        self.size = max(1, size)
        self._between_processes = between_processes
        self._handle: Any = None
        if not between_processes:
            self._map = mmap.mmap(-1, self.size)
        elif sys.platform == "win32":
            self._handle = f"sleap-nn-{uuid.uuid4().hex}"
            self._map = mmap.mmap(-1, self.size, tagname=self._handle)
        else:
            self._attach(_nameless_file(self.size))

    def array(self) -> UInt8[np.ndarray, " size"]:
        """Return the bytes as an array over the same memory, which stays while the array does."""
        return np.frombuffer(self._map, np.uint8)

    def _attach(self, descriptor: int) -> None:
        """Map an open file, which is closed with this object."""
        self._handle = descriptor
        weakref.finalize(self, os.close, descriptor)
        self._map = mmap.mmap(descriptor, self.size)

    def __getstate__(self) -> tuple[int, bool, Any]:
        """Return what finds the bytes in another process; a file descriptor is passed on beside the pickle."""
        if not self._between_processes or sys.platform == "win32":
            return self.size, self._between_processes, self._handle
        return self.size, True, DupFd(self._handle)

    def __setstate__(self, state: tuple[int, bool, Any]) -> None:
        """Find the bytes."""
        self.size, self._between_processes, self._handle = state
        if not self._between_processes:
            self._map = mmap.mmap(-1, self.size)
        elif sys.platform == "win32":
            self._map = mmap.mmap(-1, self.size, tagname=self._handle)
        else:
            self._attach(self._handle.detach())


def available_memory() -> int | None:
    """Return the bytes that this process can still take without swapping, None where the system does not tell.

    A limit of the container or batch job counts, not only what the machine has.
    """
    if sys.platform == "win32":
        return None
    if not sys.platform.startswith("linux"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return linux_memory(Path("/proc"), Path("/sys/fs/cgroup"))


def linux_memory(proc: Path, groups: Path) -> int | None:
    """Return the smallest of what the machine and every control group of this process have left.

    Args:
        proc: Where the kernel describes the machine and this process.
        groups: Where it describes control groups.
    """
    room = [1024 * kilobytes for kilobytes in _amounts(proc / "meminfo", "MemAvailable:")]
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            room += _group_room(groups, path, ("memory.max", "memory.current", "inactive_file"))
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            room += _group_room(groups / "memory", path, names)
    return min(room, default=None)


def _group_room(root: Path, path: str, names: tuple[str, str, str]) -> list[int]:
    """Return what a control group and those around it have left; files that the kernel may drop do not count."""
    limit_name, used_name, droppable_name = names
    room = []
    inside = root / path.lstrip("/")
    for folder in (inside, *inside.parents):
        limit, used = _lines(folder / limit_name), _lines(folder / used_name)
        if limit and used and limit[0].isdigit():
            droppable = sum(_amounts(folder / "memory.stat", droppable_name))
            room.append(max(0, int(limit[0]) - int(used[0]) + droppable))
        if folder == root:
            break
    return room


def _amounts(path: Path, name: str) -> list[int]:
    """Return the number beside a name in a file of names and numbers, as a list of one or none."""
    return [int(words[1]) for words in map(str.split, _lines(path)) if words[:1] == [name]]


def _lines(path: Path) -> list[str]:
    """Return the lines of a file, none if it cannot be read."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _nameless_file(size: int) -> int:
    """Return the descriptor of a file of zeros without a name, in memory where the system can do that.

    Unlike files of /dev/shm it is not bound by the small limit that containers put on that folder.
    """
    if sys.platform == "linux":
        descriptor = os.memfd_create("sleap-nn-frames")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
