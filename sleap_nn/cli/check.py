"""`sleap-nn check`: what looks wrong in labels."""

from __future__ import annotations

from pathlib import Path

import click

from sleap_nn import log
from sleap_nn.cli.options import Command

EXAMPLES = """\
sleap-nn check labels.slp
sleap-nn check train.pkg.slp val.pkg.slp --mirrored
sleap-nn check labels.slp --strict --output_path findings.json

Frame numbers count from 0, as in the file; the status bar of the SLEAP window counts from 1.
"""


@click.command("check", cls=Command, epilog=EXAMPLES)
@click.argument("labels", nargs=-1, required=True, metavar="LABELS.slp...")
@click.option("--strict", is_flag=True, help="End with exit code 1 if anything was found.")
@click.option("--mirrored", is_flag=True, help="Expect training with mirrored images (flip_p above 0).")
@click.option("--single_animal", is_flag=True, help="Expect one animal in every frame.")
@click.option(
    "--user_instances_only/--no-user_instances_only", default=True, help="Look at instances drawn by a user only."
)
@click.option("--output_path", "-o", metavar="JSON", help="Also write the findings to this file, a .json.")
@click.pass_context
def command(
    ctx: click.Context,
    labels: tuple[str, ...],
    strict: bool,
    mirrored: bool,
    single_animal: bool,
    user_instances_only: bool,
    output_path: str | None,
) -> None:
    """List what looks wrong in labels: every finding with video and frame.

    Points off the image, left and right exchanged, instances that are far too large, labelled twice or have a single
    point, nodes that are never visible, and tracks that are in a frame twice. Training does the same and prints the
    first of each; nothing of it stops a training.
    """
    # Imported here so that --help does not load torch.
    from sleap_nn.check import check_files, report_text
    from sleap_nn.data.label_check import Purpose
    from sleap_nn.whole_files import check_ending, check_output

    log.redirect_logs_to_stderr()
    if output_path is not None:
        check_ending(Path(output_path), (".json",))
        check_output(Path(output_path), [Path(path) for path in labels], "file (.json)")
    purpose = Purpose(mirrored=mirrored, identities=True, one_animal=single_animal)
    report = check_files(labels, user_instances_only, purpose)
    click.echo(report_text(report))
    if output_path is not None:
        report.save(Path(output_path))
    if strict and report.findings:
        ctx.exit(1)
