import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from sleap_nn.training.callbacks.losses import LossWatch

MODULE = cast(Any, None)
TRAIN = [10, 8, 6, 5, 4, 3, 2.5, 2, 1.5, 1]
VAL = [5, 4, 3, 4, 4.5, 5, 5.5, 6, 6.5, 7]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.INFO, logger="sleap_nn")
    return caplog


def epoch(number: int, train: float, val: float | None) -> Any:
    metrics = {"train/loss": torch.tensor(train)} | ({} if val is None else {"val/loss": torch.tensor(val)})
    return SimpleNamespace(current_epoch=number, callback_metrics=metrics)


def run(watch: LossWatch, start: int = 0, end: int = 10) -> None:
    for number in range(start, end):
        watch.on_train_epoch_end(epoch(number, TRAIN[number], VAL[number]), MODULE)


def test_overfitting_is_one_line_at_the_end(logged: pytest.LogCaptureFixture) -> None:
    watch = LossWatch(keeps_best=True)
    run(watch)
    assert not logged.messages
    watch.on_train_end(epoch(9, 1, 7), MODULE)
    (text,) = logged.messages
    assert text.startswith("Overfitting since epoch 2: the validation loss rose from")
    assert "The weights of the best epoch are kept. Label more frames" in text


def test_nothing_is_promised_that_is_not_kept(logged: pytest.LogCaptureFixture) -> None:
    watch = LossWatch(keeps_best=False)
    run(watch)
    watch.on_train_end(epoch(9, 1, 7), MODULE)
    assert "kept" not in logged.messages[0]


def test_a_run_that_goes_well_ends_in_silence(logged: pytest.LogCaptureFixture) -> None:
    watch = LossWatch(keeps_best=True)
    for number in range(10):
        watch.on_train_epoch_end(epoch(number, TRAIN[number], 1.5 * TRAIN[number]), MODULE)
    watch.on_train_end(epoch(9, 1, 1), MODULE)
    assert not logged.messages


def test_an_interruption_does_not_hide_it(logged: pytest.LogCaptureFixture) -> None:
    first, second = LossWatch(keeps_best=True), LossWatch(keeps_best=True)
    run(first, 0, 6)
    second.load_state_dict(first.state_dict())
    run(second, 5, 10)
    second.on_train_end(epoch(9, 1, 7), MODULE)
    assert logged.messages[0].startswith("Overfitting since epoch 2")


def test_runs_without_validation_are_not_judged(logged: pytest.LogCaptureFixture) -> None:
    watch = LossWatch(keeps_best=True)
    for number in range(10):
        watch.on_train_epoch_end(epoch(number, TRAIN[number], None), MODULE)
    watch.on_train_end(epoch(9, 1, None), MODULE)
    assert not logged.messages
