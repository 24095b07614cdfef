"""`run_inference`, the prediction call of earlier releases: other keywords for `predict` and `track`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

import numpy as np

from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.frames import parse_frames as frame_list
from sleap_nn.config.inference_keywords import FILTER_KEYWORDS, TRACKER_KEYWORDS, run_inference_defaults
from sleap_nn.config.tracker_config import TrackerConfig, complete_tracking
from sleap_nn.data.labels import Labels
from sleap_nn.data.other_formats import is_labels
from sleap_nn.errors import UsageError
from sleap_nn.heartbeat import phase
from sleap_nn.inference.chain import readable
from sleap_nn.inference.gui_lines import GuiLines, ProgressListener, Unheard
from sleap_nn.inference.options import PREPROCESSING, LoadKeywords, part, refuse_raw
from sleap_nn.inference.output import Output, default_output
from sleap_nn.inference.predictor import Predictor
from sleap_nn.inference.raw_dicts import KEEP, raw_dicts
from sleap_nn.inference.raw_outputs import RawKeywords, kept_names
from sleap_nn.inference.run import labels_of, predict_selection, read_source
from sleap_nn.inference.select import ChoiceKeywords, closed_after, label_filter
from sleap_nn.inference.to_file import Writing
from sleap_nn.log import logger, redirect_logs_to_stderr
from sleap_nn.stages.raw import EARLIER_CONFMAPS
from sleap_nn.stages.stream import flattened
from sleap_nn.track import track_labels

__all__ = ["frame_list", "run_inference"]

_UNNAMED = "results.predictions.slp"


def run_inference(*args: Any, **keywords: Any) -> Labels | list[dict[str, np.ndarray]]:
    """Predict, or track, and save the labels; the keywords are those of `sleap-nn track`, see ``help(run_inference)``.

    The input is one of ``input_labels``, ``input_video`` and ``data_path``; the first that is given counts. Without
    ``output_path`` the labels go to ``<data_path without its ending>.predictions.slp``, without a ``data_path`` to
    ``results.predictions.slp`` here. Without ``model_paths``, ``tracking=True`` tracks the instances of labels. With
    ``gui=True`` standard output carries the lines of `gui_lines` and nothing else; the log goes to standard error.

    Returns:
        Labels; with ``make_labels=False`` dictionaries of raw results, see `raw_dicts`, and nothing is saved.

    Raises:
        UsageError: Keywords contradict each other or the input.
        TypeError: A keyword does not exist; for everything else see `sleap_nn.predict`.
    """
    bound = _SIGNATURE.bind(*args, **keywords)
    bound.apply_defaults()
    given = bound.arguments
    source = next(
        (given[name] for name in ("input_labels", "input_video", "data_path") if given[name] is not None), None
    )
    if source is None:
        raise UsageError("There is no input; give data_path, input_labels or input_video.")
    has_labels = isinstance(source, Labels) or is_labels(str(source))
    if given["only_predicted_frames"] and not has_labels:
        raise UsageError("only_predicted_frames needs labels with predictions, but the input is a video.")
    tracking = _tracker(given) if given["tracking"] else None
    filters = FilterConfig(**{name: given[keyword] for keyword, name in FILTER_KEYWORDS.items()})
    if given["gui"]:
        redirect_logs_to_stderr()
    with GuiLines() if given["gui"] else nullcontext(Unheard()) as listener:
        if not given["make_labels"]:
            return _raw_results(source, given, filters, listener)
        if given["model_paths"]:
            return _predicted(source, given, filters, tracking, listener)
        return _tracked(source, given, filters, tracking, listener)


def _predicted(
    source: Any,
    given: Mapping[str, Any],
    filters: FilterConfig,
    tracking: TrackerConfig | None,
    listener: ProgressListener,
) -> Labels:
    """Predict with models into a file, and return what it holds.

    Raises:
        ConfigError: Raw results are asked for, which labels do not hold.
    """
    refuse_raw(part(given, RawKeywords))
    output = Output.from_keywords(_output_path(given))
    with closed_after(read_source(source, given["frames"], **part(given, ChoiceKeywords)), source) as selection:
        output.check(selection)
        predictor = _loaded(given, filters, tracking)
        listener.started(_name(source), len(selection.frames))
        writing = Writing.from_keywords(keep_empty=not given["no_empty_frames"])
        summary = predict_selection(predictor, selection, output, writing, listener, listener.tracked)
        listener.finished(summary.files)
        return labels_of(summary, selection)


def _tracked(
    source: Any,
    given: Mapping[str, Any],
    filters: FilterConfig,
    config: TrackerConfig | None,
    listener: ProgressListener,
) -> Labels:
    """Track the instances of labels, or of a labels file.

    Raises:
        UsageError: Nothing is to be done, or not on labels.
    """
    if config is None:
        raise UsageError("There is no model; name its folder in model_paths, or track labels with tracking=True.")
    if not isinstance(source, Labels | str | Path):
        raise UsageError("Only the instances of labels can be tracked; name a model in model_paths to find some.")
    options: dict[str, Any] = {name: given[name] for name in ("frames", "video_index", "max_instances")}
    listener.started(_name(source), None)
    labels, written = track_labels(
        source.copy() if isinstance(source, Labels) else Path(source),
        Output.from_keywords(_output_path(given)),
        config,
        label_filter=label_filter(part(given, ChoiceKeywords)),
        filter_config=filters,
        clean_empty_frames=given["no_empty_frames"],
        progress_callback=listener,
        **options,
    )
    listener.finished(written)
    return labels


def _raw_results(
    source: Any, given: Mapping[str, Any], filters: FilterConfig, listener: ProgressListener
) -> list[dict[str, np.ndarray]]:
    """Return raw results.

    Raises:
        UsageError: They are asked for together with tracks, or without a model.
    """
    if given["tracking"]:
        raise UsageError("Tracks are stored in labels, not in raw results; leave make_labels at True.")
    if not given["model_paths"]:
        raise UsageError("Raw results come from a model; name its folder in model_paths.")
    if filters != FilterConfig():
        logger.warning("Raw results are not filtered; the filters have no effect with make_labels=False.")
    with closed_after(read_source(source, given["frames"], **part(given, ChoiceKeywords)), source) as selection:
        predictor = _loaded(given)
        selection = readable(predictor.layer.models, selection)
        keep = kept_names(part(given, RawKeywords)) | KEEP
        keep = keep | {EARLIER_CONFMAPS} if given["return_confmaps"] else keep
        results: list[dict[str, np.ndarray]] = []
        done, total = 0, len(selection.frames)
        listener.started(_name(source), total)
        for batch in predictor.batches(selection, keep=keep):
            results += raw_dicts(list(flattened([batch], len(batch))), predictor.layer.form, keep)
            done += len(batch)
            listener(done, total)
        listener.finished([])
        return results


def _loaded(
    given: Mapping[str, Any], filters: FilterConfig | None = None, tracking: TrackerConfig | None = None
) -> Predictor:
    """Load the models."""
    with phase("loading the model"):
        return Predictor.from_model_paths(
            given["model_paths"],
            batch_size=given["batch_size"],
            queue_maxsize=given["queue_maxsize"],
            filter_config=filters,
            tracker_config=tracking,
            **_loading(given),
        )


def _name(source: Any) -> str:
    """Return what progress calls the input."""
    if isinstance(source, Labels):
        return "labels in memory"
    return str(source if isinstance(source, str | Path) else source.filename)


def _loading(given: Mapping[str, Any]) -> LoadKeywords:
    """Return how models are loaded and their maps read."""
    preprocessing = {key: given[name] for name, key in PREPROCESSING.items()}
    return {**part(given, LoadKeywords), "preprocess_config": preprocessing}


def _tracker(given: Mapping[str, Any]) -> TrackerConfig:
    """Return how tracks are made.

    Raises:
        ConfigError: An option is out of range, or does not go with another.
    """
    config = TrackerConfig(**{name: given[keyword] for keyword, name in TRACKER_KEYWORDS.items()})
    return complete_tracking(config, given["max_instances"])


def _output_path(given: Mapping[str, Any]) -> Path:
    """Return where the labels go."""
    if given["output_path"] is not None:
        return Path(given["output_path"])
    if given["data_path"] is None:
        return Path(_UNNAMED)
    return default_output(given["data_path"], given["video_index"], "track")


_SIGNATURE = Signature(
    [
        Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default)
        for name, default in run_inference_defaults().items()
    ]
)
run_inference.__signature__ = _SIGNATURE  # pyright: ignore[reportFunctionMemberAccess]
