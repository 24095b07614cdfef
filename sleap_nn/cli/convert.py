"""`sleap-nn convert`: a model of any version in the form of this one, or labels in the form of another program."""

from __future__ import annotations

import click

from sleap_nn import log
from sleap_nn.cli.options import Command

EXAMPLES = """\
sleap-nn convert old/centroid -o models/centroid
sleap-nn convert sleap_1_3/best_model.h5 -o models/flies
sleap-nn convert deeplabcut_project -o labels.pkg.slp
sleap-nn convert person_keypoints_train.json -o train.slp
sleap-nn convert labels.slp -o coco/train.json
sleap-nn convert labels.pkg.slp -o data_set --format yolo
"""


@click.command("convert", cls=Command, epilog=EXAMPLES)
@click.argument("path", metavar="MODEL|LABELS")
@click.option(
    "--output",
    "-o",
    metavar="PATH",
    required=True,
    help="New folder or file; nothing is replaced. Of labels the ending tells the format: .slp, .pkg.slp (with "
    "images), .json (COCO, with a folder of images), .nwb, .csv, .h5 (analysis).",
)
@click.option(
    "--format",
    "output_format",
    metavar="NAME",
    default=None,
    help="Format of labels that are a folder: dlc (a DeepLabCut project), lightning_pose, yolo, jabs.",
)
def command(path: str, output: str, output_format: str | None) -> None:
    """Write a model as YAML and safetensors, or labels in the form of another program.

    MODEL is a run folder of sleap-nn 0.1 to 0.3, SLEAP up to 1.4 or this version, or a file in it. The new folder
    predicts the same, and trainings can start from it.

    LABELS is a .slp or .pkg.slp file, a DeepLabCut project (folder, config.yaml, CollectedData .csv), a Lightning Pose
    .csv, a COCO keypoints .json, or a YOLO pose data set (folder, data.yaml, folder of labels).
    """
    # Imported here so that --help does not load torch.
    from sleap_nn.convert import convert

    log.configure()
    for written in convert(path, output, output_format):
        click.echo(f"{'Model' if (written / 'best.safetensors').exists() else 'Labels'}: {written}")
