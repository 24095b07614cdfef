"""Files that are there whole or not at all, whatever ends the program while it writes them."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from sleap_nn.errors import InputOverwrittenError, OutputError, UsageError

_NO_SUCH_PROMISE = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""What file systems answer that cannot say when a file is on the disk, as some network drives."""
_LEFT_SECONDS = 3600.0
"""Time without a change after which nobody writes a file any more."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name to write a file under, and put the file in place when it is safely on the disk.

    After an error, a full disk, a kill or a loss of power there is the file of before or the new one. Of several
    programs that write it at a time, the last one's is there. What a killed one left goes with a writing an hour later.
    Through a link the file it points to is replaced; devices and pipes are written directly.

    Args:
        path: Where the file belongs, in a folder that exists.

    Yields:
        A hidden name in the same folder, with the same ending.

    Raises:
        OSError: The file cannot be put in place.
    """
    if path.is_symlink():
        path = path.resolve()
    if path.exists() and not path.is_file():
        yield path
        return
    _remove_left(path)
    partial = path.with_name(f".{path.stem}.{uuid4().hex[:8]}.partial{path.suffix}")
    try:
        yield partial
        with partial.open("rb+") as file:
            bring_to_disk(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def partial_folder(folder: Path) -> Iterator[Path]:
    """Give a hidden folder in the one to write, for files that are put in place when all of them are finished.

    Args:
        folder: Where the files belong; it is created, and removed if nothing comes into it.

    Yields:
        The hidden folder, which is gone afterwards.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be written ({error.strerror}); choose another one.") from error
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):
            folder.rmdir()  # only an empty one, after a failure, can be removed


def bring_to_disk(descriptor: int) -> None:
    """Wait until what was written to an open file is on the disk, where the file system can say so.

    Raises:
        OSError: It cannot get there; the disk is full, for example.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SUCH_PROMISE:
            raise


def _remove_left(path: Path) -> None:
    """Remove what programs that were killed while they wrote a file have left beside it."""
    for left in path.parent.glob(f".{glob.escape(path.stem)}.????????.partial{glob.escape(path.suffix)}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                left.unlink()


def check_ending(path: Path, endings: Sequence[str]) -> None:
    """Refuse an output that is named like a file of another kind, which it might replace.

    Args:
        path: The output.
        endings: What its name may end with, in lower case and with the dot, the usual one first.

    Raises:
        UsageError: It ends with something else.
    """
    if path.suffix.lower() not in endings:
        raise UsageError(f"The output {path} does not end in {' or '.join(endings)}; name it {path.stem}{endings[0]}.")


def keep_inputs(path: Path, inputs: Sequence[Path]) -> None:
    """Refuse an output that is also an input.

    Raises:
        InputOverwrittenError: It is.
    """
    if any(path.resolve() == source.resolve() for source in inputs):
        raise InputOverwrittenError(f"The output {path} is a file that is read; choose another output path.")


def check_output(path: Path, inputs: Sequence[Path], kind: str = ".slp file") -> None:
    """Refuse an output that cannot be written, or that would destroy an input, before anything slow starts.

    Raises:
        InputOverwrittenError: It is an input.
        OutputError: It cannot be written; the message names the path.
    """
    keep_inputs(path, inputs)
    if path.is_dir():
        raise OutputError(f"The output {path} is a folder; name a {kind}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".write_test"):
            pass
    except OSError as error:
        raise OutputError(f"The output {path} cannot be written ({error}); choose another folder.") from error
