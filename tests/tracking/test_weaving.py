import numpy as np

from sleap_nn.tracking.evidence import MotionEvidence
from sleap_nn.tracking.tracklets import Tracklet
from sleap_nn.tracking.weaving import weave


def thread(frames: list[int], row: int, y: float = 0.0) -> Tracklet:
    indices = np.array(frames)
    x = 2.0 * indices
    points = np.stack([np.stack([x, 0 * x + y], axis=1), np.stack([x + 20, 0 * x + y], axis=1)], axis=1)
    return Tracklet(indices, np.stack([indices, 0 * indices + row], axis=1), points)


EVIDENCE = MotionEvidence.measure([], 20.0)


def test_threads_that_take_turns_become_one() -> None:
    whole = weave([thread([0, 1, 4, 5, 8, 9], 0), thread([2, 3, 6, 7], 0)], EVIDENCE, 3.0)
    assert [stretch.frames.tolist() for stretch in whole] == [list(range(10))]
    assert (np.diff(whole[0].points[:, 0, 0]) == 2).all()


def test_threads_apart_stay_apart() -> None:
    threads = [thread([0, 1, 4, 5, 8, 9], 0), thread([2, 3, 6, 7], 0, y=300.0)]
    assert len(weave(threads, EVIDENCE, 3.0)) == 2


def test_two_in_one_frame_are_two() -> None:
    threads = [thread([0, 1, 3, 5], 0), thread([2, 3, 4], 1)]
    assert len(weave(threads, EVIDENCE, np.inf)) == 2


def test_one_after_the_other_is_left_to_links() -> None:
    assert len(weave([thread([0, 1], 0), thread([2, 3], 0)], EVIDENCE, np.inf)) == 2
