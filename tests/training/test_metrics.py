import math

import numpy as np
import pytest

from sleap_nn.config.model_config import CentroidConfig, SingleInstanceConfig
from sleap_nn.config.trainer_config import EvalConfig
from sleap_nn.data.labels import LabeledFrame
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.centroid import Centroid
from sleap_nn.tasks.single_instance import SingleInstance
from sleap_nn.training.metrics import metric_names, score

SKELETON = Skeleton(("nose", "tail"), edges=((0, 1),))
POSES = SingleInstance.from_config(SingleInstanceConfig(), SKELETON)
CENTROIDS = Centroid.from_config(CentroidConfig(confmaps={"anchor_part": "tail"}), SKELETON)
ANIMAL = np.array([[[10, 10], [30, 20]]], np.float32)
NOTHING = np.zeros((0, 2, 2), np.float32)


def labelled(frame: int, points: np.ndarray, centroids: np.ndarray | None = None) -> LabeledFrame:
    return LabeledFrame(FrameKey(0, frame), points, np.full(len(points), -1), centroids)


def found(frame: int, points: np.ndarray) -> Predictions:
    return Predictions(
        key=FrameKey(0, frame),
        points=points,
        point_scores=np.ones(points.shape[:2], np.float32),
        scores=np.ones(len(points), np.float32),
    )


def test_poses_are_scored_in_frame_px() -> None:
    truth = [labelled(0, ANIMAL), labelled(1, ANIMAL)]
    shift = np.array([3, 4], np.float32)
    metrics = score(POSES, EvalConfig(), truth, [found(0, ANIMAL), found(1, ANIMAL + shift)])
    assert list(metrics) == metric_names(POSES)
    assert metrics["eval/val/distance/avg"] == pytest.approx(2.5)
    assert metrics["eval/val/PCK_5"] == pytest.approx(0.5)
    assert metrics["eval/val/PCK_10"] == 1
    assert metrics["eval/val/visibility_recall"] == 1


@pytest.mark.parametrize(("option", "value"), [("oks_stddev", 0.1), ("oks_scale", 1000.0)])
def test_the_constants_of_the_similarity_act(option: str, value: float) -> None:
    truth, shifted = [labelled(0, ANIMAL)], [found(0, ANIMAL + 2)]
    plain = score(POSES, EvalConfig(), truth, shifted)
    other = score(POSES, EvalConfig(**{option: value}), truth, shifted)
    assert other["eval/val/mOKS"] > plain["eval/val/mOKS"] + 0.1


def test_a_network_that_finds_nothing_is_undefined_or_zero() -> None:
    metrics = score(POSES, EvalConfig(), [labelled(0, ANIMAL)], [found(0, NOTHING)])
    assert math.isnan(metrics["eval/val/mOKS"])
    assert math.isnan(metrics["eval/val/distance/p95"])
    assert metrics["eval/val/oks_voc_mAP"] == 0
    metrics = score(CENTROIDS, EvalConfig(), [labelled(0, ANIMAL)], [found(0, NOTHING[:, :1])])
    assert math.isnan(metrics["eval/val/centroid_dist_max"])
    assert (metrics["eval/val/centroid_recall"], metrics["eval/val/centroid_n_fn"]) == (0, 1)


def test_centroids_are_compared_with_the_anchors() -> None:
    truth = [labelled(0, np.concatenate([ANIMAL, ANIMAL + 50]))]
    points = np.array([[[30, 23]], [[80, 70]], [[5, 90]]], np.float32)
    metrics = score(CENTROIDS, EvalConfig(match_threshold=4.0), truth, [found(0, points)])
    assert list(metrics) == metric_names(CENTROIDS)
    expected = {"dist_avg": 1.5, "dist_median": 1.5, "dist_max": 3, "n_tp": 2, "n_fp": 1, "n_fn": 0, "recall": 1}
    assert {name: metrics[f"eval/val/centroid_{name}"] for name in expected} == pytest.approx(expected)
    strict = score(CENTROIDS, EvalConfig(match_threshold=2.0), truth, [found(0, points)])
    assert strict["eval/val/centroid_n_tp"] == 1


def test_stored_centroids_are_the_truth() -> None:
    truth = [labelled(0, np.full((1, 2, 2), np.nan, np.float32), np.array([[7, 8]], np.float32))]
    metrics = score(CENTROIDS, EvalConfig(), truth, [found(0, np.array([[[7, 9]]], np.float32))])
    assert metrics["eval/val/centroid_dist_avg"] == 1


@pytest.mark.parametrize("task", [POSES, CENTROIDS], ids=["poses", "centroids"])
def test_frames_without_animals_do_not_count(task: SingleInstance | Centroid) -> None:
    num_nodes = 1 if task is CENTROIDS else 2
    truth = [labelled(0, ANIMAL), labelled(1, NOTHING)]
    animal = ANIMAL[:, 1:] if task is CENTROIDS else ANIMAL
    clean, cluttered = (
        score(task, EvalConfig(), truth, [found(0, animal), found(1, extra)])
        for extra in (NOTHING[:, :num_nodes], animal)
    )
    assert clean == cluttered


def test_predictions_of_other_frames_are_a_defect() -> None:
    with pytest.raises(ValueError, match="argument"):
        score(POSES, EvalConfig(), [labelled(0, ANIMAL)], [])


def test_animals_of_one_node_are_compared_by_distance() -> None:
    task = SingleInstance.from_config(SingleInstanceConfig(), Skeleton(("snout",)))
    point = ANIMAL[:, :1]
    metrics = score(task, EvalConfig(), [labelled(0, point)], [found(0, point + np.array([3, 4], np.float32))])
    assert list(metrics) == metric_names(task)
    assert metrics["eval/val/centroid_dist_avg"] == pytest.approx(5)
    assert metrics["eval/val/centroid_recall"] == 1
