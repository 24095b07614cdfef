import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from sleap_nn import heartbeat
from sleap_nn.heartbeat import Heartbeat, bar_shown, phase
from sleap_nn.log import logger


class Scene:
    """A heartbeat whose time is moved by hand, and the lines it prints."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lines: list[str] = []
        self.heart = Heartbeat(self.lines.append, lambda: self.now)
        self.heart._start_thread = lambda: None  # pyright: ignore[reportAttributeAccessIssue]

    def wait(self, seconds: float) -> list[str]:
        """Let time pass, with a look every tenth of a second, and return the lines of that time."""
        before = len(self.lines)
        for _ in range(round(10 * seconds)):
            self.now += 0.1
            self.heart.beat()
        return self.lines[before:]


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def heart(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Put a heartbeat with a real thread and a real clock in the place of the package's."""
    lines: list[str] = []
    made = Heartbeat(lines.append)
    monkeypatch.setattr(heartbeat, "_HEARTBEAT", made)
    yield SimpleNamespace(lines=lines, beat=made)
    deadline = time.monotonic() + 5
    while made._thread is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert made._thread is None


def test_a_quick_phase_prints_nothing(scene: Scene) -> None:
    for _ in range(5):
        with scene.heart.phase("reading labels"):
            assert scene.wait(4.9) == []


def test_a_long_phase_prints_a_line_every_five_seconds(scene: Scene) -> None:
    with scene.heart.phase("waiting for the first batch"):
        assert scene.wait(12) == [
            "still waiting for the first batch (5 s)",
            "still waiting for the first batch (10 s)",
        ]


def test_a_count_is_said_where_it_is_known(scene: Scene) -> None:
    with scene.heart.phase("decoding frames", total=1000) as step:
        step.done = 312
        assert scene.wait(5.1) == ["still decoding frames: 312 of 1000"]


def test_nothing_is_printed_outside_of_phases(scene: Scene) -> None:
    assert scene.heart.beat() is None
    with scene.heart.phase("evaluating"):
        scene.wait(6)
    assert scene.wait(100) == []
    assert scene.heart.beat() is None


def test_other_lines_put_it_off(scene: Scene) -> None:
    with scene.heart.phase("predicting"):
        assert scene.wait(4) == []
        scene.heart.note_line()
        assert scene.wait(4.9) == []
        assert len(scene.wait(0.2)) == 1


def test_an_old_line_does_not_bring_it_forward(scene: Scene) -> None:
    scene.heart.note_line()
    scene.now += 3600
    with scene.heart.phase("predicting"):
        assert scene.wait(4.9) == []


def test_the_innermost_phase_is_named_and_the_outer_one_goes_on(scene: Scene) -> None:
    with scene.heart.phase("evaluating"):
        scene.wait(2)
        with scene.heart.phase("reading labels"):
            assert scene.wait(4) == ["still reading labels (3 s)"]
        assert scene.wait(4.5) == ["still evaluating (10 s)"]


def test_many_quick_phases_in_a_long_one_are_not_silent(scene: Scene) -> None:
    with scene.heart.phase("evaluating"):
        for _ in range(10):
            with scene.heart.phase("reading labels"):
                scene.wait(2)
    assert len(scene.lines) in (3, 4)


def test_a_phase_may_tolerate_more(scene: Scene) -> None:
    with scene.heart.phase("training", silence=30):
        assert scene.wait(29.5) == []
        assert len(scene.wait(1)) == 1


def test_a_moving_bar_is_enough(scene: Scene) -> None:
    with scene.heart.phase("predicting"):
        with scene.heart.bar():
            assert scene.wait(60) == []
        assert scene.wait(4.9) == []
        assert len(scene.wait(0.2)) == 1


def test_a_phase_ends_with_an_error(scene: Scene) -> None:
    with pytest.raises(KeyError), scene.heart.phase("reading labels"):
        raise KeyError
    assert scene.wait(60) == []


def test_the_thread_speaks_and_ends(heart: SimpleNamespace) -> None:
    with phase("compiling", silence=0.05):
        deadline = time.monotonic() + 5
        while len(heart.lines) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    count = len(heart.lines)
    assert count >= 2
    assert heart.lines[0] == "still compiling (0 s)"
    time.sleep(0.15)
    assert len(heart.lines) == count


def test_quick_phases_leave_no_thread_behind(heart: SimpleNamespace) -> None:
    for _ in range(200):
        with phase("reading labels"), phase("opening videos"):
            pass
    deadline = time.monotonic() + 5
    while any(thread.name == "heartbeat" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())
    assert heart.lines == []


def test_lines_of_the_logger_are_noticed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(heartbeat, "_HEARTBEAT", scene.heart)
    with caplog.at_level(logging.INFO, logger="sleap_nn"), phase("predicting"):
        scene.wait(4)
        logger.info("A line.")
        assert scene.wait(4.9) == []
        logger.debug("No line, for the level is higher.")
        assert len(scene.wait(0.2)) == 1


def test_bars_of_the_package_silence_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_HEARTBEAT", scene.heart)
    with phase("predicting"), bar_shown():
        assert scene.wait(60) == []


@pytest.mark.parametrize(("local_rank", "num_lines"), [(None, 1), ("0", 1), ("1", 0)])
def test_one_process_speaks_for_all(
    local_rank: str | None, num_lines: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if local_rank is not None:
        monkeypatch.setenv("LOCAL_RANK", local_rank)
    monkeypatch.setattr(logger, "propagate", True)
    with caplog.at_level(logging.INFO, logger="sleap_nn"):
        heartbeat._say("still predicting (5 s)")
    assert caplog.messages == ["still predicting (5 s)"] * num_lines


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_is_silent_and_never_waits_for_the_thread() -> None:
    """In a process of its own: a fork of this one could hang for what other tests left, as video decoders do."""
    program = (
        "import multiprocessing, time\n"
        "from sleap_nn import heartbeat\n"
        "def work():\n"
        "    with heartbeat.phase('decoding frames', silence=0.001):\n"
        "        time.sleep(0.02)\n"
        "        assert heartbeat._HEARTBEAT.beat() == 0.001\n"
        "with heartbeat.phase('training', silence=0.001):\n"
        "    workers = [multiprocessing.get_context('fork').Process(target=work) for _ in range(5)]\n"
        "    for worker in workers:\n"
        "        worker.start()\n"
        "    for worker in workers:\n"
        "        worker.join(20)\n"
        "print([worker.exitcode for worker in workers])\n"
        "for worker in workers:\n"
        "    worker.kill()\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=150, check=True)
    assert answer.stdout == "[0, 0, 0, 0, 0]\n"
    assert "decoding frames" not in answer.stderr


def test_it_keeps_no_process_alive_and_leaves_standard_output_alone() -> None:
    program = (
        "import sys, time\n"
        "from sleap_nn import heartbeat, log\n"
        "log.configure(sys.stderr)\n"
        "with heartbeat.phase('thinking', silence=0.02):\n"
        "    time.sleep(0.3)\n"
        "entered = heartbeat.phase('dreaming', silence=0.02)\n"
        "entered.__enter__()\n"
        "print('{}')\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout == "{}\n"
    assert " | still thinking (0 s)\n" in answer.stderr
