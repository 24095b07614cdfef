"""`sleap-nn render`: predictions drawn on their video."""

from __future__ import annotations

from typing import Any

import click

from sleap_nn import log
from sleap_nn.cli.options import Command, options_from
from sleap_nn.cli.video_options import VIDEO_OPTIONS, read_video_paths, video_options
from sleap_nn.config.render_config import RenderConfig

EXAMPLES = """\
sleap-nn render clip.predictions.slp
sleap-nn render tracked.slp -o tracked.mp4 --trail 50 --frames 0-999 --scores
sleap-nn render clip.predictions.slp --gallery worst.png --gallery_by lowest_score
sleap-nn render clip.predictions.slp -o compared.mp4 --truth labels.slp --scale 2

Frame numbers count from 0.
"""


@click.command("render", cls=Command, epilog=EXAMPLES)
@click.argument("predictions", metavar="LABELS.slp")
@options_from(RenderConfig)
@video_options
@click.pass_context
def command(ctx: click.Context, predictions: str, **options: Any) -> None:
    """Draw instances, tracks and trails on the video of a labels file, or on a gallery of its frames.

    Without -o the video is <labels>.overlay.mp4; with --gallery alone no video is written.
    """
    video_paths = read_video_paths(ctx, **{name: options.pop(name) for name in VIDEO_OPTIONS})
    # Imported here so that --help does not load the label reader.
    from sleap_nn.cli.frames_bar import FramesBar
    from sleap_nn.render import render

    log.configure()
    with FramesBar("Drawing...") as bar:
        rendered = render(predictions, video_paths=video_paths, progress_callback=bar, **options)
    if rendered.video is not None:
        click.echo(f"Video: {rendered.video} ({rendered.num_frames} frames)")
    if rendered.gallery is not None:
        click.echo(f"Gallery: {rendered.gallery}")
