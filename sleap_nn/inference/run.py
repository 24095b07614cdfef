"""`predict`: one call from a source and model folders to labels, in memory and on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.tracker_config import TrackerConfig, complete_tracking
from sleap_nn.data.labels import Labels, load_labels
from sleap_nn.errors import ConfigError, UsageError
from sleap_nn.heartbeat import Phase, phase
from sleap_nn.inference.chain import readable
from sleap_nn.inference.options import LoadKeywords, PredictKeywords, RunKeywords, part, refuse_raw, refuse_unknown
from sleap_nn.inference.output import FormatKeywords, Output, save_analysis_h5_files, save_predictions
from sleap_nn.inference.outputs import Outputs
from sleap_nn.inference.predictor import Predictor
from sleap_nn.inference.raw_outputs import RawKeywords
from sleap_nn.inference.select import ChoiceKeywords, Frames, Selection, Source, closed_after, select_frames
from sleap_nn.inference.to_file import FileSummary, WriteKeywords, Writing, predict_into_file
from sleap_nn.stages.stream import Progress

__all__ = ["predict", "predict_raw", "predict_selection", "read_source", "save_analysis_h5_files", "save_predictions"]


def predict(  # noqa: PLR0913 - the public verb lists its main options
    source: Source,
    *,
    model_paths: Sequence[str | Path] | str | Path | None = None,
    batch_size: int = 4,
    frames: Frames | None = None,
    output_path: str | Path | None = None,
    clean_empty_frames: bool = False,
    make_labels: bool = True,
    filter_config: FilterConfig | None = None,
    tracker_config: TrackerConfig | None = None,
    progress_callback: Progress | None = None,
    tracking_progress_callback: Progress | None = None,
    cli_args: Mapping[str, Any] | None = None,
    **options: Unpack[PredictKeywords],
) -> Any:
    """Predict the instances on a video, labels or images.

    Args:
        source: Path of a video or labels file, a Video, Labels, images (H, W, C) uint8, or a list of these.
        model_paths: A run or exported folder, or a file in it; two, in any order, for a centroid and a crop model.
        batch_size: Frames in one pass of the network.
        frames: Frame indices of a video; positions in the list of frame entries of a labels file.
        output_path: Where the labels are saved as well.
        clean_empty_frames: Leave out frames in which nothing was found.
        make_labels: False returns raw results, a list of `Outputs`, one a batch; nothing is saved then.
        filter_config: Which instances are removed; None removes none.
        tracker_config: How instances become tracks; None makes none.
        progress_callback: Called with (frames done, frames in all) after each batch.
        tracking_progress_callback: The same, after each tracked frame.
        cli_args: Options of a command line, for the provenance.
        **options: ``device`` (default ``auto``) and more of `ModelKeywords`; ``roi`` and more of `RunKeywords`; which
            frames, `ChoiceKeywords`; how maps are read, `DecodeKeywords`; what raw results hold, `RawKeywords`; what is
            written and how, `FormatKeywords` and `WriteKeywords`.

    Returns:
        Labels with one frame for every processed frame, points in frame px; or raw results.

    Raises:
        MissingFileError: The source or a model is not there.
        DataError: The source cannot be read; `MissingFramesError` if that holds for some frames only, after the
            others were saved.
        ModelError: A model cannot be used.
        ConfigError: An option is out of range.
        OutputError: The output cannot be written.
        TypeError: A keyword does not exist.
    """
    refuse_unknown(options, PredictKeywords)
    models = given_models(model_paths, options.get("export_dir"))
    if tracker_config is not None:
        _check_tracking(tracker_config, options, make_labels)
    output = None if output_path is None else Output.from_keywords(output_path, **part(options, FormatKeywords))
    writing = _writing(options, output is None, keep_empty=not clean_empty_frames, cli_args=cli_args)
    with closed_after(read_source(source, frames, **part(options, ChoiceKeywords)), source) as selection:
        if output is not None:
            output.check(selection)
        loading: LoadKeywords = {"device": "auto", **part(options, LoadKeywords)}
        with phase("loading the model"):
            predictor = Predictor.from_model_paths(
                models,
                batch_size=batch_size,
                filter_config=filter_config,
                tracker_config=tracker_config,
                **part(options, RunKeywords),
                **loading,
            )
        raw = part(options, RawKeywords)
        if not make_labels:
            return predict_raw(predictor, selection, progress_callback, raw)
        refuse_raw(raw)
        told = (progress_callback, tracking_progress_callback)
        if output is not None:
            return labels_of(predict_selection(predictor, selection, output, writing, *told), selection)
        with phase(_activity(selection), len(selection.frames)) as step:
            return predictor.predict(
                selection,
                clean_empty_frames=clean_empty_frames,
                progress_callback=_counting(step, progress_callback),
                tracking_progress_callback=tracking_progress_callback,
            )


def given_models(
    paths: Sequence[str | Path] | str | Path | None, export_dir: str | Path | None = None
) -> Sequence[str | Path] | str | Path:
    """Return the models that are named, or the exported one.

    Raises:
        UsageError: There is none, or both.
    """
    if paths and export_dir is not None:
        raise UsageError("model_paths and export_dir exclude each other; give one of them.")
    if export_dir is not None:
        return export_dir
    if not paths:
        raise UsageError("There is no model; name the folder of a trained model in model_paths.")
    return paths


def read_source(source: Source, frames: Frames | None = None, **choice: Unpack[ChoiceKeywords]) -> Selection:
    """Choose the frames of a source, see `select_frames`, and say so if it takes long."""
    with phase("reading the source"):
        return select_frames(source, frames, **choice)


def predict_raw(
    predictor: Predictor, selection: Selection, progress: Progress | None = None, raw: RawKeywords | None = None
) -> list[Outputs]:
    """Return the raw results of chosen frames."""
    with phase(_activity(selection), len(selection.frames)) as step:
        keywords = RawKeywords() if raw is None else raw
        return predictor.predict(selection, make_labels=False, progress_callback=_counting(step, progress), **keywords)


def predict_selection(
    predictor: Predictor,
    selection: Selection,
    output: Output,
    writing: Writing,
    progress: Progress | None = None,
    tracking_progress: Progress | None = None,
) -> FileSummary:
    """Predict chosen frames into files, without holding the result in memory if there is one ``.slp`` without images.

    Args:
        predictor: The models.
        selection: The frames.
        output: What is written.
        writing: How it is written.
        progress: Called with (frames done, frames in all) after each batch.
        tracking_progress: The same, after each tracked frame.

    Returns:
        What was written; frames that could not be read are listed in it.

    Raises:
        OutputError: A file cannot be written, or there is a journal that does not fit.
    """
    selection = readable(predictor.layer.models, selection)
    with phase(_activity(selection), len(selection.frames)) as step:
        counting = _counting(step, progress)
        return predict_into_file(predictor, selection, output, writing, counting, tracking_progress)


def labels_of(summary: FileSummary, selection: Selection) -> Labels:
    """Return what `predict_selection` has written, with the videos of the source.

    Raises:
        MissingFramesError: Some frames could not be read.
    """
    labels = summary.labels
    if labels is None:
        labels = load_labels(summary.path, open_videos=False)
        labels.replace_videos(new_videos=list(selection.videos))
    summary.raise_for_missing(labels)
    return labels


def _writing(options: PredictKeywords, in_memory: bool, **more: Any) -> Writing:
    """Return how files are written.

    Raises:
        ConfigError: Something is asked of a file where none is written.
    """
    asked = part(options, WriteKeywords)
    if in_memory and any(asked.values()):
        raise ConfigError("resume and write_interval are about a file; give output_path too.")
    return Writing.from_keywords(**asked, **more)


def _check_tracking(config: TrackerConfig, options: PredictKeywords, make_labels: bool) -> None:
    """Refuse what tracking does not go with.

    Raises:
        ConfigError: The message says what.
    """
    complete_tracking(config, options.get("max_instances"))
    if options.get("emit_centroid", "instance") != "instance":
        raise ConfigError("Tracking needs instances; leave emit_centroid at instance.")
    if not make_labels:
        raise ConfigError("Tracks are stored in labels, not in raw results; leave make_labels at True.")


def _activity(selection: Selection) -> str:
    """Return what is going on, for signs of life."""
    return "predicting" if selection.path is None else f"predicting {selection.path.name}"


def _counting(step: Phase, progress: Progress | None) -> Progress:
    """Return a callback that counts frames for signs of life, and passes them on."""

    def count(done: int, total: int) -> None:
        step.done = done
        if progress is not None:
            progress(done, total)

    return count
