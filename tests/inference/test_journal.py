import os
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from sleap_nn.errors import OutputError
from sleap_nn.inference import journal
from sleap_nn.inference.journal import JournalWriter, read_chunks, read_contents
from sleap_nn.stages.stream import DoneFrames, Failure
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey

FACTS = {"decides": {"weights": "abc"}, "requested": 9}


def found(frame: int, num_instances: int, classes: bool = False) -> Predictions:
    rng = np.random.default_rng(frame)
    points = rng.normal(size=(num_instances, 3, 2)).astype(np.float32)
    points[:, 1] = np.nan
    return Predictions(
        key=FrameKey(0, frame),
        points=points,
        point_scores=rng.random((num_instances, 3)).astype(np.float32),
        scores=rng.random(num_instances).astype(np.float32),
        class_ids=np.arange(num_instances) if classes else None,
        class_scores=rng.random(num_instances).astype(np.float32) if classes else None,
    )


CHUNKS = [
    DoneFrames((found(0, 2), found(1, 0)), (Failure(FrameKey(0, 2), "Frame 2 is broken."),)),
    DoneFrames((found(3, 1, classes=True), found(4, 0), found(5, 3, classes=True))),
    DoneFrames((), (Failure(FrameKey(0, 6), "Frame 6 is broken."),)),
]


def write(path: Path) -> Path:
    with JournalWriter(path, FACTS) as writer:
        for chunk in CHUNKS:
            writer.append([chunk], 1.5)
    return path


def assert_same(one: DoneFrames, other: DoneFrames) -> None:
    assert one.failures == other.failures
    assert [p.key for p in one.predictions] == [p.key for p in other.predictions]
    for a, b in zip(one.predictions, other.predictions, strict=True):
        for name in ("points", "point_scores", "scores", "class_ids", "class_scores", "tracks"):
            left, right = vars(a)[name], vars(b)[name]
            assert (left is None) == (right is None), name
            if left is not None:
                assert left.dtype == right.dtype
                np.testing.assert_array_equal(left, right)


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.journal")
    for chunk, expected in zip(read_chunks(path), CHUNKS, strict=True):
        assert_same(chunk, expected)
    contents = read_contents(path)
    assert contents is not None
    assert contents.facts == FACTS
    assert (contents.num_frames, contents.seconds, contents.end) == (7, 4.5, None)
    assert contents.size == path.stat().st_size


def test_frames_are_held_once_if_an_interrupt_comes_while_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.journal"
    with JournalWriter(path, FACTS) as writer:
        writer.append([CHUNKS[0]], 1.0)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", _interrupted)
            with pytest.raises(KeyboardInterrupt):
                writer.append([CHUNKS[1]], 1.123456789)
        assert writer.num_frames == 3
        writer.append([CHUNKS[1]], 1.0)
    contents = read_contents(path)
    assert contents is not None
    assert (contents.num_frames, contents.seconds, contents.size) == (6, 2.0, path.stat().st_size)
    assert [p.key.frame for chunk in read_chunks(path) for p in chunk.predictions] == [0, 1, 3, 4, 5]


def _interrupted(_descriptor: int) -> None:
    raise KeyboardInterrupt


def test_a_journal_goes_on_and_ends(tmp_path: Path) -> None:
    path = write(tmp_path / "a.journal")
    with JournalWriter(path) as writer:
        writer.append([DoneFrames((found(7, 1),)), DoneFrames((found(8, 1),))], 0.5)
        writer.append([], 9.0)
        writer.end({"ended": "now"})
    contents = read_contents(path)
    assert contents is not None
    assert (contents.num_frames, contents.seconds, contents.end) == (9, 5.0, {"ended": "now"})
    assert [p.key.frame for chunk in read_chunks(path) for p in chunk.predictions] == [0, 1, 3, 4, 5, 7, 8]


def test_a_torn_end_is_cut_wherever_it_tears(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.journal").read_bytes()
    path = tmp_path / "torn.journal"
    seen = set()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        contents = read_contents(path)
        seen.add(0 if contents is None else contents.num_frames)
        if contents is None:
            continue
        with JournalWriter(path) as writer:
            writer.append([DoneFrames((found(99, 1),))], 0.0)
        after = read_contents(path)
        assert after is not None
        assert after.num_frames == contents.num_frames + 1
        *before, last = read_chunks(path)
        assert last.predictions[0].key.frame == 99
        for chunk, expected in zip(before, CHUNKS, strict=False):
            assert_same(chunk, expected)
    assert seen == {0, 3, 6}


def ends(whole: bytes, tmp_path: Path) -> list[int]:
    """Return where the records of a journal end: the facts, and each chunk."""
    path, found = tmp_path / "part", []
    for length in range(1, len(whole) + 1):
        path.write_bytes(whole[:length])
        contents = read_contents(path)
        if contents is not None and contents.size not in found:
            found.append(contents.size)
    return found


def test_whatever_is_damaged_only_whole_records_before_it_count(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.journal").read_bytes()
    places, path = ends(whole, tmp_path), tmp_path / "damaged"
    assert len(places) == 4
    rng = np.random.default_rng(0)
    seen = set()
    for place in range(0, len(whole), 3):
        for bit in (0, int(rng.integers(1, 7)), 7):
            data = bytearray(whole)
            data[place] ^= 1 << bit
            path.write_bytes(data)
            sound = sum(end <= place for end in places)
            seen.add(sound)
            if sound == 0:
                with pytest.raises(OutputError, match=r"cannot be read as a journal .*; move it away to begin anew"):
                    read_contents(path)
            else:
                check(path, sound, places)
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("tail", [bytes(1), bytes(12), bytes(13), bytes(17), bytes(5000), b"\xff" * 40, b"E" * 100])
def test_whatever_follows_a_whole_record_is_cut(tmp_path: Path, tail: bytes) -> None:
    whole = write(tmp_path / "a.journal").read_bytes()
    places, path = ends(whole, tmp_path), tmp_path / "damaged"
    rng = np.random.default_rng(1)
    for number, end in enumerate(places):
        for rest in (tail, rng.bytes(len(tail)), whole[end : end + 7] + tail, whole[: len(tail)]):
            path.write_bytes(whole[:end] + rest)
            check(path, number + 1, places)


def check(path: Path, num_records: int, places: list[int]) -> None:
    """A journal counts up to the end of a record, and can be continued there."""
    contents = read_contents(path)
    assert contents is not None
    assert (contents.facts, contents.end, contents.size) == (FACTS, None, places[num_records - 1])
    assert contents.num_frames == sum(map(len, CHUNKS[: num_records - 1]))
    with JournalWriter(path) as writer:
        writer.append([DoneFrames((found(99, 1),))], 0.0)
    *before, last = read_chunks(path)
    assert [p.key.frame for p in last.predictions] == [99]
    for chunk, expected in zip(before, CHUNKS[: num_records - 1], strict=True):
        assert_same(chunk, expected)


def test_a_record_of_an_unknown_kind_ends_the_journal(tmp_path: Path) -> None:
    path = write(tmp_path / "a.journal")
    with path.open("ab") as file:
        file.write(journal._head(b"X", b"more") + b"more")
    contents = read_contents(path)
    assert contents is not None
    assert (contents.num_frames, contents.size) == (7, path.stat().st_size - len(journal._head(b"X", b"")) - 4)


def test_a_journal_that_was_hardly_begun_says_nothing(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.journal").read_bytes()
    first, path = ends(whole, tmp_path)[0], tmp_path / "torn"
    for length in range(first):
        path.write_bytes(whole[:length])
        assert read_contents(path) is None


def test_no_file_and_no_journal(tmp_path: Path) -> None:
    assert read_contents(tmp_path / "none") is None
    (tmp_path / "empty").touch()
    assert read_contents(tmp_path / "empty") is None
    (tmp_path / "text").write_text("something of the user's")
    with pytest.raises(OutputError, match="another kind"):
        read_contents(tmp_path / "text")
    (tmp_path / "earlier").write_bytes(b"sleap-nn journal 1\n" + write(tmp_path / "a.journal").read_bytes()[19:])
    with pytest.raises(OutputError, match=r"another version\); move it away to begin anew"):
        read_contents(tmp_path / "earlier")


def test_two_processes_do_not_write_one_journal(tmp_path: Path) -> None:
    path = write(tmp_path / "a.journal")
    with JournalWriter(path), pytest.raises(OutputError, match="Another process is writing"):
        JournalWriter(path)
    with pytest.raises(OutputError, match="cannot be written"):
        JournalWriter(tmp_path / "no folder" / "a.journal", FACTS)


@pytest.mark.parametrize("facts", [FACTS, None])
def test_a_journal_that_another_process_finishes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: dict | None
) -> None:
    """What is written to a file whose name has gone would be lost."""
    path, lock = write(tmp_path / "a.journal"), journal._lock
    locked = []

    def late(file: FileIO, name: Path) -> None:
        lock(file, name)
        if not locked:
            name.unlink()
        locked.append(name)

    monkeypatch.setattr(journal, "_lock", late)
    if facts is None:
        with pytest.raises(OutputError, match="Another process has just finished"):
            JournalWriter(path)
    else:
        with JournalWriter(path, facts) as writer:
            writer.end({})
        contents = read_contents(path)
        assert contents is not None
        assert (contents.facts, contents.num_frames, contents.end) == (FACTS, 0, {})
    assert len(locked) == 2


def test_a_journal_is_removed_before_another_process_may_open_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.journal")
    unlink = Path.unlink

    def refused(place: Path, missing_ok: bool = False) -> None:
        with pytest.raises(OutputError, match="Another process is writing"):
            JournalWriter(path)
        unlink(place, missing_ok)

    with JournalWriter(path) as writer:
        monkeypatch.setattr(Path, "unlink", refused)
        writer.remove()
    assert not path.exists()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.journal"
    with JournalWriter(path, FACTS) as writer:
        writer.append([CHUNKS[0]], 1.0)
        size = path.stat().st_size

        def full(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(OutputError, match=r"No space left on device\); the frames .* are safe.*--resume"):
            writer.append([CHUNKS[1]], 1.0)
    assert path.stat().st_size == size
