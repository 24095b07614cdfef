from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from listening import Notebook

from sleap_nn.training.callbacks.epoch_record import EpochRecord
from sleap_nn.training.callbacks.listeners import Event, Listeners
from sleap_nn.training.callbacks.live import LiveLog

MODULE = cast(Any, None)


class Strategy:
    """Joins the answers of several processes."""

    def __init__(self, others: bool = False) -> None:
        self._others = others

    def reduce_boolean_decision(self, decision: bool, all: bool) -> bool:
        assert not all
        return decision or self._others


def engine(is_global_zero: bool = True, accumulated: int = 1, others_stop: bool = False) -> Any:
    return SimpleNamespace(
        is_global_zero=is_global_zero,
        current_epoch=0,
        global_step=0,
        accumulate_grad_batches=accumulated,
        callback_metrics={"train/loss": torch.tensor(0.5), "val/loss": torch.tensor(0.25)},
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.5}])],
        world_size=1,
        should_stop=False,
        strategy=Strategy(others_stop),
    )


def live(book: Notebook, may_stop: bool = True) -> LiveLog:
    return LiveLog(Listeners([book]), EpochRecord("val/loss", "min"), may_stop)


def run(callback: LiveLog, trainer: Any, epochs: int = 1, batches: int = 2) -> None:
    callback.on_fit_start(trainer, MODULE)
    for epoch in range(epochs):
        trainer.current_epoch = epoch
        callback.on_train_epoch_start(trainer, MODULE)
        callback._record.on_train_epoch_start(trainer, MODULE)
        for batch in range(batches):
            callback.on_train_batch_start(trainer, MODULE, None, batch)
            trainer.global_step += 1
            callback.on_train_batch_end(trainer, MODULE, {"loss": torch.tensor(0.75)}, None, batch)
            if trainer.should_stop:
                break
        callback.on_validation_end(trainer, MODULE)
        callback.on_train_epoch_end(trainer, MODULE)
        if trainer.should_stop:
            break
    callback.on_fit_end(trainer, MODULE)


def test_a_run_is_told_from_begin_to_end() -> None:
    book = Notebook(url="https://a")
    run(live(book), engine())
    events = book.events()
    assert events[:-2] == [
        Event("train_begin", url="https://a"),
        Event("epoch_begin", epoch=0),
        Event("batch_start", epoch=0, batch=0),
        Event("batch_end", epoch=0, batch=0, step=1, values={"loss": 0.75}),
        Event("batch_start", epoch=0, batch=1),
        Event("batch_end", epoch=0, batch=1, step=2, values={"loss": 0.75}),
    ]
    epoch, end = events[-2:]
    assert (epoch.kind, epoch.epoch) == ("epoch_end", 0)
    assert epoch.values is not None
    assert {"train/loss": 0.5, "val/loss": 0.25, "learning_rate": 0.5}.items() <= epoch.values.items()
    assert end == Event("train_end", epoch=0, values=epoch.values)


def test_an_epoch_that_is_resumed_in_its_middle_begins_with_its_first_batch() -> None:
    book = Notebook()
    callback, trainer = live(book), engine()
    callback.on_fit_start(trainer, MODULE)
    for batch in (4, 5):
        callback.on_train_batch_start(trainer, MODULE, None, batch)
    assert [event.kind for event in book.events()] == ["train_begin", "epoch_begin", "batch_start", "batch_start"]


def test_the_loss_of_a_batch_is_not_divided_by_those_that_are_added_up() -> None:
    book = Notebook()
    run(live(book), engine(accumulated=4))
    assert [event.values for event in book.events() if event.kind == "batch_end"] == [{"loss": 3.0}] * 2


def test_other_processes_tell_nothing() -> None:
    book = Notebook()
    run(live(book), engine(is_global_zero=False))
    assert book.calls == []


@pytest.mark.parametrize(
    ("stop_at", "num_batches", "num_epochs"), [(0, 1, 1), (1, 2, 1), (2, 2, 1), (3, 3, 2), (None, 4, 2)]
)
def test_a_stop_ends_the_run_after_the_batch_or_the_validation(
    stop_at: int | None, num_batches: int, num_epochs: int
) -> None:
    """Questions: after batches 0 and 1, after the validation, and the same in the second epoch."""
    book = Notebook(stop_at=stop_at)
    callback, trainer = live(book), engine()
    run(callback, trainer, epochs=2)
    kinds = [event.kind for event in book.events()]
    assert kinds.count("batch_end") == num_batches
    assert kinds.count("epoch_end") == num_epochs
    assert kinds[-1] == "train_end"
    assert callback.is_stopped is trainer.should_stop is (stop_at is not None)


def test_a_question_after_a_batch_may_take_its_time_and_one_after_a_validation_not() -> None:
    book = Notebook()
    run(live(book), engine())
    assert [argument for name, argument in book.calls if name == "wants_stop"] == [True, True, False]


def test_a_stop_in_one_process_ends_all() -> None:
    trainer = engine(is_global_zero=False, others_stop=True)
    run(live(Notebook()), trainer)
    assert trainer.should_stop


def test_nobody_is_asked_where_nobody_may_stop_the_run() -> None:
    book, trainer = Notebook(stop_at=0), engine(others_stop=True)
    run(live(book, may_stop=False), trainer)
    assert "wants_stop" not in book.names()
    assert not trainer.should_stop
