import errno
import logging
import multiprocessing
import os
import pickle
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from factories import make_image
from other_process import save_the_rest

from sleap_nn.data import frame_stores
from sleap_nn.data.frame_stores import RESERVE, DiskStore, FrameStore, MemoryStore, remove_owned
from sleap_nn.log import logger
from sleap_nn.structures.sample import Frame, FrameKey

OWNER, OTHER = bytes(range(16)), bytes(range(1, 17))
SHAPES = [(48, 64, 1), (30, 20, 3), (1, 1, 1), (7, 9, 3)]
IMAGES = [make_image(*shape, seed=index) for index, shape in enumerate(SHAPES)]
NAMES = [f"{index:040x}" for index in range(len(SHAPES))]
KEY = FrameKey(0, 0)

MakeStore = Callable[[Path], FrameStore]

STORES: dict[str, MakeStore] = {
    "memory": lambda _: MemoryStore(SHAPES, between_processes=True),
    "memory of one process": lambda _: MemoryStore(SHAPES, between_processes=False),
    "disk": lambda folder: DiskStore(folder, NAMES, OWNER),
}
every_store = pytest.mark.parametrize("make", STORES.values(), ids=STORES)


@pytest.fixture
def warnings_seen(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.WARNING)
    return caplog


def frame(image: np.ndarray, full_size: tuple[int, int] | None = None) -> Frame:
    return Frame(KEY, image, full_size)


def same(kept: Frame | None, expected: np.ndarray) -> bool:
    if kept is None:
        return False
    assert (kept.key, kept.size) == (KEY, expected.shape[:2])
    return kept.image.dtype == np.uint8 and np.array_equal(kept.image, expected)


@every_store
def test_frames_of_any_size_come_back_as_they_were(make: MakeStore, tmp_path: Path) -> None:
    store = make(tmp_path)
    for index in (2, 0, 3):
        assert store.load(index, KEY) is None
        assert not store.holds(index)
        store.save(index, frame(IMAGES[index]))
        assert store.holds(index)
    for index in (0, 2, 3, 0):
        assert same(store.load(index, KEY), IMAGES[index])
    assert store.load(1, KEY) is None


@every_store
def test_a_frame_may_be_saved_again_and_in_any_memory_order(make: MakeStore, tmp_path: Path) -> None:
    store = make(tmp_path)
    upside_down = make_image(30, 20, 3)[::-1]
    store.save(1, frame(upside_down))
    store.save(1, frame(upside_down))
    assert same(store.load(1, KEY), upside_down)


@every_store
def test_a_smaller_copy_knows_the_size_of_its_frame(make: MakeStore, tmp_path: Path) -> None:
    store = make(tmp_path)
    store.save(0, frame(IMAGES[1][..., :1], (600, 401)))
    kept = store.load(0, FrameKey(3, 7))
    assert kept is not None
    assert (kept.key, kept.size, kept.full_size) == (FrameKey(3, 7), (600, 401), (600, 401))
    assert np.array_equal(kept.image, IMAGES[1][..., :1])
    store.save(2, frame(IMAGES[2], (1, 1)))
    whole = store.load(2, KEY)
    assert whole is not None
    assert whole.full_size is None


@every_store
def test_many_threads_may_read_and_write_at_once(make: MakeStore, tmp_path: Path) -> None:
    store = make(tmp_path)
    wrong = []

    def work(number: int) -> None:
        for index in np.random.default_rng(number).integers(0, len(IMAGES), 200).tolist():
            kept = store.load(index, KEY)
            if kept is None:
                store.save(index, frame(IMAGES[index]))
            elif not same(kept, IMAGES[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert all(same(store.load(index, KEY), image) for index, image in enumerate(IMAGES))


@pytest.mark.parametrize("make", [STORES["memory"], STORES["disk"]], ids=["memory", "disk"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_share_frames(make: MakeStore, method: str, tmp_path: Path) -> None:
    store = make(tmp_path)
    store.save(0, frame(IMAGES[0]))
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=save_the_rest, args=(store, IMAGES)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert all(same(store.load(index, KEY), image) for index, image in enumerate(IMAGES))


def test_memory_is_not_copied_when_a_frame_is_read() -> None:
    store = MemoryStore(SHAPES, between_processes=True)
    store.save(1, frame(IMAGES[1]))
    first, second = store.load(1, KEY), store.load(1, KEY)
    assert first is not None
    assert second is not None
    assert np.shares_memory(first.image, second.image)
    del store
    assert same(first, IMAGES[1])


def test_memory_needed_is_not_understated() -> None:
    store = MemoryStore(SHAPES, between_processes=False)
    assert sum(image.size for image in IMAGES) < store._memory.size <= MemoryStore.num_bytes(SHAPES)


def test_a_frame_larger_than_expected_is_left_out_with_one_warning(warnings_seen: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(SHAPES, between_processes=True)
    copy: MemoryStore = pickle.loads(pickle.dumps(store))
    store.save(2, frame(IMAGES[0]))
    copy.save(2, frame(IMAGES[0]))
    store.save(3, frame(IMAGES[0]))
    assert store.load(2, KEY) is None
    assert "larger than their video says" in warnings_seen.text
    assert len(warnings_seen.records) == 1
    store.save(0, frame(IMAGES[0][:10, :10]))
    assert same(store.load(0, KEY), IMAGES[0][:10, :10])


def test_what_a_killed_writer_left_in_memory_is_no_frame() -> None:
    store = MemoryStore(SHAPES, between_processes=True)
    store._entries[1, :2] = SHAPES[1][:2]
    assert store.load(1, KEY) is None
    assert not store.holds(1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: b"X" + content[1:],
        lambda content: content[:8] + b"\0" * 12 + content[20:],
        lambda content: content[:-5] + b"?" + content[-4:],
        lambda content: b"\0" * len(content),
    ],
)
def test_a_damaged_file_is_noticed_and_made_anew(
    tmp_path: Path, damage: Callable[[bytes], bytes], warnings_seen: pytest.LogCaptureFixture
) -> None:
    DiskStore(tmp_path, NAMES, OWNER).save(0, frame(IMAGES[0]))
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    store = DiskStore(tmp_path, NAMES, OWNER)
    assert store.load(0, KEY) is None
    assert "damaged" in warnings_seen.text
    assert not store.holds(0)
    store.save(0, frame(IMAGES[0]))
    assert same(store.load(0, KEY), IMAGES[0])


def test_files_are_found_by_what_the_frame_is(tmp_path: Path) -> None:
    DiskStore(tmp_path, NAMES, OWNER).save(1, frame(IMAGES[1]))
    other = DiskStore(tmp_path, [NAMES[3], NAMES[1], NAMES[1]], OTHER)
    assert [other.holds(index) for index in range(3)] == [False, True, True]
    assert same(other.load(2, KEY), IMAGES[1])
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAMES[1]}.frame"]


def test_a_full_disk_is_told_once_and_then_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings_seen: pytest.LogCaptureFixture
) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = DiskStore(tmp_path, NAMES, OWNER)
    copy: DiskStore = pickle.loads(pickle.dumps(store))
    store.save(0, frame(IMAGES[0]))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        store.save(1, frame(IMAGES[1]))
        copy.save(2, frame(IMAGES[2]))
    store.save(3, frame(IMAGES[3]))
    assert [store.holds(index) for index in range(4)] == [True, False, False, False]
    assert same(store.load(0, KEY), IMAGES[0])
    assert "No space left" in warnings_seen.text
    assert len(warnings_seen.records) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_room_for_checkpoints_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=RESERVE + IMAGES[1].nbytes - 1))
    store = DiskStore(tmp_path, NAMES, OWNER)
    store.save(2, frame(IMAGES[2]))
    store.save(1, frame(IMAGES[1]))
    assert [store.holds(index) for index in range(3)] == [False, False, True]


def test_a_folder_that_is_gone_fails_nothing(tmp_path: Path, warnings_seen: pytest.LogCaptureFixture) -> None:
    store = DiskStore(tmp_path / "cache", NAMES, OWNER)
    store.save(0, frame(IMAGES[0]))
    assert store.load(0, KEY) is None
    assert len(warnings_seen.records) == 1


def test_a_file_that_another_process_was_quicker_to_write_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings_seen: pytest.LogCaptureFixture
) -> None:
    """As on Windows, where a file that is open cannot be replaced."""

    def refused(self: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "in use")

    store = DiskStore(tmp_path, NAMES, OWNER)
    store.save(0, frame(IMAGES[0]))
    monkeypatch.setattr(Path, "replace", refused)
    store.save(0, frame(IMAGES[0]))
    assert warnings_seen.records == []
    assert len(list(tmp_path.iterdir())) == 1


def test_only_the_files_of_an_owner_are_removed(tmp_path: Path) -> None:
    DiskStore(tmp_path, NAMES[:1], OWNER).save(0, frame(IMAGES[0]))
    DiskStore(tmp_path, NAMES[1:2], OTHER).save(0, frame(IMAGES[1]))
    mine, others = f".{NAMES[2]}.{OWNER.hex()}.1.partial", f".{NAMES[2]}.{OTHER.hex()}.1.partial"
    for name in (mine, others, "notes.txt", "short.frame"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.frame").mkdir()
    remove_owned(tmp_path, OWNER)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"{NAMES[1]}.frame", others, "notes.txt", "short.frame", "folder.frame"}
    remove_owned(tmp_path / "nowhere", OWNER)


def test_pixels_are_checked_once_in_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = []

    def checksum(data: bytes) -> int:
        checks.append(len(data))
        return 0

    monkeypatch.setattr(frame_stores.zlib, "crc32", checksum)
    store = DiskStore(tmp_path, NAMES, OWNER)
    store.save(0, frame(IMAGES[0]))
    for _ in range(3):
        assert same(store.load(0, KEY), IMAGES[0])
    assert len(checks) == 2
