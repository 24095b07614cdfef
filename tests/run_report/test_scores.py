from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from factories import make_labels
from run_folders import config_of, predict

from sleap_nn.errors import DataError
from sleap_nn.evaluation import Evaluator
from sleap_nn.run_report.reader import Run
from sleap_nn.run_report.scores import SplitScores

RNG = np.random.default_rng(5)


def score(model_type: str | None = "single_instance", num_files: int = 1, **options: object) -> SplitScores:
    config = None if model_type is None else config_of(model_type, Path("labels.slp"))
    pairs = []
    for index in range(num_files):
        truth = make_labels(3 + index, seed=index, **options)
        pairs.append((truth, predict(truth, RNG, 1.0, centroids=model_type == "centroid")))
    return SplitScores.from_labels("val", pairs, config)


def test_the_pairs_are_those_of_the_evaluation():
    truth = make_labels(4, num_animals=2)
    found = predict(truth, RNG, 1.0)
    scores = SplitScores.from_labels("val", [(truth, found)], config_of("bottomup", Path("a.slp")))
    evaluator = Evaluator(truth, found)
    np.testing.assert_array_equal(scores.matches.indices, evaluator.matches.indices)
    np.testing.assert_array_equal(scores.matches.similarities, evaluator.matches.similarities)
    assert scores.node_names == tuple(truth.skeleton.node_names)
    assert scores.true_tracks == scores.found_tracks
    assert sorted(scores.true_tracks) == ["animal_0"] * 4 + ["animal_1"] * 4
    assert scores.names_identities
    visible = ~np.isnan(np.concatenate([frame.numpy() for frame in truth])[..., 0])
    assert scores.num_labelled.tolist() == visible.sum(axis=0).tolist()


def test_confidence_belongs_to_its_point():
    scores = score()
    distances = scores.matches.distances
    np.testing.assert_array_equal(np.isnan(scores.confidence), np.isnan(distances))
    known = ~np.isnan(distances)
    np.testing.assert_allclose(scores.confidence[known], np.exp(-distances[known] / 2), rtol=1e-3)


def test_files_of_one_split_are_scored_together():
    scores = score(num_files=2)
    assert scores.matches.num_frames == len(scores.frames) == 7
    assert len(scores.confidence) == len(scores.true_tracks) == len(scores.matches.indices) == 7
    truth, predicted = scores.points_of(6)
    np.testing.assert_array_equal(truth[0], scores.matches.truth[6])
    np.testing.assert_array_equal(predicted[0], scores.matches.predicted[6])


def test_files_with_different_nodes_are_not():
    other = make_labels(3)
    other.skeletons[0].rename_nodes({"snout": "nose"})
    pairs = [(truth, predict(truth, RNG, 1.0)) for truth in (make_labels(3), other)]
    with pytest.raises(DataError, match="different nodes"):
        SplitScores.from_labels("val", pairs, config_of("bottomup", Path("a.slp")))


def test_centroids_are_compared_as_such(centroid_run: Run):
    scores = centroid_run.scores["val"]
    assert scores.one_point
    assert scores.node_names == ("centroid",)
    assert scores.matches.truth.shape == (12, 1, 2)
    assert scores.confidence.shape == (12, 1)
    assert scores.num_labelled.tolist() == [12]
    truth, predicted = scores.points_of(0)
    assert truth.shape == predicted.shape == (2, 1, 2)


@pytest.mark.parametrize("centroids", [True, False])
def test_without_a_configuration_the_predictions_decide(centroids: bool):
    truth = make_labels(3)
    scores = SplitScores.from_labels("val", [(truth, predict(truth, RNG, 1.0, centroids))], None)
    assert scores.one_point == centroids


def test_animals_of_one_node_are_compared_as_points():
    skeleton = sio.Skeleton(["a"])
    video = sio.Video("a.mp4", open_backend=False)
    instance = sio.Instance.from_numpy(np.array([[1.0, 2.0]]), skeleton=skeleton)
    truth = sio.Labels([sio.LabeledFrame(video=video, frame_idx=0, instances=[instance])])
    assert SplitScores.from_labels("val", [(truth, predict(truth, RNG, 0.0))], None).one_point


def test_frames_are_as_good_as_their_animals_and_missed_and_surplus_ones_count_0(make_scores):
    pose = np.array([[0.0, 0], [30, 0], [0, 30]])
    nothing = np.full_like(pose, np.nan)
    truth = np.array([[pose, pose + 500], [pose, pose + 500], [pose, nothing], [nothing, nothing]])
    predicted = np.array([[pose, pose + 500], [pose, nothing], [pose, pose + 500], [nothing, nothing]])
    scores = make_scores(truth, predicted)
    np.testing.assert_allclose(scores.quality, [1, 0.5, 0.5, np.nan])
    assert not make_scores(truth, predicted).names_identities


def test_centroids_are_better_the_nearer_they_are(centroid_run: Run):
    scores = centroid_run.scores["val"]
    matches = replace(scores.matches, similarities=np.linspace(0, 50, 12))
    quality = replace(scores, matches=matches).quality
    expected = (1 - np.linspace(0, 1, 12)).reshape(6, 2).mean(axis=1)
    np.testing.assert_allclose(quality, expected)


def test_missed_and_counted_points(make_scores):
    pose = np.array([[0.0, 0], [30, 0], [0, 30], [30, 30]])
    truth, predicted = pose.copy(), pose.copy()
    truth[1], predicted[2], truth[3], predicted[3] = np.nan, np.nan, np.nan, np.nan
    scores = make_scores(truth[None, None], predicted[None, None])
    assert [node.num_surplus for node in scores.node_errors] == [0, 1, 0, 0]
    assert scores.missed_points.tolist() == [[False, False, True, False]]
    assert scores.counted.tolist() == [[True, True, True, False]]
