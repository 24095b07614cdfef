import numpy as np
import pytest

from sleap_nn.config.tracker_config import COMBINATIONS, TrackerConfig
from sleap_nn.ops.similarity import object_keypoint_similarity
from sleap_nn.tracking.scoring import Similarity, median_points, near_keypoint_similarity, reduce_by_track


def poses(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 300, (count, 1, 2)) + rng.normal(0, 15, (count, 6, 2))
    points[rng.random((count, 6)) < 0.2] = np.nan
    return points


def test_near_poses_have_the_similarity_of_the_definition() -> None:
    a, b = poses(12), poses(15, seed=1)
    b[:12] = a + np.random.default_rng(2).normal(0, 1, a.shape)
    expected = object_keypoint_similarity(a, b, 0.025)
    assert near_keypoint_similarity(a, b, 0.025) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("features", list(COMBINATIONS))
def test_what_shows_no_point_has_no_score(features: str) -> None:
    known, nothing = poses(2), np.full((1, 6, 2), np.nan)
    for method in COMBINATIONS[features]:
        similarity = Similarity(features, method)
        assert np.isnan(similarity(np.concatenate([known, nothing]), known)).tolist() == [[False] * 2] * 2 + [
            [True] * 2
        ]
        assert np.isnan(similarity(known, np.concatenate([known, nothing]))).tolist() == [[False, False, True]] * 2
        assert similarity(known, known[:0]).shape == (2, 0)
        assert similarity(known[:0], known).shape == (0, 2)


@pytest.mark.parametrize(("reduction", "quantile"), [("mean", 1.0), ("max", 1.0), ("robust_quantile", 0.7)])
def test_scores_of_a_track_become_one(reduction: str, quantile: float) -> None:
    rng = np.random.default_rng(0)
    scores, owners = rng.random((5, 12)), rng.integers(0, 4, 12)
    scores[rng.random(scores.shape) < 0.2] = np.nan
    scores[0, owners == 2] = np.nan
    table = reduce_by_track(scores, owners, 5, reduction, quantile)
    functions = {"mean": np.nanmean, "max": np.nanmax, "robust_quantile": lambda own: np.nanquantile(own, quantile)}
    for row in range(5):
        for track in range(5):
            own = scores[row, owners == track]
            known = own.size > 0 and not np.isnan(own).all()
            expected = functions[reduction](own) if known else np.nan
            assert table[row, track] == pytest.approx(expected, nan_ok=True)


def test_the_middle_is_the_median_of_the_visible_points() -> None:
    points = np.array([[[0.0, 1.0], [10.0, 3.0], [np.nan, np.nan]], [[np.nan, np.nan]] * 3])
    assert median_points(points) == pytest.approx(np.array([[5.0, 2.0], [np.nan, np.nan]]), nan_ok=True)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("centroids", "euclidean_dist")),
        ({"features_explicit": True}, ("keypoints", "oks")),
        ({"scoring_method": "cosine_sim"}, ("keypoints", "cosine_sim")),
        ({"features": "image"}, ("image", "cosine_sim")),
    ],
)
def test_points_are_compared_by_distance_unless_a_user_chose(settings: dict, expected: tuple[str, str]) -> None:
    similarity = Similarity.from_config(TrackerConfig(**settings), num_nodes=1)
    assert (similarity.features, similarity.method) == expected
