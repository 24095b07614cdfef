"""`sleap-nn predict` and `sleap-nn track`: trained models and videos or labels files to predictions.

What happens between the options and the files is in `prediction.py`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sleap_nn import log
from sleap_nn.cli.earlier_predict import PredictCommand
from sleap_nn.cli.idle_options import given_names, idle_options
from sleap_nn.cli.options import Command, options_from
from sleap_nn.cli.stopping import stopping_on_sigterm
from sleap_nn.config.fields import fields_of
from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.inference_config import InferenceConfig
from sleap_nn.config.tracker_config import TrackerConfig, complete_tracking
from sleap_nn.errors import UsageError
from sleap_nn.heartbeat import phase

if TYPE_CHECKING:
    from sleap_nn.cli.prediction import Report

EXAMPLES = """\
sleap-nn predict -i clip.mp4 -m models/run
sleap-nn predict -i clip.mp4 -m models/run/best.ckpt -o out.slp --frames 0-99,200
sleap-nn predict -i clip.mp4 -m models/run --resume
sleap-nn predict -i clip.mp4 -m models/centroid -m models/centered_instance --max_instances 2
sleap-nn predict -i clip.mp4 -m models/run/exported --runtime onnx
sleap-nn predict -i clip.mp4 -m models/single_instance --roi
sleap-nn predict -i labels.pkg.slp -m models/run --only_labeled_frames --peak_threshold 0.1
sleap-nn predict -i clip.mp4 -m models/run -t --tracker global
sleap-nn predict -i clip.predictions.slp -t --max_tracks 2
sleap-nn predict -i 'videos/*.mp4' -m models/run -o predictions --format slp --format csv
"""
DATA_PATH = click.option(
    "--data_path",
    "-i",
    required=True,
    metavar="PATH",
    help="Video, image folder, or labels (.slp, .pkg.slp, or those of DeepLabCut, Lightning Pose, COCO, YOLO); a "
    "pattern ('videos/*.mp4') or a .txt list of them.",
)


@click.command("predict", cls=PredictCommand, epilog=EXAMPLES)
@DATA_PATH
@options_from(InferenceConfig)
@options_from(FilterConfig)
@options_from(TrackerConfig)
def command(data_path: str, **options: Any) -> None:
    """Find the animals in a video or a labels file, and write them to a .slp file.

    Without -o the output is <input>.slp, or <input stem>.<video stem>.predictions.slp with --video_index; of several
    inputs each has its own, in the folder that -o names or beside it. A file that already exists is replaced when all
    frames are done. Until then finished frames are kept in OUTPUT.journal: after a crash, a full disk, Ctrl+C
    or SIGTERM, the same command with --resume goes on where it stopped.

    As in the first releases, the folder of an exported model and a video may stand in place of -m and -i; then -r is
    --runtime, -n the number of frames, 0 for all, and the default output <input stem>.predictions.slp.
    """
    run_command("predict", data_path, options)


@click.command("track", cls=Command, epilog=EXAMPLES.replace("sleap-nn predict", "sleap-nn track"))
@DATA_PATH
@options_from(InferenceConfig)
@options_from(FilterConfig)
@options_from(TrackerConfig)
def track_command(data_path: str, **options: Any) -> None:
    """Find the animals in a video or a labels file: the same as predict, but for the name of the output.

    Without -o the output is <input stem>.predictions.slp.
    """
    run_command("track", data_path, options)


def check(options: dict[str, Any]) -> None:
    """Refuse options that contradict each other, before anything slow begins.

    Raises:
        UsageError: The message says which.
    """
    names = {entry.name for entry in fields_of(InferenceConfig)}
    InferenceConfig(**{name: value for name, value in options.items() if name in names})
    if not options["model_paths"] and not options["tracking"]:
        raise UsageError("There is no model; name the folder of a trained model with -m, or track a .slp file with -t.")
    if options["tracking"]:
        complete_tracking(tracker_config(options), options["max_instances"])


def tracker_config(options: dict[str, Any]) -> TrackerConfig:
    """Return the options of tracking; those whose default depends on the labels count as chosen if they were given."""
    context = click.get_current_context()
    chosen: dict[str, Any] = {
        f"{name}_explicit": context.get_parameter_source(name) is not ParameterSource.DEFAULT
        for name in ("features", "scoring_method", "candidates_method")
    }
    names = {entry.name for entry in fields_of(TrackerConfig)}
    return TrackerConfig(**{name: value for name, value in options.items() if name in names}, **chosen)


def run_command(name: str, data_path: str, options: dict[str, Any]) -> None:
    """Predict, and print what was written.

    Args:
        name: Of the command.
        data_path: The input, or several.
        options: Values of all other options.
    """
    from sleap_nn.inference.gui_lines import GuiLines

    if options["gui"]:
        log.redirect_logs_to_stderr()
    else:
        log.configure()
    gui = GuiLines() if options["gui"] else None
    with nullcontext() if gui is None else gui:
        check(options)
        # Imported here so that --help does not load torch.
        with phase("loading PyTorch"):
            from sleap_nn.cli.prediction import PredictionRun, summary
            from sleap_nn.system_info import get_startup_info_string
        for sentence in idle_options(options):
            log.logger.warning("%s", sentence)
        tracking = tracker_config(options) if options["tracking"] else None
        began, activity = time.monotonic(), "inference" if options["model_paths"] else "tracking"
        log.logger.info("Started %s at: %s", activity, datetime.now())
        log.logger.info("%s", get_startup_info_string())
        with stopping_on_sigterm():
            reports = PredictionRun(options, name, tracking).run(data_path, gui)
        log.logger.info("Finished %s at: %s", activity, datetime.now())
        log.logger.info("Total runtime: %.2f secs", time.monotonic() - began)
    _warn_of_nothing(reports, options)
    if len(reports) > 1:
        click.echo(summary(reports), err=gui is not None)
    else:
        verb = "Predicted" if options["model_paths"] else "Tracked"
        log.logger.info("%s %d frames, %d instances.", verb, reports[0].num_frames, reports[0].num_instances)
        for path in reports[0].outputs:
            kind = "Analysis HDF5" if path.name.endswith(".analysis.h5") else "Predictions"
            click.echo(f"{kind} output path: {path}", err=gui is not None)
        click.echo(f"Saved file at: {datetime.now()}", err=gui is not None)
        if reports[0].problem:
            click.echo(f"Error: {reports[0].problem}", err=True)
    if any(report.problem for report in reports):
        raise SystemExit(1)


def _warn_of_nothing(reports: Sequence[Report], options: Mapping[str, Any]) -> None:
    """Say it where not one instance came out, and what may be the cause."""
    num_frames = sum(report.num_chosen for report in reports)
    if any(report.num_instances for report in reports) or all(report.problem for report in reports):
        return
    if not num_frames:
        log.logger.warning("No frame of the input was chosen, so the output is empty; check --frames and the filters.")
        return
    # Imported here so that --help does not load torch.
    from sleap_nn.inference.exported import is_exported

    exported = any(is_exported(path) for path in options["model_paths"] or ())
    lower = "export the model with a lower --peak-threshold" if exported else "lower --peak_threshold"
    ways = [lower] if options["model_paths"] else []
    ways += ["loosen the filters (--filter_...)"] if given_names(FilterConfig, options) else []
    ways += ["lower --min_new_track_points"] if options["tracking"] and options["min_new_track_points"] else []
    ways += ["check the model on its own labels"] if options["model_paths"] else []
    advice = ", or ".join(ways) if ways else "there is nothing to track"
    log.logger.warning("Not one instance was found on %d frames; %s.", num_frames, advice)
