"""`sleap-nn report`: everything about a training run on one page."""

from __future__ import annotations

import click

from sleap_nn import log
from sleap_nn.cli.options import Command

EXAMPLES = """\
sleap-nn report models/run
sleap-nn report models/run -o reports/run.html

Training with save_ckpt makes the report by itself; this makes it again, or for runs of earlier programs.
"""


@click.command("report", cls=Command, epilog=EXAMPLES)
@click.argument("run_folder", metavar="RUN_FOLDER")
@click.option(
    "--output",
    "-o",
    metavar="HTML",
    help="Page to write, a .html or .htm.  [default: report.html in the run folder]",
)
def command(run_folder: str, output: str | None) -> None:
    """Write the report of a training run: one HTML file that opens in any browser and loads nothing from elsewhere.

    It shows what was trained, the training curves, metrics with 95 % intervals, errors of every node, the best and
    the worst frames, and what to do about what stands out. What the run folder lacks is left out.
    """
    # Imported here so that --help does not load the label reader.
    from sleap_nn.report import report

    log.configure()
    click.echo(f"Report: {report(run_folder, output)}")
