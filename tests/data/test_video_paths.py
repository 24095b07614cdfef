from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleap_nn.data.video_paths import VideoPaths, base_name, normalized
from sleap_nn.errors import ConfigError, MissingFileError


def prefix(*pairs: tuple[str, str]) -> VideoPaths:
    return VideoPaths(prefix_map=pairs)


def whole(*pairs: tuple[str, str]) -> VideoPaths:
    return VideoPaths(video_path_map=pairs)


@pytest.mark.parametrize(
    ("path", "spelling"),
    [
        ("/data/x/", "/data/x"),
        ("/data//x/./y", "/data/x/y"),
        ("C:\\data\\x", "c:/data/x"),
        ("c:/data/x\\", "c:/data/x"),
        ("\\\\server\\share\\x", "//server/share/x"),
        ("//server/share/x/", "//server/share/x"),
        ("./x.mp4", "x.mp4"),
        ("/", "/"),
        ("https://host/a/b.mp4", "https://host/a/b.mp4"),
        ("s3://bucket//b.mp4", "s3://bucket/b.mp4"),
    ],
)
def test_paths_have_one_spelling(path: str, spelling: str) -> None:
    assert normalized(path) == spelling
    assert normalized(spelling) == spelling


def test_names_are_found_behind_either_separator() -> None:
    assert [base_name(path) for path in ("/a/b.mp4", "C:\\a\\b.mp4", "b.mp4", "/a/b.mp4/")] == ["b.mp4"] * 4


@pytest.mark.parametrize(
    ("old", "new", "stored", "expected"),
    [
        ("/old/data", "/new", "/old/data/exp/v.mp4", "/new/exp/v.mp4"),
        ("/old/data/", "/new/", "/old/data/exp/v.mp4", "/new/exp/v.mp4"),
        ("/old/data", "/new", "/old/database/v.mp4", None),
        ("/old/data", "/new", "/other/old/data/v.mp4", None),
        ("C:\\data", "/new", "C:/data/v.mp4", "/new/v.mp4"),
        ("c:/data/", "/new", "C:\\data\\exp\\v.mp4", "/new/exp/v.mp4"),
        ("/old", "D:\\new", "/old/exp/v.mp4", "D:\\new\\exp\\v.mp4"),
        ("/old/v.mp4", "/new/w.mp4", "/old/v.mp4", "/new/w.mp4"),
        ("/", "/mnt", "/old/v.mp4", "/mnt/old/v.mp4"),
        ("/old", "/", "/old/v.mp4", "/v.mp4"),
        ("/old", "", "/old/exp/v.mp4", "exp/v.mp4"),
        ("\\\\server\\share", "/mnt", "//server/share/v.mp4", "/mnt/v.mp4"),
        ("https://host/a", "/mnt", "https://host/a/v.mp4", "/mnt/v.mp4"),
    ],
)
def test_a_prefix_ends_at_a_separator(old: str, new: str, stored: str, expected: str | None) -> None:
    paths = prefix((old, new))
    assert paths.replaced([stored]) == [expected]
    assert paths.unmatched([stored]) == ([old] if expected is None else [])


def test_the_longest_prefix_counts_and_replaces_once() -> None:
    paths = prefix(("/a", "/b"), ("/a/long", "/c"), ("/b", "/d"))
    assert paths.replaced(["/a/v.mp4", "/a/long/v.mp4", "/b/v.mp4"]) == ["/b/v.mp4", "/c/v.mp4", "/d/v.mp4"]


@given(st.lists(st.sampled_from(["a", "b", "data", "x y"]), min_size=1, max_size=4), st.integers(1, 4))
def test_what_follows_a_prefix_stays(parts: list[str], depth: int) -> None:
    stored, old = "/" + "/".join(parts), "/" + "/".join(parts[:depth])
    (new,) = prefix((old, "/new")).replaced([stored])
    assert new == "/".join(["/new", *parts[depth:]])
    assert prefix((old.replace("/", "\\"), "/new")).replaced([stored.replace("/", "\\")]) == [new]


def test_whole_paths_are_replaced_whole() -> None:
    paths = whole(("C:\\old\\v.mp4", "/new/v.mp4"), ("/old", "/new"))
    assert paths.replaced(["c:/old/v.mp4", "/old/v.mp4"]) == ["/new/v.mp4", None]
    assert paths.unmatched(["c:/old/v.mp4", "/old/v.mp4"]) == ["/old"]


def test_sequences_of_images_are_replaced_image_by_image_or_by_folder() -> None:
    images = ["/old/seq/a.png", "/old/seq/b.png"]
    assert prefix(("/old", "/new")).replaced([images]) == [["/new/seq/a.png", "/new/seq/b.png"]]
    by_folder = whole(("/old/seq", "/new/other"))
    assert by_folder.replaced([images]) == [["/new/other/a.png", "/new/other/b.png"]]
    assert by_folder.unmatched([images]) == []
    assert whole(("/old/seq/b.png", "/new/c.png")).replaced([images]) == [["/old/seq/a.png", "/new/c.png"]]
    in_order = VideoPaths(video_paths=("/new/folder",))
    assert in_order.replaced([images], is_folder=lambda _: True) == [["/new/folder/a.png", "/new/folder/b.png"]]
    assert in_order.replaced([images], is_folder=lambda _: False) == ["/new/folder"]


def test_paths_in_order_must_be_as_many_as_videos() -> None:
    paths = VideoPaths(video_paths=("/new/a.mp4", "/new/b.mp4"))
    assert paths.replaced(["x.mp4", "y.mp4"]) == ["/new/a.mp4", "/new/b.mp4"]
    assert paths.unmatched(["x.mp4"]) == []
    with pytest.raises(ConfigError, match=r"2 new video paths are given, but the labels have 1 video \(/old/x.mp4\)"):
        paths.replaced(["/old/x.mp4"])


def test_an_old_path_that_fits_nothing_is_named_with_those_that_are_there() -> None:
    stored = ["/old/v.mp4", ["/old/seq/a.png", "/old/seq/b.png"]]
    with pytest.raises(ConfigError, match=r"starts with '/wrong'; the labels hold /old/v.mp4, /old/seq/a.png \(first"):
        prefix(("/wrong", "/new"), ("/old", "/new")).check_all_used(stored)
    with pytest.raises(ConfigError, match=r"is stored as '/old/w.mp4'; the labels hold /old/v.mp4"):
        whole(("/old/w.mp4", "/new")).check_all_used(stored)
    with pytest.raises(ConfigError, match=r"/7.mp4 and 12 more\. "):
        prefix(("/wrong", "/new")).check_all_used([f"/{i}.mp4" for i in range(20)])
    VideoPaths(prefix_map=(("/wrong", "/new"),), required=False).check_all_used(stored)


def test_new_paths_are_given_in_one_way_and_once() -> None:
    with pytest.raises(ConfigError, match="in one way"):
        VideoPaths()
    with pytest.raises(ConfigError, match="in one way"):
        VideoPaths(video_paths=("a.mp4",), prefix_map=(("/a", "/b"),))
    with pytest.raises(ConfigError, match=r"'/a' is given twice"):
        prefix(("/a", "/b"), ("\\a\\", "/c"))
    with pytest.raises(ConfigError, match="empty"):
        prefix(("", "/b"))


def test_named_files_must_exist(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").touch()
    VideoPaths(video_paths=(str(tmp_path / "v.mp4"), str(tmp_path))).check_files()
    prefix(("/old", str(tmp_path / "none"))).check_files()
    with pytest.raises(MissingFileError, match=r"none.mp4 does not exist"):
        VideoPaths(video_paths=(str(tmp_path / "none.mp4"),)).check_files()
    with pytest.raises(MissingFileError, match=r"none.mp4 does not exist"):
        whole(("/old/v.mp4", str(tmp_path / "none.mp4"))).check_files()


@pytest.mark.parametrize(
    "paths",
    [VideoPaths(video_paths=("a.mp4", "ä b.mp4")), whole(("C:\\a", "/b"), ("1", "2")), prefix(("/a", "/b"))],
)
def test_a_saved_file_is_read_back(tmp_path: Path, paths: VideoPaths) -> None:
    paths.save(tmp_path / "paths.yaml")
    assert VideoPaths.load(tmp_path / "paths.yaml") == paths


def test_a_file_may_hold_mappings(tmp_path: Path) -> None:
    (tmp_path / "paths.yaml").write_text("video_paths: null\nprefix_map: {/a: /b}\n")
    assert VideoPaths.load(tmp_path / "paths.yaml") == prefix(("/a", "/b"))


@pytest.mark.parametrize(
    "text", ["", "a: [", "[1, 2]", "video_path: [a]", "prefix_map: [[a]]", "prefix_map: 3", "\xff"]
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "paths.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError):
        VideoPaths.load(tmp_path / "paths.yaml")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        VideoPaths.load(tmp_path / "none.yaml")
