from pathlib import Path

import pytest
from click.testing import CliRunner
from factories import make_labels

from sleap_nn.cli import cli


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.pkg.slp"
    make_labels(3, path=path)
    return path


def run(*arguments: str | Path):
    return CliRunner().invoke(cli, ["render", *map(str, arguments)], catch_exceptions=False)


def test_the_video_and_the_gallery_are_written_and_named(labels: Path, tmp_path: Path):
    out, picture = tmp_path / "a.mp4", tmp_path / "b.png"
    result = run(labels, "-o", out, "--gallery", picture, "--color-by", "node", "--no-labels", "--frames", "0,20")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [f"Video: {out} (2 frames)", f"Gallery: {picture}"]
    assert out.exists()
    assert picture.exists()


def test_without_a_name_the_video_lies_beside_the_labels(labels: Path):
    result = run(labels, "--trail", 5)
    assert result.stdout == f"Video: {labels.with_name('labels.pkg.overlay.mp4')} (3 frames)\n"


def test_what_cannot_be_drawn_is_one_line(labels: Path, tmp_path: Path):
    result = run(labels, "--frames", "7", "-o", tmp_path / "a.mp4")
    assert result.exit_code == 1
    assert "Error: None of the chosen frames" in result.stderr
    assert run(labels, "-o", "a.slp").exit_code == 2
    assert run(tmp_path / "nothing.slp").exit_code == 1
    assert run(labels, "-v", "a.mp4", "--prefix-map", "a", "b").exit_code == 2
