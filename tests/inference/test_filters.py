import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.errors import ConfigError
from sleap_nn.inference.filters import NOTHING, FilterPipeline, apply_filters, effective
from sleap_nn.inference.outputs import Outputs
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "nms.json").read_text())
KEY = FrameKey(0, 0)


def boxes_as_poses(boxes: list[list[float]]) -> np.ndarray:
    """Return poses of two nodes, the corners of each box."""
    return np.array(boxes, np.float32).reshape(-1, 2, 2)


def found(points: np.ndarray, scores: list[float], point_scores: np.ndarray | None = None) -> Predictions:
    own = np.full(points.shape[:2], 0.5, np.float32) if point_scores is None else point_scores
    own = np.where(np.isnan(points).any(axis=-1), np.float32(0), own)
    return Predictions(KEY, points.astype(np.float32), own, np.array(scores, np.float32))


POSES = found(
    np.array(
        [[[0, 0], [9, 9], [5, 5]], [[np.nan, np.nan], [40, 40], [45, 45]], [[70, 70], [np.nan] * 2, [np.nan] * 2]]
    ),
    [0.9, 0.6, 0.3],
    np.array([[0.9, 0.2, 0.4], [0, 0.8, 0.8], [0.95, 0, 0]], np.float32),
)


@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_overlap_of_boxes_as_in_the_golden_vectors(threshold: float) -> None:
    poses = found(boxes_as_poses(GOLDEN["boxes"]), GOLDEN["scores"])
    kept = apply_filters(poses, FilterConfig(overlapping=True, overlapping_threshold=threshold))
    expected = sorted(GOLDEN[f"keep_thr{threshold}"])
    np.testing.assert_array_equal(kept.points, poses.points[expected])
    np.testing.assert_array_equal(kept.scores, poses.scores[expected])


@pytest.mark.parametrize(("threshold", "left"), [(0.60, 2), (0.61, 3)])
def test_overlap_of_poses_as_in_the_golden_vectors(threshold: float, left: int) -> None:
    """The first pose, which is tested, and the second have an OKS of 0.606531."""
    poses = found(np.array(GOLDEN["oks_points"]), [0.8, 0.9, 0.7])
    config = FilterConfig(overlapping=True, overlapping_method="oks", overlapping_threshold=threshold)
    assert len(apply_filters(poses, config)) == left


@pytest.mark.parametrize(
    ("config", "left"),
    [
        ({}, [0, 1, 2]),
        ({"min_visible_nodes": 2}, [0, 1]),
        ({"min_visible_nodes": 3}, [0]),
        ({"min_visible_node_fraction": 0.66}, [0, 1]),
        ({"min_instance_score": 0.6}, [0, 1]),
        ({"min_mean_node_score": 0.6}, [1, 2]),
        ({"min_mean_node_score": 0.85}, [2]),
        ({"min_peak_value": 0.5}, [0, 1, 2]),
        ({"min_peak_value": 0.5, "min_visible_nodes": 2}, [1]),
        ({"min_peak_value": 0.85, "min_mean_node_score": 0.92}, [2]),
        ({"min_peak_value": 0.96}, []),
        ({"overlapping_threshold": 0.0, "overlapping_method": "oks"}, [0, 1, 2]),
    ],
)
def test_each_filter_removes_what_it_says(config: dict, left: list[int]) -> None:
    kept = apply_filters(POSES, FilterConfig(**config))
    assert kept.scores.tolist() == POSES.scores[left].tolist()


def test_weak_points_become_missing_and_the_input_stays_as_it_is() -> None:
    before = POSES.points.copy()
    kept = apply_filters(POSES, FilterConfig(min_peak_value=0.5))
    assert np.isnan(kept.points).any(axis=-1).tolist() == [
        [False, True, True],
        [True, False, False],
        [False, True, True],
    ]
    assert kept.point_scores[0].tolist() == pytest.approx([0.9, 0, 0])
    np.testing.assert_array_equal(POSES.points, before)


def test_overlap_comes_after_the_scores() -> None:
    """A weak instance does not remove a good one that has a lower score of its own."""
    poses = found(boxes_as_poses([[0, 0, 10, 10], [0, 0, 10, 10]]), [0.9, 0.5], np.array([[0.1, 0.1], [0.9, 0.9]]))
    kept = apply_filters(poses, FilterConfig(overlapping=True, min_mean_node_score=0.5))
    assert kept.scores.tolist() == [0.5]


def test_centroids_keep_their_distance() -> None:
    centroids = found(np.array([[[0, 0]], [[3, 4]], [[20, 0]], [[3.1, 4.1]]]), [0.5, 0.9, 0.8, 0.7])
    kept = apply_filters(centroids, FilterConfig(min_centroid_distance=5.1))
    assert kept.scores.tolist() == pytest.approx([0.9, 0.8])
    assert len(apply_filters(centroids, FilterConfig(min_centroid_distance=0.1))) == 4
    assert len(apply_filters(Predictions.empty(KEY, 1), FilterConfig(min_centroid_distance=5))) == 0


def test_nothing_to_do_is_the_same_object() -> None:
    assert apply_filters(POSES, NOTHING) is POSES


@pytest.mark.parametrize(
    ("num_nodes", "only_centroids", "config", "word"),
    [
        (1, True, {"overlapping": True}, "filter_overlapping"),
        (3, False, {"min_centroid_distance": 3.0}, "filter_min_centroid_distance"),
        (1, False, {"overlapping": True, "overlapping_method": "oks"}, "iou"),
    ],
)
def test_filters_without_use_are_named(
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    num_nodes: int,
    only_centroids: bool,
    config: dict,
    word: str,
) -> None:
    monkeypatch.setattr("sleap_nn.log.logger.propagate", True)
    given = FilterConfig(**config)
    changed = effective(given, num_nodes, only_centroids)
    assert changed != given
    assert word in caplog.text
    assert effective(changed, num_nodes, only_centroids) == changed


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ConfigError, match="overlapping_method"):
        FilterConfig(overlapping_method="area")


def test_a_pipeline_empties_the_slots_of_outputs() -> None:
    keypoints = torch.full((2, 3, 3, 2), torch.nan)
    keypoints[0] = torch.from_numpy(POSES.points)
    values = torch.zeros((2, 3, 3))
    values[0] = torch.from_numpy(POSES.point_scores)
    scores = torch.tensor([[0.9, 0.6, 0.3], [torch.nan] * 3])
    outputs = Outputs(
        pred_keypoints=keypoints,
        pred_peak_values=values,
        instance_scores=scores,
        instance_valid=torch.tensor([[True] * 3, [False] * 3]),
    )
    kept = FilterPipeline(FilterConfig(min_instance_score=0.5, min_peak_value=0.3))(outputs)
    assert kept.instance_valid.tolist() == [[True, True, False], [False] * 3]
    assert kept.pred_keypoints.shape == keypoints.shape
    assert torch.isnan(kept.pred_keypoints[0, 2]).all()
    assert torch.isnan(kept.pred_keypoints[0, 0, 1]).all()
    assert kept.pred_keypoints[0, 1, 2].tolist() == [45, 45]
    assert kept.instance_scores[0].tolist()[:2] == pytest.approx([0.9, 0.6])
    assert not torch.isnan(outputs.instance_scores[0]).any()
    assert FilterPipeline.run(outputs, NOTHING).instance_valid.tolist() == outputs.instance_valid.tolist()


@pytest.mark.parametrize("config", [None, {"overlapping": True}])
def test_a_pipeline_is_made_of_a_filter_config(config: object) -> None:
    with pytest.raises(ConfigError, match="give a FilterConfig"):
        FilterPipeline(config)  # pyright: ignore[reportArgumentType]
