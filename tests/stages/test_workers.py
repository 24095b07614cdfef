import threading
import time

import pytest

from sleap_nn.stages.workers import ReadAhead


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
