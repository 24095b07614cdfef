"""A run of `sleap-nn predict`: options to keywords, inputs one after another with models loaded once, a summary."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sleap_nn.cli.frames_bar import FramesBar
from sleap_nn.cli.inputs import expand_inputs, is_several, output_paths
from sleap_nn.config.fields import fields_of
from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.errors import UserError
from sleap_nn.heartbeat import phase
from sleap_nn.inference.announce import complete_line, starting_line
from sleap_nn.inference.chain import readable
from sleap_nn.inference.gui_lines import GuiLines
from sleap_nn.inference.manifest import MissingFramesError
from sleap_nn.inference.options import PREPROCESSING, LoadKeywords, part
from sleap_nn.inference.output import Output, default_output
from sleap_nn.inference.predictor import Predictor
from sleap_nn.inference.run import predict_selection, read_source
from sleap_nn.inference.select import ChoiceKeywords, closed_after, label_filter
from sleap_nn.inference.to_file import Writing
from sleap_nn.log import logger
from sleap_nn.stages.follow import RoiSettings
from sleap_nn.track import track_labels


@dataclass
class Report:
    """What became of one input.

    Attributes:
        source: The input.
        outputs: The files that were written.
        num_frames: Predicted frames.
        num_instances: Instances on them.
        problem: What went wrong, empty if nothing did.
        num_chosen: Frames that were asked for.
    """

    source: Path
    outputs: list[Path] = field(default_factory=list)
    num_frames: int = 0
    num_instances: int = 0
    problem: str = ""
    num_chosen: int = 0


class PredictionRun:
    """The options of a run, and its models, which are loaded once."""

    def __init__(self, options: Mapping[str, Any], command: str, tracking: TrackerConfig | None = None) -> None:
        """Take the options.

        Args:
            options: Values of all options by the names of their fields, those of filters and tracking among them.
            command: ``predict`` or ``track``.
            tracking: How tracks are made, None for no tracks.
        """
        self._tracking = tracking
        trackers = {entry.name for entry in fields_of(TrackerConfig)}
        options = {name: value for name, value in options.items() if name not in trackers or tracking is not None}
        filters = {entry.name for entry in fields_of(FilterConfig)}
        self._filters = FilterConfig(**{name: value for name, value in options.items() if name in filters})
        self._options = {name: value for name, value in options.items() if name not in filters | trackers}
        self._command = command
        self._given = {name: value for name, value in options.items() if value is not None}
        self._predictor: Predictor | None = None
        self._gui: GuiLines | None = None
        self._inputs: Sequence[Path] = ()

    def run(self, data_path: str, gui: GuiLines | None = None) -> list[Report]:
        """Predict everything that a text names.

        Args:
            data_path: One input, or several, see `expand_inputs`.
            gui: What tells another program how far it is, None for a bar.

        Raises:
            UserError: There is one input, and it cannot be predicted; or the models cannot be used.
        """
        self._gui = gui
        inputs = expand_inputs(data_path)
        self._inputs = inputs
        named = self._options["stream_to_file"] or self._options["output_path"]
        is_retracked = self._command == "predict" and not self._options["model_paths"]
        index = None if is_retracked else self._options["video_index"]
        if not is_several(data_path):
            return [self._predict(inputs[0], Path(named) if named else default_output(inputs[0], index, self._command))]
        paths = output_paths(inputs, named, [self._default(source, index) for source in inputs])
        if self._options["model_paths"]:
            self._loaded()
        return [self._attempt(source, path) for source, path in zip(inputs, paths, strict=True)]

    def _default(self, source: Path, index: int | None) -> Path:
        """Return where the predictions of one of several inputs go; one that cannot be read fails in its turn."""
        try:
            return default_output(source, index, self._command)
        except UserError:
            return default_output(source, None, self._command)

    def _attempt(self, source: Path, path: Path) -> Report:
        """Predict one of several inputs; what a user can repair is reported, and the next has its turn."""
        try:
            report = self._predict(source, path)
        except UserError as error:
            if self._gui is not None:
                self._gui.failed(error)
            logger.error("%s", error)
            return Report(source, problem=str(error))
        if report.problem:
            logger.error("%s", report.problem)
        return report

    def _predict(self, source: Path, path: Path) -> Report:
        """Predict one input and write its files."""
        if not self._options["model_paths"]:
            return self._track(source, path)
        formats = (self._options[name] for name in ("output_format", "embed", "restore_source_videos"))
        output = Output.from_keywords(path, *formats)
        choice = part(self._options, ChoiceKeywords)
        with closed_after(read_source(source, self._options["frames"], **choice), source) as selection:
            output.check(selection, self._inputs)
            predictor = self._loaded()
            selection = readable(predictor.layer.models, selection)
            is_tracked = self._tracking is not None
            logger.info("%s", starting_line(selection, is_tracked))
            began = time.monotonic()
            if self._gui is not None:
                self._gui.started(str(source), len(selection.frames))
            with FramesBar("Predicting...") if self._gui is None else nullcontext(self._gui) as progress:
                writing = Writing.from_keywords(
                    self._options["write_interval"],
                    self._options["resume"],
                    not self._options["no_empty_frames"],
                    self._given,
                )
                told = (progress, progress.tracked) if is_tracked else (progress,)
                written = predict_selection(predictor, selection, output, writing, *told)
        logger.info(
            "%s", complete_line(written.num_frames, written.num_instances, time.monotonic() - began, is_tracked)
        )
        if self._gui is not None:
            self._gui.finished(written.files)
        problem = ""
        try:
            written.raise_for_missing()
        except MissingFramesError as error:
            problem = str(error)
            if self._gui is not None:
                self._gui.failed(error)
        counts = (written.num_frames, written.num_instances)
        return Report(source, list(written.files), *counts, problem, written.num_requested)

    def _track(self, source: Path, path: Path) -> Report:
        """Track the instances of a labels file, without a model, and write its files."""
        formats = (self._options[name] for name in ("output_format", "embed", "restore_source_videos"))
        if self._gui is not None:
            self._gui.started(str(source), None)
        with FramesBar("Tracking...") if self._gui is None else nullcontext(self._gui) as progress:
            labels, written = track_labels(
                source,
                Output.from_keywords(path, *formats),
                self._tracking,
                frames=self._options["frames"],
                video_index=self._options["video_index"],
                label_filter=label_filter(part(self._options, ChoiceKeywords)),
                max_instances=self._options["max_instances"],
                filter_config=self._filters,
                clean_empty_frames=self._options["no_empty_frames"],
                progress_callback=progress,
                cli_args=self._given,
                kept_files=self._inputs,
            )
        if self._gui is not None:
            self._gui.finished(written)
        num_instances = sum(len(frame.instances) for frame in labels.labeled_frames)
        num_chosen = labels.provenance["frames_processed"]
        return Report(source, written, len(labels.labeled_frames), num_instances, num_chosen=num_chosen)

    def _loaded(self) -> Predictor:
        """Return the models."""
        if self._predictor is None:
            options = self._options
            loading = part(options, LoadKeywords)
            loading["preprocess_config"] = {key: options[name] for name, key in PREPROCESSING.items()}
            with phase("loading the model"):
                self._predictor = Predictor.from_model_paths(
                    options["model_paths"],
                    **{name: options[name] for name in ("batch_size", "queue_maxsize", "paf_workers", "emit_centroid")},
                    filter_config=self._filters,
                    roi=RoiSettings(options["roi_check_interval"]) if options["roi"] else None,
                    tracker_config=self._tracking,
                    **loading,
                )
            logger.info("%s", self._predictor.log_line)
        return self._predictor


def summary(reports: Sequence[Report]) -> str:
    """Return a table of what became of several inputs."""
    rows = [("input", "frames", "instances", "result")]
    for report in reports:
        result = f"failed: {report.problem}" if report.problem else ", ".join(str(path) for path in report.outputs)
        rows.append((str(report.source), str(report.num_frames), str(report.num_instances), result))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{name:<{widths[0]}}  {frames:>{widths[1]}}  {found:>{widths[2]}}  {result}"
        for name, frames, found, result in rows
    )
