import json
from pathlib import Path

import numpy as np

from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.tracking.cleanup import connect_single_breaks, cull

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "tracking.json").read_text())["connect_single_breaks"]


def frame(index: int, tracks: list[int]) -> Predictions:
    empty = Predictions.empty(FrameKey(0, index), 1)
    count = len(tracks)
    found = Predictions(empty.key, np.zeros((count, 1, 2)), np.ones((count, 1)), np.ones(count))
    return found.with_tracks(np.array(tracks, np.int64), np.ones(count))


def connected(sequence: list[list[int]]) -> list[list[int]]:
    frames = [frame(index, tracks) for index, tracks in enumerate(sequence)]
    return [found.tracks.tolist() for found in connect_single_breaks(frames) if found.tracks is not None]


def numbers(frames: list[list[str]]) -> list[list[int]]:
    return [[int(name.removeprefix("track_")) for name in tracks] for tracks in frames]


def test_single_breaks_are_joined_as_specified() -> None:
    assert connected(numbers(GOLDEN["before"])) == numbers(GOLDEN["after"])


def test_two_breaks_at_once_are_left_alone() -> None:
    assert connected([[0, 1], [2, 3]]) == [[0, 1], [2, 3]]


def test_a_renamed_track_keeps_its_name_unless_it_is_taken() -> None:
    assert connected([[0, 1], [0, 2], [0, 2]]) == [[0, 1], [0, 1], [0, 1]]
    assert connected([[0, 1], [0, 2], [0, 1, 2]]) == [[0, 1], [0, 1], [0, 1, 2]]


def test_frames_before_tracking_pass() -> None:
    empty = Predictions.empty(FrameKey(0, 0), 1)
    assert list(connect_single_breaks([empty])) == [empty]


def box(x: float) -> np.ndarray:
    return np.array([[x, 0.0], [x + 10, 10.0]])


def test_culling_keeps_the_best() -> None:
    points, scores = np.stack([box(0), box(50), box(100)]), np.array([0.2, 0.9, 0.5])
    assert cull(points, scores, 2).tolist() == [1, 2]
    assert cull(points, scores, 3).tolist() == [0, 1, 2]


def test_overlapping_instances_go_first() -> None:
    points, scores = np.stack([box(0), box(1), box(100)]), np.array([0.9, 0.8, 0.1])
    assert cull(points, scores, 2, iou_threshold=0.5).tolist() == [0, 2]
    assert cull(points, scores, 2).tolist() == [0, 1]
