import errno
import os
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from sleap_nn.errors import OutputError
from sleap_nn.whole_files import check_output, partial_folder, remove_left, whole_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_takes_its_place_when_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "labels.pkg.slp"
    path.write_text("before")
    with whole_file(path) as partial:
        partial.write_text("half")
        assert (path.read_text(), partial.parent, partial.suffix) == ("before", tmp_path, ".slp")
        partial.write_text("whole")
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["labels.pkg.slp"]


def test_an_error_leaves_the_file_of_before(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("before")
    with pytest.raises(OSError, match="No space"), whole_file(path) as partial:
        partial.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "before"
    assert names(tmp_path) == ["a.yaml"]


def test_the_content_is_on_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    monkeypatch.setattr(os, "fsync", lambda _: steps.append("content"))
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda *paths: steps.append("name") or replace(*paths))
    with whole_file(tmp_path / "a") as partial:
        partial.touch()
    assert steps == ["content", "name"]


@pytest.mark.parametrize(("code", "is_there"), [(errno.EINVAL, True), (errno.ENOSPC, False)])
def test_a_drive_that_promises_nothing_is_written_to_all_the_same(
    code: int, is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with nullcontext() if is_there else pytest.raises(OSError, match="space"), whole_file(tmp_path / "a") as partial:
        partial.touch()
    assert names(tmp_path) == ["a"] * is_there


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with whole_file(path) as first:
        first.write_text("of the first, and longer")
        with whole_file(path) as second:
            second.write_text("of the second")
        assert path.read_text() == "of the second"
    assert path.read_text() == "of the first, and longer"
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize(("age", "stays"), [(7200.0, False), (60.0, True)])
def test_what_a_killed_program_left_goes_with_a_later_writing(age: float, stays: bool, tmp_path: Path) -> None:
    for name in ("a[1].json", "b.json"):
        with whole_file(tmp_path / name) as partial:
            left = partial.name
            partial.touch()
        (tmp_path / left).write_text("half")
        os.utime(tmp_path / left, (time.time() - age,) * 2)
    with whole_file(tmp_path / "a[1].json") as partial:
        partial.touch()
    found = [name.split(".")[1] for name in names(tmp_path) if "partial" in name]
    assert found == (["a[1]", "b"] if stays else ["b"])


def test_an_unfinished_folder_goes_as_well(tmp_path: Path) -> None:
    for name, age in (("old", 7200.0), ("new", 60.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    remove_left([tmp_path / "old", tmp_path / "new", tmp_path / "gone"])
    assert names(tmp_path) == ["new"]


def test_a_folder_is_there_only_with_what_came_into_it(tmp_path: Path) -> None:
    new = tmp_path / "a" / "new"
    with pytest.raises(KeyError), partial_folder(new) as partial:
        (partial / "file").touch()
        raise KeyError
    assert names(tmp_path / "a") == []
    with partial_folder(new) as partial:
        (partial / "file").touch()
        (partial / "file").replace(new / "file")
    assert names(new) == ["file"]
    with pytest.raises(OutputError, match="file cannot be written"), partial_folder(new / "file"):
        pass


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    real, link = tmp_path / "disk" / "b.json", tmp_path / "a.json"
    real.write_text("before")
    link.symlink_to(real)
    with whole_file(link) as partial:
        partial.write_text("now")
    assert link.is_symlink()
    assert real.read_text() == "now"
    assert names(tmp_path / "disk") == ["b.json"]


def test_a_pipe_is_written_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with whole_file(pipe) as path:
            path.write_bytes(b"text")
        assert os.read(reader, 10) == b"text"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.parametrize("letter", ["a", "動", "🐁"])
def test_every_name_that_a_file_may_have_can_be_written(tmp_path: Path, letter: str) -> None:
    longest = (255 - len(".json")) // len(letter.encode())
    path = tmp_path / f"{letter * longest}.json"
    check_output(path, [])
    with whole_file(path) as partial:
        partial.write_text("{}")
    assert names(tmp_path) == [path.name]
    with pytest.raises(OutputError, match=r"File name too long.*choose a shorter name"):
        check_output(path.with_name(f"{letter * 4}{path.name}"), [])


def test_a_link_is_checked_where_it_leads(tmp_path: Path) -> None:
    link = tmp_path / "a.json"
    link.symlink_to(tmp_path / "disk" / "b.json")
    check_output(link, [])
    with whole_file(link) as partial:
        partial.write_text("now")
    assert link.read_text() == "now"
    (tmp_path / "file").touch()
    link.unlink()
    link.symlink_to(tmp_path / "file" / "b.json")
    with pytest.raises(OutputError, match="cannot be written"):
        check_output(link, [])
