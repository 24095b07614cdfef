"""The journal of a prediction: a file to which finished frames are appended while prediction runs.

A record is a head and a content: the head holds kind and length of the content, its checksum, and the head's.
The first record holds facts about the prediction, each further one a chunk of frames, the last that all are done. A
record counts when it is whole: a process that is killed, or a machine that loses power, costs the chunk that was being
written and nothing before it. Reading stops at the first record that is not whole, whatever comes after it.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from sleap_nn.errors import OutputError
from sleap_nn.stages.stream import DoneFrames, Failure
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.whole_files import bring_to_disk

if sys.platform != "win32":
    import fcntl

SUFFIX = ".journal"

_MAGIC = b"sleap-nn journal 2\n"
_HEAD = struct.Struct("<cQI")
_CHECKSUM = struct.Struct("<I")
_HEAD_SIZE = _HEAD.size + _CHECKSUM.size
_LENGTH = struct.Struct("<Q")
_FACTS, _CHUNK, _END = b"F", b"C", b"E"
_ALWAYS = ("points", "point_scores", "scores")
_SOMETIMES = ("class_ids", "class_scores")


@dataclass(frozen=True)
class Contents:
    """What a journal holds.

    Attributes:
        facts: What was said of the prediction when it began.
        num_frames: Frames that are done, those included that could not be read.
        seconds: Time that they took.
        end: What was said when all frames were done, None as long as some are missing.
        size: Bytes up to the end of the last whole record.
    """

    facts: Mapping[str, Any]
    num_frames: int
    seconds: float
    end: Mapping[str, Any] | None
    size: int


def read_contents(path: Path) -> Contents | None:
    """Return what a journal holds, None if it says nothing: there is no file, or it ends before its first record does.

    Raises:
        OutputError: The file is no journal, is one of another version, or its first record is damaged.
    """
    try:
        with path.open("rb") as file:
            return _scan(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise OutputError(f"{path} cannot be read as a journal ({error}); move it away to begin anew.") from error


def read_chunks(path: Path) -> Iterator[DoneFrames]:
    """Yield the frames of a journal, chunk by chunk.

    Raises:
        OutputError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for kind, content, _ in _records(file):
                if kind == _CHUNK:
                    yield _decoded(content)[0]
    except OSError as error:
        raise OutputError(f"The journal {path} cannot be read ({error}).") from error


def check_unwritten(path: Path) -> None:
    """Refuse a journal that another process writes at this moment.

    Raises:
        OutputError: One does.
    """
    try:
        _opened_alone(path, is_new=False).close()
    except OutputError:
        raise
    except OSError:  # it has gone meanwhile, or cannot be written by this one either
        return


def _opened_alone(path: Path, is_new: bool = True) -> FileIO:
    """Open a journal for writing, and keep other processes out as long as it is open.

    Args:
        path: The file.
        is_new: Make it if it is not there.

    Raises:
        OutputError: Another process writes it.
        OSError: It cannot be opened.
    """
    while True:
        if is_new:
            path.touch()  # a file opened to append would write at its end wherever it is told to
        file = path.open("r+b", buffering=0)
        try:
            _lock(file, path)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:  # whoever wrote it has finished meanwhile
            pass
        except OSError:
            file.close()
            raise
        file.close()


def _lock(file: FileIO, path: Path) -> None:
    """Keep other processes out, where the system can.

    Raises:
        OutputError: There is another one.
    """
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"Another process is writing {path} at this moment; wait for it, or choose another output path."
        ) from error
    except OSError:  # a file system without locks
        return


class JournalWriter:
    """Appends to a journal; while it is open, no other process can.

    Whatever interrupts it, size and number of frames stay those of the last whole record, set in one step.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any] | None = None) -> None:
        """Begin a journal, or go on with one.

        Args:
            path: The file.
            facts: What is said of the prediction, all that JSON can hold; a file that exists is replaced. None: go on
                with the file, after its last whole record.

        Raises:
            OutputError: It cannot be written, or another process writes it.
        """
        self._path = path
        try:
            # Without a buffer, so that a record that could not be written is not tried again on closing.
            self._file = _opened_alone(path)
            contents = None if facts is not None else self._contents()
            self._end = (0, 0) if contents is None else (contents.size, contents.num_frames)
            self._file.truncate(self._end[0])
        except OSError as error:
            raise self._failed(error) from error
        if facts is not None:
            self._append(_FACTS, json.dumps(facts).encode())
            _sync_folder(path.parent)

    def _contents(self) -> Contents:
        """Return what the file holds that is gone on with.

        Raises:
            OutputError: Another process has come before.
        """
        contents = read_contents(self._path)
        if contents is None:
            self.close()
            raise OutputError(f"Another process has just finished with {self._path}; look at its output.")
        return contents

    @property
    def num_frames(self) -> int:
        """Frames that the file holds."""
        return self._end[1]

    def append(self, batches: Sequence[DoneFrames], seconds: float) -> None:
        """Append frames; when this returns, they are on the disk.

        Args:
            batches: What is done.
            seconds: Time that it took.

        Raises:
            OutputError: The disk is full, for example; the file holds what it held before.
        """
        if batches:
            self._append(_CHUNK, _encoded(batches, seconds), sum(map(len, batches)))

    def end(self, facts: Mapping[str, Any]) -> None:
        """Append that all frames are done.

        Raises:
            OutputError: As for `append`.
        """
        self._append(_END, json.dumps(facts).encode())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def remove(self) -> None:
        """Remove the file and close it, in this order where the system can: nobody else opens what is about to go."""
        if sys.platform == "win32":
            self.close()
        self._path.unlink(missing_ok=True)
        self.close()

    def _append(self, kind: bytes, content: bytes, num_frames: int = 0) -> None:
        """Write one record, or nothing."""
        size, before = self._end
        record = _head(kind, content) + content
        record = record if size else _MAGIC + record
        try:
            self._file.truncate(size)  # an interrupt may have come when a record was written, but not yet counted
            self._file.seek(size)
            rest = memoryview(record)
            while rest:
                rest = rest[self._file.write(rest) :]
            bring_to_disk(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(size)
            raise self._failed(error) from error
        self._end = (size + len(record), before + num_frames)

    def _failed(self, error: OSError) -> OutputError:
        """Return the error that says so."""
        if isinstance(error, OutputError):
            return error
        return OutputError(
            f"The journal {self._path} cannot be written ({error.strerror}); the frames that it holds are safe: make "
            "room, then give the same command with --resume."
        )

    def __enter__(self) -> JournalWriter:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()


def _head(kind: bytes, content: bytes) -> bytes:
    """Return what stands before a content."""
    head = _HEAD.pack(kind, len(content), zlib.crc32(content))
    return head + _CHECKSUM.pack(zlib.crc32(head))


def _records(file: BinaryIO) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield kind, content, and the place after it of every whole record, up to the first that is not.

    Raises:
        ValueError: The first is damaged: unlike one whose writing was cut short, it may be followed by frames.
    """
    if file.read(len(_MAGIC)) != _MAGIC:
        return
    place = len(_MAGIC)
    size = os.fstat(file.fileno()).st_size
    expected = (_FACTS,)
    while place + _HEAD_SIZE <= size:
        start = file.read(_HEAD_SIZE)
        kind, length, checksum = _HEAD.unpack_from(start)
        is_sound = _CHECKSUM.pack(zlib.crc32(start[: _HEAD.size])) == start[_HEAD.size :]
        if is_sound and place + _HEAD_SIZE + length > size:
            return
        content = file.read(length) if is_sound else b""
        if not is_sound or kind not in expected or zlib.crc32(content) != checksum:
            if _FACTS in expected:
                raise ValueError("its first record is damaged")
            return
        expected = (_CHUNK, _END)
        place += _HEAD_SIZE + length
        yield kind, content, place


def _scan(file: BinaryIO) -> Contents | None:
    """Return what a file holds.

    Raises:
        ValueError: It is no journal of this version, or its first record is damaged.
    """
    start = file.read(len(_MAGIC))
    if not _MAGIC.startswith(start):
        raise ValueError("it is a file of another kind, or of another version")
    file.seek(0)
    facts, end, size, num_frames, seconds = None, None, 0, 0, 0.0
    for kind, content, size in _records(file):  # noqa: B007 - the last size counts
        if kind == _FACTS:
            facts = json.loads(content)
        elif kind == _END:
            end = json.loads(content)
        else:
            meta, _ = _meta(content)
            num_frames += len(meta["counts"]) + len(meta["failures"])
            seconds += meta["seconds"]
    return None if facts is None else Contents(facts, num_frames, seconds, end, size)


def _encoded(batches: Sequence[DoneFrames], seconds: float) -> bytes:
    """Return frames as bytes: a description in JSON, and the arrays, all frames joined."""
    predictions = [found for batch in batches for found in batch.predictions]
    arrays: list[np.ndarray] = []
    present: dict[str, list[bool]] = {}
    described: list[tuple[str, str, tuple[int, ...]]] = []
    for name in (*_ALWAYS, *_SOMETIMES):
        values = [vars(found)[name] for found in predictions]
        present[name] = [value is not None for value in values]
        given = [np.asarray(value) for value in values if value is not None]
        if given:
            joined = np.ascontiguousarray(np.concatenate(given))
            described.append((name, joined.dtype.str, joined.shape))
            arrays.append(joined)
    meta = {
        "keys": [found.key for found in predictions],
        "counts": [len(found) for found in predictions],
        "present": {name: present[name] for name in _SOMETIMES if not all(present[name])},
        "arrays": described,
        "failures": [(*failure.key, failure.reason) for batch in batches for failure in batch.failures],
        "seconds": seconds,
    }
    text = json.dumps(meta, separators=(",", ":")).encode()
    return _LENGTH.pack(len(text)) + text + b"".join(array.tobytes() for array in arrays)


def _meta(content: bytes) -> tuple[dict[str, Any], int]:
    """Return the description of a chunk, and where its arrays begin."""
    (length,) = _LENGTH.unpack_from(content)
    start = _LENGTH.size + length
    return json.loads(content[_LENGTH.size : start]), start


def _decoded(content: bytes) -> tuple[DoneFrames, float]:
    """Return the frames of a chunk, and the time that they took."""
    meta, place = _meta(content)
    parts: dict[str, list[np.ndarray | None]] = {}
    for name, dtype, shape in meta["arrays"]:
        joined = np.frombuffer(content, dtype, int(np.prod(shape)), place).reshape(shape)
        place += joined.nbytes
        present = meta["present"].get(name, [True] * len(meta["counts"]))
        stops = np.cumsum([count for count, is_given in zip(meta["counts"], present, strict=True) if is_given])
        given = iter(np.split(joined, stops[:-1]))
        parts[name] = [next(given) if is_given else None for is_given in present]
    predictions = [
        Predictions(key=FrameKey(*key), **{name: values[i] for name, values in parts.items()})  # pyright: ignore[reportArgumentType]
        for i, key in enumerate(meta["keys"])
    ]
    failures = [Failure(FrameKey(video, frame), reason) for video, frame, reason in meta["failures"]]
    return DoneFrames(tuple(predictions), tuple(failures)), meta["seconds"]


def _sync_folder(folder: Path) -> None:
    """Let the name of a new file survive a loss of power, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
