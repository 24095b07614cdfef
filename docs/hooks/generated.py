"""Fills the generated parts of the pages: command help, configuration reference, changelog.

A page asks for one with a line ``<!-- generated: NAME -->``; everything comes from the package and from its
changelog, so nothing is written twice.
"""

import re
from pathlib import Path
from typing import Any

MARKER = re.compile(r"^<!-- generated: (\S+) -->$", re.MULTILINE)
ROOT = Path(__file__).parents[2]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the markers of a page; called by MkDocs."""
    return MARKER.sub(lambda found: GENERATORS[found.group(1)](), markdown)


def command_help() -> str:
    """Return the help text of every command."""
    from click.testing import CliRunner

    from sleap_nn.cli import cli
    from sleap_nn.cli.main import COMMANDS

    parts = []
    for name in COMMANDS:
        result = CliRunner().invoke(
            cli, [name, "--help"], prog_name="sleap-nn", terminal_width=100, catch_exceptions=False
        )
        parts.append(f"## {name}\n\n```text\n{result.stdout.rstrip()}\n```\n")
    return "\n".join(parts)


def configuration() -> str:
    """Return the reference of a training configuration, without its own title."""
    from sleap_nn.config.reference import config_reference_markdown

    _, _, body = config_reference_markdown().partition("\n")
    return body


def changelog() -> str:
    """Return the changelog without its title."""
    _, _, body = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n")
    return body


GENERATORS = {"commands": command_help, "configuration": configuration, "changelog": changelog}
