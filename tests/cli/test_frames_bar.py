import pytest
from phase_recorder import PhaseRecorder

from sleap_nn import heartbeat
from sleap_nn.cli.frames_bar import FramesBar


@pytest.mark.parametrize("is_terminal", [True, False])
def test_only_a_bar_that_is_seen_silences_signs_of_life(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = PhaseRecorder()
    monkeypatch.setattr(heartbeat, "_HEARTBEAT", recorder)
    monkeypatch.setattr("rich.console.Console.is_terminal", is_terminal)
    with FramesBar("Predicting...") as bar:
        bar(3, 10)
        assert recorder.num_bars == is_terminal
    assert recorder.num_bars == 0


def test_a_second_bar_appears_when_tracking_begins() -> None:
    with FramesBar("Predicting...") as bar:
        bar(4, 4)
        assert [task.description for task in bar.tasks] == ["Predicting..."]
        bar.tracked(1, 4)
        bar.tracked(3, 4)
        assert [(task.description, task.completed) for task in bar.tasks] == [("Predicting...", 4), ("Tracking...", 3)]
