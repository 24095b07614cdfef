"""`print_model_info`: what a trained model folder holds, printed as tables; see `info`."""

from __future__ import annotations

import sys
from pathlib import Path

from sleap_nn.errors import UserError
from sleap_nn.info import info

__all__ = ["print_model_info", "print_tables"]

_PIPED_WIDTH = 120


def print_tables(path: str | Path) -> None:
    """Print what a run folder or a configuration file holds.

    Raises:
        MissingFileError: There is no such path, or no configuration in the folder.
        ConfigError: The file is no configuration.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False, markup=False, emoji=False)
    for table in info(path):
        shown = Table(title=table.title, title_justify="left", show_header=False)
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)


def print_model_info(path: str | Path) -> None:
    """Print what a run folder or a configuration file holds, as `sleap-nn info` does.

    Raises:
        SystemExit: It cannot be read; what is wrong is printed to standard error, and the code is 1.
    """
    try:
        print_tables(path)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(1) from error
