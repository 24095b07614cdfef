"""The verb `report`: everything about a training run on one page, in one file that needs no network.

What is on the page is made in `sleap_nn.run_report`.
"""

from __future__ import annotations

from pathlib import Path

from sleap_nn.errors import OutputError, UserError
from sleap_nn.heartbeat import phase
from sleap_nn.log import logger, quiet
from sleap_nn.whole_files import check_ending, whole_file

REPORT = "report.html"

DEFECTS = (ArithmeticError, AttributeError, ImportError, LookupError, RuntimeError, TypeError, ValueError)
"""What a defect of the report raises: its traceback is shown, but it does not fail a run after hours of training."""


def report(run_folder: str | Path, output: str | Path | None = None) -> Path:
    """Write the report of a training run: settings, curves, metrics with intervals, errors, example frames, advice.

    Args:
        run_folder: The run folder, or a file in it; folders of earlier programs will do. What is missing there is
            missing from the report.
        output: HTML file to write; None is ``report.html`` in the run folder.

    Returns:
        The file.

    Raises:
        MissingFileError: The folder does not exist, or holds nothing of a training run.
        OutputError: The file cannot be written.
        UsageError: Its name does not end in ``.html``.
    """
    from sleap_nn.run_report.page import make_page

    if output is not None:
        check_ending(Path(output), (".html", ".htm"))
    source = Path(run_folder)
    page = make_page(source)
    folder = source if source.is_dir() else source.parent
    target = folder / REPORT if output is None else Path(output)
    _write(target, page)
    return target


def report_after_training(folder: Path) -> None:
    """Write the report of a run that has just ended; whatever goes wrong with it, the run itself has succeeded."""
    try:
        with phase("writing the report"), quiet():
            written = report(folder)
    except (UserError, OSError) as error:
        logger.warning("The report of %s could not be made (%s); sleap-nn report makes it later.", folder, error)
    except DEFECTS:
        logger.warning("The report of %s could not be made because of a defect in it:", folder, exc_info=True)
    else:
        logger.info("Report: %s", written)


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"The report {path} cannot be written ({error.strerror}); choose another file.") from error
