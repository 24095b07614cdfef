import logging

import numpy as np
import pytest

from sleap_nn.errors import ConfigError, DataError, InputOverwrittenError, MissingFileError
from sleap_nn.evaluate import run_evaluation
from sleap_nn.evaluation import load_metrics

POSE = np.array([[10.0, 10], [30, 12], [20, 40]])


@pytest.fixture
def files(golden_labels, tmp_path):
    paths = tmp_path / "truth.slp", tmp_path / "found.slp"
    for labels, path in zip(golden_labels, paths, strict=True):
        labels.save(str(path), verbose=False)
    return paths


@pytest.fixture
def one_node(files, make_labels):
    path = files[0].with_name("centroids.slp")
    make_labels({0: [[[20.0, 21]]]}, nodes=("centroid",), predicted=True).save(str(path), verbose=False)
    return path


def test_metrics_report_and_files(files, tmp_path, capsys):
    metrics = run_evaluation(*files, save_metrics=tmp_path / "out" / "m")
    assert metrics is not None
    assert metrics["mOKS"]["mOKS"] == pytest.approx(0.340817, abs=5e-7)
    np.testing.assert_equal(load_metrics(tmp_path / "out" / "m.npz"), metrics)
    assert (tmp_path / "out" / "m.json").is_file()
    assert "0.3408" in capsys.readouterr().out


def test_progress_is_logged(files, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.INFO, logger="sleap_nn")
    run_evaluation(*files)
    assert "Videos matched: 1/1" in caplog.messages
    assert "Frame pairs: 4, Matched instances: 11, Unmatched GT: 1" in caplog.messages


def test_predictions_without_instances_give_nothing(files, make_labels, tmp_path, capsys):
    make_labels({0: np.empty((0, 3, 2))}, predicted=True).save(str(tmp_path / "empty.slp"), verbose=False)
    assert run_evaluation(files[0], tmp_path / "empty.slp", save_metrics=tmp_path / "m.npz") is None
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert not (tmp_path / "m.npz").exists()


def test_user_instances_only_are_reported(files, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    metrics = run_evaluation(files[0], files[0])
    assert metrics is not None
    assert np.isnan(metrics["mOKS"]["mOKS"])
    assert "none that was predicted" in caplog.text


def test_settings_of_the_other_mode_are_named(files, one_node, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    run_evaluation(*files, anchor_part="a")
    run_evaluation(files[0], one_node, oks_scale=5.0, match_method="auto")
    said = [message for message in caplog.messages if "has no effect" in message]
    assert said == [
        "anchor_part has no effect: poses are compared.",
        "oks_scale has no effect: centroids are compared.",
    ]


def test_auto_chooses_centroids_for_one_node(files, one_node):
    metrics = run_evaluation(files[0], one_node, match_method="auto")
    assert metrics is not None
    assert metrics["detection_metrics"]["n_tp"] == 1
    metrics = run_evaluation(*files, match_method="auto")
    assert metrics is not None
    assert "mOKS" in metrics
    with pytest.raises(DataError, match="no node name in common"):
        run_evaluation(files[0], one_node)


def test_centroid_distance_and_anchor(files, one_node):
    def recall(**settings):
        metrics = run_evaluation(files[0], one_node, match_method="centroid", **settings)
        assert metrics is not None
        return metrics["detection_metrics"]

    mean, anchored = recall(), recall(anchor_part="a")
    assert mean["avg"] == pytest.approx(1 / 3)
    assert anchored["avg"] == pytest.approx(np.hypot(10, 11))
    assert recall(anchor_part="no such node") == mean
    assert recall(match_threshold=0.2)["n_tp"] == 0


def test_unusable_input_is_refused(files, tmp_path):
    with pytest.raises(MissingFileError):
        run_evaluation(tmp_path / "none.slp", files[1])
    with pytest.raises(ConfigError, match="not supported"):
        run_evaluation(*files, match_method="mask")


def test_missing_frames_are_counted_on_request(files, make_labels, tmp_path):
    path = tmp_path / "part.slp"
    make_labels({0: [POSE]}, predicted=True).save(str(path), verbose=False)
    skipped, counted = (run_evaluation(files[0], path, count_missing_frames=count) for count in (False, True))
    assert skipped is not None
    assert counted is not None
    assert skipped["counts"]["false_negatives"] == 2
    assert counted["counts"]["false_negatives"] == 11


def test_metrics_never_replace_what_is_compared(files, tmp_path):
    truth = tmp_path / "truth.json"
    truth.write_text("{}")
    for target in (tmp_path / "truth.npz", tmp_path / "truth"):
        with pytest.raises(InputOverwrittenError, match=r"truth\.json is a file that is read"):
            run_evaluation(truth, files[1], save_metrics=target)
    assert truth.read_text() == "{}"
