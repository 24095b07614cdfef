import numpy as np
import pytest

from sleap_nn.evaluation.detection import (
    compute_gt_centroids,
    detection_metrics,
    match_centroids,
    match_detections,
    predicted_centroids,
)
from sleap_nn.evaluation.matches import FramePoints

NAN = np.nan


def test_golden(golden, golden_frames):
    frames = [
        FramePoints(
            compute_gt_centroids(frame.truth)[:, None],
            predicted_centroids(frame.predicted)[:, None],
            frame.scores,
        )
        for frame in golden_frames
    ]
    expected = golden["centroid_mode"]
    metrics = detection_metrics(match_detections(frames, expected["match_threshold_px"]))
    for section, values in expected["metrics"].items():
        for key, value in values.items():
            if key != "frame_idxs":
                np.testing.assert_allclose(metrics[section][key], value, atol=5e-7, err_msg=key)
    assert "rmse" in metrics["distance_metrics"]
    assert metrics["counts"]["false_positives"] == 1


def test_true_centroid_is_the_anchor_or_the_mean():
    points = np.array([[[10, 20], [30, 40], [60, 30]], [[NAN, NAN], [2, 4], [4, 8]], [[NAN, NAN]] * 3])
    np.testing.assert_allclose(compute_gt_centroids(points), [[100 / 3, 30], [3, 6], [NAN, NAN]])
    np.testing.assert_allclose(compute_gt_centroids(points, 0), [[10, 20], [3, 6], [NAN, NAN]])


def test_predicted_centroid_is_the_first_visible_node_or_the_anchor():
    points = np.array([[[1.0, 2], [3, 4]], [[NAN, NAN], [5, 6]], [[NAN, NAN]] * 2])
    np.testing.assert_array_equal(predicted_centroids(points), [[1, 2], [5, 6], [NAN, NAN]])
    np.testing.assert_array_equal(predicted_centroids(points, 1), [[3, 4], [5, 6], [NAN, NAN]])
    assert predicted_centroids(np.empty((0, 2, 2))).shape == (0, 2)


def test_match_centroids_rejects_far_pairs():
    predicted = np.array([[0.0, 0], [100, 0], [NAN, NAN]])
    truth = np.array([[3.0, 4], [500, 0]])
    matches = match_centroids(predicted, truth)
    assert [indices.tolist() for indices in matches] == [[0], [0], [1, 2], [1]]
    assert len(match_centroids(predicted, truth, max_distance=4.9).predicted) == 0
    assert len(match_centroids(predicted, truth, max_distance=5).predicted) == 1


@pytest.mark.parametrize(("num_truth", "num_predicted"), [(0, 0), (1, 0), (0, 1)])
def test_rates_without_pairs_are_zero(num_truth, num_predicted):
    frame = FramePoints(np.zeros((num_truth, 1, 2)), np.zeros((num_predicted, 1, 2)), np.ones(num_predicted))
    metrics = detection_metrics(match_detections([frame], 50))["detection_metrics"]
    assert metrics["precision"] == metrics["recall"] == metrics["f1"] == 0.0
    assert (metrics["n_tp"], metrics["n_fp"], metrics["n_fn"]) == (0, num_predicted, num_truth)
    assert np.isnan(metrics["avg"])
