import io
import logging
import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from phase_recorder import PhaseRecorder
from rich.console import Console

from sleap_nn import heartbeat
from sleap_nn.training.callbacks.progress import ProgressBar


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.INFO, logger="sleap_nn")
    return caplog


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None, legacy_windows=False)


def file() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=120)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def engine(epoch: int = 0, is_global_zero: bool = True, num_batches: int = 3) -> Any:
    return SimpleNamespace(
        is_global_zero=is_global_zero,
        current_epoch=epoch,
        world_size=1,
        num_training_batches=num_batches,
        accumulate_grad_batches=1,
        callback_metrics={"train/loss": torch.tensor(0.125), "val/loss": torch.tensor(0.25), "other": torch.tensor(1)},
    )


def run_epoch(bar: ProgressBar, trainer: Any, outputs: object = None, batches: int = 3) -> None:
    loss = {"loss": torch.tensor(0.5)} if outputs is None else outputs
    bar.on_train_epoch_start(trainer, cast(Any, None))
    for index in range(batches):
        bar.on_train_batch_end(trainer, cast(Any, None), loss, [1, 2, 3, 4], index)
    bar.on_train_epoch_end(trainer, cast(Any, None))


def test_a_terminal_shows_the_epoch_its_batches_and_its_loss() -> None:
    console = terminal()
    run_epoch(ProgressBar(True, console), engine(epoch=6))
    shown = text(console)
    assert "Epoch 6" in shown
    assert "3/3" in shown
    assert "loss 0.5" in shown
    assert re.search(r"\d samples/s", shown)


def test_the_loss_is_that_of_a_batch_however_many_gradients_are_added_up() -> None:
    console, trainer = terminal(), engine()
    trainer.accumulate_grad_batches = 4
    run_epoch(ProgressBar(True, console), trainer)
    assert "loss 2 " in text(console)


def test_the_cursor_is_given_back() -> None:
    console = terminal()
    run_epoch(ProgressBar(True, console), engine())
    shown = text(console)
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_the_bar_goes_away_when_training_fails() -> None:
    console = terminal()
    bar = ProgressBar(True, console)
    bar.on_train_epoch_start(engine(), cast(Any, None))
    bar.on_exception(engine(), cast(Any, None), KeyboardInterrupt())
    assert text(console).rindex("\x1b[?25h") > text(console).rindex("\x1b[?25l")
    bar.on_exception(engine(), cast(Any, None), KeyboardInterrupt())


@pytest.mark.parametrize(
    ("show_bar", "console", "is_global_zero"),
    [(True, file(), True), (False, terminal(), True), (True, terminal(), False)],
    ids=["no terminal", "switched off", "another rank"],
)
def test_nothing_is_drawn_where_no_bar_belongs(
    show_bar: bool, console: Console, is_global_zero: bool, logged: pytest.LogCaptureFixture
) -> None:
    run_epoch(ProgressBar(show_bar, console), engine(is_global_zero=is_global_zero))
    assert text(console) == ""
    assert len(logged.records) == 1


@pytest.mark.parametrize(("console", "num_bars"), [(file(), 0), (terminal(), 1)], ids=["file", "terminal"])
def test_only_a_bar_that_is_seen_silences_signs_of_life(
    console: Console, num_bars: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = PhaseRecorder()
    monkeypatch.setattr(heartbeat, "_HEARTBEAT", recorder)
    bar, trainer = ProgressBar(True, console), engine()
    for epoch in range(2):
        bar.on_train_epoch_start(engine(epoch), cast(Any, None))
        assert recorder.num_bars == num_bars
    bar.on_train_epoch_end(trainer, cast(Any, None))
    assert recorder.num_bars == 0


@pytest.mark.parametrize("console", [file(), terminal()], ids=["file", "terminal"])
def test_every_epoch_is_one_log_line(console: Console, logged: pytest.LogCaptureFixture) -> None:
    bar = ProgressBar(True, console)
    for epoch in range(2):
        run_epoch(bar, engine(epoch))
    lines = [record.getMessage() for record in logged.records]
    assert len(lines) == 2
    pattern = r"Epoch {}: train/loss 0\.125  val/loss 0\.25  \([\d.]+ samples/s, \d+ s\)"
    for epoch, line in enumerate(lines):
        assert re.fullmatch(pattern.format(epoch), line)


def test_the_rate_counts_the_samples_of_the_epoch(
    monkeypatch: pytest.MonkeyPatch, logged: pytest.LogCaptureFixture
) -> None:
    times = iter([10.0, 12.0, 20.0, 24.0])
    monkeypatch.setattr("sleap_nn.training.callbacks.progress.time", SimpleNamespace(perf_counter=lambda: next(times)))
    bar = ProgressBar(False, file())
    run_epoch(bar, engine(0))
    run_epoch(bar, engine(1), batches=2)
    lines = [record.getMessage() for record in logged.records]
    assert lines[0].endswith("(6.0 samples/s, 2 s)")
    assert lines[1].endswith("(2.0 samples/s, 4 s)")


def test_an_epoch_without_validation_says_what_there_is(logged: pytest.LogCaptureFixture) -> None:
    trainer = engine()
    del trainer.callback_metrics["val/loss"]
    run_epoch(ProgressBar(False, file()), trainer)
    assert re.match(r"Epoch 0: train/loss 0\.125  \(", logged.records[0].getMessage())


def test_the_loss_shown_is_smoothed() -> None:
    console = terminal()
    bar = ProgressBar(True, console)
    trainer = engine(num_batches=2)
    bar.on_train_epoch_start(trainer, cast(Any, None))
    for index, loss in enumerate((1.0, 2.0)):
        bar.on_train_batch_end(trainer, cast(Any, None), torch.tensor(loss), [1], index)
    bar.on_train_epoch_end(trainer, cast(Any, None))
    assert "loss 1.05" in text(console)
