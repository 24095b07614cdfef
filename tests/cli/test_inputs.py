from pathlib import Path

import pytest

from sleap_nn.cli.inputs import expand_inputs, is_several, output_paths
from sleap_nn.errors import DataError, InputOverwrittenError, MissingFileError, UsageError


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.mp4", "a.mp4", "c.avi"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.mp4").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(paths: list[Path]) -> list[str]:
    return [path.as_posix() for path in paths]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.mp4", ["a.mp4"]),
        ("missing.mp4", ["missing.mp4"]),
        ("*.mp4", ["a.mp4", "b.mp4"]),
        ("**/*.mp4", ["a.mp4", "b.mp4", "sub/d.mp4"]),
        ("[ac].*", ["a.mp4", "c.avi"]),
    ],
)
def test_paths_and_patterns(videos: Path, text: str, expected: list[str]) -> None:
    assert names(expand_inputs(text)) == expected
    assert [path.as_posix() for path in expand_inputs(str(videos / text))] == [str(videos / name) for name in expected]


def test_a_file_whose_name_looks_like_a_pattern_is_one_input(videos: Path) -> None:
    (videos / "clip [1].mp4").touch()
    assert names(expand_inputs("clip [1].mp4")) == ["clip [1].mp4"]
    assert not is_several("clip [1].mp4")
    assert is_several("*.mp4")
    assert is_several("list.txt")


def test_a_list_of_paths_and_patterns(videos: Path) -> None:
    (videos / "sub" / "list.txt").write_text("# videos\n\nc.avi\nd.mp4\n*.mp4\nmissing.mp4\nc.avi\n")
    assert names(expand_inputs("sub/list.txt")) == ["c.avi", "sub/d.mp4", "a.mp4", "b.mp4", "missing.mp4"]


def test_what_names_nothing_is_refused(videos: Path) -> None:
    with pytest.raises(MissingFileError, match="pattern"):
        expand_inputs("*.mov")
    with pytest.raises(MissingFileError, match=r"none\.txt does not exist"):
        expand_inputs("none.txt")
    (videos / "empty.txt").write_text("# nothing\n")
    with pytest.raises(DataError, match="names no input"):
        expand_inputs("empty.txt")
    (videos / "binary.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(DataError, match="cannot be read"):
        expand_inputs("binary.txt")


def test_outputs_lie_beside_the_inputs_or_in_a_folder(videos: Path) -> None:
    inputs = [Path("a.mp4"), Path("sub/d.mp4")]
    defaults = [Path("a.mp4.slp"), Path("sub/d.mp4.slp")]
    assert output_paths(inputs, None, defaults) == defaults
    assert output_paths(inputs, "out", defaults) == [Path("out/a.mp4.slp"), Path("out/d.mp4.slp")]
    with pytest.raises(UsageError, match=r"-o names one file \(out\.slp\)"):
        output_paths(inputs, "out.slp", defaults)
    with pytest.raises(UsageError, match="would both be"):
        output_paths([Path("x/a.mp4"), Path("y/a.mp4")], "out", [Path("x/a.slp"), Path("y/a.slp")])
    (videos / "out.put").mkdir()
    assert output_paths(inputs, "out.put", defaults) == [Path("out.put/a.mp4.slp"), Path("out.put/d.mp4.slp")]


def test_no_output_is_another_input(videos: Path) -> None:
    inputs = [Path("l.slp"), Path("l.predictions.slp")]
    defaults = [Path("l.predictions.slp"), Path("l.predictions.predictions.slp")]
    with pytest.raises(InputOverwrittenError, match=r"output of l\.slp would be the input l\.predictions\.slp"):
        output_paths(inputs, None, defaults)
    assert output_paths(inputs, "out", defaults)[0] == Path("out/l.predictions.slp")
