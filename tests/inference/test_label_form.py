import numpy as np
import pytest
import sleap_io as sio
import torch

from sleap_nn.errors import ConfigError
from sleap_nn.inference.outputs import Outputs

SKELETON = sio.Skeleton(["a", "b", "c"])


def poses(**more: torch.Tensor) -> Outputs:
    points = torch.arange(24.0).reshape(2, 2, 3, 2)
    points[1] = torch.nan
    return Outputs(
        pred_keypoints=points,
        pred_peak_values=torch.full((2, 2, 3), 0.5),
        instance_scores=torch.tensor([[0.9, 0.8], [torch.nan, torch.nan]]),
        frame_indices=torch.tensor([4, 9]),
        **more,
    )


def centroids() -> Outputs:
    return Outputs(pred_centroids=torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), pred_centroid_values=torch.ones((1, 2)))


def test_instances_of_a_frame() -> None:
    found = poses().to_instances(SKELETON)
    assert len(found) == 2
    assert found[0].skeleton is SKELETON
    assert found[0].score == pytest.approx(0.9)
    np.testing.assert_array_equal(found[1].numpy(), [[6, 7], [8, 9], [10, 11]])
    assert poses().to_instances(SKELETON, 1) == []


def test_labels_leave_empty_frames_out_unless_asked() -> None:
    labels = poses().to_labels(SKELETON)
    assert [frame.frame_idx for frame in labels] == [4]
    assert labels.video.filename == "unknown"
    assert [frame.frame_idx for frame in poses().to_labels(SKELETON, keep_empty_frames=True)] == [4, 9]


def test_videos_are_those_that_are_named() -> None:
    one, two = (sio.Video(f"{name}.mp4", open_backend=False) for name in "ab")
    outputs = poses(video_indices=torch.tensor([1, 0]))
    assert outputs.to_labels(SKELETON, [one, two])[0].video is two
    assert outputs.to_labels(SKELETON, [one])[0].video is one
    with pytest.raises(IndexError):
        poses(video_indices=torch.tensor([2, 0])).to_labels(SKELETON, [one, two])


def test_classes_are_tracks_and_identities_where_they_have_some() -> None:
    outputs = poses(instance_tracking_scores=torch.full((2, 2), 0.7))
    tracks = [sio.Track("x"), sio.Track("y")]
    named = outputs.to_instances(SKELETON, tracks=tracks)
    assert [instance.track for instance in named] == tracks
    assert named[0].tracking_score == pytest.approx(0.7)
    assert outputs.to_labels(SKELETON).tracks == []
    identities = [sio.Identity(name="p"), sio.Identity(name="q")]
    known = outputs.to_instances(SKELETON, identities=identities)
    assert [instance.identity for instance in known] == identities
    assert [instance.track for instance in known] == [None, None]


def test_centroids_lie_at_a_node_or_in_a_skeleton_of_their_own() -> None:
    (first, _) = centroids().to_instances(SKELETON, anchor_ind=1)
    assert np.isfinite(first.numpy()[:, 0]).tolist() == [False, True, False]
    (first, _) = centroids().to_instances(SKELETON, collapse_skeleton=sio.Skeleton(["centroid"]))
    np.testing.assert_array_equal(first.numpy(), [[1, 2]])
    labels = centroids().to_labels(SKELETON, emit_centroid="centroid", source="anchor:b")
    assert len(labels[0].instances) == 0
    assert [centroid.source for centroid in labels[0].centroids] == ["anchor:b"] * 2


def test_centroids_of_a_frame() -> None:
    (_, second) = centroids().to_centroids(source="anchor:a")
    assert (second.x, second.y, second.score, second.source) == (3, 4, 1, "anchor:a")
    assert poses().to_centroids() == []


def test_a_skeleton_must_fit() -> None:
    with pytest.raises(ConfigError, match="anchor_ind is 3"):
        centroids().to_instances(SKELETON, anchor_ind=3)
    with pytest.raises(ConfigError, match="2 node"):
        poses().to_labels(sio.Skeleton(["a", "b"]))
    with pytest.raises(ConfigError, match="emit_centroid"):
        centroids().to_labels(SKELETON, emit_centroid="none")
