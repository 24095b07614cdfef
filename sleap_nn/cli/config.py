"""``sleap-nn config``: the configuration described for programs and people, and profiles of SLEAP carried over."""

import json
from pathlib import Path

import click

from sleap_nn.cli.options import Command

EXAMPLES = """\
sleap-nn config --schema > schema.json        check and complete YAML files in an editor
sleap-nn config --reference | less            every key with type, default and meaning
sleap-nn config --from-sleap baseline.centroid.json -o centroid.yaml
"""


@click.command("config", cls=Command, epilog=EXAMPLES)
@click.option("--schema", is_flag=True, help="Print the JSON schema of a training configuration.")
@click.option("--reference", is_flag=True, help="Print every key of a training configuration as Markdown.")
@click.option(
    "--from-sleap", "from_sleap", metavar="JSON", help="Carry over a training profile of SLEAP up to 1.4 to YAML."
)
@click.option("--output", "-o", metavar="YAML", help="File for the carried over profile.  [default: standard output]")
def command(schema: bool, reference: bool, from_sleap: str | None, output: str | None) -> None:
    """Describe the keys of a training configuration, or carry over a profile of SLEAP.

    Schema and reference are made from the same declarations that check a configuration when it is loaded. A profile
    becomes YAML on standard output (or -o), and what became of each of its keys is listed on standard error.
    """
    if schema + reference + (from_sleap is not None) != 1:
        raise click.UsageError("Give one of --schema, --reference and --from-sleap.")
    if output is not None and from_sleap is None:
        raise click.UsageError("--output goes with --from-sleap.")
    if from_sleap is not None:
        _carry_over(from_sleap, output)
        return
    from sleap_nn.config.reference import config_reference_markdown, json_schema

    click.echo(json.dumps(json_schema(), indent=2) if schema else config_reference_markdown())


def _carry_over(profile: str, output: str | None) -> None:
    """Print or write a profile as YAML, and list what became of its keys."""
    from sleap_nn.config.training_job_config import read_profile

    config, notes = read_profile(profile)
    width = max((len(note.key) for note in notes), default=0)
    for note in notes:
        click.echo(f"{note.outcome:12}  {note.key:{width}}  {note.detail}", err=True)
    if output is None:
        click.echo(config.to_yaml(), nl=False)
        return
    config.save(output)
    click.echo(f"Saved config to: {Path(output)}")
