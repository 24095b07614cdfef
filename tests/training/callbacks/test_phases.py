from types import SimpleNamespace
from typing import Any, cast

import pytest
from phase_recorder import PhaseRecorder

from sleap_nn import heartbeat
from sleap_nn.heartbeat import SILENCE
from sleap_nn.training.callbacks.phases import EPOCH_SILENCE, Phases

MODULE = cast(Any, None)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> PhaseRecorder:
    made = PhaseRecorder()
    monkeypatch.setattr(heartbeat, "_HEARTBEAT", made)
    return made


def engine(epoch: int = 0) -> Any:
    return SimpleNamespace(current_epoch=epoch, num_training_batches=3, num_val_batches=[2, 1])


def run_epoch(phases: Phases, recorder: PhaseRecorder, epoch: int, first: int = 0) -> list[list[str]]:
    """Run an epoch from a batch on, and return what was announced before and in its steps, and in its validation."""
    trainer = engine(epoch)
    seen = []
    phases.on_train_epoch_start(trainer, MODULE)
    for index in range(first, 3):
        seen.append(recorder.open_names)
        phases.on_train_batch_start(trainer, MODULE, None, index)
        seen.append(recorder.open_names)
        phases.on_train_batch_end(trainer, MODULE, None, None, index)
    phases.on_validation_start(trainer, MODULE)
    for index in range(3):
        seen.append(recorder.open_names)
        phases.on_validation_batch_end(trainer, MODULE, None, None, index)
    phases.on_validation_end(trainer, MODULE)
    return seen


def test_what_is_announced_is_what_goes_on(recorder: PhaseRecorder) -> None:
    phases = Phases()
    phases.on_fit_start(engine(), MODULE)
    first = run_epoch(phases, recorder, 0)
    assert first[0] == ["waiting for the first batch"]
    assert first[1] == ["running the first step"]
    assert first[2:6] == [["training epoch 0"]] * 4
    assert first[6:] == [["training epoch 0", "validating epoch 0"]] * 3
    second = run_epoch(phases, recorder, 1)
    assert second[:6] == [["training epoch 1"]] * 6
    phases.on_train_end(engine(1), MODULE)
    assert recorder.open == []


def test_steps_are_counted(recorder: PhaseRecorder) -> None:
    phases = Phases()
    phases.on_fit_start(engine(), MODULE)
    run_epoch(phases, recorder, 0)
    epoch, validation = recorder.phases[2:]
    assert (epoch.done, epoch.total, epoch.silence) == (3, 3, EPOCH_SILENCE)
    assert (validation.done, validation.total, validation.silence) == (3, 3, SILENCE)


def test_an_epoch_that_is_resumed_in_its_middle_is_announced_like_the_first(recorder: PhaseRecorder) -> None:
    phases = Phases()
    phases.on_fit_start(engine(4), MODULE)
    trainer = engine(4)
    phases.on_train_batch_start(trainer, MODULE, None, 1)
    assert recorder.open_names == ["running the first step"]
    phases.on_train_batch_end(trainer, MODULE, None, None, 1)
    assert recorder.open_names == ["training epoch 4"]
    assert recorder.open[0].done == 2


@pytest.mark.parametrize("where", ["step", "validation"])
def test_an_error_ends_it(recorder: PhaseRecorder, where: str) -> None:
    phases = Phases()
    phases.on_fit_start(engine(), MODULE)
    phases.on_train_batch_start(engine(), MODULE, None, 0)
    if where == "validation":
        phases.on_train_batch_end(engine(), MODULE, None, None, 0)
        phases.on_validation_start(engine(), MODULE)
    phases.on_exception(engine(), MODULE, KeyboardInterrupt())
    assert recorder.open == []
