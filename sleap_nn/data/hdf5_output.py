"""HDF5 files that are written through Python, so that a disk that gets full is an error and not a crash.

If a file cannot be written to its end, closing it fails inside of HDF5, and what HDF5 then still holds of it ends the
process with a segmentation fault. So here HDF5 never learns of a failure: what follows it is kept in memory, as far as
it may be read again, and the failure is raised when everything is closed.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import h5py

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_KEPT_BYTES = 64 << 20
"""Memory for what can no longer be written; all descriptions of a file that HDF5 may read again fit in."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AGAIN_SECONDS = 0.01


class HDF5Output(io.RawIOBase):
    """A file as HDF5 reads and writes it.

    Attributes:
        error: The first failure; nothing more is written after it.
    """

    def __init__(self, path: Path, is_new: bool) -> None:
        """Open a file, or begin one.

        Raises:
            OSError: It cannot be opened.
        """
        self.error: BaseException | None = None
        self._file = path.open("w+b" if is_new else "r+b", buffering=0)
        self._place = 0
        self._end = self._file.seek(0, os.SEEK_END)
        self._lost: list[tuple[int, bytes]] = []
        self._room = _KEPT_BYTES

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, in bytes from the beginning or, for ``SEEK_END``, the end; return it from the beginning."""
        self._place = offset + (self._end if whence == os.SEEK_END else 0)
        return self._place

    def tell(self) -> int:
        """Return the place, in bytes from the beginning."""
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer from the place on, with zeros beyond the end, and return its size in bytes."""
        view = memoryview(buffer).cast("B")
        start, size = self._place, len(view)
        try:
            self._file.seek(start)
            count = 0
            while count < size and (more := self._file.readinto(view[count:])):
                count += more
            view[count:] = bytes(size - count)
        except BaseException as error:  # noqa: BLE001 - raised when the file is closed
            self._fail(error)
        for place, data in self._lost:
            first, last = max(place, start), min(place + len(data), start + size)
            if first < last:
                view[first - start : last - start] = data[first - place : last - place]
        self._place += size
        return size

    def write(self, data: ReadableBuffer) -> int:
        """Write at the place, or after a failure keep what was to be written; return the size in bytes."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        if self.error is None:
            try:
                self._file.seek(self._place)
                while rest:
                    rest = rest[self._file.write(rest) :]
            except BaseException as error:  # noqa: BLE001 - raised when the file is closed
                self._fail(error)
        if self.error is not None and size <= self._room:
            self._lost.append((self._place, bytes(data)))
            self._room -= size
        self._place += size
        self._end = max(self._end, self._place)
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the size in bytes, None for the place, and return it."""
        size = self._place if size is None else size
        if self.error is None:
            try:
                self._file.truncate(size)
            except BaseException as error:  # noqa: BLE001 - raised when the file is closed
                self._fail(error)
        self._end = size
        return size

    def flush(self) -> None:
        """Do nothing: what is written is with the system at once."""

    def close(self) -> None:
        """Close the file.

        Raises:
            OSError: The system says now that something could not be written.
        """
        super().close()
        self._file.close()

    def _fail(self, error: BaseException) -> None:
        """Remember the first failure."""
        if self.error is None:
            self.error = error


class _Outputs:
    """What is opened of one file while `hdf5_output` lasts."""

    def __init__(self, path: Path) -> None:
        """Name the file."""
        self._path = path
        self._opened: list[HDF5Output] = []
        self._ids: list[h5py.h5f.FileID] = []

    @property
    def error(self) -> BaseException | None:
        """The first failure."""
        return next((output.error for output in self._opened if output.error is not None), None)

    def open(
        self, begin: Callable[..., None], file: h5py.File, mode: str, args: Sequence[Any], keywords: Mapping[str, Any]
    ) -> None:
        """Open the file once more, as another `h5py.File`.

        Whoever opens it while it is open sees what HDF5 has not written yet.

        Args:
            begin: The method of h5py that begins the object.
            file: The object.
            mode: A mode of h5py.
            args: Other arguments of that method.
            keywords: As above.

        Raises:
            OSError: It cannot be opened, or an earlier writing failed.
        """
        self.check()
        is_there = self._path.exists()
        if mode in ("x", "w-") and is_there:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self._path))
        opened = next((entry for entry in self._ids if entry.valid), None)
        if opened is not None and mode in ("r", "r+", "a"):
            begin(file, opened.reopen())
            self._ids.append(file.id)
        elif mode == "r":
            begin(file, self._path, mode, *args, **keywords)
        else:
            output = HDF5Output(self._path, is_new=mode != "r+" and (mode != "a" or not is_there))
            self._opened.append(output)
            kept = {key: value for key, value in keywords.items() if key != "locking"}
            begin(file, output, "w" if mode == "a" and not is_there else mode, *args, **kept)
            self._ids.append(file.id)

    def check(self) -> None:
        """Raise the first failure, if there is one."""
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Close all that was opened; what was opened without a failure may have one now."""
        for left in self._ids:
            if left.valid:
                h5py.File(left).close()
        for output in self._opened:
            try:
                output.close()
            except OSError as error:
                output._fail(error)


_ACTIVE: dict[Path, _Outputs] = {}
"""Files that are being written, by their resolved paths."""


@contextmanager
def hdf5_output(path: Path) -> Iterator[Callable[[], None]]:
    """Let whatever opens a file with h5py write it so that a failure ends in an error.

    Ctrl+C and SIGTERM in the midst of a piece act after it.

    Args:
        path: The file; no other is concerned.

    Yields:
        What raises the first failure so far, if there is one, for those who write for long.

    Raises:
        OSError: The file could not be written, whatever else became of it.
    """
    _install()
    name = path.resolve()
    if name in _ACTIVE:  # closed by those who began
        yield _ACTIVE[name].check
        return
    outputs = _Outputs(path)
    with _signals_between_pieces():
        _ACTIVE[name] = outputs
        try:
            yield outputs.check
        except Exception as error:
            if outputs.error is not None and error is not outputs.error:
                raise outputs.error from error
            raise
        finally:
            del _ACTIVE[name]
            outputs.close()
        outputs.check()


@cache
def _install() -> None:
    """Let `h5py.File` open the files of `hdf5_output` as such; those who write them have no place to say so."""
    original = h5py.File.__init__

    @wraps(original)
    def opened(self: h5py.File, name: Any, mode: str = "r", *args: Any, **keywords: Any) -> None:
        is_path = bool(_ACTIVE) and isinstance(name, str | bytes | os.PathLike)
        outputs = _ACTIVE.get(Path(os.fsdecode(name)).resolve()) if is_path else None
        if outputs is None:
            original(self, name, mode, *args, **keywords)
        else:
            outputs.open(original, self, mode, args, keywords)

    h5py.File.__init__ = opened


_PIECES = {vars(HDF5Output)[name].__code__ for name in ("seek", "tell", "readinto", "write", "truncate", "flush")}
"""Code that HDF5 calls, in which no signal may raise anything: HDF5 would take it for a failure of the file."""


@contextmanager
def _signals_between_pieces() -> Iterator[None]:
    """Let signals that come while HDF5 waits for a piece act a moment later."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread.
        return
    handlers = {number: handler for number in _SIGNALS if callable(handler := signal.getsignal(number))}

    def handle(number: int, frame: FrameType | None) -> None:
        if not _in_a_piece(frame):
            handlers[signal.Signals(number)](number, frame)
            return
        again = threading.Timer(_AGAIN_SECONDS, signal.raise_signal, [number])
        again.daemon = True
        again.start()

    try:
        for number in handlers:
            signal.signal(number, handle)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _in_a_piece(frame: FrameType | None) -> bool:
    """Tell whether HDF5 waits for what is being run."""
    while frame is not None:
        if frame.f_code in _PIECES:
            return True
        frame = frame.f_back
    return False
