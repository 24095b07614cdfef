import json

import pytest

from sleap_nn.errors import DataError
from sleap_nn.inference.gui_lines import GuiLines


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_line_is_a_versioned_object(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    gui = GuiLines(clock)
    gui.started("clip.mp4", 10)
    clock.now = 2.0
    gui(4, 10)
    clock.now = 5.0
    gui(10, 10)
    clock.now = 50.0
    gui.finished([])
    start, first, last, done = lines(capsys)
    assert start == {
        "version": 1, "event": "start", "n_processed": 0, "n_total": 10, "rate": 0.0, "eta": None, "source": "clip.mp4",
    }  # fmt: skip
    assert first == {"version": 1, "event": "progress", "n_processed": 4, "n_total": 10, "rate": 2.0, "eta": 3.0}
    assert (last["n_processed"], last["eta"]) == (10, 0.0)
    assert (done["event"], done["rate"], done["outputs"]) == ("done", 2.0, [])


def test_at_most_four_lines_a_second_and_always_the_last_once(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    gui = GuiLines(clock)
    for i in range(1, 101):
        clock.now = i / 100
        gui(i, 100)
    gui(100, 100)
    seen = [line["n_processed"] for line in lines(capsys)]
    assert len(seen) <= 5
    assert seen[-1] == 100
    assert seen.count(100) == 1


def test_an_unknown_total_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    GuiLines(Clock())(3, -1)
    (line,) = lines(capsys)
    assert (line["n_total"], line["eta"]) == (None, None)


@pytest.mark.parametrize("error", [DataError("no such frame"), KeyboardInterrupt()])
def test_a_failure_is_reported_and_goes_on(capsys: pytest.CaptureFixture[str], error: BaseException) -> None:
    with pytest.raises(type(error)), GuiLines(Clock()):
        raise error
    (line,) = lines(capsys)
    assert (line["event"], line["error"], line["type"]) == ("error", True, type(error).__name__)
    assert line["message"] == (str(error) or type(error).__name__)


def test_tracking_is_a_second_series_and_the_end_speaks_of_predicting(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    gui = GuiLines(clock)
    gui.started("clip.mp4", 4)
    clock.now = 2.0
    gui(4, 4)
    for done in range(1, 5):
        clock.now += 1.0
        gui.tracked(done, 4)
    gui.finished([])
    said = lines(capsys)
    tracked = [line for line in said if line.get("phase") == "tracking"]
    assert [line["n_processed"] for line in tracked] == [1, 2, 3, 4]
    assert [line["event"] for line in said] == ["start", *["progress"] * 5, "done"]
    assert "phase" not in said[1]
    assert said[-1]["rate"] == 2.0
