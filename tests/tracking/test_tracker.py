import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sleap_nn.config.tracker_config import COMBINATIONS, TrackerConfig
from sleap_nn.errors import ConfigError
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.tracking.tracker import Tracker

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "tracking.json").read_text())


def frame(index: int, poses: Any, scores: Any = None, video: int = 0) -> Predictions:
    points = np.asarray(poses, np.float32)
    own = np.ones(len(points), np.float32) if scores is None else np.asarray(scores, np.float32)
    return Predictions(FrameKey(video, index), points, np.ones(points.shape[:2], np.float32), own)


def track(sequence: list[Any], num_nodes: int = 3, **settings: Any) -> list[Predictions]:
    tracker = Tracker.from_config(TrackerConfig(**settings), num_nodes)
    return [tracker.update(frame(index, poses)) for index, poses in enumerate(sequence)]


@pytest.mark.parametrize("name", list(GOLDEN["runs"]))
def test_tracks_and_scores_are_those_of_the_specification(name: str) -> None:
    run = GOLDEN["runs"][name]
    found = track(GOLDEN["sequences"][run["sequence"]], **run["args"])
    for got, expected in zip(found, run["frames"], strict=True):
        assert got.tracks is not None and got.track_scores is not None
        assert [f"track_{i}" for i in got.tracks] == [row[0] for row in expected]
        assert got.track_scores == pytest.approx([row[1] for row in expected], abs=2e-6)
        assert got.points[:, 0].tolist() == [row[2] for row in expected]


SHAPE = np.array([[0.0, 0.0], [40.0, 10.0], [20.0, 45.0]])


def test_a_new_video_starts_new_tracks() -> None:
    tracker = Tracker.from_config(TrackerConfig(), 3)
    first = tracker.update(frame(0, [SHAPE], video=0))
    second = tracker.update(frame(0, [SHAPE], video=1))
    assert [first.tracks.tolist(), second.tracks.tolist()] == [[0], [1]]  # pyright: ignore[reportOptionalMemberAccess]


def test_instances_with_too_few_points_start_no_track_and_are_left_out() -> None:
    poor = SHAPE.copy()
    poor[1:] = np.nan
    (found,) = track([[SHAPE, poor + 200]], min_new_track_points=1)
    assert found.tracks is not None
    assert found.tracks.tolist() == [0]


def test_more_tracks_than_allowed_are_not_started() -> None:
    first, second = track([[SHAPE, SHAPE + 100, SHAPE + 200], [SHAPE + 200, SHAPE, SHAPE + 100]], max_tracks=2)
    assert len(first) == len(second) == 2


ALL_WAYS = [(features, method) for features, methods in COMBINATIONS.items() for method in methods]


@pytest.mark.parametrize(("features", "method"), ALL_WAYS)
def test_an_instance_without_a_point_has_no_track(features: str, method: str) -> None:
    """It comes before an animal that has moved far: it must not take the place of it."""
    tracker = Tracker.from_config(TrackerConfig(features=features, scoring_method=method, max_tracks=1), 3)
    image = np.random.default_rng(0).integers(0, 255, (300, 300, 1)).astype(np.uint8)
    tracker.update(frame(0, [SHAPE]), image)
    found = tracker.update(frame(1, [np.full((3, 2), np.nan), SHAPE + 200]), image)
    assert found.points[:, 0, 0].tolist() == [200]
    assert found.tracks is not None
    assert found.tracks.tolist() == [0]


@pytest.mark.parametrize(("features", "method"), ALL_WAYS)
def test_nothing_to_compare_with_starts_new_tracks(features: str, method: str) -> None:
    """No earlier instance has more points than those that are not counted."""
    settings = {"features": features, "scoring_method": method, "min_match_points": 3}
    tracker = Tracker.from_config(TrackerConfig(**settings), 3)
    image = np.zeros((300, 300, 1), np.uint8)
    found = [tracker.update(frame(t, [SHAPE]), image) for t in range(3)]
    assert [entry.tracks.tolist() for entry in found if entry.tracks is not None] == [[0], [1], [2]]


def test_culling_keeps_the_best_scores() -> None:
    tracker = Tracker.from_config(
        TrackerConfig(tracking_target_instance_count=2, tracking_pre_cull_to_target=1), num_nodes=3
    )
    found = tracker.update(frame(0, [SHAPE, SHAPE + 100, SHAPE + 200], scores=[0.9, 0.1, 0.5]))
    assert found.scores.tolist() == pytest.approx([0.9, 0.5])


def test_a_frame_without_instances_is_no_obstacle() -> None:
    found = track([[SHAPE], np.zeros((0, 3, 2)), [SHAPE + 1]])
    assert [len(entry) for entry in found] == [1, 0, 1]
    assert found[2].tracks is not None
    assert found[2].tracks.tolist() == [0]


def test_points_of_one_node_are_tracked_by_their_distance() -> None:
    found = track([[[[10, 10]], [[50, 50]]], [[[48, 52]], [[12, 9]]]], num_nodes=1)
    assert [entry.tracks.tolist() for entry in found if entry.tracks is not None] == [[0, 1], [1, 0]]


def moving(num_frames: int, speeds: list[float], starts: list[float], rows: list[float]) -> list[list[np.ndarray]]:
    """Animals that go to the right at their speed."""
    return [
        [SHAPE / 4 + (start + speed * t, row) for speed, start, row in zip(speeds, starts, rows, strict=True)]
        for t in range(num_frames)
    ]


@pytest.mark.parametrize("features", ["centroid", "keypoints"])
def test_a_filter_carries_tracks_through_a_crossing(features: str) -> None:
    """Two fast animals pass each other: without their speed, each is nearer to the other's last place."""
    sequence = moving(24, [12.0, -12.0], [0.0, 282.0], [50.0, 52.0])
    swapped = [poses if t % 2 else poses[::-1] for t, poses in enumerate(sequence)]
    settings = {"features": "centroids", "scoring_method": "euclidean_dist", "max_tracks": 2, "window_size": 1}
    filtered = track(swapped, **settings, use_kalman=True, kf_track_features=features)
    plain = track(swapped, **settings)
    assert follows(filtered) and not follows(plain)


def follows(found: list[Predictions]) -> bool:
    """Tell whether track 0 always goes the same way."""
    places = [entry.points[entry.tracks == 0, 0, 0].item() for entry in found if entry.tracks is not None]
    return len(set(np.sign(np.diff(places)).tolist())) == 1


def test_flow_moves_the_remembered_points_with_the_image() -> None:
    """Textured squares that jump by more than their own size: only the image tells who is who."""
    rng = np.random.default_rng(0)
    base = np.kron(rng.integers(0, 255, (40, 60)), np.ones((4, 4))).astype(np.uint8)
    tracker = Tracker.from_config(TrackerConfig(use_flow=True), 3)
    poses = [SHAPE / 4 + 60, SHAPE / 4 + (100, 60)]
    first = tracker.update(frame(0, poses), base[..., None])
    shifted = np.roll(base, 8, axis=1)
    second = tracker.update(frame(1, [poses[1] + (8, 0), poses[0] + (8, 0)]), shifted[..., None])
    assert first.tracks is not None and second.tracks is not None and second.track_scores is not None
    assert second.tracks.tolist() == [1, 0]
    assert second.track_scores.min() > 0.9


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"use_kalman": True}, "number of animals"),
        ({"use_kalman": True, "use_flow": True, "max_tracks": 2}, "exclude each other"),
        ({"tracking_pre_cull_to_target": 1}, "tracking_target_instance_count"),
        ({"features": "bboxes", "scoring_method": "oks"}, "does not compare bboxes; choose iou"),
    ],
)
def test_options_that_do_not_go_together_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Tracker.from_config(TrackerConfig(**settings), 3)


def test_flow_without_images_is_refused() -> None:
    tracker = Tracker.from_config(TrackerConfig(use_flow=True), 3)
    tracker.update(frame(0, [SHAPE]))
    with pytest.raises(ConfigError, match="needs the images"):
        tracker.update(frame(1, [SHAPE]))
