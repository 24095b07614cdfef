"""``sleap-nn config``: configurations made from labels, described, or carried over from SLEAP."""

import json
from pathlib import Path
from typing import Any

import click

from sleap_nn import log
from sleap_nn.cli.options import Command
from sleap_nn.config_generator.pipelines import PIPELINES, VIEWS
from sleap_nn.errors import ConfigError

EXAMPLES = """\
sleap-nn config labels.slp                    answer a few questions
sleap-nn config labels.slp --auto             write labels_config.yaml beside the labels
sleap-nn config labels.slp --auto --pipeline bottomup --show-yaml | less
sleap-nn config --schema > schema.json        check and complete YAML files in an editor
sleap-nn config --reference | less            every key with type, default and meaning
sleap-nn config --from-sleap baseline.centroid.json -o centroid.yaml
"""


@click.command("config", cls=Command, epilog=EXAMPLES)
@click.argument("slp", required=False, metavar="[LABELS.slp]")
@click.option("--auto", is_flag=True, help="Ask nothing: use what the labels suggest.")
@click.option(
    "--pipeline", type=click.Choice(list(PIPELINES)), help="Which models are trained.  [default: recommended]"
)
@click.option("--view", type=click.Choice(VIEWS), help="From where the camera looks.  [default: as the animals lie]")
@click.option("--show-yaml", is_flag=True, help="Print the configuration in place of writing it.")
@click.option(
    "--output",
    "-o",
    metavar="YAML",
    help="File to write.  [default: <labels>_config.yaml beside the labels; with --from-sleap standard output]",
)
@click.option("--schema", is_flag=True, help="Print the JSON schema of a training configuration.")
@click.option("--reference", is_flag=True, help="Print every key of a training configuration as Markdown.")
@click.option(
    "--from-sleap", "from_sleap", metavar="JSON", help="Carry over a training profile of SLEAP up to 1.4 to YAML."
)
def command(slp: str | None, output: str | None, from_sleap: str | None, **options: Any) -> None:
    """Make a training configuration for labels, describe its keys, or carry over a profile of SLEAP.

    Without --auto a few questions are asked, whose answers may be given as options beforehand. A top-down pipeline
    becomes two files, <name>_centroid.yaml and <name>_centered_instance.yaml.

    Schema and reference are made from the same declarations that check a configuration when it is loaded. A profile
    becomes YAML on standard output (or -o), and what became of each of its keys is listed on standard error.
    """
    schema, reference = options.pop("schema"), options.pop("reference")
    makes = slp is not None or any(options.values())
    if schema + reference + (from_sleap is not None) + makes > 1:
        raise click.UsageError("Give labels, or one of --schema, --reference and --from-sleap.")
    if output is not None and (schema or reference):
        raise click.UsageError("--output goes with labels and with --from-sleap.")
    if from_sleap is not None:
        _carry_over(from_sleap, output)
    elif schema or reference:
        _describe(schema)
    else:
        _make(slp, output, **options)


def _describe(schema: bool) -> None:
    """Print the schema, or the reference."""
    from sleap_nn.config.reference import config_reference_markdown, json_schema

    click.echo(json.dumps(json_schema(), indent=2) if schema else config_reference_markdown())


def _make(
    slp: str | None, output: str | None, auto: bool, pipeline: str | None, view: str | None, show_yaml: bool
) -> None:
    """Write or print a configuration for labels.

    Raises:
        ConfigError: No labels are given and nobody can be asked.
        UsageError: The name of the file to write does not end in ``.yaml``.
        OutputError: A file is there already, and nobody can be asked whether it may go.
    """
    from sleap_nn.cli.config_output import check_name, default_output, put_out, refuse_existing

    log.redirect_logs_to_stderr()
    if output is not None:
        check_name(Path(output))
    if not auto:
        from sleap_nn.cli.config_dialogue import ask

        ask(slp, output, pipeline, view, show_yaml)
        return
    if slp is None:
        raise ConfigError("--auto needs labels; give the path of a .slp file: sleap-nn config LABELS.slp --auto.")
    # Imported here so that --help does not load torch.
    from sleap_nn.config_generator import ConfigGenerator

    generator = ConfigGenerator.from_slp(slp).auto(view)
    if pipeline is not None:
        generator.pipeline(pipeline)
    file = default_output(slp) if output is None else Path(output)
    if not show_yaml:
        refuse_existing(generator, file, slp)
    put_out(generator, file, show_yaml)


def _carry_over(profile: str, output: str | None) -> None:
    """Print or write a profile as YAML, and list what became of its keys."""
    from sleap_nn.cli.config_output import check_name
    from sleap_nn.config.training_job_config import read_profile
    from sleap_nn.whole_files import keep_inputs

    if output is not None:
        check_name(Path(output))
        keep_inputs(Path(output), [Path(profile)])
    config, notes = read_profile(profile)
    width = max((len(note.key) for note in notes), default=0)
    for note in notes:
        click.echo(f"{note.outcome:12}  {note.key:{width}}  {note.detail}", err=True)
    if output is None:
        click.echo(config.to_yaml(), nl=False)
        return
    config.save(output)
    click.echo(f"Saved config to: {Path(output)}")
