"""`sleap-nn convert`: a model of any version in the form of this one."""

from __future__ import annotations

import click

from sleap_nn import log
from sleap_nn.cli.options import Command

EXAMPLES = """\
sleap-nn convert old/centroid -o models/centroid
sleap-nn convert sleap_1_3/best_model.h5 -o models/flies
"""


@click.command("convert", cls=Command, epilog=EXAMPLES)
@click.argument("model", metavar="MODEL")
@click.option("--output", "-o", metavar="DIR", required=True, help="New folder; it must not hold a model yet.")
def command(model: str, output: str) -> None:
    """Write a model of sleap-nn 0.1 to 0.3, SLEAP up to 1.4 or this version as YAML and safetensors.

    MODEL is a run folder or a file in it. The new folder predicts the same, and trainings can start from it.
    """
    # Imported here so that --help does not load torch.
    from sleap_nn.convert import convert_model

    log.configure()
    click.echo(f"Model: {convert_model(model, output)}")
