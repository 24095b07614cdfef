import logging

import numpy as np
import pytest
from sleap_io.model.instance import Track

from sleap_nn.errors import ConfigError, DataError
from sleap_nn.evaluation import Evaluator, compute_dists, match_frame_pairs, match_instances

POSE = np.array([[10.0, 10], [30, 12], [20, 40]])


def test_golden(golden, golden_labels):
    evaluator = Evaluator(*golden_labels)
    metrics = evaluator.evaluate()
    assert metrics["voc_metrics"]["oks_voc.mAP"] == pytest.approx(0.112306, abs=5e-7)
    assert metrics["mOKS"]["mOKS"] == pytest.approx(0.340817, abs=5e-7)
    assert metrics["distance_metrics"]["p90"] == pytest.approx(3.91695, abs=5e-7)
    expected = golden["metrics"]["distance_metrics"]
    assert metrics["distance_metrics"]["frame_idxs"] == expected["frame_idxs"]
    assert metrics["distance_metrics"]["video_paths"] == ["clip.mp4"] * golden["n_pairs"]
    np.testing.assert_allclose(metrics["distance_metrics"]["dists"], np.array(expected["dists"], float), atol=5e-7)
    assert list(metrics) == [
        "voc_metrics",
        "mOKS",
        "distance_metrics",
        "pck_metrics",
        "visibility_metrics",
        "counts",
    ]


def test_golden_centroids(golden, golden_labels):
    evaluator = Evaluator(*golden_labels, match_threshold=50, match_method="centroid")
    metrics = evaluator.evaluate()
    expected = golden["centroid_mode"]["metrics"]
    for key, value in expected["detection_metrics"].items():
        assert metrics["detection_metrics"][key] == pytest.approx(value, abs=5e-7), key
    assert metrics["distance_metrics"]["frame_idxs"] == expected["distance_metrics"]["frame_idxs"]
    assert evaluator.dists_dict["dists"].shape == (golden["n_pairs"],)
    assert evaluator.detection_metrics() == metrics["detection_metrics"]


def test_members(golden, golden_labels):
    evaluator = Evaluator(*golden_labels)
    assert len(evaluator.frame_pairs) == 4
    truth, predicted, oks = evaluator.positive_pairs[0]
    assert oks == pytest.approx(golden["pair_oks"][0], abs=5e-7)
    assert (truth.frame_idx, truth.video_path) == (0, "clip.mp4")
    np.testing.assert_array_equal(truth.instance.numpy(), golden["frames"][0]["gt"][0])
    assert predicted.instance.score == pytest.approx(0.9)
    (missed,) = evaluator.false_negatives
    np.testing.assert_array_equal(missed.instance.numpy(), golden["frames"][2]["gt"][2])
    (extra,) = evaluator.false_positives
    assert (extra.frame_idx, extra.instance.score) == (0, pytest.approx(0.3))


def test_methods_agree_with_evaluate(golden_labels):
    evaluator = Evaluator(*golden_labels)
    metrics = evaluator.evaluate()
    merged = {**evaluator.voc_metrics(), **evaluator.voc_metrics(match_score_by="pck")}
    assert merged.keys() == metrics["voc_metrics"].keys()
    np.testing.assert_equal(merged, metrics["voc_metrics"])
    np.testing.assert_equal(evaluator.mOKS(), metrics["mOKS"])
    np.testing.assert_equal(evaluator.distance_metrics(), metrics["distance_metrics"])
    np.testing.assert_equal(evaluator.pck_metrics(), metrics["pck_metrics"])
    np.testing.assert_equal(evaluator.visibility_metrics(), metrics["visibility_metrics"])
    single = evaluator.voc_metrics(match_score_thresholds=np.array([0.5]), recall_thresholds=np.array([0, 0.1]))
    assert single["oks_voc.precisions"].shape == (1, 2)
    assert evaluator.pck_metrics(thresholds=[2.0])["pcks"].shape == (11, 3, 1)


def test_steps_agree_with_the_class(golden_labels):
    evaluator = Evaluator(*golden_labels)
    positive, missed = match_frame_pairs(evaluator.frame_pairs)
    assert [score for *_, score in positive] == [score for *_, score in evaluator.positive_pairs]
    assert [m.instance for m in missed] == [m.instance for m in evaluator.false_negatives]
    of_first, _ = match_instances(*evaluator.frame_pairs[0])
    assert len(of_first) == 3
    assert match_instances(*evaluator.frame_pairs[0], threshold=0.8)[0][0][2] == of_first[0][2]
    np.testing.assert_equal(compute_dists(positive), evaluator.dists_dict)
    assert compute_dists([])["dists"].shape == (0, 0)


def test_nodes_are_matched_by_name(make_labels):
    truth = make_labels({0: [POSE]})
    reordered = make_labels({0: [POSE[[2, 0, 1]]]}, nodes=("c", "a", "b"), predicted=True)
    metrics = Evaluator(truth, reordered).evaluate()
    assert metrics["mOKS"]["mOKS"] == 1.0
    without_c = make_labels({0: [POSE[:2]]}, nodes=("a", "b"), predicted=True)
    metrics = Evaluator(truth, without_c).evaluate()
    assert metrics["mOKS"]["mOKS"] == pytest.approx(2 / 3)
    np.testing.assert_array_equal(metrics["pck_metrics"]["mPCK_parts"], [1, 1, 0])


def test_missing_frames(make_labels):
    truth, found = make_labels({0: [POSE], 1: [POSE]}), make_labels({0: [POSE]}, predicted=True)
    skipped = Evaluator(truth, found).evaluate()
    assert skipped["voc_metrics"]["oks_voc.mAR"] == 1.0
    assert (skipped["counts"]["frames"], skipped["counts"]["frames_skipped"]) == (1, 1)
    counted = Evaluator(truth, found, count_missing_frames=True).evaluate()
    assert counted["voc_metrics"]["oks_voc.mAR"] == 0.5
    assert (counted["counts"]["frames"], counted["counts"]["frames_skipped"]) == (2, 0)


@pytest.mark.parametrize("count_missing_frames", [False, True])
def test_unmatchable_files_are_refused(make_labels, make_video, count_missing_frames):
    truth = make_labels({0: [POSE]}, video=make_video("a.mp4", (10, 64, 64, 1)))
    found = make_labels({0: [POSE]}, video=make_video("b.mp4", (10, 32, 32, 1)), predicted=True)
    with pytest.raises(ValueError, match="Empty Frame Pairs: no video"):
        Evaluator(truth, found, count_missing_frames=count_missing_frames)


def test_nothing_in_common_is_refused(make_labels):
    truth, found = make_labels({0: [POSE]}), make_labels({5: [POSE]}, predicted=True)
    with pytest.raises(DataError, match="Empty Frame Pairs: no labelled frame"):
        Evaluator(truth, found)
    with pytest.raises(DataError, match="Empty Frame Pairs: the ground truth has no frame with user-labelled"):
        Evaluator(found, found)
    assert Evaluator(found, found, user_labels_only=False).mOKS()["mOKS"] == 1.0


def test_user_instances_are_no_predictions(make_labels):
    truth = make_labels({0: [POSE]})
    metrics = Evaluator(truth, truth).evaluate()
    assert np.isnan(metrics["mOKS"]["mOKS"])
    assert metrics["voc_metrics"]["oks_voc.mAP"] == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"match_method": "mask"}, "'mask' scores masks"),
        ({"match_method": "semantic"}, "'semantic' scores masks"),
        ({"match_method": "nearest"}, "'nearest' is unknown"),
        ({"oks_stddev": 0}, "oks_stddev is 0"),
        ({"oks_scale": -1}, "oks_scale is -1"),
        ({"oks_stddev": np.nan}, "oks_stddev is nan"),
        ({"match_threshold": np.nan}, "match_threshold is nan"),
    ],
)
def test_bad_settings_are_refused(golden_labels, settings, message):
    with pytest.raises(ConfigError, match=message):
        Evaluator(*golden_labels, **settings)
    with pytest.raises(ConfigError, match="use 'oks' or 'pck'"):
        Evaluator(*golden_labels).voc_metrics(match_score_by="iou")


def test_settings_reach_the_kernel(golden_labels):
    base = Evaluator(*golden_labels).mOKS()["mOKS"]
    assert Evaluator(*golden_labels, oks_stddev=0.1).mOKS()["mOKS"] > base
    assert Evaluator(*golden_labels, oks_scale=10_000).mOKS()["mOKS"] > base
    assert len(Evaluator(*golden_labels, match_threshold=0.5).positive_pairs) == 4
    anchored = Evaluator(*golden_labels, match_threshold=50, match_method="centroid", anchor_ind=0)
    assert anchored.distance_metrics()["avg"] < 3


def test_flat_instances_are_reported(make_labels, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    flat = POSE.copy()
    flat[1:] = np.nan
    truth, found = make_labels({0: [flat, POSE]}), make_labels({0: [flat, POSE]}, predicted=True)
    assert Evaluator(truth, found).mOKS()["mOKS"] == 1.0
    assert "1 of 2 true instances have a box without area" in caplog.text
    caplog.clear()
    Evaluator(truth, found, oks_scale=100)
    assert not caplog.records


def test_identities_are_counted_where_predictions_carry_names_of_the_truth(golden_labels):
    truth, found = golden_labels
    assert "identity_metrics" not in Evaluator(truth, found).evaluate()
    names = [Track("ann"), Track("bob")]
    for labels in (truth, found):
        for frame in labels:
            for index, instance in enumerate(frame.instances):
                instance.track = names[index % 2]
    evaluator = Evaluator(truth, found)
    counted = evaluator.evaluate()["identity_metrics"]
    same = [true.instance.track.name == other.instance.track.name for true, other, _ in evaluator.positive_pairs]
    assert counted["n_pairs"] == len(same)
    assert counted["accuracy"] == pytest.approx(np.mean(same))
    for frame in found:
        for instance in frame.instances:
            instance.track = Track("track_0")
    assert "identity_metrics" not in Evaluator(truth, found).evaluate()
