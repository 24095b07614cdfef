import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest
import torch

from sleap_nn.stages import workers
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


class Interrupt:
    """Lets Ctrl+C come just after the n-th call of a function by the thread that made this."""

    def __init__(self, number: int) -> None:
        self.left, self._thread = number, threading.get_ident()

    def after(self, function: Callable) -> Callable:
        def call(*arguments: Any, **keywords: Any) -> Any:
            result = function(*arguments, **keywords)
            if threading.get_ident() == self._thread:
                self.left -= 1
                if self.left == 0:
                    raise KeyboardInterrupt
            return result

        return call


def ends(run: Callable[[pytest.MonkeyPatch], object]) -> bool:
    """Tell whether something ends with an interrupt, within seconds, and all of its threads with it."""
    seen: list[bool] = []

    def go() -> None:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            run(patch)
        seen.append(True)

    active = threading.active_count()
    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    thread.join(10)
    deadline = time.monotonic() + 5
    while threading.active_count() > active and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(seen) and threading.active_count() == active


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("place", ["submit", "start", "get"])
def test_an_interrupt_while_threads_start_ends_them(place: str, number: int) -> None:
    def run(patch: pytest.MonkeyPatch) -> None:
        interrupt = Interrupt(number)

        class Ready(SimpleQueue):
            get = interrupt.after(SimpleQueue.get)

        if place == "get":
            patch.setattr(workers, "SimpleQueue", Ready)
        else:
            owner = threading.Thread if place == "start" else workers.ThreadPoolExecutor
            patch.setattr(owner, place, interrupt.after(getattr(owner, place)))
        list(side_by_side(lambda x: x, range(4), 2))

    own = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        assert ends(run)
        numbers: list[int] = []
        thread = threading.Thread(target=lambda: numbers.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert numbers == [4]
    finally:
        torch.set_num_threads(own)


def test_an_interrupt_while_the_reading_thread_starts_ends_it() -> None:
    def run(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(threading.Thread, "start", Interrupt(1).after(threading.Thread.start))
        list(ReadAhead(lambda x: x, range(10**9), depth=2))

    assert ends(run)


def test_an_interrupt_before_the_reading_thread_runs_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(KeyboardInterrupt):
        list(ReadAhead(lambda x: x, range(3), depth=2))
