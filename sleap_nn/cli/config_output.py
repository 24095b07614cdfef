"""Where the configuration of ``sleap-nn config`` goes: files that are named, or standard output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sleap_nn.errors import OutputError
from sleap_nn.whole_files import check_ending

if TYPE_CHECKING:
    from sleap_nn.config_generator import ConfigGenerator


def default_output(slp: str | Path) -> Path:
    """Return the file beside the labels that is written if no other is named."""
    path = Path(slp)
    return path.with_name(f"{path.stem}_config.yaml")


def check_name(output: Path) -> None:
    """Refuse a file that `sleap-nn train` would not take for a configuration.

    Raises:
        UsageError: Its name does not end in ``.yaml``.
    """
    check_ending(output, (".yaml", ".yml"))


def refuse_existing(generator: ConfigGenerator, output: Path, slp: str | Path) -> None:
    """Refuse to replace a file, which may have been edited; that of the labels has an error of its own.

    Raises:
        OutputError: A file that would be written is there.
    """
    there = next((path for path in generator.paths(output) if path.exists()), None)
    if there is not None and there.resolve() != Path(slp).resolve():
        raise OutputError(f"{there} is there already; name another file with -o, or delete it first.")


def put_out(generator: ConfigGenerator, output: Path, show_yaml: bool) -> None:
    """Write what was made and name the files, or print it.

    Raises:
        UserError: As for `ConfigGenerator.save`.
    """
    if show_yaml:
        click.echo(generator.to_yaml(), nl=False)
        return
    names = ("config",) if len(generator.model_types) == 1 else ("centroid config", "instance config")
    for name, path in zip(names, generator.save(output).paths(output), strict=True):
        click.echo(f"Saved {name} to: {path}")
