import numpy as np
from sleap_io.model.centroid import UserCentroid
from sleap_io.model.instance import Instance, PredictedInstance, Track
from sleap_io.model.label_image import LabelImage, UserLabelImage
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels
from sleap_io.model.mask import PredictedSegmentationMask
from sleap_io.model.skeleton import Skeleton
from sleap_io.model.video import Video

from sleap_nn.data.tracked_labels import frames_to_track, join_duplicate_frames, write_tracks
from sleap_nn.structures.sample import FrameKey

SKELETON = Skeleton(["a", "b"])


def drawn(x: float, track: Track | None = None) -> Instance:
    return Instance.from_numpy(np.array([[x, 0.0], [np.nan, np.nan]]), skeleton=SKELETON, track=track)


def predicted(x: float, score: float = 0.5, track: Track | None = None) -> PredictedInstance:
    points = np.array([[x, 0.0], [x, 5.0]])
    return PredictedInstance.from_numpy(
        points, skeleton=SKELETON, point_scores=np.array([0.9, 0.8]), score=score, track=track
    )


def labels(*frames: tuple[int, list]) -> Labels:
    video = Video("v.mp4", open_backend=False)
    entries = [LabeledFrame(video=video, frame_idx=index, instances=instances) for index, instances in frames]
    return Labels(entries, videos=[video], skeletons=[SKELETON])


def test_instances_of_a_user_come_before_predictions() -> None:
    own = labels((5, [predicted(1), predicted(2, 0.7)]), (3, [predicted(9), drawn(7)]))
    first, second = frames_to_track(own)
    assert (first.found.key, second.found.key) == (FrameKey(0, 3), FrameKey(0, 5))
    assert (first.drawn, second.drawn) == (True, False)
    assert first.found.points[:, 0, 0].tolist() == [7]
    assert first.found.point_scores.tolist() == [[1, 0]]
    assert second.found.scores.tolist() == np.float32([0.5, 0.7]).tolist()
    assert second.found.point_scores[0].tolist() == np.float32([0.9, 0.8]).tolist()
    assert [frame.found.key.frame for frame in frames_to_track(own, {FrameKey(0, 5)})] == [5]


def test_tracks_are_written_and_what_has_none_is_taken_out_unless_drawn() -> None:
    own = labels((0, [predicted(1), predicted(2)]), (1, [drawn(1), drawn(2), predicted(3)]))
    frames = frames_to_track(own)
    tracked = [
        frame.found.take(np.array([1])).with_tracks(np.array([0]), np.array([0.25], np.float32)) for frame in frames
    ]
    write_tracks(own, frames, tracked)
    (kept,) = own[0].instances
    assert (kept.numpy()[0, 0], kept.track.name, kept.tracking_score) == (2, "track_0", 0.25)
    assert [instance.track and instance.track.name for instance in own[1].instances] == [None, "track_0", None]
    assert [track.name for track in own.tracks] == ["track_0"]


def test_older_tracks_go() -> None:
    """Also those of predictions beside instances of a user, which are not tracked, and of frames that are left out."""
    first, second, named = Track("track_0"), Track("track_1"), Track("female")
    own = labels((0, [drawn(1, second), predicted(3, track=first)]), (1, [drawn(1, second)]), (2, [drawn(1, first)]))
    own[0].instances[1].tracking_score = 0.5
    own.tracks = [first, second, named]
    frames = frames_to_track(own, {FrameKey(0, 0), FrameKey(0, 1)})
    write_tracks(own, frames, [f.found.with_tracks(np.array([0]), np.ones(1, np.float32)) for f in frames])
    assert [frame.frame_idx for frame in own] == [0, 1]
    assert (own[0].instances[1].track, own[0].instances[1].tracking_score) == (None, None)
    assert own[0].instances[0].track is own[1].instances[0].track
    assert [track.name for track in own.tracks] == ["track_0"]
    assert own.tracks[0] is not first


def test_tracks_of_masks_stay_and_names_are_not_given_twice() -> None:
    own = labels((0, [drawn(1)]))
    taken, image = Track("track_0"), Track("of an image")
    own[0].masks = [PredictedSegmentationMask.from_numpy(np.eye(4, dtype=bool), score=1.0, track=taken)]
    own[0].label_images = [UserLabelImage(data=np.eye(4, dtype=np.int32), objects={1: LabelImage.Info(track=image)})]
    frames = frames_to_track(own)
    write_tracks(own, frames, [frames[0].found.with_tracks(np.array([0]), np.ones(1, np.float32))])
    assert own[0].masks[0].track is taken
    assert [track.name for track in own.tracks] == ["track_0", "of an image", "track_1"]


def test_frames_of_one_index_become_one() -> None:
    own = labels((4, [predicted(1)]), (7, [drawn(2)]), (4, [drawn(3)]))
    own[2].centroids = [UserCentroid(x=1.0, y=2.0)]
    own[0].is_negative = True
    assert join_duplicate_frames(own) == 1
    assert [frame.frame_idx for frame in own] == [4, 7]
    assert [instance.numpy()[0, 0] for instance in own[0].instances] == [1, 3]
    assert (len(own[0].centroids), own[0].is_negative) == (1, False)
    assert join_duplicate_frames(own) == 0
