"""`Predictor`: a source of frames, the stages, and what comes out; every prediction of the package ends here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Unpack

from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.tracker_config import TrackerConfig, complete_tracking
from sleap_nn.data.labels import Labels
from sleap_nn.errors import ConfigError
from sleap_nn.inference.announce import loaded_line
from sleap_nn.inference.chain import Pace, check_settings, counted, named, unfiltered, warn_of_unused, with_settings
from sleap_nn.inference.filters import NOTHING, FilterPipeline, apply_filters, effective, filter_entries
from sleap_nn.inference.layer import Layer, raw_batches
from sleap_nn.inference.load import load_models
from sleap_nn.inference.loaded_model import LoadedModel, ModelKeywords
from sleap_nn.inference.manifest import MissingFramesError, failure_sentence, labels_hash
from sleap_nn.inference.options import CallKeywords, ExportKeywords, LoadKeywords, part, refuse_raw, refuse_unknown
from sleap_nn.inference.output import Output
from sleap_nn.inference.outputs import Outputs
from sleap_nn.inference.provenance import RunTimes, prediction_provenance
from sleap_nn.inference.raw_outputs import OutputForm, RawKeywords, kept_names
from sleap_nn.inference.select import Selection, Source, Video, select_frames
from sleap_nn.inference.settings import DecodeKeywords, StageSettings
from sleap_nn.inference.slp_writer import SlpHead
from sleap_nn.inference.to_file import Writing, predict_into_file
from sleap_nn.inference.to_labels import AnySkeleton, CentroidForm, to_labels
from sleap_nn.inference.tracking import apply_tracking, track_stream, tracking_entries, tracking_run
from sleap_nn.stages.follow import RoiSettings, check_can_follow
from sleap_nn.stages.stream import DoneFrames, Failure, Progress, flattened
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import Task
from sleap_nn.version import __version__


class Predictor:
    """Predicts with loaded models; it keeps no state between calls.

    Attributes:
        batch_size: Frames in one pass of the network.
        queue_size: Frames prepared ahead of the network at most.
        filter_config: Which instances are removed.
        tracker_config: How tracks are made; None makes none.
        paf_workers: Processes that join the points of a bottom-up model to instances; 0 does it here.
        emit_centroid: How centroids without keypoints are stored: ``instance``, ``centroid`` or ``both``.
        roi: How the animal is followed with a part of the frame; None reads whole frames.
    """

    def __init__(  # noqa: PLR0913 - one for every setting of a predictor
        self,
        models: Sequence[LoadedModel],
        batch_size: int = 4,
        queue_size: int = 32,
        *,
        filter_config: FilterConfig | None = None,
        tracker_config: TrackerConfig | None = None,
        paf_workers: int = 0,
        emit_centroid: str = "instance",
        keep: frozenset[str] = frozenset(),
        roi: RoiSettings | None = None,
    ) -> None:
        """Take models that `load_models` returned.

        Args:
            models: The models, in the order in which they run.
            batch_size: See the attributes, as for all others.
            queue_size: As above.
            filter_config: As above; None removes nothing.
            tracker_config: As above.
            paf_workers: As above.
            emit_centroid: As above.
            keep: What raw results hold besides points, see `raw_outputs.kept_names`.
            roi: As above.

        Raises:
            ConfigError: A value is out of range, or `roi` is given for models that do not find one animal in whole
                frames, or together with maps to keep.
        """
        check_settings(batch_size, queue_size, paf_workers, emit_centroid)
        self._models = tuple(models)
        self._keep = keep
        self.roi = roi
        if roi is not None:
            check_can_follow([model.stage.task for model in self._models], keep)
        self.batch_size = batch_size
        self.queue_size = queue_size
        self.paf_workers = paf_workers
        self.emit_centroid = emit_centroid
        self.filter_config = NOTHING if filter_config is None else filter_config
        self.tracker_config = tracker_config
        task = self._task
        self._filters = effective(self.filter_config, len(task.predicted_skeleton.node_names), task.one_point)

    @classmethod
    def from_model_paths(  # noqa: PLR0913 - one for every setting of a predictor
        cls,
        model_paths: Sequence[str | Path] | str | Path,
        *,
        batch_size: int = 4,
        queue_maxsize: int = 32,
        filter_config: FilterConfig | None = None,
        tracker_config: TrackerConfig | None = None,
        paf_workers: int = 0,
        emit_centroid: str = "instance",
        return_confmaps: bool = False,
        roi: RoiSettings | None = None,
        **options: Unpack[LoadKeywords],
    ) -> Predictor:
        """Load trained folders.

        Args:
            model_paths: A run folder, or its ``best.ckpt`` or ``training_config.yaml``; two, in any order, for a
                centroid model and a model of crops. Or an exported folder.
            batch_size: Frames in one pass of the network.
            queue_maxsize: Frames prepared ahead of the network at most.
            filter_config: Which instances are removed; None removes none.
            tracker_config: How tracks are made; None makes none.
            paf_workers: Processes that join the points of a bottom-up model to instances.
            emit_centroid: How centroids without keypoints are stored: ``instance``, ``centroid`` or ``both``.
            return_confmaps: Whether raw results hold confidence maps.
            roi: Follow the animal of a single_instance model with a part of the frame; None reads whole frames.
            **options: ``device`` (default ``cpu``) and more of `ModelKeywords`; how maps are read, `DecodeKeywords`.

        Raises:
            MissingFileError: A folder or a file in it is not there.
            ModelError: A file cannot be used, or the models do not go together.
            ConfigError: An option is out of range.
            TypeError: A keyword does not exist.
        """
        refuse_unknown(options, ModelKeywords, DecodeKeywords)
        if tracker_config is not None:
            complete_tracking(tracker_config, options.get("max_instances"))
        settings = StageSettings.from_keywords(part(options, DecodeKeywords))
        models = load_models(model_paths, settings, **part(options, ModelKeywords))
        warn_of_unused(models, options.get("anchor_part"), emit_centroid, paf_workers)
        return cls(
            models,
            batch_size,
            queue_maxsize,
            filter_config=filter_config,
            tracker_config=tracker_config,
            paf_workers=paf_workers,
            emit_centroid=emit_centroid,
            keep=kept_names({"return_confmaps": return_confmaps}),
            roi=roi,
        )

    @classmethod
    def from_export_dir(cls, export_dir: str | Path, **options: Unpack[ExportKeywords]) -> Predictor:
        """Load a folder that `sleap-nn export` wrote; errors as for `from_model_paths`.

        Args:
            export_dir: The folder.
            **options: ``runtime`` (default ``auto``), ``device`` (default ``auto``), and more of `ExportKeywords`.
        """
        refuse_unknown(options, ExportKeywords)
        given: dict[str, Any] = {"device": "auto", **options, "export_dir": export_dir}
        return cls.from_model_paths(export_dir, **given)

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the training labels."""
        return self._models[-1].skeleton

    @property
    def model_paths(self) -> list[Path]:
        """The folders the models were read from."""
        return list(dict.fromkeys(model.folder for model in self._models))

    @property
    def log_line(self) -> str:
        """What a log says of the models and how they are read."""
        return loaded_line(self._models, self.batch_size, self.paf_workers)

    @property
    def device(self) -> str:
        """Where the networks run."""
        return self._models[-1].device

    @property
    def filter_pipeline(self) -> FilterPipeline:
        """The filters, for raw results."""
        return FilterPipeline(self.filter_config)

    @property
    def layer(self) -> Layer:
        """The part from an array to raw results, without filters."""
        return Layer(self._raw_frames, self.output_form, self._keep, self.device)

    def predict(  # noqa: PLR0913 - the documented signature
        self,
        source: Source | Selection,
        *,
        make_labels: bool = True,
        frames: Sequence[int] | None = None,
        skeleton: AnySkeleton | None = None,
        videos: Sequence[Video] | None = None,
        clean_empty_frames: bool = False,
        progress_callback: Progress | None = None,
        tracking_progress_callback: Progress | None = None,
        **overrides: Unpack[CallKeywords],
    ) -> Any:
        """Predict on a source and return labels with provenance, or raw results as a list of `Outputs`.

        Args:
            source: Path of a video or labels file, a video, labels, images, or a finished `Selection`.
            make_labels: False returns raw results, one `Outputs` a batch.
            frames: See `select_frames`.
            skeleton: Skeleton of the labels, with the model's nodes; None: the one of training.
            videos: Videos of the labels; None: those of the source.
            clean_empty_frames: Leave frames in which nothing was found out of the labels.
            progress_callback: Called with (frames done, frames in all) after each batch.
            tracking_progress_callback: The same, after each tracked frame.
            **overrides: What this call changes of the settings, and what raw results hold, see `CallKeywords`.

        Raises:
            MissingFramesError: Some frames could not be read; it carries the predictions on the others.
            ConfigError: Raw results were asked for that labels do not hold.
        """
        changed = self._with(overrides)
        if not make_labels:
            return list(changed.predict_streaming(source, frames=frames, progress_callback=progress_callback))
        refuse_raw(overrides)
        selection = named(source, frames, skeleton, videos, self._task)
        started = datetime.now()
        failures: list[Failure] = []
        found = list(changed._stream(selection, failures.append, progress_callback, None, tracking_progress_callback))
        labels = changed.labels(found, selection, not clean_empty_frames)
        labels.provenance |= changed.provenance(selection, RunTimes(started, datetime.now()))
        if failures:
            raise MissingFramesError(failure_sentence(failures, len(selection.frames), ""), failures, labels)
        return labels

    def predict_to_file(  # noqa: PLR0913 - the documented signature
        self,
        source: Source | Selection,
        path: str | Path,
        *,
        frames: Sequence[int] | None = None,
        skeleton: AnySkeleton | None = None,
        videos: Sequence[Video] | None = None,
        write_interval: int | None = None,
        resume: bool = False,
        clean_empty_frames: bool = False,
        progress_callback: Progress | None = None,
        **overrides: Unpack[CallKeywords],
    ) -> str:
        """Predict into a ``.slp``, in constant memory; what is done survives whatever happens, see `to_file`.

        Args:
            source: As for `predict`.
            path: The output; ``PATH.manifest.json`` beside it says what it was made from.
            frames: As for `predict`, as are `skeleton` and `videos`.
            skeleton: As above.
            videos: As above.
            write_interval: Frames that a crash can cost at most; None: 500.
            resume: Go on with the journal, ``PATH.journal``, that an interrupted run has left.
            clean_empty_frames: Leave out frames in which nothing was found.
            progress_callback: As for `predict`.
            **overrides: As for `predict`; there are no raw results in a file.

        Returns:
            The absolute path of the output.

        Raises:
            MissingFramesError: Some frames could not be read; the others are in the output.
            OutputError: The output cannot be written, or there is a journal that does not fit.
        """
        selection = named(source, frames, skeleton, videos, self._task)
        refuse_raw(overrides)
        writing = Writing.from_keywords(write_interval, resume, not clean_empty_frames)
        output = Output(Path(path))
        output.check(selection)
        summary = predict_into_file(self._with(overrides), selection, output, writing, progress_callback)
        summary.raise_for_missing()
        return str(summary.path.resolve())

    def predict_streaming(
        self,
        source: Source | Selection,
        *,
        frames: Sequence[int] | None = None,
        progress_callback: Progress | None = None,
        **overrides: Unpack[CallKeywords],
    ) -> Iterator[Outputs]:
        """Yield raw results batch by batch, filtered, in order, in constant memory; arguments as for `predict`.

        Raises:
            DataError: A frame cannot be read.
        """
        if self.tracker_config is not None:
            raise ConfigError("Tracks are stored in labels, not in raw results; use predict, or leave tracking out.")
        changed = self._with(overrides)
        selection = source if isinstance(source, Selection) else select_frames(source, frames)
        found = changed._stream(selection, None, progress_callback, changed._keep)
        return raw_batches(found, changed.output_form, changed._keep, self.batch_size)

    def to_labels(self, outputs: Iterable[Outputs], source: Source | Selection, keep_empty: bool = True) -> Labels:
        """Return raw results of a source as labels.

        Args:
            outputs: What `predict` or `predict_streaming` returned.
            source: What they were predicted on.
            keep_empty: Keep frames in which nothing was found.
        """
        selection = source if isinstance(source, Selection) else select_frames(source)
        return self.labels([frame for batch in outputs for frame in batch.to_predictions()], selection, keep_empty)

    def batches(self, selection: Selection, start: int = 0, keep: frozenset[str] | None = None) -> Iterator[DoneFrames]:
        """Yield what stages and filters give for each frame on its own: what a journal keeps.

        Args:
            selection: The frames.
            start: Position of the first one to predict.
            keep: What `Predictions.raw` holds; None for nothing.
        """
        for batch in self._unfiltered(selection, start, keep):
            yield replace(batch, predictions=tuple(apply_filters(frame, self._filters) for frame in batch.predictions))

    def completed(
        self, found: Iterator[Predictions], selection: Selection, progress: Progress | None = None
    ) -> Iterator[Predictions]:
        """Yield the frames after the steps that need all of them in order, from the first on: tracking.

        Args:
            found: What `batches` gave, frame by frame.
            selection: The frames.
            progress: Called with (frames tracked, frames in all) after each of them.
        """
        run = tracking_run(self.tracker_config, self._task, self._models[0].stage.settings.max_instances)
        if run is None:
            return found
        tracked = counted(track_stream(found, run, selection.frames), len(selection.frames), progress)
        return run.finished(tracked)

    def _stream(
        self,
        selection: Selection,
        on_failure: Callable[[Failure], None] | None,
        progress: Progress | None,
        keep: frozenset[str] | None = None,
        tracking_progress: Progress | None = None,
    ) -> Iterator[Predictions]:
        """Run the chain; frames that cannot be read are reported to `on_failure`, without it the first is an error.

        Args:
            selection: The frames.
            on_failure: As above.
            progress: Called with (frames done, frames in all) after each batch.
            keep: What `Predictions.raw` holds; None for nothing.
            tracking_progress: As `progress`, after each tracked frame.
        """
        batches = self.batches(selection, keep=keep)
        found = flattened(batches, len(selection.frames), on_failure, progress)
        return self.completed(found, selection, tracking_progress)

    def _unfiltered(self, selection: Selection, start: int, keep: frozenset[str] | None) -> Iterator[DoneFrames]:
        """Run the stages; arguments as for `batches`."""
        stages = [model.stage for model in self._models]
        stages[-1] = replace(stages[-1], keep=keep)
        pace = Pace(self.batch_size, self.queue_size, self.paf_workers)
        return unfiltered(stages, selection, pace, start, self.roi)

    def _raw_frames(self, selection: Selection) -> Iterator[Predictions]:
        """Return the unfiltered instances of every frame, with `Predictions.raw`."""
        return flattened(self._unfiltered(selection, 0, self._keep), len(selection.frames))

    def _with(self, overrides: CallKeywords) -> Predictor:
        """Return a predictor with the settings that a call changes; this one stays as it is."""
        refuse_unknown(overrides, DecodeKeywords, RawKeywords)
        if all(value is None for value in overrides.values()):
            return self
        raw, decoding = part(overrides, RawKeywords), part(overrides, DecodeKeywords)
        models = with_settings(self._models, decoding)
        switched_off = kept_names({name: value is False for name, value in raw.items()})  # pyright: ignore[reportArgumentType]
        return Predictor(
            models,
            self.batch_size,
            self.queue_size,
            filter_config=self._filters,
            tracker_config=self.tracker_config,
            paf_workers=self.paf_workers,
            emit_centroid=self.emit_centroid,
            keep=(self._keep - switched_off) | kept_names(raw),
            roi=self.roi,
        )

    @staticmethod
    def retrack(
        labels: Labels,
        tracker_config: TrackerConfig,
        clean_empty_frames: bool = False,
        progress_callback: Progress | None = None,
    ) -> Labels:
        """Track the instances of labels in place, see `apply_tracking`, and return the labels.

        Args:
            labels: With predicted or drawn instances.
            tracker_config: How tracks are made.
            clean_empty_frames: Take out frames without instances.
            progress_callback: Called with (frames done, frames in all) after each frame.
        """
        apply_tracking(labels, tracker_config, progress_callback)
        if clean_empty_frames:
            labels.labeled_frames = [frame for frame in labels.labeled_frames if len(frame.instances)]
        return labels

    @property
    def _task(self) -> Task:
        """The model type whose instances come out."""
        return self._models[-1].stage.task

    @property
    def output_form(self) -> OutputForm:
        """Return how raw results are laid out."""
        stage = self._models[-1].stage
        slots = self._models[0].stage.settings.max_instances if stage.task.one_point or len(self._models) > 1 else None
        return OutputForm(stage.task, stage.spec, len(self._models) > 1, slots)

    def labels(self, found: Iterable[Predictions], selection: Selection, keep_empty: bool = True) -> Labels:
        """Return instances as labels, without provenance.

        Args:
            found: What came out, one entry a frame.
            selection: The frames.
            keep_empty: Keep frames in which nothing was found.
        """
        skeleton = self._task.predicted_skeleton if selection.skeleton is None else selection.skeleton
        return to_labels(found, skeleton, selection.videos, keep_empty, self._task.classes, self._centroids())

    def head(self, selection: Selection, provenance: Mapping[str, Any], restore_source_videos: bool) -> SlpHead | None:
        """Return what a file says besides instances; None if it must hold more than instances.

        Args:
            selection: The frames.
            provenance: Where the predictions come from.
            restore_source_videos: Name the videos that images of a package once came from, instead of the package.
        """
        form = self._centroids()
        if form is not None and form.emit != "instance":
            return None
        skeleton = self._task.predicted_skeleton if selection.skeleton is None else selection.skeleton
        return SlpHead(skeleton, selection.videos, self._task.classes, provenance, form, restore_source_videos)

    def provenance(
        self, selection: Selection, times: RunTimes, cli_args: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return where the predictions come from.

        Args:
            selection: The frames.
            times: When they were made.
            cli_args: Options of a command line.
        """
        entries = prediction_provenance(self._models, selection, times, self._options())
        if self.tracker_config is not None and not self._task.classes:
            entries["tracking_config"] = tracking_entries(self.tracker_config)
        return entries if cli_args is None else {**entries, "cli_args": dict(cli_args)}

    def what_decides(self, selection: Selection) -> dict[str, Any]:
        """Return everything that the result of `batches` depends on, and by which an interrupted run is known again."""
        path, labels = selection.path, selection.labels
        return {
            "sleap_nn_version": __version__,
            "weights": {model.model_type: model.weights_hash() for model in self._models},
            "settings": {model.model_type: model.what_decides() for model in self._models},
            "filters": asdict(self._filters),
            "roi": None if self.roi is None else {**asdict(self.roi), "batch_size": self.batch_size},
            "input": {
                "frames": len(selection.frames),
                "content": selection.frames.fingerprint(),
                "labels": None if path is None or labels is None else labels_hash(labels, path),
            },
        }

    def _centroids(self) -> CentroidForm | None:
        """Return how centroids are stored, None for models that find keypoints."""
        return self._models[-1].centroid_form(self.emit_centroid) if self._task.one_point else None

    def _options(self) -> dict[str, Any]:
        """Return the options of the predictor itself, for the provenance."""
        return {
            "batch_size": self.batch_size,
            "roi_check_interval": None if self.roi is None else self.roi.check_interval,
            "paf_workers": self.paf_workers if self.paf_workers else None,
            "emit_centroid": self.emit_centroid if self._task.one_point else None,
            **filter_entries(self._filters),
        }
