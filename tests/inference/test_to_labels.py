import numpy as np
import pytest
import sleap_io as sio

from sleap_nn.inference.to_labels import to_labels
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton

SKELETON = Skeleton(("nose", "left", "right"), edges=((0, 1), (0, 2)), symmetries=((1, 2),), name="mouse")
VIDEOS = [sio.Video(name, open_backend=False) for name in ("a.mp4", "b.mp4")]


def predictions(video: int, frame: int, num_instances: int) -> Predictions:
    """Return instances whose middle node was not found."""
    rng = np.random.default_rng([video, frame])
    points = rng.uniform(0, 99, (num_instances, 3, 2)).astype(np.float32)
    point_scores = rng.random((num_instances, 3), np.float32)
    points[:, 1], point_scores[:, 1] = np.nan, 0
    return Predictions(FrameKey(video, frame), points, point_scores, point_scores.sum(axis=1))


FOUND = [predictions(0, 3, 2), Predictions.empty(FrameKey(0, 4), 3), predictions(1, 0, 1)]


def assert_same(labels: sio.Labels, found: list[Predictions]) -> None:
    assert len(labels) == len(found)
    for frame, expected in zip(labels, found, strict=True):
        assert labels.videos.index(frame.video) == expected.key.video
        assert frame.frame_idx == expected.key.frame
        assert all(type(instance) is sio.PredictedInstance for instance in frame.instances)
        assert len(frame.instances) == len(expected)
        for instance, points, scores, score in zip(
            frame.instances, expected.points, expected.point_scores, expected.scores, strict=True
        ):
            np.testing.assert_allclose(instance.numpy(), points, rtol=0, atol=1e-6)
            found_scores = instance.numpy(scores=True)[:, 2]
            visible = ~np.isnan(points[:, 0])
            np.testing.assert_allclose(found_scores[visible], scores[visible], rtol=1e-6)
            assert instance.score == pytest.approx(score, rel=1e-6)
            assert instance.track is None


def test_predictions_become_labels() -> None:
    labels = to_labels(iter(FOUND), SKELETON, VIDEOS)
    assert_same(labels, FOUND)
    assert labels.videos == VIDEOS
    assert labels.skeleton.name == "mouse"
    assert labels.skeleton.node_names == ["nose", "left", "right"]
    assert labels.skeleton.edge_inds == [(0, 1), (0, 2)]
    assert {frozenset(names) for names in labels.skeleton.symmetry_names} == {frozenset({"left", "right"})}


def test_frames_in_which_nothing_was_found_can_be_left_out() -> None:
    labels = to_labels(FOUND, SKELETON, VIDEOS, keep_empty=False)
    assert_same(labels, [FOUND[0], FOUND[2]])
    assert len(labels.videos) == 2
    assert len(to_labels([], SKELETON, VIDEOS)) == 0
