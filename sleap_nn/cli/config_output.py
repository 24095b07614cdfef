"""Where the configuration of ``sleap-nn config`` goes: files that are named, or standard output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sleap_nn.config_generator import ConfigGenerator


def default_output(slp: str | Path) -> Path:
    """Return the file beside the labels that is written if no other is named."""
    path = Path(slp)
    return path.with_name(f"{path.stem}_config.yaml")


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
