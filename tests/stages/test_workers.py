import threading
import time

import pytest
import torch

from sleap_nn.stages.workers import ReadAhead, side_by_side


def test_results_come_in_order() -> None:
    assert list(ReadAhead(lambda x: x * x, range(50), depth=4)) == [x * x for x in range(50)]


def test_at_most_depth_results_wait() -> None:
    made: list[int] = []

    def make(item: int) -> int:
        made.append(item)
        return item

    reader = iter(ReadAhead(make, range(100), depth=3))
    assert next(reader) == 0
    time.sleep(0.2)
    # One is out, three wait, one waits for a place.
    assert len(made) <= 5
    reader.close()


def test_a_failure_is_raised_where_its_result_would_have_come() -> None:
    def fail_at_two(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item

    seen = []
    with pytest.raises(ValueError, match="two"):
        seen.extend(ReadAhead(fail_at_two, range(5), depth=2))
    reader = iter(ReadAhead(fail_at_two, range(5), depth=2))
    assert [next(reader), next(reader)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(reader)


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    reader = iter(ReadAhead(lambda x: x, range(10**9), depth=2))
    next(reader)
    assert threading.active_count() == before + 1
    reader.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_of_several_threads_come_in_order(count: int) -> None:
    def slow_at_first(item: int) -> int:
        time.sleep(0.02 if item % 4 == 0 else 0)
        return item * item

    assert list(side_by_side(slow_at_first, range(20), count)) == [x * x for x in range(20)]
    assert list(side_by_side(slow_at_first, [], count)) == []


def test_threads_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=10)
    assert list(side_by_side(lambda _: both.wait() >= 0, range(6), 2)) == [True] * 6


def test_few_items_are_taken_ahead() -> None:
    taken: list[int] = []
    results = side_by_side(lambda x: x, (taken.append(x) or x for x in range(100)), 2)
    assert next(results) == 0
    assert len(taken) == 3
    results.close()


@pytest.mark.parametrize("count", [1, 2])
def test_a_failure_is_raised_after_the_results_before_it(count: int) -> None:
    def fail_at_two(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item

    results = side_by_side(fail_at_two, range(10), count)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_threads_share_the_processors_and_end() -> None:
    own, active = torch.get_num_threads(), threading.active_count()
    torch.set_num_threads(4)
    try:
        results = side_by_side(lambda _: torch.get_num_threads(), range(10), 2)
        assert next(results) == 2
        assert torch.get_num_threads() == 4
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert later == [4]
        assert list(results) == [2] * 9
    finally:
        torch.set_num_threads(own)
    assert threading.active_count() == active
