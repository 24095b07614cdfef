from pathlib import Path

import numpy as np
import pytest
from factories import make_labels
from run_folders import config_of

from sleap_nn.config.differences import Difference
from sleap_nn.run_report import facts
from sleap_nn.run_report.facts import LabelsFacts
from sleap_nn.run_report.history import History
from sleap_nn.training.split_record import FileSplit, SplitRecord


def test_the_model_is_described_in_words():
    config = config_of("bottomup", Path("labels.slp"))
    config.model_config.total_params = 1234567
    config.data_config.preprocessing.scale = 0.5
    assert facts.model_rows(config) == [
        ("Model type", "Bottom-up: all points of a frame, joined to animals"),
        ("Backbone", "UNet (filters 8, filters_rate 1.5, max_stride 16)"),
        ("Parameters", "1,234,567"),
        ("Output maps", "confmaps (sigma 1.5, output_stride 2); pafs (sigma 15, output_stride 1)"),
        ("Input", "scale 0.5"),
    ]


def test_the_training_is_described_with_its_length():
    config = config_of("centroid", Path("labels.slp"))
    config.trainer_config.train_steps_per_epoch = 50
    columns = {"train/time": np.array([1000.0, 1000.0]), "val/time": np.array([100.0, np.nan])}
    rows = facts.training_rows(config, History(np.arange(2), columns))
    assert dict(rows) == {
        "Epochs": "2 of at most 100",
        "Time taken": "35 min 0 s (17 min 30 s an epoch)",
        "Batches": "4 samples, 50 steps an epoch",
        "Optimizer": "Adam, learning rate 0.003",
        "Seed": "42",
    }
    assert facts.training_rows(None, History(np.arange(2), {})) == [("Epochs", "2")]
    assert facts.training_rows(None, None) == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.21, "3.2 s"), (61, "1 min 1 s"), (3599, "59 min 59 s"), (7322, "2 h 2 min")]
)
def test_durations(seconds: float, text: str):
    assert facts.duration(seconds) == text


def test_the_machine_is_that_of_the_predictions():
    config = config_of("centroid", Path("labels.slp"))
    system = {"pytorch_version": "9.9", "gpus": ["A", "B"], "platform": None}
    provenance = {"system_info": system, "sleap_io_version": "8.8", "inference_end_timestamp": "2031-02-03T04:05:06"}
    rows = dict(facts.machine_rows(config, provenance))
    assert rows["Device"] == "auto"
    assert rows["GPU"] == "A, B"
    assert rows["PyTorch"] == "9.9"
    assert rows["sleap-io"] == "8.8"
    assert rows["Finished"] == "2031-02-03 04:05"
    assert "Platform" not in rows
    assert facts.machine_rows(None, {}) == []
    assert facts.machine_rows(None, {"system_info": "odd"}) == []


def test_labels_are_counted():
    labels = make_labels(3, num_animals=2)
    config = config_of("centroid", Path("/some/where/mine.slp"))
    counted = LabelsFacts.of("train", 0, labels, config)
    assert (counted.source, counted.num_videos, counted.num_frames, counted.num_animals) == ("mine.slp", 1, 3, 6)
    visible = sum((~np.isnan(frame.numpy()[..., 0])).sum() for frame in labels)
    assert counted.num_points == visible
    assert counted.node_names == tuple(labels.skeleton.node_names)


@pytest.mark.parametrize(
    ("split", "number", "source"),
    [("train", 1, "b.slp"), ("train", 2, ""), ("val", 0, "a.slp"), ("test", 0, "t.slp"), ("test", 1, "")],
)
def test_the_source_of_labels_is_named_where_it_is_known(split: str, number: int, source: str):
    config = config_of("centroid", Path("a.slp"))
    config.data_config.train_labels_path = ["/x/a.slp", "/x/b.slp"]
    config.data_config.test_file_path = "/x/t.slp"
    labels = make_labels(1)
    assert LabelsFacts.of(split, number, labels, config).source == source
    assert LabelsFacts.of(split, number, labels, None).source == ""


def test_differences_are_short_text():
    found = [
        Difference("a.b", None, True),
        Difference("a.names", ["x", 1], {}),
        Difference("a.long", "x" * 500, ""),
        Difference("data_config.skeletons", [{"nodes": 1}], None),
        Difference("model_config.head_configs.centroid.confmaps.part_names", ["a"], None),
    ]
    rows = facts.difference_rows(found)
    assert rows[:2] == [("a.b", "null", "true"), ("a.names", "[x, 1]", "its section's defaults")]
    assert rows[2][1].endswith("x…")
    assert len(rows[2][1]) == 140
    assert rows[2][2] == "empty"
    assert len(rows) == 3


def record(method: str, val: list[int], video: str = "clip", **settings: object) -> SplitRecord:
    train = tuple(("clip", frame) for frame in (0, 10, 20, 30))
    file = FileSplit("a.slp", train, tuple((video, frame) for frame in val))
    return SplitRecord(method, 7, (file,), dict(settings), held_out=(("old", 1),))


def test_the_split_is_described_with_how_close_its_sides_are():
    rows = dict(facts.split_rows(record("time_block", [40, 90], validation_fraction=0.1, folds=None)))
    assert rows == {
        "Divided by": "time block: frames close in time stay together",
        "Seed": "7",
        "validation fraction": "0.1",
        "folds": "null",
        "Frames": "4 train, 2 validate",
        "Held out": "1 frames that validated the weights this run started from",
        "Closeness": "1 of 2 validation frames have a training frame within 10 frames of the same video; distances in "
        "frames: closest 10, median 35",
    }


def test_sides_without_a_common_video_are_far_apart():
    assert dict(facts.split_rows(record("video", [1], "other")))["Closeness"] == "no video is on both sides"
    assert "Closeness" not in dict(facts.split_rows(record("use_same_data_for_val", [0])))
