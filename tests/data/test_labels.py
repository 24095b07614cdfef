import logging
from pathlib import Path

import numpy as np
import pytest
from factories import make_labels
from sleap_io.model.centroid import UserCentroid
from sleap_io.model.instance import Instance, PredictedInstance, Track
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels
from sleap_io.model.skeleton import Edge, Node, Symmetry
from sleap_io.model.skeleton import Skeleton as SioSkeleton
from sleap_io.model.video import Video

from sleap_nn.data.labels import LabelSet, has_visible_point, load_labels, sio_skeleton, skeleton_of, write_labels
from sleap_nn.errors import DataError, MissingFileError
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton

NAN = np.nan
NODES = SioSkeleton([Node("a"), Node("b")], name="worm")


def make_video(name: str = "a.mp4") -> Video:
    return Video(name, backend_metadata={"shape": (50, 40, 30, 1)})


def user(points: list, track: Track | None = None, skeleton: SioSkeleton = NODES) -> Instance:
    return Instance.from_numpy(np.array(points, float), skeleton=skeleton, track=track)


def predicted(points: list) -> PredictedInstance:
    return PredictedInstance.from_numpy(np.array(points, float), skeleton=NODES)


def frames(video: Video, *instances: list, skeleton: SioSkeleton = NODES) -> Labels:
    """Return labels with one frame for each list of instances, ten frames apart."""
    labeled = [LabeledFrame(video=video, frame_idx=10 * i, instances=row) for i, row in enumerate(instances)]
    return Labels(labeled, videos=[video], skeletons=[skeleton])


def test_points_and_keys_of_every_frame(tmp_path: Path) -> None:
    labels = make_labels(5, num_animals=2, path=tmp_path / "a.pkg.slp", num_clips=2)
    label_set = LabelSet.from_labels([labels])
    assert len(label_set) == 5
    assert label_set.videos == tuple(labels.videos)
    for frame, source in zip(label_set.frames, labels, strict=True):
        assert frame.key == (labels.videos.index(source.video), source.frame_idx)
        assert frame.points.dtype == np.float32
        assert np.array_equal(frame.points, source.numpy().astype(np.float32), equal_nan=True)
        assert frame.class_ids.dtype == np.int64
    assert label_set.track_names == ("animal_0", "animal_1")


def test_the_videos_of_several_files_are_counted_through() -> None:
    first = frames(make_video("a.mp4"), [user([[1, 2], [3, 4]])])
    second = frames(make_video("a.mp4"), [user([[5, 6], [7, 8]])], [user([[9, 9], [9, 9]])])
    label_set = LabelSet.from_labels([first, second])
    assert [frame.key for frame in label_set.frames] == [FrameKey(0, 0), FrameKey(1, 0), FrameKey(1, 10)]
    assert [frame.points[0, 0, 0] for frame in label_set.frames] == [1, 5, 9]
    assert len(label_set.videos) == 2


def test_tracks_of_one_name_are_one_class() -> None:
    points = [[1, 2], [3, 4]]
    first = frames(make_video(), [user(points, Track("x")), user(points)], [user(points, Track("y"))])
    second = frames(make_video(), [user(points, Track("y")), user(points, Track("z")), user(points, Track("x"))])
    label_set = LabelSet.from_labels([first, second])
    assert label_set.track_names == ("x", "y", "z")
    assert [frame.class_ids.tolist() for frame in label_set.frames] == [[0, -1], [1], [1, 2, 0]]


@pytest.mark.parametrize(
    ("user_instances_only", "first_points"), [(True, [[1.0], [5.0, 6.0]]), (False, [[1.0], [8.0], [5.0, 6.0]])]
)
def test_predicted_instances_count_only_where_they_are_asked_for(
    user_instances_only: bool, first_points: list[list[float]]
) -> None:
    labels = frames(
        make_video(),
        [user([[1, 1], [2, 2]]), predicted([[9, 9], [9, 9]])],
        [predicted([[8, 8], [8, 8]])],
        [user([[5, 1], [2, 2]]), user([[6, 1], [2, 2]])],
    )
    label_set = LabelSet.from_labels([labels], user_instances_only)
    assert [frame.points[:, 0, 0].tolist() for frame in label_set.frames] == first_points


def test_instances_without_a_visible_point_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    flagged = user([[NAN, NAN], [NAN, NAN]])
    flagged.points["visible"] = True
    hidden = user([[4, 4], [5, 5]])
    hidden.points["visible"] = False
    half = user([[4, NAN], [NAN, 5]])
    labels = frames(make_video(), [user([[1, 2], [NAN, NAN]]), flagged, hidden], [flagged], [half], [])
    with caplog.at_level(logging.WARNING, logger="sleap_nn"):
        label_set = LabelSet.from_labels([labels])
    assert [frame.key.frame for frame in label_set.frames] == [0]
    assert label_set.frames[0].points.shape == (1, 2, 2)
    assert [message for message in caplog.messages if "Frame 0" in message and "2 labelled" in message]
    assert len(caplog.messages) == 3
    assert not any(has_visible_point(instance) for instance in (flagged, hidden, half))


def test_a_point_without_both_coordinates_is_not_visible() -> None:
    labels = frames(make_video(), [user([[4, NAN], [5, 6]])], [user([[np.inf, 2], [5, 6]])])
    for frame in LabelSet.from_labels([labels]).frames:
        assert np.isnan(frame.points[0, 0]).all()
        assert frame.points[0, 1].tolist() == [5, 6]


def test_labels_without_labels_are_refused() -> None:
    with pytest.raises(DataError, match="train_labels_path"):
        LabelSet.from_labels([])
    only_predicted = frames(make_video(), [predicted([[1, 1], [2, 2]])])
    with pytest.raises(DataError, match="user_instances_only=false"):
        LabelSet.from_labels([only_predicted])
    assert len(LabelSet.from_labels([only_predicted], user_instances_only=False)) == 1
    with pytest.raises(DataError, match="no skeleton"):
        LabelSet.from_labels([Labels()])


def test_files_of_other_nodes_are_refused() -> None:
    other = SioSkeleton([Node("b"), Node("c")])
    labels = [
        frames(make_video(), [user([[1, 1], [2, 2]])]),
        frames(make_video(), [user([[1, 1], [2, 2]], skeleton=other)], skeleton=other),
    ]
    with pytest.raises(DataError, match=r"a, b.*b, c"):
        LabelSet.from_labels(labels)


def test_a_skeleton_survives_both_ways() -> None:
    a, b, c, d = (Node(name) for name in "abcd")
    source = SioSkeleton([a, b, c, d], edges=[Edge(a, c), Edge(b, a)], symmetries=[Symmetry({d, b})], name="s")
    skeleton = skeleton_of(Labels(skeletons=[source]))
    assert skeleton == Skeleton(("a", "b", "c", "d"), ((0, 2), (1, 0)), ((1, 3),), "s")
    assert skeleton_of(Labels(skeletons=[sio_skeleton(skeleton)])) == skeleton
    assert skeleton.mirrored_order() == [0, 3, 2, 1]


def test_symmetries_of_the_drawn_animal_are_found() -> None:
    labels = make_labels(2)
    skeleton = skeleton_of(labels)
    assert len(skeleton.symmetries) == 2
    names = [{skeleton.node_names[a], skeleton.node_names[b]} for a, b in skeleton.symmetries]
    expected = [{node.name for node in symmetry.nodes} for symmetry in labels.skeletons[0].symmetries]
    assert isinstance(labels.skeletons[0].symmetries[0], Symmetry)
    assert names == expected


def test_files_are_read_or_named(tmp_path: Path) -> None:
    written = make_labels(2, path=tmp_path / "a.pkg.slp")
    assert len(load_labels(tmp_path / "a.pkg.slp")) == len(written)
    with pytest.raises(MissingFileError, match=r"gone\.slp"):
        load_labels(tmp_path / "gone.slp")
    with pytest.raises(DataError, match="not recognised as labels"):
        load_labels(tmp_path)
    for content in (b"", b"this is no labels file"):
        (tmp_path / "bad.slp").write_bytes(content)
        with pytest.raises(DataError, match=r"bad\.slp"):
            load_labels(tmp_path / "bad.slp")


def test_written_labels_refer_to_the_package_and_not_to_the_videos_it_was_made_from(tmp_path: Path) -> None:
    labels = make_labels(2, path=tmp_path / "labels.slp", embed=False)
    labels.save(str(tmp_path / "labels.pkg.slp"), embed="all", verbose=False)
    for clip in tmp_path.glob("**/*.mp4"):
        clip.unlink()
    package = load_labels(tmp_path / "labels.pkg.slp")
    expected = package[1].image
    write_labels(package, tmp_path / "copy.slp")
    copy = load_labels(tmp_path / "copy.slp")
    assert np.array_equal(copy[1].image, expected)
    assert (tmp_path / "copy.slp").stat().st_size < (tmp_path / "labels.pkg.slp").stat().st_size


def test_class_ids_count_the_names_that_are_given(tmp_path: Path) -> None:
    labels = LabelSet.from_labels([make_labels(2, num_animals=3, path=tmp_path / "a.pkg.slp")])
    first = labels.frames[0].class_ids
    names = [labels.track_names[2], "nobody", labels.track_names[0]]
    renamed = labels.with_classes(names)
    assert renamed.track_names == tuple(names)
    expected = [{0: 2, 2: 0}.get(int(i), -1) for i in first]
    assert renamed.frames[0].class_ids.tolist() == expected


def test_frames_marked_as_negative_are_taken_in_on_request(tmp_path: Path) -> None:
    labels = make_labels(3, path=tmp_path / "a.pkg.slp")
    labels.labeled_frames[1].instances = []
    labels.labeled_frames[1].is_negative = True
    assert len(LabelSet.from_labels([labels])) == 2
    found = LabelSet.from_labels([labels], negative_frames=True)
    assert [len(frame.points) for frame in found.frames] == [1, 0, 1]
    assert [frame.is_negative for frame in found.frames] == [False, True, False]
    assert (found.num_instances, found.num_negative) == (2, 1)


def test_stored_centroids_are_read_on_request(tmp_path: Path) -> None:
    labels = make_labels(2, path=tmp_path / "a.pkg.slp")
    labels.labeled_frames[0].centroids.append(UserCentroid(x=5.0, y=7.0))
    plain, stored = (LabelSet.from_labels([labels], stored_centroids=wanted) for wanted in (False, True))
    assert plain.frames[0].centroids is None
    assert stored.frames[0].centroids is not None
    assert stored.frames[0].centroids.tolist() == [[5, 7]]
    assert np.isnan(stored.frames[0].points).all()
    assert stored.frames[1].centroids is None
