import numpy as np
import pytest

from sleap_nn.evaluation.detection import detection_metrics, match_detections
from sleap_nn.evaluation.frame_statistics import centroid_statistics, identity_statistics, pose_statistics
from sleap_nn.evaluation.keypoints import keypoint_metrics, match_keypoints
from sleap_nn.evaluation.matches import FramePoints, Matches

COUNTS = np.array([2, 0, 1, 3, 0, 1, 4, 1])


def make_frames(num_nodes: int, seed: int = 0) -> list[FramePoints]:
    """Return frames with found, missed and surplus animals, and with points missing on either side."""
    rng = np.random.default_rng(seed)
    frames = []
    for index in range(len(COUNTS)):
        truth = rng.uniform(0, 100, (3, num_nodes, 2)) + 200 * np.arange(3)[:, None, None]
        predicted = truth[: 3 - index % 2] + rng.normal(0, 4, (3 - index % 2, num_nodes, 2))
        if index % 3 == 0:
            predicted = np.concatenate([predicted, predicted[:1] + 5000])
        if num_nodes > 1:
            truth[0, index % num_nodes] = np.nan
            predicted[1, (index + 1) % num_nodes] = np.nan
        frames.append(FramePoints(truth, predicted, rng.random(len(predicted))))
    return frames


def repeated(frames: list[FramePoints]) -> list[FramePoints]:
    return [frame for frame, count in zip(frames, COUNTS, strict=True) for _ in range(count)]


def match_poses(frames: list[FramePoints]) -> Matches:
    return match_keypoints(frames, 0.05, None, 0)


@pytest.mark.parametrize("counts", [np.ones_like(COUNTS), COUNTS], ids=["once", "repeated"])
def test_poses_have_the_numbers_of_the_evaluation(counts: np.ndarray):
    frames = make_frames(num_nodes=5)
    statistics = pose_statistics(match_poses(frames))
    values = {name: statistic(counts) for name, statistic in statistics.items()}
    matches = match_poses(frames if (counts == 1).all() else repeated(frames))
    metrics = keypoint_metrics(matches)
    expected = {
        "mOKS": metrics["mOKS"]["mOKS"],
        "mAP": metrics["voc_metrics"]["oks_voc.mAP"],
        "p50": metrics["distance_metrics"]["p50"],
        "p95": metrics["distance_metrics"]["p95"],
        "PCK@5": metrics["pck_metrics"]["PCK@5"],
        "PCK@10": metrics["pck_metrics"]["PCK@10"],
        "visibility_precision": metrics["visibility_metrics"]["precision"],
        "visibility_recall": metrics["visibility_metrics"]["recall"],
        "precision": len(matches.indices) / (len(matches.indices) + len(matches.extra)),
        "recall": len(matches.indices) / (len(matches.indices) + len(matches.missed)),
    }
    assert 0 < expected["mAP"] < 1
    assert values == pytest.approx(expected | {"f1": values["f1"]})


@pytest.mark.parametrize("counts", [np.ones_like(COUNTS), COUNTS], ids=["once", "repeated"])
def test_centroids_have_the_numbers_of_the_evaluation(counts: np.ndarray):
    frames = make_frames(num_nodes=1)
    statistics = centroid_statistics(match_detections(frames, 50))
    values = {name: statistic(counts) for name, statistic in statistics.items()}
    metrics = detection_metrics(match_detections(frames if (counts == 1).all() else repeated(frames), 50))
    rates = {name: metrics["detection_metrics"][name] for name in ("precision", "recall", "f1", "p50", "p95")}
    assert values == pytest.approx(rates)


def test_identities_count_where_the_truth_has_one():
    matches = match_poses(make_frames(num_nodes=5))
    num_pairs = len(matches.indices)
    truth = ["a", "b", None, *["a"] * (num_pairs - 3)]
    predicted = ["a", "a", "a", None, *["a"] * (num_pairs - 4)]
    statistic = identity_statistics(matches, truth, predicted)["identity"]
    assert statistic(np.ones_like(COUNTS)) == pytest.approx((num_pairs - 3) / (num_pairs - 1))
    assert np.isnan(identity_statistics(matches, [None] * num_pairs, predicted)["identity"](COUNTS))


def test_without_a_pair_only_what_was_found_is_defined():
    frame = FramePoints(np.ones((2, 3, 2)), np.empty((0, 3, 2)), np.empty(0))
    values = {name: statistic(np.array([3])) for name, statistic in pose_statistics(match_poses([frame])).items()}
    assert (values["recall"], values["f1"], values["mAP"]) == (0, 0, 0)
    assert np.isnan([values[name] for name in ("mOKS", "p50", "p95", "PCK@5", "precision", "visibility_recall")]).all()
