"""Files that are there whole or not at all, whatever ends the program while it writes them."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from sleap_nn.errors import InputOverwrittenError, OutputError, UsageError, UserError

_NO_SUCH_PROMISE = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""What file systems answer that cannot say when a file is on the disk, as some network drives."""
_LEFT_SECONDS = 3600.0
"""Time without a change after which nobody writes a file any more."""
_PARTIAL_FOLDER = ".partial-"
"""Start of the name of a folder of files that are not finished."""
_LETTERS_OF_HIDDEN = 40
"""Letters of a name that its hidden one has, so that whatever name a file may have, the hidden one is no longer."""


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
    stem = _hidden_stem(path)
    remove_left(path.parent.glob(f".{glob.escape(stem)}.????????.partial{glob.escape(path.suffix)}"))
    partial = path.with_name(f".{stem}.{uuid4().hex[:8]}.partial{path.suffix}")
    try:
        yield partial
        with partial.open("rb+") as file:
            bring_to_disk(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _hidden_stem(path: Path) -> str:
    """Return what the hidden names of a file begin with."""
    return path.stem[:_LETTERS_OF_HIDDEN]


@contextmanager
def partial_folder(folder: Path) -> Iterator[Path]:
    """Give a hidden folder in the one to write, for files that are put in place when all of them are finished.

    What a killed program left goes with a writing an hour later.

    Args:
        folder: Where the files belong; it is created, and removed if nothing comes into it.

    Yields:
        The hidden folder, which is gone afterwards.

    Raises:
        OutputError: It cannot be made, or something in it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_left(folder.glob(f"{_PARTIAL_FOLDER}*"))
        partial = Path(tempfile.mkdtemp(prefix=_PARTIAL_FOLDER, dir=folder))
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            with suppress(OSError):
                folder.rmdir()  # only an empty one, after a failure, can be removed
    except UserError:
        raise
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be written ({error.strerror}); choose another one.") from error


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


def remove_left(paths: Iterable[Path]) -> None:
    """Remove those of some unfinished files and folders that programs have left which were killed meanwhile."""
    for path in paths:
        with suppress(OSError):
            if time.time() - path.stat().st_mtime <= _LEFT_SECONDS:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


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
    try:
        with suppress(FileNotFoundError):
            path.lstat()  # says so if the name is too long
        is_folder = path.is_dir()
        if not is_folder:
            folder = (path.resolve() if path.is_symlink() else path).parent
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".write_test"):
                pass
    except OSError as error:
        advice = "choose a shorter name" if error.errno == errno.ENAMETOOLONG else "choose another folder"
        raise OutputError(f"The output {path} cannot be written ({error}); {advice}.") from error
    if is_folder:
        raise OutputError(f"The output {path} is a folder; name a {kind}.")
