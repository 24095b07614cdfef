import numpy as np
import pytest

from sleap_nn.tracking.evidence import MotionEvidence
from sleap_nn.tracking.sharing import share_out
from sleap_nn.tracking.tracklets import Tracklet

EVIDENCE = MotionEvidence.measure([], 20.0)


def thread(frames: list[int], row: int, y: float = 0.0) -> Tracklet:
    """An animal that goes to the right."""
    indices = np.array(frames)
    x = 2.0 * indices
    points = np.stack([np.stack([x, 0 * x + y], axis=1), np.stack([x + 20, 0 * x + y], axis=1)], axis=1)
    return Tracklet(indices, np.stack([indices, 0 * indices + row], axis=1), points)


def random_stretches(rng: np.random.Generator, most: int) -> list[Tracklet]:
    """More stretches than there may be instances in a frame, with gaps, anywhere."""
    num_frames, num_stretches = int(rng.integers(1, 30)), int(rng.integers(1, 12))
    rows: list[list[int]] = [[] for _ in range(num_stretches)]
    for frame in range(num_frames):
        for stretch in rng.permutation(num_stretches)[: rng.integers(most + 1)]:
            rows[stretch].append(frame)
    return [thread(frames, i, float(rng.uniform(0, 200))) for i, frames in enumerate(rows) if frames]


@pytest.mark.parametrize("most", [1, 2, 3, 6])
def test_there_are_never_more_than_instances_in_a_frame(most: int) -> None:
    rng = np.random.default_rng(most)
    cut = 0
    for _ in range(100):
        stretches = random_stretches(rng, most)
        shared = share_out(stretches, most, EVIDENCE)
        assert len(shared) <= most
        assert all((np.diff(stretch.frames) > 0).all() for stretch in shared)
        before, after = (
            sorted(tuple(place) for stretch in group for place in stretch.places.tolist())
            for group in (stretches, shared)
        )
        assert before == after
        cut += len(stretches) > most
    assert cut > 20


def test_parts_go_where_they_fit() -> None:
    """Each of the others lacks one half of the frames of the short one, and goes where that half goes."""
    upper = [thread([*range(6), *range(10, 20)], 0), thread(list(range(14)), 1, y=300.0)]
    shared = share_out([*upper, thread([7, 8, 15, 16], 2, y=290.0)], 2, EVIDENCE)
    first, second = sorted(shared, key=lambda stretch: int(stretch.places[0, 1]))
    assert first.frames.tolist() == [*range(6), 7, 8, *range(10, 20)]
    assert second.frames.tolist() == [*range(14), 15, 16]


def test_a_stretch_that_fits_one_other_is_not_cut() -> None:
    """Both others are free in all of its frames; it is nearer to the second one."""
    others = [thread([0, 1, 2, 9, 10], 0), thread([0, 1, 2, 5, 9, 10], 1, y=100.0)]
    first, second = share_out([*others, thread([3, 4, 6, 7], 2, y=95.0)], 2, EVIDENCE)
    assert sorted((len(first), len(second))) == [5, 10]


def test_few_enough_stay_as_they_are() -> None:
    threads = [thread([0, 2], 0), thread([1, 3], 1)]
    assert share_out(threads, 2, EVIDENCE) == threads
