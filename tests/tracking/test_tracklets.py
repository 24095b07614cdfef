import numpy as np
import pytest

from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.tracking.tracklets import body_length, find_tracklets

SHAPE = np.array([[0.0, 0.0], [30.0, 0.0], [15.0, 8.0]])


def frames(places: list[list[tuple[float, float]]], skipped: tuple[int, ...] = ()) -> list[Predictions]:
    """Frames of equal animals at these places."""
    found = []
    for index, own in enumerate(places):
        if index not in skipped:
            points = np.array([SHAPE + place for place in own], np.float32).reshape(-1, 3, 2)
            ones = np.ones((len(own), 3), np.float32)
            found.append(Predictions(FrameKey(0, index), points, ones, ones[:, 0]))
    return found


def test_animals_apart_are_followed_in_any_order() -> None:
    places = [[(t, 0.0), (200.0 - t, 50.0)][:: 1 if t % 2 else -1] for t in range(20)]
    found = frames(places)
    stretches = find_tracklets(found, body_length(found))
    assert [len(stretch) for stretch in stretches] == [20, 20]
    assert np.ptp(stretches[0].points[:, 0, 1]) == pytest.approx(0)


def test_stretches_end_where_animals_meet() -> None:
    places = [[(5.0 * t, 0.0), (100.0 - 5.0 * t, 1.0)] for t in range(21)]
    found = frames(places)
    stretches = find_tracklets(found, body_length(found))
    assert len(stretches) > 2
    assert all(len(set(np.sign(np.diff(stretch.points[:, 0, 0])))) <= 1 for stretch in stretches)


def test_a_missing_frame_ends_a_stretch() -> None:
    found = frames([[(0.0, 0.0)]] * 10, skipped=(4,))
    assert [stretch.frames.tolist() for stretch in find_tracklets(found, 30.0)] == [[0, 1, 2, 3], [5, 6, 7, 8, 9]]


def test_a_neighbour_of_an_animal_that_is_missed_is_not_taken_for_it() -> None:
    """The first animal is gone for good, and the second comes from further away than animals move in a frame."""
    places = [[(0.0, 0.0)]] * 70 + [[(12.0, 0.0)]] * 10
    stretches = find_tracklets(frames(places), 30.0)
    assert [len(stretch) for stretch in stretches] == [70, 10]


def test_every_instance_is_in_one_stretch() -> None:
    rng = np.random.default_rng(0)
    places = [[tuple(place) for place in rng.uniform(0, 200, (rng.integers(0, 5), 2))] for _ in range(30)]
    found = frames(places)
    seen = [tuple(place) for stretch in find_tracklets(found, body_length(found)) for place in stretch.places.tolist()]
    assert sorted(seen) == [(i, row) for i, entry in enumerate(found) for row in range(len(entry))]


def test_body_length_without_bodies() -> None:
    assert body_length([]) == 1
    assert body_length(frames([[]])) == 1
    assert body_length(frames([[(0.0, 0.0)]])) == pytest.approx(np.hypot(30, 8))
