"""`sleap-nn preview`: a configuration file and overrides to a picture of what would be trained on."""

from __future__ import annotations

from typing import Any

import click

from sleap_nn import log
from sleap_nn.cli.options import Command
from sleap_nn.cli.train import check_overrides, find_source, show_help
from sleap_nn.cli.video_options import VIDEO_OPTIONS, read_video_paths, video_options

EXAMPLES = """\
sleap-nn preview config.yaml
sleap-nn preview config.yaml -o blurred.png data_config.augmentation_config.intensity.motion_blur_p=1
sleap-nn preview -c config -d configs/ -n 4 --val
sleap-nn preview config.yaml --prefix-map /old/server/data /new/local/data

Each sample is shown with its labels, and beside it the targets that the network learns.
"""


@click.command("preview", cls=Command, epilog=EXAMPLES)
@click.argument("arguments", nargs=-1, metavar="[CONFIG.yaml] [OVERRIDE]...")
@click.option("--config", "config_path", metavar="PATH", help="Configuration file, like the first argument.")
@click.option("--config-name", "-c", metavar="NAME", help="Name of the configuration file, with or without .yaml.")
@click.option("--config-dir", "-d", metavar="DIR", default=".", help="Folder of --config-name.")
@click.option("--output_path", "-o", metavar="PNG", default="preview.png", help="Picture to write, a .png.")
@click.option("--num_samples", "-n", type=click.IntRange(min=1), default=16, help="Number of samples to draw.")
@click.option("--val", is_flag=True, help="Draw from the validation set, which is not augmented.")
@video_options
@click.pass_context
def command(
    ctx: click.Context,
    arguments: tuple[str, ...],
    output_path: str,
    num_samples: int,
    val: bool,
    **options: Any,
) -> None:
    """Draw augmented network inputs with their labels and targets, without training.

    The configuration is the one of sleap-nn train. The samples are exactly those that the network would see: matched
    in size, cropped, scaled and augmented.
    """
    video_values = {name: options.pop(name) for name in VIDEO_OPTIONS}
    source, overrides = find_source(arguments, **options)
    if source is None:
        show_help(ctx, arguments)
        return
    check_overrides(ctx, overrides)
    video_paths = read_video_paths(ctx, **video_values)
    # Imported here so that --help does not load torch.
    from sleap_nn.config.training_job_config import TrainingJobConfig
    from sleap_nn.preview import preview

    log.configure()
    config = TrainingJobConfig.load(source, overrides)
    written = preview(config, output_path, num_samples, val=val, video_paths=video_paths)
    click.echo(f"Preview: {written}")
