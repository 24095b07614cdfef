import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sleap_nn.evaluation.keypoints import (
    compute_instance_area,
    compute_oks,
    distance_statistics,
    keypoint_metrics,
    match_keypoints,
    mean_or_nan,
    pck_metrics,
    voc_metrics,
)
from sleap_nn.evaluation.matches import FramePoints

NAN = np.nan
NOT_IN_GOLDEN = {"precisions", "dists", "pcks"}


def evaluate(frames, threshold=0.0):
    return keypoint_metrics(match_keypoints(frames, 0.025, None, threshold))


def one_frame(truth, predicted, scores=None):
    scores = np.linspace(1, 0.5, len(predicted)) if scores is None else np.array(scores, float)
    return FramePoints(np.array(truth, float), np.array(predicted, float), scores)


def test_golden_pairs(golden, golden_frames):
    matches = match_keypoints(golden_frames, golden["oks_stddev"], None, 0)
    np.testing.assert_allclose(matches.similarities, golden["pair_oks"], atol=5e-7)
    assert len(matches.indices) == golden["n_pairs"]
    assert len(matches.missed) == golden["n_false_negatives"]
    assert matches.missed.tolist() == [[2, 2]]
    assert matches.extra.tolist() == [[0, 3]], "the unmatched prediction is counted"


def test_golden_metrics(golden, golden_frames):
    metrics = evaluate(golden_frames)
    for section, expected in golden["metrics"].items():
        for key, value in expected.items():
            if key.endswith("_shape"):
                assert list(metrics[section][key.removesuffix("_shape")].shape) == value
            elif key != "frame_idxs":
                np.testing.assert_allclose(
                    metrics[section][key], np.array(value, float), atol=5e-7, err_msg=f"{section} {key}"
                )
    assert metrics["counts"]["false_positives"] == 1
    assert metrics["counts"]["points"] == 31


poses = hnp.arrays(
    float,
    hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=3).map(lambda s: (s[0], s[1], 2)),
    elements=st.one_of(
        st.just(NAN), st.integers(0, 3).map(float), st.integers(-4000, 16000).map(lambda eighths: eighths / 8)
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_perfect_predictions_score_one_for_any_visibility(data):
    truth = data.draw(poses)
    order = np.array(data.draw(st.permutations(range(len(truth)))))
    scores = data.draw(hnp.arrays(float, len(truth), elements=st.sampled_from([0.2, 0.5, 0.9])))
    metrics = evaluate([FramePoints(truth, truth[order], scores)])
    num_visible = int((~np.isnan(truth).any(axis=2)).any(axis=1).sum())
    assert metrics["counts"]["matched"] == num_visible
    assert metrics["counts"]["false_negatives"] == metrics["counts"]["false_positives"] == 0
    if num_visible == 0:
        return
    assert metrics["mOKS"]["mOKS"] == 1.0
    for prefix in ("oks_voc", "pck_voc"):
        assert metrics["voc_metrics"][f"{prefix}.mAP"] == 1.0
        assert metrics["voc_metrics"][f"{prefix}.mAR"] == 1.0
    assert metrics["pck_metrics"]["mPCK"] == metrics["pck_metrics"]["PCK@5"] == 1.0
    assert metrics["visibility_metrics"]["precision"] == metrics["visibility_metrics"]["recall"] == 1.0
    assert metrics["distance_metrics"]["p99"] == metrics["distance_metrics"]["rmse"] == 0.0


def test_pck_counts_nodes_missing_on_one_side_but_not_on_both():
    frame = one_frame([[[0, 0], [10, 0], [NAN, NAN], [NAN, NAN]]], [[[0, 0], [NAN, NAN], [5, 5], [NAN, NAN]]])
    metrics = evaluate([frame])["pck_metrics"]
    np.testing.assert_array_equal(metrics["mPCK_parts"], [1, 0, 0, NAN])
    assert metrics["mPCK"] == pytest.approx(1 / 3)
    assert metrics["PCK@5"] == pytest.approx(1 / 3)


def test_pck_compares_strictly_and_at_the_thresholds_given():
    frame = one_frame([[[0, 0], [100, 100]]], [[[5, 0], [100, 100]]])
    matches = match_keypoints([frame], 0.5, None, 0)
    metrics = pck_metrics(matches, [5, 5.1])
    assert metrics["pcks"].tolist() == [[[False, True], [True, True]]]
    assert metrics["PCK@5"] == 0.5
    assert metrics["PCK@10"] == 1.0


def test_predictions_choose_by_descending_score():
    truth = [[[0, 0], [10, 10]]]
    near, exact = [[0.1, 0], [10, 10]], [[0, 0], [10, 10]]
    matches = match_keypoints([one_frame(truth, [exact, near], [0.1, 0.9])], 0.025, None, 0)
    assert matches.indices.tolist() == [[0, 0, 1]]
    assert matches.extra.tolist() == [[0, 0]]


def test_equal_oks_is_decided_by_the_visible_nodes():
    part, whole = [[0, 0], [NAN, NAN]], [[0, 0], [10, 10]]
    matches = match_keypoints([one_frame([part, whole], [whole, part], [0.9, 0.1])], 0.025, None, 0)
    assert matches.indices.tolist() == [[0, 1, 0], [0, 0, 1]]
    assert matches.similarities.tolist() == [1, 1]


def test_threshold_is_exclusive():
    frame = one_frame([[[0, 0], [10, 10]]], [[[0, 0], [NAN, NAN]]])
    assert len(match_keypoints([frame], 0.025, None, 0.49).indices) == 1
    assert len(match_keypoints([frame], 0.025, None, 0.5).indices) == 0


def test_a_frame_without_predictions_is_all_missed():
    found = one_frame([[[0, 0], [10, 10]]], [[[0, 0], [10, 10]]])
    metrics = evaluate([found, found._replace(predicted=np.empty((0, 2, 2)), scores=np.empty(0))])
    assert metrics["counts"]["false_negatives"] == 1
    assert metrics["voc_metrics"]["oks_voc.mAR"] == 0.5
    assert metrics["voc_metrics"]["oks_voc.mAP"] == pytest.approx(51 / 101)
    assert metrics["mOKS"]["mOKS"] == 1.0


@pytest.mark.parametrize("frames", [[], [one_frame(np.zeros((1, 2, 2)), np.empty((0, 2, 2)))]])
def test_without_pairs_everything_is_zero_or_undefined(frames):
    metrics = evaluate(frames)
    voc = metrics["voc_metrics"]
    assert voc["oks_voc.precisions"].shape == (10, 101)
    assert all(np.all(np.asarray(voc[f"oks_voc.{key}"]) == 0) for key in ("mAP", "mAR", "AP", "AR", "recalls"))
    undefined = [
        metrics["mOKS"]["mOKS"],
        metrics["pck_metrics"]["mPCK"],
        metrics["distance_metrics"]["avg"],
        metrics["distance_metrics"]["p90"],
        metrics["visibility_metrics"]["precision"],
    ]
    assert np.isnan(undefined).all()


def test_voc_thresholds_are_reached_by_equal_scores():
    metrics = voc_metrics(np.array([18 / 20]), np.array([1.0]), 0)
    assert metrics["recalls"].tolist() == [1.0] * 9 + [0.0]


def test_voc_precision_does_not_increase_with_recall():
    metrics = voc_metrics(np.array([0.1, 0.9, 0.1, 0.9]), np.array([4.0, 3, 2, 1]), 0, np.array([0.5]))
    assert metrics["AP"][0] == pytest.approx(0.5 * 51 / 101)
    assert metrics["mAR"] == 0.5


def test_distance_statistics():
    statistics = distance_statistics(np.array([[3.0, NAN], [4.0, 0.0]]))
    assert statistics["avg"] == pytest.approx(7 / 3)
    assert statistics["rmse"] == pytest.approx(np.sqrt(25 / 3))
    assert statistics["p50"] == 3
    assert statistics["p75"] == 3.5
    assert np.isnan(list(distance_statistics(np.array([NAN])).values())).all()
    assert np.isnan(mean_or_nan(np.empty(0)))


def test_compute_oks_takes_single_instances(golden):
    pose = [[10.0, 10], [30, 10], [20, 40]]
    shifted = [[11.0, 10], [29, 12], [20, 44]]
    assert compute_oks(pose, shifted) == pytest.approx(0.303412, abs=5e-7)
    assert compute_oks([pose, pose], shifted, scale=1000).shape == (2, 1)
    assert compute_oks(pose, shifted, use_cocoeval=False) == pytest.approx(0.983933, abs=5e-7)


def test_compute_instance_area():
    points = [[[10, 10], [30, 10], [20, 40]], [[NAN, NAN]] * 3]
    np.testing.assert_array_equal(compute_instance_area(points), [600, NAN])
    assert compute_instance_area(points[0]) == 600
