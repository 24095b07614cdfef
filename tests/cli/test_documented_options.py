"""Every documented option of every command: it exists with its default, short name and choices, in both spellings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
import pytest

from sleap_nn.cli import cli
from sleap_nn.cli.options import ConfigOption


@dataclass(frozen=True)
class Row:
    """An option as it is documented.

    Attributes:
        name: Its long name.
        default: What it is if it is not given.
        value: What is given, None for a flag.
        short: Its short name.
        choices: The texts that it takes; empty for any.
        off: The name that switches a flag off.
        other: Further long names.
        parsed: What the command receives; by default `value`, True for a flag.
        values: How many values it takes.
    """

    name: str
    default: Any = None
    value: Any = None
    short: str = ""
    choices: tuple[str, ...] = ()
    off: str = ""
    other: tuple[str, ...] = ()
    parsed: Any = None
    values: int = 1

    @property
    def received(self) -> Any:
        """What the command receives."""
        if self.parsed is not None:
            return self.parsed
        return True if self.value is None else self.value


PREDICT = (
    Row("data_path", value="clip.mp4", short="-i"),
    Row("model_paths", value="run", short="-m", parsed=["run"]),
    Row("output_path", value="out.slp", short="-o", other=("output",)),
    Row("device", "auto", "cpu", "-d"),
    Row("batch_size", 4, 8, "-b"),
    Row("tracking", False, short="-t"),
    Row("max_instances", value=2, short="-n"),
    Row("backbone_ckpt_path", value="a.ckpt"),
    Row("head_ckpt_path", value="a.ckpt"),
    Row("queue_maxsize", 32, 8),
    Row("output_format", ["slp"], "analysis_h5", choices=("slp", "analysis_h5"), parsed=["analysis_h5"]),
    Row("embed", "false", "auto", choices=("auto", "true", "false")),
    Row("restore_source_videos", False, off="no-restore_source_videos"),
    Row("runtime", "auto", "onnx", choices=("auto", "onnx", "tensorrt")),
    Row("no_empty_frames", False),
    Row("gui", False),
    Row("stream-to-file", value="out.slp"),
    Row("write-interval", value=10),
    Row("paf-workers", 0, 2, other=("cpu-workers",)),
    Row("frames", value="0-2,7", parsed=[0, 1, 2, 7]),
    Row("video_index", value=1),
    Row("video_dataset", value="box"),
    Row("video_input_format", "channels_last", "channels_first"),
    Row("only_labeled_frames", False),
    Row("only_suggested_frames", False),
    Row("exclude_user_labeled", False),
    Row("only_predicted_frames", False),
    Row("max_height", value=96),
    Row("max_width", value=96),
    Row("input_scale", value=0.5),
    Row("ensure_rgb", off="no-ensure_rgb"),
    Row("ensure_grayscale", off="no-ensure_grayscale"),
    Row("crop_size", value=64),
    Row("anchor_part", value="snout"),
    Row("peak_threshold", 0.2, 0.4, other=("peak-conf-threshold",)),
    Row("centroid_peak_threshold", value=0.0),
    Row("integral_refinement", "integral", "None", parsed="none"),
    Row("integral_patch_size", 5, 7),
    Row("max_edge_length_ratio", 0.25, 0.5),
    Row("dist_penalty_weight", 1.0, 0.5),
    Row("n_points", 10, 5),
    Row("min_line_scores", 0.25, 0.1),
    Row("min_instance_peaks", 0, 0.5),
    Row("centroid_only", False),
    Row("centroid-output", "instance", "both", choices=("instance", "centroid", "both")),
    Row("filter_overlapping", False),
    Row("filter_overlapping_method", "iou", "oks", choices=("iou", "oks")),
    Row("filter_overlapping_threshold", 0.8, 0.5),
    Row("filter_min_visible_nodes", 0, 2),
    Row("filter_min_visible_node_fraction", 0.0, 0.5),
    Row("filter_min_mean_node_score", 0.0, 0.5),
    Row("filter_min_instance_score", 0.0, 0.5),
    Row("filter_min_centroid_distance", 0.0, 12.5),
    Row("tracking_window_size", 5, 9),
    Row("candidates_method", "fixed_window", "local_queues", choices=("fixed_window", "local_queues")),
    Row("min_new_track_points", 0, 2),
    Row("min_match_points", 0, 2),
    Row("features", "keypoints", "bboxes", choices=("keypoints", "centroids", "bboxes")),
    Row("scoring_method", "oks", "iou", choices=("oks", "cosine_sim", "iou", "euclidean_dist")),
    Row("scoring_reduction", "mean", "max", choices=("mean", "max", "robust_quantile")),
    Row("robust_best_instance", 1.0, 0.9),
    Row("track_matching_method", "hungarian", "greedy", choices=("hungarian", "greedy")),
    Row("max_tracks", value=3),
    Row("use_flow", False),
    Row("of_img_scale", 1.0, 0.5),
    Row("of_window_size", 21, 11),
    Row("of_max_levels", 3, 2),
    Row("use_kalman", False),
    Row("kf_track_features", "centroid", "keypoints", choices=("centroid", "keypoints")),
    Row("oks_stddev", value=0.1),
    Row("kf_init_frame_count", 10, 5),
    Row("kf_reset_gap_size", 5, 3),
    Row("kf_node_indices", value="0,1", parsed=[0, 1]),
    Row("post_connect_single_breaks", False),
    Row("tracking_target_instance_count", value=2),
    Row("tracking_pre_cull_to_target", 0, 1),
    Row("tracking_pre_cull_iou_threshold", 0, 0.5),
    Row("tracking_clean_instance_count", 0, 2),
    Row("tracking_clean_iou_threshold", 0, 0.5),
)
TRAIN = (
    Row("config", value="config.yaml"),
    Row("config-name", value="config", short="-c"),
    Row("config-dir", ".", "configs", "-d"),
    Row("video-paths", (), "a.mp4", "-v", parsed=("a.mp4",)),
    Row("video-path-map", (), "a", parsed=(("a", "a"),), values=2),
    Row("prefix-map", (), "a", parsed=(("a", "a"),), values=2),
    Row("video-config", value="videos.yaml"),
)
EVAL = (
    Row("ground_truth_path", value="a.slp", short="-g"),
    Row("predicted_path", value="b.slp", short="-p"),
    Row("save_metrics", value="metrics", short="-s"),
    Row("oks_stddev", 0.025, 0.05),
    Row("oks_scale", value=100.0),
    Row("match_threshold", 0.0, 0.5),
    Row("user_labels_only", True, off="no-user_labels_only"),
    Row("match_method", "auto", "oks", choices=("auto", "oks", "centroid")),
    Row("anchor_part", value="snout"),
)
PIPELINES = ("single_instance", "centroid", "bottomup", "topdown", "multi_class_bottomup", "multi_class_topdown")
CONFIG = (
    Row("output", value="config.yaml", short="-o"),
    Row("auto", False),
    Row("pipeline", value="topdown", choices=PIPELINES),
    Row("show-yaml", False),
)
EXPORT = (
    Row("output", value="exported", short="-o", other=("output-dir",)),
    Row("format", "onnx", "both", "-f", choices=("onnx", "tensorrt", "both")),
    Row("opset-version", 17, 18),
    Row("max-instances", 20, 5, "-n"),
    Row("max-batch-size", 8, 4, "-b"),
    Row("input-scale", value=0.5),
    Row("input-height", value=96),
    Row("input-width", value=96),
    Row("crop-size", value=64),
    Row("max-peaks-per-node", 20, 5),
    Row("n-line-points", 10, 5),
    Row("max-edge-length-ratio", 0.25, 0.5),
    Row("dist-penalty-weight", 1.0, 0.5),
    Row("device", "cpu", "cuda"),
    Row("precision", "fp16", "tf32", choices=("fp32", "fp16", "tf32")),
    Row("workspace-size-gb", value=4.0),
    Row("peak-threshold", 0.2, 0.4),
    Row("verify", True, off="no-verify"),
)
TABLE = {
    "train": TRAIN,
    "track": PREDICT,
    "predict": PREDICT,
    "infer": PREDICT,
    "eval": EVAL,
    "config": CONFIG,
    "export": EXPORT,
}
REQUIRED = {
    "track": ["-i", "x.mp4"],
    "predict": ["-i", "x.mp4"],
    "infer": ["-i", "x.mp4"],
    "eval": ["-g", "x.slp", "-p", "y.slp"],
}
ROWS = [(command, row) for command, rows in TABLE.items() for row in rows]


def name_of(value: str | Row) -> str:
    return value if isinstance(value, str) else value.name


def command_of(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, f"There is no command {name}."
    return command


def option_of(command: str, name: str) -> click.Option:
    found = [param for param in command_of(command).params if f"--{name}" in param.opts]
    assert found, f"{command} has no option --{name}."
    assert isinstance(found[0], click.Option)
    return found[0]


def given(command: str, option: click.Option, *arguments: str) -> Any:
    """Return what a command receives for an option."""
    context = command_of(command).make_context(command, [*REQUIRED.get(command, []), *arguments])
    assert option.name is not None
    return context.params[option.name]


def both_spellings(name: str) -> set[str]:
    return {name, name.replace("_", "-"), name.replace("-", "_")}


@pytest.mark.parametrize(("command", "row"), ROWS, ids=name_of)
def test_an_option_is_as_documented(command: str, row: Row) -> None:
    option = option_of(command, row.name)
    if not option.required:
        assert given(command, option) == row.default
    values = [] if row.value is None else [str(row.value)] * row.values
    names = {f"--{spelling}" for name in (row.name, *row.other) for spelling in both_spellings(name)}
    for name in names | ({row.short} if row.short else set()):
        assert given(command, option, name, *values) == row.received, name
    for spelling in both_spellings(row.off) if row.off else ():
        assert given(command, option, f"--{spelling}") is False
    if row.value is not None and row.values == 1:
        assert given(command, option, f"--{row.name}={row.value}") == row.received


@pytest.mark.parametrize(("command", "row"), [entry for entry in ROWS if entry[1].choices], ids=name_of)
def test_an_option_takes_its_choices_and_nothing_else(command: str, row: Row) -> None:
    option = option_of(command, row.name)
    for choice in row.choices:
        assert given(command, option, f"--{row.name}", choice) in (choice, [choice])
    with pytest.raises(click.UsageError):
        given(command, option, f"--{row.name}", "nonsense")


@pytest.mark.parametrize(
    ("name", "value", "parsed"),
    [
        ("output_format", "SLP", ["slp"]),
        ("embed", "TRUE", "true"),
        ("embed", "Auto", "auto"),
        ("runtime", "ONNX", "onnx"),
    ],
)
def test_some_choices_may_be_in_capitals(name: str, value: str, parsed: Any) -> None:
    assert given("predict", option_of("predict", name), f"--{name}", value) == parsed


@pytest.mark.parametrize(
    ("text", "frames"),
    [("3", [3]), ("3, 1,1", [1, 3]), ("1-3", [1, 2, 3]), ("1,-3", [1, 2, 3]), ("1-3,7", [1, 2, 3, 7]), ("", None)],
)
def test_the_grammar_of_frames(text: str, frames: list[int] | None) -> None:
    assert given("track", option_of("track", "frames"), "--frames", text) == frames


@pytest.mark.parametrize("text", ["5-1", "1-3-7", "1-", "-3", "a", "1,,2", "1,"])
def test_frames_that_cannot_be_read_are_wrong_usage(text: str) -> None:
    with pytest.raises(click.UsageError):
        given("track", option_of("track", "frames"), f"--frames={text}")


@pytest.mark.parametrize("command", sorted(TABLE.keys() | {"info", "system", "track-eval", "eval-tracking"}))
def test_every_command_has_help(command: str) -> None:
    for flag in ("-h", "--help"):
        with pytest.raises(click.exceptions.Exit) as ended:
            command_of(command).make_context(command, [flag])
        assert ended.value.exit_code == 0


def test_nothing_documented_is_hidden_behind_a_mark() -> None:
    marked = [
        f"{command} --{row.name}"
        for command, rows in TABLE.items()
        for row in rows
        if isinstance(option := option_of(command, row.name), ConfigOption) and not option.declaration.available
    ]
    assert marked == []


def test_the_last_of_two_values_counts_and_repeated_ones_add_up() -> None:
    assert given("predict", option_of("predict", "batch_size"), "-b", "2", "-b", "3") == 3
    assert given("predict", option_of("predict", "model_paths"), "-m", "a", "-m", "b") == ["a", "b"]


def test_names_cannot_be_shortened() -> None:
    with pytest.raises(click.UsageError):
        given("predict", option_of("predict", "batch_size"), "--batch_siz", "2")
