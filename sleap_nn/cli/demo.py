"""`sleap-nn demo`: see the whole path work on this machine."""

from __future__ import annotations

import click

from sleap_nn import log
from sleap_nn.cli.options import Command, Number

EXAMPLES = """\
sleap-nn demo
sleap-nn demo -o /tmp/demo --minutes 1 --num_frames 100
"""


@click.command("demo", cls=Command, epilog=EXAMPLES)
@click.option("--output", "-o", default="sleap_nn_demo", metavar="DIR", help="Folder to write to.")
@click.option("--minutes", type=Number(min=0.05), default=3.2, help="How long to train at most.")
@click.option("--num_frames", type=click.IntRange(min=2), default=300, help="Length of the video to predict.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Same seed, same animals and training.")
def command(output: str, minutes: float, num_frames: int, seed: int) -> None:
    """Draw animals, train on them, predict and track a video, evaluate, draw the result, and write a report.

    Nothing is downloaded; on two cores it takes a few minutes.
    """
    # Imported here so that --help does not load torch.
    from sleap_nn.demo import run_demo

    log.configure()
    result = run_demo(output, minutes, num_frames, seed)
    click.echo(f"Demo folder: {result.folder}")
    click.echo(f"  labels and video   {result.folder / 'labels.pkg.slp'}, {result.folder / 'video.mp4'}")
    click.echo(f"  trained model      {result.run_dir}")
    click.echo(f"  training report    {result.report}")
    click.echo(f"  predictions        {result.predictions}")
    click.echo(f"  overlay video      {result.overlay}")
    click.echo(f"  contact sheet      {result.contact_sheet}")
