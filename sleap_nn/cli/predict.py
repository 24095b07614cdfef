"""`sleap-nn predict`: trained models and a video or labels file to a predicted ``.slp``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sleap_nn import log
from sleap_nn.cli.options import Command, options_from
from sleap_nn.config.inference_config import InferenceConfig
from sleap_nn.heartbeat import phase

EXAMPLES = """\
sleap-nn predict -i clip.mp4 -m models/run
sleap-nn predict -i clip.mp4 -m models/run/best.ckpt -o out.slp --frames 0-99,200
sleap-nn predict -i clip.mp4 -m models/centroid -m models/centered_instance --max_instances 2
sleap-nn predict -i clip.mp4 -m models/single_instance --roi
sleap-nn predict -i labels.pkg.slp -m models/run --only_labeled_frames --peak_threshold 0.1
"""


@click.command("predict", cls=Command, epilog=EXAMPLES)
@click.option(
    "--data_path",
    "-i",
    required=True,
    metavar="PATH",
    help="Video, image folder, or labels file (.slp, .pkg.slp).",
)
@options_from(InferenceConfig)
def command(data_path: str, **options: Any) -> None:
    """Find the animals in a video or a labels file, and write them to a .slp file.

    Without -o the output is <input>.slp, or <input stem>.<video stem>.predictions.slp with --video_index. A file
    that already exists is replaced when all frames are done.
    """
    # Imported here so that --help does not load torch.
    log.configure()
    with phase("loading PyTorch"):
        from sleap_nn.cli.frames_bar import FramesBar
        from sleap_nn.inference.run import default_output, predict
        from sleap_nn.stages.follow import RoiSettings

    output = options["output_path"] if options["output_path"] else default_output(data_path, options["video_index"])
    given = {name: value for name, value in options.items() if value is not None}
    with FramesBar("Predicting...") as bar:
        roi = RoiSettings(options["roi_check_interval"]) if options["roi"] else None
        labels = predict(
            data_path, **keywords(options), roi=roi, output_path=output, progress_callback=bar, cli_args=given
        )
    num_instances = sum(len(frame.instances) for frame in labels)
    if num_instances == 0:
        log.logger.warning(
            "Not one instance was found on %d frames; lower --peak_threshold, or check the model on its own labels.",
            len(labels),
        )
    log.logger.info("Predicted %d frames, %d instances.", len(labels), num_instances)
    click.echo(f"Predictions output path: {Path(output)}")


def keywords(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the command as keywords of `sleap_nn.inference.predict`."""
    preprocessing = {
        "ensure_rgb": options["ensure_rgb"],
        "ensure_grayscale": options["ensure_grayscale"],
        "max_height": options["max_height"],
        "max_width": options["max_width"],
        "scale": options["input_scale"],
        "crop_size": options["crop_size"],
    }
    same = (
        "model_paths",
        "device",
        "precision",
        "batch_size",
        "peak_threshold",
        "centroid_threshold",
        "integral_refinement",
        "integral_patch_size",
        "max_instances",
        "max_edge_length_ratio",
        "dist_penalty_weight",
        "n_points",
        "min_instance_peaks",
        "min_line_scores",
        "frames",
        "video_index",
        "only_labeled_frames",
        "queue_maxsize",
    )
    return {
        **{name: options[name] for name in same},
        "preprocess_config": preprocessing,
        "clean_empty_frames": options["no_empty_frames"],
    }
