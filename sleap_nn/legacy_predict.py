"""`run_inference`, the prediction call of earlier releases: other keywords for `predict` and `track`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from sleap_nn.inference.options import PREPROCESSING, LoadKeywords, part
from sleap_nn.inference.output import Output, default_output
from sleap_nn.inference.predictor import Predictor
from sleap_nn.inference.raw_dicts import KEEP, raw_dicts
from sleap_nn.inference.raw_outputs import RawKeywords, kept_names
from sleap_nn.inference.run import predict, read_source
from sleap_nn.inference.select import ChoiceKeywords, Selection
from sleap_nn.log import logger
from sleap_nn.stages.stream import flattened
from sleap_nn.track import track_labels

__all__ = ["frame_list", "run_inference"]

_UNNAMED = "results.predictions.slp"


def run_inference(*args: Any, **keywords: Any) -> Labels | list[dict[str, np.ndarray]]:
    """Predict, or track, and save the labels; the keywords are those of `sleap-nn track`, see ``help(run_inference)``.

    The input is one of ``input_labels``, ``input_video`` and ``data_path``; the first that is given counts. Without
    ``output_path`` the labels go to ``<data_path without its ending>.predictions.slp``, without a ``data_path`` to
    ``results.predictions.slp`` here. Without ``model_paths``, ``tracking=True`` tracks the instances of labels.

    Returns:
        Labels; with ``make_labels=False`` dictionaries of raw results, see `raw_dicts`, and nothing is saved.

    Raises:
        UsageError: Keywords contradict each other or the input.
        TypeError: A keyword does not exist; for everything else see `sleap_nn.predict`.
    """
    bound = _SIGNATURE.bind(*args, **keywords)
    bound.apply_defaults()
    given = bound.arguments
    if given["gui"]:
        raise UsageError("gui=True writes lines for another program to read; call `sleap-nn track --gui` for them.")
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
    if not given["make_labels"]:
        return list(_raw_results(source, given, filters))
    path = _output_path(given)
    if given["model_paths"]:
        return predict(
            source,
            model_paths=given["model_paths"],
            batch_size=given["batch_size"],
            frames=given["frames"],
            output_path=path,
            clean_empty_frames=given["no_empty_frames"],
            filter_config=filters,
            tracker_config=tracking,
            queue_maxsize=given["queue_maxsize"],
            **_loading(given),
            **part(given, ChoiceKeywords),
            **part(given, RawKeywords),
        )
    return _tracked(source, path, tracking, filters, given)


def _tracked(
    source: Any, path: Path, config: TrackerConfig | None, filters: FilterConfig, given: Mapping[str, Any]
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
    labels = source.copy() if isinstance(source, Labels) else Path(source)
    return track_labels(
        labels,
        Output.from_keywords(path),
        config,
        filter_config=filters,
        clean_empty_frames=given["no_empty_frames"],
        **options,
    )[0]


def _raw_results(source: Any, given: Mapping[str, Any], filters: FilterConfig) -> Iterator[dict[str, np.ndarray]]:
    """Yield raw results.

    Raises:
        UsageError: They are asked for together with tracks, or without a model.
    """
    if given["tracking"]:
        raise UsageError("Tracks are stored in labels, not in raw results; leave make_labels at True.")
    if not given["model_paths"]:
        raise UsageError("Raw results come from a model; name its folder in model_paths.")
    if filters != FilterConfig():
        logger.warning("Raw results are not filtered; the filters have no effect with make_labels=False.")
    predictor = Predictor.from_model_paths(
        given["model_paths"],
        batch_size=given["batch_size"],
        queue_maxsize=given["queue_maxsize"],
        **_loading(given),
    )
    selection: Selection = read_source(source, given["frames"], **part(given, ChoiceKeywords))
    keep = kept_names(part(given, RawKeywords)) | KEEP
    form = predictor.output_form
    for batch in predictor.batches(selection, keep=keep):
        yield from raw_dicts(list(flattened([batch], len(batch))), form, keep)


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
