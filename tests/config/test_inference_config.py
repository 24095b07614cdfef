import dataclasses
from pathlib import Path

import pytest

from sleap_nn.config.availability import check_available
from sleap_nn.config.fields import option_fields
from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.inference_config import InferenceConfig
from sleap_nn.config.mask_config import MaskConfig
from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.errors import ConfigError, UsageError

KEYWORDS = {
    "model_paths": None, "export_dir": None, "backbone_ckpt_path": None, "head_ckpt_path": None,
    "device": "auto", "runtime": "auto", "batch_size": 4, "anchor_part": None, "peak_threshold": 0.2,
    "centroid_threshold": None, "keypoint_threshold": None, "integral_refinement": "integral",
    "integral_patch_size": 5, "max_instances": None, "centroid_only": False, "emit_centroid": "instance",
    "max_edge_length_ratio": 0.25, "dist_penalty_weight": 1.0, "n_points": 10, "min_instance_peaks": 0,
    "min_line_scores": 0.25, "paf_workers": 0, "return_confmaps": False, "return_crops": False,
    "return_pafs": False, "return_paf_graph": False, "return_class_maps": False,
    "return_class_vectors": False, "frames": None, "filter_config": None, "tracker_config": None,
    "output_path": None, "output_format": ["slp"], "embed": "false", "restore_source_videos": False,
    "no_empty_frames": False, "queue_maxsize": 32, "precision": "auto",
}  # fmt: skip
MASKS = {
    "fg_threshold": 0.5, "min_mask_area": 0, "center_nms_kernel": 3, "mask_cleanup": False,
    "mask_cleanup_radius": 0, "distance_gate_alpha": None, "merge_fragments": False,
    "merge_method": "greedy", "merge_thresholds": [0.85, 0.6, 0.4], "merge_w_valley": 1.0,
    "merge_w_offset": 0.25, "merge_dilate": 1, "full_res_masks": False, "mask_output": "mask",
    "polygon_epsilon": 0.01, "mask_backend": None, "sam_checkpoint": None, "sam_model_type": "vit_h",
    "sam3_model_id": "facebook/sam3", "sam_prompt_mode": "pose", "sam_anchor_ind": None,
    "sam_disjointify_masks": False, "overlay_path": None,
}  # fmt: skip
FILTERS = {
    "min_peak_value": 0, "min_instance_score": 0, "min_mean_node_score": 0, "min_visible_nodes": 0,
    "min_visible_node_fraction": 0, "overlapping": False, "overlapping_threshold": 0.8,
    "overlapping_method": "iou", "min_centroid_distance": 0,
}  # fmt: skip
TRACKER = {
    "window_size": 5, "min_new_track_points": 0, "candidates_method": "fixed_window",
    "min_match_points": 0, "features": "keypoints", "scoring_method": "oks", "scoring_reduction": "mean",
    "robust_best_instance": 1.0, "oks_stddev": None, "track_matching_method": "hungarian",
    "max_tracks": None, "use_flow": False, "of_img_scale": 1.0, "of_window_size": 21, "of_max_levels": 3,
    "use_kalman": False, "kf_track_features": "centroid", "kf_init_frame_count": 10,
    "kf_node_indices": None, "kf_reset_gap_size": 5, "tracking_target_instance_count": None,
    "tracking_pre_cull_to_target": 0, "tracking_pre_cull_iou_threshold": 0,
    "tracking_clean_instance_count": 0, "tracking_clean_iou_threshold": 0,
    "post_connect_single_breaks": False, "tracker": "online", "features_explicit": None,
    "scoring_method_explicit": None, "candidates_method_explicit": None,
}  # fmt: skip


def test_keywords_and_defaults():
    assert KEYWORDS.items() <= dataclasses.asdict(InferenceConfig()).items()


@pytest.mark.parametrize(("cls", "defaults"), [(MaskConfig, MASKS), (FilterConfig, FILTERS), (TrackerConfig, TRACKER)])
def test_sections_and_defaults(cls, defaults):
    assert dataclasses.asdict(cls()) == defaults


@pytest.mark.parametrize(
    ("key", "given", "kept"),
    [
        ("model_paths", "model", ["model"]),
        ("model_paths", [Path("a"), "b"], ["a", "b"]),
        ("frames", "1-3,7", [1, 2, 3, 7]),
        ("frames", "", None),
        ("frames", [5, 1], [5, 1]),
        ("peak_threshold", None, 0.2),
        ("peak_threshold", 0, 0.0),
        ("integral_refinement", None, "none"),
        ("integral_refinement", "None", "none"),
        ("integral_refinement", "integral", "integral"),
        ("integral_refinement", "Gaussian", "gaussian"),
        ("integral_refinement", "off", "none"),
        ("integral_patch_size", None, 5),
        ("precision", 16, "16"),
        ("embed", True, "true"),
        ("output_format", "analysis_h5", ["analysis_h5"]),
        ("output_path", Path("out.slp"), "out.slp"),
        ("ensure_rgb", False, False),
        ("filter_config", {"overlapping": True}, FilterConfig(overlapping=True)),
    ],
)
def test_other_accepted_values(key, given, kept):
    assert vars(InferenceConfig(**{key: given}))[key] == kept


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frames": "5-1"}, "frames has the range '5-1'"),
        ({"frames": [-1]}, "frames must be at least 0"),
        ({"integral_patch_size": 4}, "integral_patch_size must be odd"),
        (
            {"integral_refinement": "intergal"},
            "integral_refinement must be one of integral, gaussian, none, not 'inter",
        ),
        ({"device": "gpu"}, "device must be auto, cpu"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"queue_maxsize": 0}, "queue_maxsize must be at least 1"),
        ({"video_index": -1}, "video_index must be at least 0"),
        ({"peak_threshold": "x"}, "peak_threshold must be a number"),
        ({"precision": "bf16-mixed"}, "precision must be one of auto, 32, bf16, 16"),
        ({"output_format": ["png"]}, "output_format must be one of slp, analysis_h5, csv, dlc, coco, nwb"),
        ({"ensure_rgb": True, "ensure_grayscale": True}, "exclude each other"),
        (
            {"filter_config": {"overlap": 1}},
            "Unknown key 'overlap' in filter_config; did you mean filter_config.over",
        ),
        ({"mask_config": {"merge_thresholds": [0.4, 0.6]}}, "must decrease"),
    ],
)
def test_refused_values(values, message):
    with pytest.raises(ConfigError, match=message):
        InferenceConfig(**values)


@pytest.mark.parametrize(
    ("cls", "key", "text", "value"),
    [
        (TrackerConfig, "kf_node_indices", "0, 1,2", [0, 1, 2]),
        (MaskConfig, "merge_thresholds", "0.9,0.5", [0.9, 0.5]),
        (MaskConfig, "merge_thresholds", (0.9, 0.5), [0.9, 0.5]),
    ],
)
def test_lists_may_be_one_text(cls, key, text, value):
    assert vars(cls(**{key: text}))[key] == value


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (TrackerConfig, {"kf_node_indices": "0,a"}),
        (TrackerConfig, {"features": "pictures"}),
        (TrackerConfig, {"window_size": 0}),
        (FilterConfig, {"overlapping_method": "giou"}),
        (FilterConfig, {"min_visible_node_fraction": 1.1}),
        (MaskConfig, {"merge_thresholds": "high"}),
        (MaskConfig, {"center_nms_kernel": 2}),
    ],
)
def test_refused_values_of_sections(cls, values):
    with pytest.raises(ConfigError, match=f"^{next(iter(values))}"):
        cls(**values)


AVAILABLE = {
    "model_paths", "output_path", "device", "precision", "batch_size", "queue_maxsize", "no_empty_frames",
    "frames", "video_index", "only_labeled_frames", "max_height", "max_width", "input_scale",
    "ensure_rgb", "ensure_grayscale", "peak_threshold", "integral_refinement", "integral_patch_size",
    "backbone_ckpt_path", "head_ckpt_path", "output_format", "embed", "restore_source_videos", "gui",
    "only_suggested_frames", "only_predicted_frames", "exclude_user_labeled", "video_dataset", "video_input_format",
    "anchor_part", "runtime", "centroid_peak_threshold", "paf-workers", "centroid_only", "centroid-output",
}  # fmt: skip


def test_command_line_of_what_exists():
    options = {field.long: field for field in option_fields(InferenceConfig)}
    assert {name for name, field in options.items() if field.available} >= AVAILABLE
    assert options["model_paths"].is_list
    assert options["frames"].type is str
    assert options["frames"].convert("1-2") == [1, 2]
    assert options["ensure_rgb"].is_pair
    assert options["peak_threshold"].aliases == ("peak_conf_threshold",)
    assert options["centroid_peak_threshold"].name == "centroid_threshold"
    assert options["paf-workers"].aliases == ("cpu-workers",)
    assert options["batch_size"].minimum == 1
    assert options["precision"].choices == ("auto", "32", "bf16", "16")


def test_what_does_not_exist_yet_is_refused():
    check_available(InferenceConfig(model_paths=["a"], peak_threshold=0.5, frames="1-3"))
    check_available(InferenceConfig(export_dir="a", runtime="onnx"))
    with pytest.raises(ConfigError, match=r"^mask_config is not available yet"):
        check_available(InferenceConfig(mask_config=MaskConfig()))


@pytest.mark.parametrize(
    "values",
    [
        {"only_labeled_frames": True, "exclude_user_labeled": True},
        {"ensure_rgb": True, "ensure_grayscale": True},
        {"tracking": True, "emit_centroid": "both"},
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(values):
    with pytest.raises(UsageError, match=r"exclude each other|Tracking needs instances"):
        InferenceConfig(**values)


@pytest.mark.parametrize(
    ("key", "given", "kept"),
    [
        ("output_format", "CSV", ["csv"]),
        ("output_format", ["slp", "Analysis_H5"], ["slp", "analysis_h5"]),
        ("runtime", "ONNX", "onnx"),
        ("embed", "TRUE", "true"),
        ("embed", False, "false"),
    ],
)
def test_letters_of_choices_may_be_large(key, given, kept):
    assert vars(InferenceConfig(**{key: given}))[key] == kept
