from pathlib import Path

import numpy as np
import pytest
from factories import make_labels, make_skeleton
from sleap_io.model.instance import Instance
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels
from sleap_io.model.skeleton import Skeleton
from sleap_io.model.video import Video

from sleap_nn.config_generator import analyze_labels, analyze_slp
from sleap_nn.errors import DataError, MissingFileError

SKELETON = Skeleton(["head", "tail"], edges=[("head", "tail")])


def labels_of(*frames: list[list[tuple[float, float]]], size: tuple[int, int] | None = (100, 200)) -> Labels:
    """Return labels of a video that is not there; each frame is a list of instances of two points."""
    metadata = {} if size is None else {"shape": (len(frames), *size, 3)}
    video = Video("missing.mp4", backend_metadata=metadata)
    rows = [
        LabeledFrame(video, i, [Instance.from_numpy(np.array(points), SKELETON) for points in instances])
        for i, instances in enumerate(frames)
    ]
    return Labels(rows, videos=[video], skeletons=[SKELETON])


def test_what_labels_say() -> None:
    stats = analyze_labels(labels_of([[(10, 10), (40, 20)]], [[(0, 0), (5, 50)], [(60, 60), (70, 60)]]))
    assert (stats.num_frames, stats.num_videos, stats.num_instances, stats.max_instances) == (2, 1, 3, 2)
    assert (stats.height, stats.width, stats.channels, stats.longer_side) == (100, 200, 3, 200)
    assert (stats.node_names, stats.edges) == (("head", "tail"), (("head", "tail"),))
    assert (stats.num_nodes, stats.num_edges, stats.num_tracks) == (2, 1, 0)
    assert (stats.largest_box, stats.median_box, stats.largest_share) == (50, 30, 0.25)
    assert stats.mean_instances == 1.5
    assert stats.frame_bytes == 2 * 100 * 200 * 3
    assert stats.apparent_view is None
    lines = dict(stats.lines())
    assert lines["Frames"] == "2 labelled, of 1 video"
    assert lines["Size of animals"] == "largest 50 px, median 30 px; the largest takes 25% of its image"
    assert "Tracks" not in lines


def test_points_that_are_not_visible_do_not_count() -> None:
    nan = float("nan")
    stats = analyze_labels(labels_of([[(10, 10), (nan, nan)]], [[(nan, nan), (nan, nan)]]))
    assert (stats.num_frames, stats.num_instances, stats.largest_box) == (1, 1, 0)


def test_a_stray_point_does_not_decide_how_large_animals_are(caplog: pytest.LogCaptureFixture) -> None:
    usual = [[(10.0, 10.0), (10.0 + side, 10.0)] for side in (20, 30, 40)]
    strays = [[(10.0, 10.0), (190.0, 10.0)]]
    stats = analyze_labels(labels_of(list(usual), [usual[1]], strays))
    assert (stats.largest_box, stats.median_box, stats.largest_share) == (40, 30, 0.2)
    assert (
        "1 of 5 instances span more than three times as much as usual (180 px in frame 2 of missing.mp4)" in caplog.text
    )


def test_large_animals_and_single_points_are_no_stray_labels(caplog: pytest.LogCaptureFixture) -> None:
    nan = float("nan")
    points = [[(10.0, 10.0), (nan, nan)]]
    stats = analyze_labels(labels_of(points, points, points, [[(0.0, 0.0), (60.0, 0.0)]], [[(0.0, 0.0), (170.0, 0.0)]]))
    assert stats.largest_box == 170
    assert not caplog.text


@pytest.mark.parametrize(("spread", "view"), [(np.pi, "top"), (0.2, "side")])
def test_the_directions_of_animals_tell_from_where_the_camera_looks(spread: float, view: str) -> None:
    angles = np.random.default_rng(0).uniform(-spread, spread, 60)
    angles[::2] += np.pi  # animals that face the other way
    poses = [[(100, 50), (100 + 30 * np.cos(angle), 50 + 30 * np.sin(angle))] for angle in angles]
    assert analyze_labels(labels_of(*[[pose] for pose in poses])).apparent_view == view


def test_a_file_is_read_without_its_videos(generator_labels: Path, tmp_path: Path) -> None:
    stats = analyze_slp(generator_labels / "two.pkg.slp")
    assert (stats.height, stats.width, stats.channels, stats.num_tracks) == (64, 96, 1, 2)
    make_labels(3, height=48, width=64, path=tmp_path / "clips.slp", embed=False)
    for clip in tmp_path.glob("*.mp4"):
        clip.unlink()
    assert analyze_slp(tmp_path / "clips.slp").longer_side == 64


def test_labels_that_cannot_be_trained_on_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist; check the path"):
        analyze_slp(tmp_path / "nowhere.slp")
    (tmp_path / "text.slp").write_text("no labels")
    with pytest.raises(DataError, match=r"cannot be read as a SLEAP labels file .*; give a \.slp or \.pkg\.slp\."):
        analyze_slp(tmp_path / "text.slp")
    with pytest.raises(DataError, match="have no skeleton"):
        analyze_labels(Labels())
    with pytest.raises(DataError, match="hold no user-labelled instance with a visible point"):
        analyze_labels(Labels(skeletons=[make_skeleton()]))
    with pytest.raises(DataError, match=r"The frame size of missing\.mp4 is not known"):
        analyze_labels(labels_of([[(1, 1), (2, 2)]], size=None))
