"""`sleap-nn export`: trained models as ONNX files or TensorRT engines."""

from __future__ import annotations

from typing import Any

import click

from sleap_nn import log
from sleap_nn.cli.options import Command, options_from
from sleap_nn.cli.stopping import stopping_on_sigterm
from sleap_nn.config.export_config import ExportConfig
from sleap_nn.errors import ConfigError

EXAMPLES = """\
sleap-nn export models/run
sleap-nn export models/centroid models/centered_instance -o exported
sleap-nn predict -i clip.mp4 -m exported
"""


@click.command("export", cls=Command, epilog=EXAMPLES)
@click.argument("models", metavar="MODEL [MODEL]", nargs=-1, type=click.Path(exists=True, file_okay=False))
@options_from(ExportConfig)
def command(models: tuple[str, ...], **options: Any) -> None:
    """Write trained models as graphs that run without PyTorch, in a folder that `sleap-nn predict -m` takes as well.

    MODEL is a run folder; give two for a centroid model and a model of crops.
    """
    if not models:
        raise ConfigError("There is no model; name the folder of a trained one: sleap-nn export models/run.")
    ExportConfig(**options)
    # Imported here so that --help does not load torch.
    from sleap_nn.export_model import export_models

    log.configure()
    with stopping_on_sigterm():
        exported = export_models(models, **options)
    for path in exported.onnx:
        click.echo(f"ONNX model exported to: {path}")
    for path in exported.tensorrt:
        click.echo(f"TensorRT engine exported to: {path}")
    click.echo(f"Metadata saved to: {exported.metadata}")
    for name, difference in exported.differences.items():
        if difference.largest:
            values = f"{difference.most:.2g}, of values up to {difference.largest:.2g}"
            click.echo(f"Largest difference to the trained network: {values} ({name})")
