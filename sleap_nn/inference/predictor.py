"""`Predictor`: a source of frames, the stages, and what comes out; every prediction of the package ends here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Unpack

from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.tracker_config import TrackerConfig, complete_tracking
from sleap_nn.data.labels import Labels
from sleap_nn.errors import ConfigError
from sleap_nn.inference import chain
from sleap_nn.inference.announce import loaded_line
from sleap_nn.inference.filters import NOTHING, FilterPipeline, apply_filters, effective, filter_entries
from sleap_nn.inference.label_form import unknown_video
from sleap_nn.inference.layer import Layer, raw_batches
from sleap_nn.inference.load import load_models
from sleap_nn.inference.loaded_model import LoadedModel, ModelKeywords
from sleap_nn.inference.manifest import MissingFramesError, failure_sentence
from sleap_nn.inference.options import CallKeywords, ExportKeywords, LoadKeywords, part, refuse_raw, refuse_unknown
from sleap_nn.inference.output import Output
from sleap_nn.inference.outputs import Outputs
from sleap_nn.inference.provenance import RunTimes, prediction_provenance
from sleap_nn.inference.raw_outputs import RawKeywords, kept_names
from sleap_nn.inference.select import Frames, Selection, Source, Video, closed_after, select_frames
from sleap_nn.inference.settings import DecodeKeywords, StageSettings
from sleap_nn.inference.slp_writer import SlpHead
from sleap_nn.inference.to_file import Writing, predict_into_file
from sleap_nn.inference.to_labels import AnySkeleton, CentroidForm, to_labels
from sleap_nn.inference.tracking import apply_tracking, track_stream, tracking_entries, tracking_run
from sleap_nn.inference.unused import check_use
from sleap_nn.stages.follow import RoiSettings, check_can_follow
from sleap_nn.stages.stream import DoneFrames, Failure, Progress, flattened
from sleap_nn.structures.predictions import Predictions
from sleap_nn.tasks.base import Task


class Predictor:
    """Predicts with loaded models; it keeps no state between calls.

    Attributes:
        layer: The part from an array to raw results, without filters: the models and how they are executed.
        batch_size: Frames in one pass of the network.
        queue_size: Frames prepared ahead of the network at most.
        filter_config: Which instances are removed.
        tracker_config: How tracks are made; None makes none.
        paf_workers: Processes that join the points of a bottom-up model to instances; 0 does it here.
        emit_centroid: How centroids without keypoints are stored: ``instance``, ``centroid`` or ``both``.
        roi: How the animal is followed with a part of the frame; None reads whole frames.
    """

    def __init__(  # noqa: PLR0913 - the documented signature
        self,
        layer: Layer,
        skeleton: AnySkeleton | None = None,
        batch_size: int = 4,
        filter_config: FilterConfig | None = None,
        paf_workers: int = 0,
        tracker_config: TrackerConfig | None = None,
        model_paths: Sequence[str | Path] | None = None,
        device: str | None = None,
        emit_centroid: str = "instance",
        *,
        queue_size: int = 32,
        roi: RoiSettings | None = None,
    ) -> None:
        """Take the models of a layer, such as that of another predictor; `from_model_paths` loads some.

        Args:
            layer: What predicts.
            skeleton: What labels call their nodes, as many as the model's; None: the skeleton of training.
            batch_size: See the attributes, as for all others but two.
            filter_config: As above; None removes nothing.
            paf_workers: As above.
            tracker_config: As above.
            model_paths: What the provenance names as the models; None: the folders they were read from.
            device: Where the models are, for scripts that say so; they stay where they were loaded.
            emit_centroid: As above.
            queue_size: As above.
            roi: As above.

        Raises:
            ConfigError: A value is out of range, the layer is on another device, or `roi` is given for models that do
                not find one animal in whole frames, or together with maps to keep.
        """
        chain.check_settings(batch_size, queue_size, paf_workers, emit_centroid, filter_config, roi)
        self.layer = layer
        self.roi = roi
        if roi is not None:
            check_can_follow([model.stage.task for model in layer.models], layer.keep)
        if device is not None:
            chain.check_device(device, layer.device)
        self.batch_size = int(batch_size)
        self.queue_size = queue_size
        self.paf_workers = paf_workers
        self.emit_centroid = emit_centroid
        self.filter_config = NOTHING if filter_config is None else filter_config
        self.tracker_config = tracker_config
        task = self._task
        self._skeleton = skeleton
        self._label_skeleton = chain.label_skeleton(skeleton, task)
        self._named_paths = None if model_paths is None else [Path(path) for path in model_paths]
        self._filters = effective(self.filter_config, len(task.predicted_skeleton.node_names), task.one_point)
        self._asked_filters = self.filter_config

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
        check_use(models, options, emit_centroid, paf_workers, tracker_config)
        return cls(
            Layer(models, kept_names({"return_confmaps": return_confmaps}), batch_size),
            batch_size=batch_size,
            filter_config=filter_config,
            paf_workers=paf_workers,
            tracker_config=tracker_config,
            emit_centroid=emit_centroid,
            queue_size=queue_maxsize,
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
    def _models(self) -> tuple[LoadedModel, ...]:
        """The models, in the order in which they run."""
        return self.layer.models

    @property
    def skeleton(self) -> AnySkeleton:
        """The skeleton of the training labels, or the one that was given in its place."""
        return self._models[-1].skeleton if self._skeleton is None else self._skeleton

    @property
    def model_paths(self) -> list[Path]:
        """The folders the models were read from, or what was given in their place."""
        if self._named_paths is not None:
            return self._named_paths
        return list(dict.fromkeys(model.folder for model in self._models))

    @property
    def log_line(self) -> str:
        """What a log says of the models and how they are read."""
        return loaded_line(self._models, self.batch_size, self.paf_workers)

    @property
    def device(self) -> str:
        """Where the networks run."""
        return self.layer.device

    @property
    def filter_pipeline(self) -> FilterPipeline:
        """The filters, for raw results."""
        return FilterPipeline(self.filter_config)

    def predict(  # noqa: PLR0913 - the documented signature
        self,
        source: Source | Selection,
        *,
        make_labels: bool = True,
        frames: Frames | None = None,
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
        failures: list[Failure] = []
        with closed_after(chain.named(source, frames, skeleton, videos, self._models), source) as chosen:
            started = datetime.now()
            found = list(changed._stream(chosen, failures.append, progress_callback, None, tracking_progress_callback))
            labels = changed.labels(found, chosen, not clean_empty_frames)
            labels.provenance |= changed.provenance(chosen, RunTimes(started, datetime.now()))
        if failures:
            raise MissingFramesError(failure_sentence(failures, len(chosen.frames), ""), failures, labels)
        return labels

    def predict_to_file(  # noqa: PLR0913 - the documented signature
        self,
        source: Source | Selection,
        path: str | Path,
        *,
        frames: Frames | None = None,
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
        refuse_raw(overrides)
        writing = Writing.from_keywords(write_interval, resume, not clean_empty_frames)
        output = Output(Path(path))
        with closed_after(chain.named(source, frames, skeleton, videos, self._models), source) as selection:
            output.check(selection)
            summary = predict_into_file(self._with(overrides), selection, output, writing, progress_callback)
        summary.raise_for_missing()
        return str(summary.path.resolve())

    def predict_streaming(
        self,
        source: Source | Selection,
        *,
        frames: Frames | None = None,
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
        selection = chain.named(source, frames, None, None, self._models)
        keep = changed.layer.keep
        found = changed._stream(selection, None, progress_callback, keep)
        return chain.until_closed(raw_batches(found, changed.layer.form, keep, self.batch_size), selection, source)

    def to_labels(
        self, outputs: Iterable[Outputs], source: Source | Selection | None = None, keep_empty: bool = True
    ) -> Labels:
        """Return raw results of a source as labels.

        Args:
            outputs: What `predict` or `predict_streaming` returned.
            source: What they were predicted on; without it a video named ``unknown`` stands for each that there was.
            keep_empty: Keep frames in which nothing was found.
        """
        found = [frame for batch in outputs for frame in batch.to_predictions()]
        if source is None:
            count = 1 + max((frame.key.video for frame in found), default=0)
            return self._as_labels(
                found, self._labels_skeleton(None), [unknown_video() for _ in range(count)], keep_empty
            )
        selection = source if isinstance(source, Selection) else select_frames(source)
        return self.labels(found, selection, keep_empty)

    def batches(self, selection: Selection, start: int = 0, keep: frozenset[str] | None = None) -> Iterator[DoneFrames]:
        """Yield what stages and filters give for each frame on its own: what a journal keeps.

        Args:
            selection: The frames.
            start: Position of the first one to predict.
            keep: What `Predictions.raw` holds; None for nothing.
        """
        pace = chain.Pace(self.batch_size, self.queue_size, self.paf_workers)
        for batch in chain.unfiltered(self.layer.stages(keep), selection, pace, start, self.roi):
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
        tracked = chain.counted(track_stream(found, run, selection.frames), len(selection.frames), progress)
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

    def _with(self, overrides: CallKeywords) -> Predictor:
        """Return a predictor with the attributes as they are now, checked, and the settings that a call changes."""
        refuse_unknown(overrides, DecodeKeywords, RawKeywords)
        told = self.filter_config is self._asked_filters  # which of them have no effect
        raw, decoding = part(overrides, RawKeywords), part(overrides, DecodeKeywords)
        models = chain.with_settings(self._models, decoding)
        switched_off = kept_names({name: value is False for name, value in raw.items()})  # pyright: ignore[reportArgumentType]
        return Predictor(
            Layer(models, (self.layer.keep - switched_off) | kept_names(raw), self.layer.batch_size),
            self._skeleton,
            self.batch_size,
            self._filters if told else self.filter_config,
            self.paf_workers,
            self.tracker_config,
            self._named_paths,
            emit_centroid=self.emit_centroid,
            queue_size=self.queue_size,
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

    def labels(self, found: Iterable[Predictions], selection: Selection, keep_empty: bool = True) -> Labels:
        """Return instances as labels, without provenance.

        Args:
            found: What came out, one entry a frame.
            selection: The frames.
            keep_empty: Keep frames in which nothing was found.
        """
        return self._as_labels(found, self._labels_skeleton(selection), selection.videos, keep_empty)

    def _as_labels(
        self, found: Iterable[Predictions], skeleton: AnySkeleton, videos: Sequence[Video], keep_empty: bool
    ) -> Labels:
        """Return instances as labels of videos."""
        return to_labels(found, skeleton, videos, keep_empty, self._task.classes, self.centroids())

    def _labels_skeleton(self, selection: Selection | None) -> AnySkeleton:
        """Return what labels call their nodes: as a call asks for, as this predictor was told, or as in training."""
        if selection is not None and selection.skeleton is not None:
            return selection.skeleton
        return self._task.predicted_skeleton if self._label_skeleton is None else self._label_skeleton

    def head(self, selection: Selection, provenance: Mapping[str, Any], restore_source_videos: bool) -> SlpHead | None:
        """Return what a file says besides instances; None if it must hold more than instances.

        Args:
            selection: The frames.
            provenance: Where the predictions come from.
            restore_source_videos: Name the videos that images of a package once came from, instead of the package.
        """
        form = self.centroids()
        if form is not None and form.emit != "instance":
            return None
        skeleton = self._labels_skeleton(selection)
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
        if self._named_paths is not None:
            entries["model_paths"] = [path.resolve().as_posix() for path in self._named_paths]
        if self.tracker_config is not None and not self._task.classes:
            nodes, most = self._task.predicted_skeleton.node_names, self._models[0].stage.settings.max_instances
            entries["tracking_config"] = tracking_entries(self.tracker_config, nodes, most)
        return entries if cli_args is None else {**entries, "cli_args": dict(cli_args)}

    def what_decides(self, selection: Selection) -> dict[str, Any]:
        """Return everything that the result of `batches` depends on, and by which an interrupted run is known again."""
        return chain.what_decides(self._models, selection, self._filters, self.roi, self.batch_size)

    def centroids(self) -> CentroidForm | None:
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
