import numpy as np
import pytest

from sleap_nn.viz import Trails, draw_trails

RED, BLUE = (255, 0, 0), (0, 0, 255)
DARK = np.zeros((60, 80, 1), np.uint8)


def test_paths_reach_back_as_far_as_they_are_long():
    trails = Trails(2)
    for frame, place in enumerate([(0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]):
        trails.add(frame, {7: place})
    assert trails.paths()[7].tolist() == [[1, 1], [2, 2], [3, 3]]
    trails.add(100, {7: (9.0, 9.0)})
    assert trails.paths()[7].tolist() == [[9, 9]]


def test_frames_that_are_not_shown_belong_to_trails():
    trails = Trails(3)
    assert list(trails.missing(1)) == [0, 1]
    assert list(trails.missing(9)) == [6, 7, 8, 9]
    trails.add(8, {})
    assert list(trails.missing(9)) == [9]
    assert list(trails.missing(10)) == [9, 10]
    assert list(trails.missing(30)) == [27, 28, 29, 30]


def test_a_track_that_was_not_found_is_a_gap():
    trails = Trails(5)
    trails.add(0, {0: (1.0, 1.0)})
    trails.add(1, {})
    trails.add(2, {0: (3.0, 3.0), 1: (5.0, 5.0)})
    paths = trails.paths()
    np.testing.assert_array_equal(paths[0], [[1, 1], [np.nan, np.nan], [3, 3]])
    np.testing.assert_array_equal(paths[1], [[np.nan, np.nan], [np.nan, np.nan], [5, 5]])


def test_a_path_is_drawn_where_it_is_and_tapers_to_its_old_end():
    path = np.stack([np.arange(10.0, 70.0), np.full(60, 30.0)], axis=1)
    drawn = draw_trails(np.zeros((600, 800, 3), np.uint8), [path * 10], [RED])[..., 0] > 0
    old, new = drawn[:, 120].sum(), drawn[:, 680].sum()
    assert 1 <= old < new
    assert drawn[300, 400]
    assert not drawn[:250].any()


def test_a_path_lets_the_image_through():
    path = np.array([[10.0, 30.0], [70.0, 30.0]])
    on_dark, on_bright = (draw_trails(np.full_like(DARK, value), [path], [BLUE])[30, 40] for value in (0, 200))
    assert on_dark[0] == 0 < on_bright[0] < 200
    assert on_dark[2] > 100


def test_paths_are_interrupted_where_nothing_was_found():
    path = np.array([[10.0, 30.0], [20.0, 30.0], [np.nan, np.nan], [60.0, 30.0], [70.0, 30.0]])
    drawn = draw_trails(DARK, [path], [RED])[30, :, 0] > 0
    assert drawn[15]
    assert drawn[65]
    assert not drawn[26:54].any()


@pytest.mark.parametrize("place", [(np.nan, np.nan), (1e9, 3.0), (-500.0, -500.0)])
def test_paths_that_cannot_be_seen_leave_the_image(place: tuple[float, float]):
    image = np.full((60, 80, 3), 100, np.uint8)
    assert (draw_trails(image, [np.array([place] * 3)], [RED]) == 100).all()
    assert (draw_trails(image, [], []) == 100).all()
