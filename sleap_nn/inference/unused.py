"""Options of prediction that the models at hand have no use for: a user is told, and options of models are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sleap_nn.config.inference_config import InferenceConfig
from sleap_nn.config.tracker_config import TrackerConfig, complete_tracking, in_effect
from sleap_nn.inference.loaded_model import LoadedModel
from sleap_nn.log import logger

_OF_EDGES = ("max_edge_length_ratio", "dist_penalty_weight", "n_points", "min_instance_peaks", "min_line_scores")
_READERS = dict.fromkeys((*_OF_EDGES, "paf_workers"), "bottomup") | {"class_assignment": "multi_class_bottomup"}
"""Option -> the only model type that reads it."""


def check_use(
    models: Sequence[LoadedModel],
    options: Mapping[str, Any],
    emit_centroid: str,
    paf_workers: int,
    tracker_config: TrackerConfig | None,
) -> None:
    """Say which settings the models have no use for, and refuse tracking of nodes that they do not find.

    Args:
        models: In the order in which they run.
        options: How they were loaded and their maps are read; what has its default counts as not given.
        emit_centroid: How centroids are stored.
        paf_workers: Processes that group.
        tracker_config: How tracks are made, None for no tracks.

    Raises:
        ConfigError: A node does not exist.
    """
    task = models[-1].stage.task
    if tracker_config is not None and not task.classes:
        complete = complete_tracking(tracker_config, options.get("max_instances"))
        in_effect(complete, len(task.predicted_skeleton.node_names))
    if options.get("anchor_part") is not None and (len(models) > 1 or not _uses_anchor(models[0])):
        logger.warning("anchor_part has no effect: no crop is cut about a labelled animal, and no centroid stored.")
    if emit_centroid != "instance" and not task.one_point:
        logger.warning("emit_centroid (--centroid-output) has no effect: the models find keypoints.")
    given = {**options, "paf_workers": paf_workers}
    idle = [name for name, reader in _READERS.items() if task.name != reader and _was_given(given, name)]
    if idle:
        logger.warning("%s has no effect on a %s model.", " and ".join(idle), task.name)
    if options.get("centroid_threshold") is not None and not any(model.stage.task.one_point for model in models):
        logger.warning("centroid_threshold (--centroid_peak_threshold) has no effect: no model finds centroids.")
    if options.get("keypoint_threshold") is not None and task.one_point:
        logger.warning("keypoint_threshold has no effect: no model finds keypoints.")


def _was_given(options: Mapping[str, Any], name: str) -> bool:
    """Tell whether an option has another value than by default."""
    return options.get(name) not in (None, vars(InferenceConfig)[name])


def _uses_anchor(model: LoadedModel) -> bool:
    """Tell whether a model that runs alone does anything with an anchor."""
    return model.stage.task.one_point or model.stage.task.view == "crop"
