import numpy as np
import pytest

from sleap_nn.tracking.ends import Ends, residuals
from sleap_nn.tracking.tracklets import Tracklet


def stretch(first: int, points: np.ndarray) -> Tracklet:
    frames = np.arange(first, first + len(points))
    return Tracklet(frames, np.stack([frames, np.zeros_like(frames)], axis=1), points)


def walk(first: int, length: int, start: float, speed: float = 2.0) -> Tracklet:
    x = start + speed * np.arange(length)
    return stretch(first, np.stack([np.stack([x, 0 * x], axis=1), np.stack([x + 10, 0 * x], axis=1)], axis=1))


def test_both_ends_know_place_and_speed() -> None:
    last, first = Ends.last([walk(5, 20, 0.0)]), Ends.first([walk(5, 20, 0.0)])
    assert (last.frames.tolist(), first.frames.tolist()) == ([24], [5])
    assert last.poses[0, :, 0] == pytest.approx([38, 48])
    assert first.poses[0, :, 0] == pytest.approx([0, 10])
    for ends in (last, first):
        assert ends.speeds[0] == pytest.approx([2, 0])
        assert ends.known.all()


def test_a_hidden_node_is_carried_along() -> None:
    hidden = walk(0, 10, 0.0)
    hidden.points[-2:, 1] = np.nan
    assert Ends.last([hidden]).poses[0, :, 0] == pytest.approx([18, 28])


def test_one_frame_has_no_speed() -> None:
    ends = Ends.last([walk(0, 1, 7.0), walk(0, 2, 7.0)])
    assert not ends.known.any()
    assert ends.speeds.tolist() == [[0, 0], [0, 0]]


def test_an_animal_that_goes_on_leaves_nothing() -> None:
    before, after = walk(0, 10, 0.0), walk(15, 10, 30.0)
    a, b = Ends.last([before]), Ends.first([after])
    assert residuals(a, b, np.array([6.0])) == pytest.approx([0])
    assert residuals(a, b, np.array([0.0])) == pytest.approx([12])
    assert residuals(a, Ends.first([walk(15, 1, 30.0)]), np.array([6.0])) == pytest.approx([0])


def test_without_a_common_node_the_middles_are_compared() -> None:
    a, b = walk(0, 1, 0.0), walk(1, 1, 0.0)
    a.points[:, 0], b.points[:, 1] = np.nan, np.nan
    assert residuals(Ends.last([a]), Ends.first([b]), np.zeros(1)) == pytest.approx([10])
    a.points[:] = np.nan
    assert np.isnan(residuals(Ends.last([a]), Ends.first([b]), np.zeros(1))).all()
