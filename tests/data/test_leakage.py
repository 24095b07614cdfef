import pytest

from sleap_nn.data.leakage import Leakage, usual_distance


def frames(*times: int, video: str = "a.mp4") -> list[tuple[str, int]]:
    return [(video, time) for time in times]


def test_distances_are_measured_within_videos_only() -> None:
    found = Leakage.between(frames(0, 10, 40), frames(12, 30, 100) + frames(11, video="b.mp4"))
    assert found.distances == (2, 10, 60)
    assert (found.closest, found.median, found.num_val) == (2, 10, 4)
    assert [found.num_within(limit) for limit in (1, 2, 10, 60)] == [0, 1, 2, 3]


def test_sides_of_different_videos_are_at_no_distance() -> None:
    found = Leakage.between(frames(0), frames(1, video="b.mp4"))
    assert (found.closest, found.median, found.num_within(1000)) == (None, None, 0)


@pytest.mark.parametrize(
    ("times", "distance"), [((0, 1, 2, 3), 1), ((0, 10, 20, 500), 10), ((0, 100, 200), 30), ((5,), 30), ((0, 0, 2), 2)]
)
def test_the_usual_distance_leaves_pauses_out(times: tuple[int, ...], distance: int) -> None:
    assert usual_distance(frames(*times), 30) == distance
