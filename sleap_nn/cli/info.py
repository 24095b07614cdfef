"""`sleap-nn info`: what a trained model folder or a configuration holds."""

from __future__ import annotations

import sys

import click

from sleap_nn.cli.options import Command

EXAMPLES = """\
sleap-nn info models/run
sleap-nn info config.yaml
"""

_PIPED_WIDTH = 120


@click.command("info", cls=Command, epilog=EXAMPLES)
@click.argument("path", metavar="PATH")
def command(path: str) -> None:
    """Describe a run folder, of this or an earlier version, or a configuration file; nothing is written."""
    # Imported here so that --help does not load torch.
    from rich.console import Console
    from rich.table import Table

    from sleap_nn.info import info

    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False, markup=False, emoji=False)
    for table in info(path):
        shown = Table(title=table.title, title_justify="left", show_header=False)
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
