import logging

import cv2
import numpy as np
import pytest
import sleap_io as sio

from sleap_nn.data.labels import load_labels
from sleap_nn.errors import DataError, MissingFileError
from sleap_nn.evaluation.pairs import (
    centroid_frames,
    check_nodes,
    count_instances,
    find_frame_pairs,
    instance_points,
    keypoint_frames,
    pair_frames,
    point_scores,
    video_path,
)

POSE = np.array([[[1.0, 2], [3, 4], [5, 6]]])


@pytest.fixture
def warnings(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.WARNING, logger="sleap_nn")
    return caplog


def test_frames_without_prediction_are_skipped_and_empty_predictions_are_not(make_labels):
    truth = make_labels({0: POSE, 1: POSE, 2: POSE})
    found = make_labels({0: POSE, 2: POSE[:0], 7: POSE}, predicted=True)
    pairs = pair_frames(truth, found)
    assert [(t.frame_idx, len(p.instances)) for t, p in pairs.pairs] == [(0, 1), (2, 0)]
    assert (pairs.num_skipped, pairs.num_videos, pairs.num_videos_matched) == (1, 1, 1)


def test_missing_frames_can_be_counted(make_labels):
    truth, found = make_labels({0: POSE, 1: POSE}), make_labels({0: POSE}, predicted=True)
    pairs = pair_frames(truth, found, count_missing_frames=True)
    assert [(t.frame_idx, len(p.instances)) for t, p in pairs.pairs] == [(0, 1), (1, 0)]
    assert pairs.num_skipped == 0


def test_truth_is_reduced_to_user_instances(make_labels):
    truth = make_labels({0: POSE, 1: POSE})
    predicted = make_labels({0: POSE, 1: POSE}, predicted=True).labeled_frames[0].instances[0]
    truth.labeled_frames[0].instances.append(predicted)
    truth.labeled_frames[1].instances[:] = [predicted]
    found = make_labels({0: POSE, 1: POSE}, predicted=True)
    assert [len(t.instances) for t, _ in find_frame_pairs(truth, found)] == [1]
    assert [len(t.instances) for t, _ in find_frame_pairs(truth, found, user_labels_only=False)] == [2, 1]
    assert len(truth.labeled_frames[0].instances) == 2, "the labels given are not changed"


def test_frames_given_twice_are_joined(make_labels):
    truth, found = make_labels({0: POSE}), make_labels({0: POSE}, predicted=True)
    found.labeled_frames.append(
        sio.LabeledFrame(video=found.videos[0], frame_idx=0, instances=found.labeled_frames[0].instances[:])
    )
    ((_, predicted),) = find_frame_pairs(truth, found)
    assert len(predicted.instances) == 2


def test_frames_of_different_videos_are_not_mixed(make_labels, make_video):
    def two_videos(first, second, predicted):
        parts = [
            make_labels({0: POSE + offset}, video=make_video(name, None), predicted=predicted)
            for name, offset in (first, second)
        ]
        frames = [frame for part in parts for frame in part.labeled_frames]
        return sio.Labels(labeled_frames=frames)

    truth = two_videos(("/t/a.mp4", 0), ("/t/b.mp4", 100), False)
    found = two_videos(("/p/b.mp4", 100), ("/p/a.mp4", 0), True)
    for true_frame, predicted_frame in find_frame_pairs(truth, found):
        np.testing.assert_array_equal(true_frame.instances[0].numpy(), predicted_frame.instances[0].numpy()[:, :2])


def test_predictions_from_a_package_find_their_video(tmp_path, make_labels):
    images = []
    for index in range(2):
        images.append(tmp_path / f"image{index}.png")
        cv2.imwrite(str(images[-1]), np.full((8, 10), 9 * index, np.uint8))
    truth = make_labels({0: POSE, 1: POSE}, video=sio.Video([str(path) for path in images]))
    truth.save(str(tmp_path / "truth.pkg.slp"), embed="user", verbose=False)
    package = load_labels(tmp_path / "truth.pkg.slp")
    found = make_labels({0: POSE, 1: POSE}, video=package.videos[0], predicted=True)
    for restore in (True, False):
        path = tmp_path / f"found{restore}.slp"
        found.save(str(path), embed=False, restore_original_videos=restore, verbose=False)
        assert len(find_frame_pairs(package, load_labels(path))) == 2
    renamed = (tmp_path / "truth.pkg.slp").rename(tmp_path / "renamed.pkg.slp")
    assert len(find_frame_pairs(load_labels(renamed), load_labels(path))) == 2


def test_points_follow_node_names(make_labels):
    labels = make_labels({0: POSE}, nodes=("c", "x", "a"), predicted=True)
    points = instance_points(labels.labeled_frames[0].instances, ["a", "b", "c"])
    np.testing.assert_array_equal(points, [[[5, 6], [np.nan, np.nan], [1, 2]]])
    assert instance_points([], ["a", "b"]).shape == (0, 2, 2)


def test_only_predictions_are_scored(make_labels):
    truth, found = make_labels({0: POSE}), make_labels({0: (POSE, [0.25])}, predicted=True)
    found.labeled_frames[0].instances.insert(0, truth.labeled_frames[0].instances[0])
    (frame,) = keypoint_frames(find_frame_pairs(truth, found), ["a", "b", "c"])
    assert frame.predicted.shape == (1, 3, 2)
    assert frame.scores.tolist() == [0.25]
    assert count_instances(found) == (2, 1)


def test_scores_of_points_follow_the_node_order_asked_for(make_labels):
    found = make_labels({0: [[[1.0, 2], [np.nan, np.nan], [5, 6]]]}, predicted=True).labeled_frames[0].instances
    found[0].points["score"] = [0.1, 0.2, 0.3]
    drawn = make_labels({0: POSE}).labeled_frames[0].instances
    scores = point_scores([*found, *drawn], ["c", "b", "x", "a"])
    np.testing.assert_array_equal(scores, [[0.3, np.nan, np.nan, 0.1], [np.nan] * 4])
    assert point_scores([], ["a"]).shape == (0, 1)


def test_centroids_of_a_one_node_prediction_need_no_common_name(make_labels):
    truth = make_labels({0: POSE})
    found = make_labels({0: [[[3.0, 4]]]}, nodes=("centroid",), predicted=True)
    (frame,) = centroid_frames(find_frame_pairs(truth, found), ["a", "b", "c"], None)
    np.testing.assert_array_equal(frame.truth, frame.predicted)
    (frame,) = centroid_frames(find_frame_pairs(truth, found), ["a", "b", "c"], 2)
    np.testing.assert_array_equal(frame.truth, [[[5, 6]]])


def test_nodes_on_one_side_are_reported(make_labels, warnings):
    check_nodes(make_labels({0: POSE}), make_labels({0: POSE}, nodes=("b", "c", "d"), predicted=True))
    assert [record.getMessage().endswith(end) for record, end in zip(warnings.records, ["a.", "d."], strict=True)]


def test_no_common_node_is_refused(make_labels):
    with pytest.raises(DataError, match="no node name in common"):
        check_nodes(make_labels({0: POSE}), make_labels({0: POSE}, nodes=("x", "y", "z"), predicted=True))
    with pytest.raises(DataError, match="ground truth has no skeleton"):
        check_nodes(sio.Labels(), make_labels({0: POSE}, predicted=True))


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match="does not exist"):
        load_labels(tmp_path / "none.slp")
    (tmp_path / "bad.slp").write_text("no labels")
    with pytest.raises(DataError, match="cannot be read"):
        load_labels(tmp_path / "bad.slp")


def test_video_path_of_an_image_sequence(make_video):
    assert video_path(make_video(["/a/1.png", "/a/2.png"])) == "/a/1.png"


def test_frames_labelled_as_empty_are_kept_if_asked_for() -> None:
    """One is empty, one holds predicted instances only, which say nothing about a user's labels."""
    video = sio.Video("clip.mp4", open_backend=False)
    skeleton = sio.Skeleton(["a"])
    own = [
        sio.PredictedInstance.from_numpy(np.zeros((1, 2)), skeleton=skeleton, point_scores=np.ones(1), score=1.0),
        sio.Instance.from_numpy(np.zeros((1, 2)), skeleton=skeleton),
    ]
    contents = [[], own[:1], own[1:]]
    frames = [sio.LabeledFrame(video=video, frame_idx=i, instances=instances) for i, instances in enumerate(contents)]
    labels = sio.Labels(frames, videos=[video], skeletons=[skeleton])
    kept = pair_frames(labels, labels, keep_empty_frames=True).pairs
    assert [pair[0].frame_idx for pair in kept] == [0, 2]
    assert [pair[0].frame_idx for pair in pair_frames(labels, labels).pairs] == [2]
