"""``sleap-nn config``: the configuration described for programs (JSON schema) and for people (Markdown)."""

import json

import click

from sleap_nn.cli.options import Command

EXAMPLES = """\
sleap-nn config --schema > schema.json        check and complete YAML files in an editor
sleap-nn config --reference | less            every key with type, default and meaning
"""


@click.command("config", cls=Command, epilog=EXAMPLES)
@click.option("--schema", is_flag=True, help="Print the JSON schema of a training configuration.")
@click.option("--reference", is_flag=True, help="Print every key of a training configuration as Markdown.")
def command(schema: bool, reference: bool) -> None:
    """Describe the keys of a training configuration.

    Both outputs are made from the same declarations that check a configuration when it is loaded.
    """
    if schema == reference:
        raise click.UsageError("Give one of --schema and --reference.")
    from sleap_nn.config.reference import config_reference_markdown, json_schema

    click.echo(json.dumps(json_schema(), indent=2) if schema else config_reference_markdown())
