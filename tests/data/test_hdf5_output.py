import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sleap_nn.data import hdf5_output as module
from sleap_nn.data.hdf5_output import HDF5Output, hdf5_output

FULL = OSError(errno.ENOSPC, "No space left on device")


def fill(path: Path, mode: str = "w", num_blocks: int = 40) -> None:
    """Write a table that grows, as a prediction does."""
    with h5py.File(path, mode) as file:
        table = file.create_dataset("a", shape=(0,), maxshape=(None,), chunks=(512,), dtype="f8")
        for number in range(num_blocks):
            table.resize((len(table) + 500,))
            table[-500:] = number
        file.attrs["done"] = True


class Raw:
    """A raw file whose writing goes wrong after some bytes."""

    def __init__(self, file: Any, room: int, error: BaseException) -> None:
        self._file, self._room, self._error = file, room, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: memoryview) -> int:
        if self._room <= 0:
            raise self._error
        count = self._file.write(data[: self._room])  # a disk takes what still fits
        self._room -= count
        return count


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, BaseException], None]:
    """Return what lets files fail after some bytes."""
    original = HDF5Output.__init__

    def shrink(room: int, error: BaseException) -> None:
        def opened(self: HDF5Output, path: Path, is_new: bool) -> None:
            original(self, path, is_new)
            self._file = Raw(self._file, room, error)  # pyright: ignore[reportAttributeAccessIssue]

        monkeypatch.setattr(HDF5Output, "__init__", opened)

    return shrink


def test_a_file_holds_what_h5py_alone_writes(tmp_path: Path) -> None:
    with hdf5_output(tmp_path / "a.h5"):
        fill(tmp_path / "a.h5")
        with h5py.File(tmp_path / "a.h5", "a") as file:
            assert file.driver == "fileobj"
            file["b"] = [1, 2]
            del file["a"]
        with h5py.File(tmp_path / "a.h5", "a") as file:
            file["a"] = np.arange(9)
        with pytest.raises(FileExistsError):
            h5py.File(tmp_path / "a.h5", "x")
        with h5py.File(tmp_path / "other.h5", "a") as file:
            assert file.driver == "sec2"
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        assert file.driver == "sec2"
        assert sorted(file) == ["a", "b"]
        np.testing.assert_array_equal(file["a"], np.arange(9))


def test_whoever_opens_an_open_file_sees_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with hdf5_output(path):
        with h5py.File(path, "w") as file:
            file["a"] = np.arange(9)
            for mode in ("r", "a"):
                with h5py.File(path, mode) as other:
                    np.testing.assert_array_equal(other["a"], np.arange(9))
            file["b"] = 1
        with h5py.File(path) as other:
            assert other.driver == "sec2"
            assert sorted(other) == ["a", "b"]


def test_what_is_left_open_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with hdf5_output(path):
        file = h5py.File(path, "w")
        file["a"] = np.arange(9)
        reader = h5py.File(path)
    assert not file
    assert not reader
    with h5py.File(path) as other:
        np.testing.assert_array_equal(other["a"], np.arange(9))


def test_wherever_a_disk_is_full_the_error_is_that_of_the_disk(
    tmp_path: Path, small_disk: Callable[[int, BaseException], None]
) -> None:
    fill(tmp_path / "whole.h5")
    size = (tmp_path / "whole.h5").stat().st_size
    for room in range(0, size, size // 23):
        small_disk(room, FULL)
        with pytest.raises(OSError, match="No space left"), hdf5_output(tmp_path / f"{room}.h5"):
            fill(tmp_path / f"{room}.h5")
        assert (tmp_path / f"{room}.h5").stat().st_size <= size
        fill(tmp_path / f"{room}.h5")  # HDF5 holds nothing of it any more


def test_what_could_not_be_written_can_still_be_read(
    tmp_path: Path, small_disk: Callable[[int, BaseException], None]
) -> None:
    small_disk(3000, FULL)
    path, found = tmp_path / "a.h5", []
    with pytest.raises(OSError, match="No space left"), hdf5_output(path), h5py.File(path, "w", rdcc_nbytes=0) as file:
        for number in range(40):
            table = file.create_dataset(str(number), shape=(0,), maxshape=(None,), chunks=(64,), dtype="f8")
            table.resize((500,))
            table[:] = number
            file.flush()
        found += [set(file[str(number)][()]) for number in range(40)]
    assert found == [{number} for number in range(40)]


def test_bytes_lie_over_one_another_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    file = HDF5Output(tmp_path / "a", is_new=True)
    file.write(b"abcdef")
    file._file = Raw(file._file, 0, FULL)  # pyright: ignore[reportAttributeAccessIssue]
    for place, data in ((4, b"EFGH"), (5, b"x"), (10, b"yz")):
        file.seek(place)
        file.write(data)
    assert file.seek(0, os.SEEK_END) == 12
    file.seek(2)
    assert file.read(12) == b"cdExGH\0\0yz\0\0"
    assert file.error is FULL
    file.close()
    assert (tmp_path / "a").read_bytes() == b"abcdef"


def test_memory_for_what_is_lost_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT_BYTES", 1000)
    file = HDF5Output(tmp_path / "a", is_new=True)
    file._file = Raw(file._file, 0, FULL)  # pyright: ignore[reportAttributeAccessIssue]
    for _ in range(100):
        file.write(bytes(99))
    assert sum(len(data) for _, data in file._lost) == 990
    file.close()


def test_what_writes_for_long_learns_of_it_and_nothing_is_opened_after_it(
    tmp_path: Path, small_disk: Callable[[int, BaseException], None]
) -> None:
    small_disk(9000, FULL)
    path = tmp_path / "a.h5"
    with pytest.raises(OSError, match="No space left") as raised, hdf5_output(path) as check:
        check()
        with hdf5_output(path):  # one within another closes nothing
            fill(path)
        with pytest.raises(OSError, match="No space left"):
            check()
        with pytest.raises(OSError, match="No space left"):
            h5py.File(path, "a")
        raise ValueError("what came of it")
    assert raised.value is FULL
    assert isinstance(raised.value.__cause__, ValueError)


def test_an_interrupt_while_a_piece_is_written_acts_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, sent, raised = HDF5Output.write, [], []

    def write(self: HDF5Output, data: bytes) -> int:
        try:
            if not sent and self._end > 9000:
                sent.append(True)
                signal.raise_signal(signal.SIGINT)
                time.sleep(3 * module._AGAIN_SECONDS)
            return original(self, data)
        except KeyboardInterrupt:
            raised.append(True)
            raise

    monkeypatch.setattr(module, "_PIECES", {*module._PIECES, write.__code__})
    monkeypatch.setattr(HDF5Output, "write", write)
    handler = signal.getsignal(signal.SIGINT)
    path = tmp_path / "a.h5"
    with pytest.raises(KeyboardInterrupt), hdf5_output(path):
        try:
            fill(path)
            for _ in range(1000):
                time.sleep(0.01)
        finally:
            seen = list(raised)
    assert sent
    assert seen == []
    with h5py.File(path) as file:
        assert len(file) <= 1
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_interrupt_between_pieces_acts_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), hdf5_output(tmp_path / "a.h5"):
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it did not act")


def test_what_is_raised_in_a_piece_is_raised_in_the_end(
    tmp_path: Path, small_disk: Callable[[int, BaseException], None]
) -> None:
    small_disk(9000, MemoryError("as good as any"))
    with pytest.raises(MemoryError, match="as good as any"), hdf5_output(tmp_path / "a.h5"):
        fill(tmp_path / "a.h5")
