"""`sleap-nn info`: what a trained model folder or a configuration holds."""

from __future__ import annotations

import click

from sleap_nn.cli.options import Command

EXAMPLES = """\
sleap-nn info models/run
sleap-nn info config.yaml
"""


@click.command("info", cls=Command, epilog=EXAMPLES)
@click.argument("path", metavar="PATH")
def command(path: str) -> None:
    """Describe a run folder, of this or an earlier version, or a configuration file; nothing is written."""
    # Imported here so that --help does not load torch.
    from sleap_nn.model_info import print_tables

    print_tables(path)
