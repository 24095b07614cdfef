from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import sleap_nn.train
from sleap_nn.cli import cli
from sleap_nn.data.video_paths import VideoPaths


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[VideoPaths | None]:
    """Keep the paths that training is asked to use, in place of training."""
    seen: list[VideoPaths | None] = []

    class Trainer:
        run_dir = None

    def run_training(_config: Any, video_paths: VideoPaths | None = None) -> Trainer:
        seen.append(video_paths)
        return Trainer()

    def resume_training(_folder: str, _overrides: Any, video_paths: VideoPaths | None = None) -> Trainer:
        seen.append(video_paths)
        return Trainer()

    monkeypatch.setattr(sleap_nn.train, "run_training", run_training)
    monkeypatch.setattr(sleap_nn.train, "resume_training", resume_training)
    return seen


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config.yaml").write_text(
        "data_config: {train_labels_path: [labels.slp]}\n"
        "model_config: {backbone_config: {unet: {}}, head_configs: {single_instance: {}}}\n"
    )
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["train", *arguments], prog_name="sleap-nn")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), None),
        (("-v", "a.mp4", "--video-paths", "b.mp4"), VideoPaths(video_paths=("a.mp4", "b.mp4"))),
        (("--video_paths=a.mp4",), VideoPaths(video_paths=("a.mp4",))),
        (
            ("--video-path-map", "/x y.mp4", "a.mp4", "--video_path_map", "/y.mp4", "b.mp4"),
            VideoPaths(video_path_map=(("/x y.mp4", "a.mp4"), ("/y.mp4", "b.mp4"))),
        ),
        (
            ("--prefix-map", "C:\\x", "/y", "--prefix_map", "/z", "/w"),
            VideoPaths(prefix_map=(("C:\\x", "/y"), ("/z", "/w"))),
        ),
    ],
)
@pytest.mark.parametrize("first", [("config.yaml",), ("-c", "config", "-d", "."), ("--resume", "run")])
def test_new_paths_reach_the_training(
    folder: Path, given: list[VideoPaths | None], first: tuple[str, ...], arguments: tuple[str, ...], expected: Any
) -> None:
    result = train(*first, *arguments)
    assert result.exit_code == 0, result.output
    assert given == [expected]


def test_a_file_of_paths_is_accepted_and_hidden(folder: Path, given: list[VideoPaths | None]) -> None:
    (folder / "paths.yaml").write_text("prefix_map: [[/x, /y]]\n")
    assert train("config.yaml", "--video-config", "paths.yaml").exit_code == 0
    assert given == [VideoPaths(prefix_map=(("/x", "/y"),))]
    help_text = train("--help").output
    assert "--video-config" not in help_text
    for option in ("-v, --video-paths PATH", "--video-path-map OLD NEW", "--prefix-map OLD NEW"):
        assert option in help_text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-v", "a.mp4", "--prefix-map", "/x", "/y"), "--video-paths and --prefix-map exclude each other"),
        (("--video-path-map", "/x", "a.mp4", "--prefix-map", "/x", "/y"), "--video-path-map and --prefix-map exclude"),
        (("-v", "a.mp4", "--video-path-map", "/x", "a.mp4", "--video-config", "p"), "and --video-config exclude"),
        (("--prefix-map", "/x"), "requires 2 arguments"),
        (("--prefix-map", "/x", "/y", "--prefix-map", "\\x", "/z"), "'/x' is given twice"),
        (("--prefix-map", "", "/y"), "empty"),
    ],
)
def test_wrong_usage_exits_with_2(
    folder: Path, given: list[VideoPaths | None], arguments: tuple[str, ...], message: str
) -> None:
    result = train("config.yaml", *arguments)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert given == []


@pytest.mark.parametrize(
    "arguments", [("-v", "none.mp4"), ("--video-path-map", "/x", "none.mp4"), ("--video-config", "none.mp4")]
)
def test_a_file_that_is_not_there_is_named_before_anything_starts(
    folder: Path, given: list[VideoPaths | None], arguments: tuple[str, ...]
) -> None:
    result = train("none.yaml", *arguments)
    assert result.exit_code == 1
    assert "none.mp4" in result.output
    assert "does not exist" in result.output
    assert given == []
