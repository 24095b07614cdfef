import logging
from pathlib import Path

import pytest
from run_folders import write_run

import sleap_nn.report
from sleap_nn.errors import DataError, MissingFileError, OutputError, UsageError
from sleap_nn.report import report, report_after_training


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    write_run(folder)
    return folder


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.INFO, logger="sleap_nn")
    return caplog


@pytest.mark.parametrize("given", [".", "training_config.yaml"])
def test_the_report_lies_in_the_run_folder(folder: Path, given: str):
    assert report(str(folder / given)) == folder / "report.html"
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert list(folder.glob(".report*")) == []


def test_another_file_may_be_named(folder: Path, tmp_path: Path):
    target = tmp_path / "new" / "page.html"
    assert report(folder, target) == target
    assert target.exists()


def test_a_file_that_cannot_be_written_is_named(folder: Path, tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.html").mkdir()
    for target in (tmp_path / "file" / "report.html", tmp_path / "folder.html"):
        with pytest.raises(OutputError, match=f"{target} cannot be written"):
            report(folder, target)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path):
    with pytest.raises(MissingFileError, match="holds no training run"):
        report(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(MissingFileError, match=r"The folder of .*clip\.mp4 holds no training run"):
        report(tmp_path / "clip.mp4")


def test_training_says_where_the_report_is_and_repeats_no_warnings(folder: Path, logged: pytest.LogCaptureFixture):
    report_after_training(folder)
    assert [record.getMessage() for record in logged.records] == [f"Report: {folder / 'report.html'}"]


@pytest.mark.parametrize("error", [DataError("It is odd."), OSError(28, "No space left"), MissingFileError("Gone.")])
def test_a_report_that_fails_is_a_warning(
    folder: Path, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def fail(folder: Path) -> Path:
        raise error

    monkeypatch.setattr(sleap_nn.report, "report", fail)
    report_after_training(folder)
    (record,) = logged.records
    assert record.levelname == "WARNING"
    assert str(error) in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize("defect", [KeyError("x"), ZeroDivisionError(), TypeError(), ImportError("jinja2")])
def test_a_defect_is_shown_and_leaves_the_run_alone(
    folder: Path, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, defect: Exception
):
    def fail(folder: Path) -> Path:
        raise defect

    monkeypatch.setattr(sleap_nn.report, "report", fail)
    report_after_training(folder)
    (record,) = logged.records
    assert record.exc_info is not None
    assert record.exc_info[1] is defect


def test_an_interrupt_ends_it(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def stop(folder: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(sleap_nn.report, "report", stop)
    with pytest.raises(KeyboardInterrupt):
        report_after_training(folder)


def test_a_report_does_not_replace_files_of_the_run(folder: Path):
    before = (folder / "training_config.yaml").read_bytes()
    with pytest.raises(UsageError, match=r"does not end in \.html or \.htm; name it training_config\.html"):
        report(folder, folder / "training_config.yaml")
    assert (folder / "training_config.yaml").read_bytes() == before
