from pathlib import Path

import pytest
from click.testing import CliRunner
from run_folders import write_run

from sleap_nn.cli import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    write_run(folder)
    return folder


def run(*arguments: str | Path):
    return CliRunner().invoke(cli, ["report", *map(str, arguments)], catch_exceptions=False)


def test_the_report_is_written_and_named(folder: Path, tmp_path: Path):
    result = run(folder)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == f"Report: {folder / 'report.html'}"
    assert (folder / "report.html").exists()
    for option in ("-o", "--output"):
        target = tmp_path / f"{option}.html"
        assert run(folder, option, target).exit_code == 0
        assert target.exists()


def test_a_folder_without_a_run_is_one_line(tmp_path: Path):
    result = run(tmp_path)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: The folder {tmp_path} holds no training run")
    assert run().exit_code == 2
