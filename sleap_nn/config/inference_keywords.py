"""Keywords of `run_inference`, the prediction call of earlier releases, and the options that they stand for."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.inference_config import InferenceConfig
from sleap_nn.config.tracker_config import TrackerConfig

_INPUTS = ("data_path", "input_labels", "input_video")
_OPTIONS = (
    "model_paths",
    "backbone_ckpt_path",
    "head_ckpt_path",
    "max_instances",
    "max_width",
    "max_height",
    "ensure_rgb",
    "input_scale",
    "ensure_grayscale",
    "anchor_part",
    "crop_size",
    "device",
    "batch_size",
    "queue_maxsize",
    "only_labeled_frames",
    "only_suggested_frames",
    "exclude_user_labeled",
    "only_predicted_frames",
    "no_empty_frames",
    "video_index",
    "video_dataset",
    "video_input_format",
    "frames",
    "peak_threshold",
    "integral_refinement",
    "integral_patch_size",
    "max_edge_length_ratio",
    "dist_penalty_weight",
    "n_points",
    "min_instance_peaks",
    "min_line_scores",
    "return_confmaps",
    "return_pafs",
    "return_paf_graph",
    "return_class_maps",
    "return_class_vectors",
    "output_path",
    "gui",
    "tracking",
)
_FILTERS = (
    "overlapping",
    "overlapping_method",
    "overlapping_threshold",
    "min_visible_nodes",
    "min_visible_node_fraction",
    "min_mean_node_score",
    "min_instance_score",
)

FILTER_KEYWORDS = {f"filter_{name}": name for name in _FILTERS}
"""Keyword -> field of `FilterConfig`."""

TRACKER_KEYWORDS = {
    {"window_size": "tracking_window_size"}.get(entry.name, entry.name): entry.name
    for entry in fields(TrackerConfig)
    if not entry.name.endswith("_explicit")
}
"""Keyword -> field of `TrackerConfig`."""


def run_inference_defaults() -> dict[str, Any]:
    """Return keyword -> default of `run_inference`, in its order."""
    options, filters, tracker = (_defaults(cls) for cls in (InferenceConfig, FilterConfig, TrackerConfig))
    return {
        **dict.fromkeys(_INPUTS),
        **{name: options[name] for name in _OPTIONS},
        "make_labels": True,
        **{keyword: filters[name] for keyword, name in FILTER_KEYWORDS.items()},
        **{keyword: tracker[name] for keyword, name in TRACKER_KEYWORDS.items()},
    }


def _defaults(cls: type) -> dict[str, Any]:
    """Return field -> default."""
    return {entry.name: entry.default for entry in fields(cls) if entry.default is not MISSING}
