import math
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from sleap_nn.structures.sample import FrameKey
from sleap_nn.training.callbacks import epoch_record
from sleap_nn.training.callbacks.epoch_record import EpochRecord

MODULE = cast(Any, None)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


class FakeBatch(list[int]):
    def __init__(self, frames: list[int]) -> None:
        super().__init__(frames)
        self.keys = tuple(FrameKey(0, frame) for frame in frames)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(epoch_record, "time", made)
    return made


def engine(epoch: int = 0, rate: float = 1e-3, world_size: int = 1, **metrics: float) -> Any:
    return SimpleNamespace(
        current_epoch=epoch,
        callback_metrics={name.replace("__", "/"): torch.tensor(value) for name, value in metrics.items()},
        optimizers=[SimpleNamespace(param_groups=[{"lr": rate}])],
        world_size=world_size,
    )


def end_epoch(record: EpochRecord, trainer: Any) -> dict[str, float]:
    record.on_train_epoch_start(trainer, MODULE)
    record.on_train_epoch_end(trainer, MODULE)
    return record.values(trainer)


def test_values_are_metrics_rate_times_and_speeds(clock: Clock) -> None:
    record, trainer = EpochRecord("val/loss", "min"), engine(2, 2e-4, world_size=2, train__loss=0.5, val__loss=0.25)
    record.on_train_epoch_start(trainer, MODULE)
    for frames in ([1, 1, 2], [3, 3, 3]):
        record.on_train_batch_end(trainer, MODULE, None, FakeBatch(frames), 0)
    clock.now += 4
    record.on_validation_start(trainer, MODULE)
    clock.now += 3
    record.on_validation_end(trainer, MODULE)
    assert record.values(trainer) == {
        "train/loss": 0.5,
        "val/loss": 0.25,
        "learning_rate": 2e-4,
        "train/time": 4.0,
        "val/time": 3.0,
        "train/steps_per_sec": 0.5,
        "train/samples_per_sec": 3.0,
        "train/frames_per_sec": 1.5,
    }


def test_the_rate_is_that_of_the_start_of_the_epoch() -> None:
    """A schedule steps before the epoch ends, and its new rate belongs to the next one."""
    record, trainer = EpochRecord("val/loss", "min"), engine(rate=1e-2)
    record.on_train_epoch_start(trainer, MODULE)
    trainer.optimizers[0].param_groups[0]["lr"] = 1e-5
    assert record.values(trainer)["learning_rate"] == 1e-2


def test_several_validations_add_up_and_the_next_epoch_starts_anew(clock: Clock) -> None:
    record, trainer = EpochRecord("val/loss", "min"), engine()
    record.on_train_epoch_start(trainer, MODULE)
    record.on_train_batch_end(trainer, MODULE, None, FakeBatch([1]), 0)
    for seconds in (1, 4):
        record.on_validation_start(trainer, MODULE)
        clock.now += seconds
        record.on_validation_end(trainer, MODULE)
    assert record.values(trainer)["val/time"] == 5.0
    values = end_epoch(record, trainer)
    assert (values["val/time"], values["train/samples_per_sec"]) == (0.0, 0.0)


def test_an_epoch_that_is_resumed_in_its_middle_is_recorded(clock: Clock) -> None:
    """The engine announces no start of such an epoch."""
    record, trainer = EpochRecord("val/loss", "min"), engine(3, 2e-4)
    record.on_train_start(trainer, MODULE)
    clock.now += 7
    values = record.values(trainer)
    assert (values["learning_rate"], values["train/time"]) == (2e-4, 7.0)


def test_what_was_not_computed_is_left_out() -> None:
    values = end_epoch(EpochRecord("val/loss", "min"), engine(train__loss=1.0, eval__val__mOKS=math.nan))
    assert "eval/val/mOKS" not in values
    assert values["train/loss"] == 1.0


def test_all_who_ask_get_the_values_of_one_moment(clock: Clock) -> None:
    record, trainer = EpochRecord("val/loss", "min"), engine()
    record.on_train_epoch_start(trainer, MODULE)
    clock.now += 2
    first = record.values(trainer)
    clock.now += 2
    record.on_train_epoch_end(trainer, MODULE)
    assert record.values(trainer) == first


@pytest.mark.parametrize(("mode", "best"), [("min", 1), ("max", 2)])
def test_the_best_epoch_is_the_first_with_the_best_value(mode: str, best: int) -> None:
    record = EpochRecord("val/loss", mode)
    for epoch, loss in enumerate([0.5, 0.25, 0.75, 0.25, 0.75]):
        end_epoch(record, engine(epoch, val__loss=loss))
    assert record.best_epoch == best
    assert record.best["val/loss"] == [0.5, 0.25, 0.75][best]


def test_an_epoch_without_the_watched_value_is_not_the_best() -> None:
    record = EpochRecord("eval/val/mOKS", "max")
    end_epoch(record, engine(0, val__loss=0.1))
    assert record.best_epoch is None
    end_epoch(record, engine(1, eval__val__mOKS=0.5))
    end_epoch(record, engine(2, eval__val__mOKS=math.nan))
    assert record.best_epoch == 1


def test_a_resumed_run_knows_its_best_epoch() -> None:
    first, second = EpochRecord("val/loss", "min"), EpochRecord("val/loss", "min")
    end_epoch(first, engine(4, val__loss=0.25))
    second.load_state_dict(first.state_dict())
    end_epoch(second, engine(5, val__loss=0.5))
    assert (second.best_epoch, second.best["val/loss"]) == (4, 0.25)
