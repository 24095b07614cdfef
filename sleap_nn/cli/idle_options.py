"""Options of `predict` and `track` that do nothing beside the others that were given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sleap_nn.config.fields import fields_of, option_fields
from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.inference_config import InferenceConfig
from sleap_nn.config.tracker_config import TrackerConfig

_WITHOUT_MODEL = frozenset(
    {
        *("output_path", "stream_to_file", "output_format", "embed", "restore_source_videos", "no_empty_frames", "gui"),
        *("frames", "video_index", "only_labeled_frames", "only_suggested_frames", "only_predicted_frames"),
        *("exclude_user_labeled", "max_instances", "tracking"),
    }
)
"""What counts where instances are tracked that exist already."""

_NEEDED: tuple[tuple[str, str, str | None, tuple[str, ...]], ...] = (
    ("--roi", "roi", None, ("roi_check_interval",)),
    ("--integral_refinement integral", "integral_refinement", "integral", ("integral_patch_size",)),
    ("--filter_overlapping", "overlapping", None, ("overlapping_method", "overlapping_threshold")),
    ("--use_flow", "use_flow", None, ("of_img_scale", "of_window_size", "of_max_levels")),
    (
        "--use_kalman",
        "use_kalman",
        None,
        ("kf_track_features", "kf_init_frame_count", "kf_node_indices", "kf_reset_gap_size"),
    ),
    ("--scoring_reduction robust_quantile", "scoring_reduction", "robust_quantile", ("robust_best_instance",)),
    ("--tracking_pre_cull_to_target", "tracking_pre_cull_to_target", None, ("tracking_pre_cull_iou_threshold",)),
    ("--tracking_clean_instance_count", "tracking_clean_instance_count", None, ("tracking_clean_iou_threshold",)),
)
"""An option, its field, the value that is needed (None: any but false and 0), and what does nothing without it."""

_OPTIONS = {
    field.name: field.long
    for config in (InferenceConfig, FilterConfig, TrackerConfig)
    for field in option_fields(config)
}
"""Field -> what the command line calls it."""


def given_names(config: type, options: Mapping[str, Any]) -> list[str]:
    """Return the fields of a section of options that have another value than by default."""
    default = vars(config())
    names = [entry.name for entry in fields_of(config) if entry.name in options]
    return [name for name in names if options[name] not in (None, (), [], default[name])]


def idle_options(options: Mapping[str, Any]) -> list[str]:
    """Return a sentence about each kind of options that were given and do nothing.

    Args:
        options: Values of all options by the names of their fields.
    """
    given, filters = given_names(InferenceConfig, options), given_names(FilterConfig, options)
    tracking = given_names(TrackerConfig, options)
    found: list[tuple[str, list[str]]] = []
    if not options["tracking"]:
        found.append(("Without --tracking (-t)", tracking))
        tracking = []
    if not options["model_paths"]:
        found.append(("Without a model (-m)", [name for name in given if name not in _WITHOUT_MODEL]))
        given = [name for name in given if name in _WITHOUT_MODEL]
    for other, field, value, names in _NEEDED:
        is_there = options[field] if value is None else options[field] == value
        idle = [] if is_there else [name for name in (*given, *filters, *tracking) if name in names]
        found.append((f"Without {other}", idle))
    formats = options["output_format"]
    if formats and "slp" not in [str(name).lower() for name in formats]:
        of_slp = ("embed", "restore_source_videos")
        found.append(("Without the format slp", [name for name in given if name in of_slp]))
    return [
        f"{start} this has no effect: {', '.join(_OPTIONS.get(name, name) for name in names)}."
        for start, names in found
        if names
    ]
