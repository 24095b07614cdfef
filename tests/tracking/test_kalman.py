import numpy as np
import pytest

from sleap_nn.tracking.kalman import ConstantVelocity
from sleap_nn.tracking.memory import Moment

SHAPE = np.array([[0.0, 0.0], [20.0, 5.0], [10.0, 20.0]])


def moment(frame: int, *tracks: int) -> Moment:
    """Animals that go to the right by 10 px a frame."""
    names = np.array(tracks, np.int64)
    return Moment(frame, SHAPE + np.stack([0 * names + 10 * frame, 100 * names], axis=1)[:, None], names)


@pytest.mark.parametrize("keypoints", [False, True])
@pytest.mark.parametrize("others", [None, (), (1,)], ids=["no frames", "empty frames", "another animal"])
def test_a_lost_track_is_expected_as_far_as_it_went_since(keypoints: bool, others: tuple[int, ...] | None) -> None:
    """Half of the 40 px of four frames, whatever the frames hold in which it was not found."""
    motion = ConstantVelocity(10, 5, keypoints)
    for frame in range(12):
        motion.observe(moment(frame, 0, 1))
    for frame in range(12, 12 if others is None else 15):
        motion.observe(moment(frame, *(others or ())))
    expected = motion.candidates([moment(11, 0, 1)], 15, None)
    (own,) = expected.points[expected.tracks == 0]
    assert own - moment(11, 0).points[0] == pytest.approx(np.tile([20.0, 0.0], (3, 1)), abs=0.05)


def test_a_filter_is_dropped_after_the_longest_gap() -> None:
    motion = ConstantVelocity(10, 3)
    for frame in range(12):
        motion.observe(moment(frame, 0))
    for frame in range(12, 16):
        motion.observe(moment(frame))
    expected = motion.candidates([moment(11, 0)], 16, None)
    assert expected.points.tolist() == moment(11, 0).points.tolist()
