import csv
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from sleap_nn.errors import OutputError
from sleap_nn.training.callbacks import csv_log, epoch_record
from sleap_nn.training.callbacks.epoch_record import EpochRecord

HEADER = ["epoch", "train/loss", "val/loss", "learning_rate", "train/time", "val/time"]


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(epoch_record, "time", made)
    return made


class CSVLog(csv_log.CSVLog):
    """A log with the record that it reads; the hooks of both are called, as the engine does."""

    def __init__(self, path: Path, extra_columns: Sequence[str] = ()) -> None:
        self.record = EpochRecord("val/loss", "min")
        super().__init__(path, self.record, extra_columns)
        self.on_train_epoch_start = self.record.on_train_epoch_start
        self.on_validation_start = self.record.on_validation_start
        self.on_validation_end = self.record.on_validation_end


def engine(epoch: int = 0, rate: float = 1e-3, is_global_zero: bool = True, **metrics: float) -> Any:
    named = {name.replace("__", "/"): torch.tensor(value) for name, value in metrics.items()}
    optimizer = SimpleNamespace(param_groups=[{"lr": rate}])
    return SimpleNamespace(
        is_global_zero=is_global_zero,
        current_epoch=epoch,
        callback_metrics=named,
        optimizers=[optimizer],
        world_size=1,
    )


def run_epoch(log: CSVLog, trainer: Any, clock: Clock | None = None) -> None:
    """Train for 3 s and validate for 2 s within them."""
    module = cast(Any, None)
    log.on_train_epoch_start(trainer, module)
    if clock is not None:
        clock.now += 3
    log.on_validation_start(trainer, module)
    if clock is not None:
        clock.now += 2
    log.on_validation_end(trainer, module)
    log.on_train_epoch_end(trainer, module)


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "training_log.csv"


def test_the_header_has_the_common_columns_then_the_others(path: Path) -> None:
    CSVLog(path).on_fit_start(engine(), cast(Any, None))
    assert rows(path) == [HEADER]
    path.unlink()
    CSVLog(path, ["train/confmaps/nose", "a,b"]).on_fit_start(engine(), cast(Any, None))
    assert rows(path) == [[*HEADER, "train/confmaps/nose", "a,b"]]


def test_a_row_holds_the_values_of_its_epoch(path: Path, clock: Clock) -> None:
    log = CSVLog(path, ["train/confmaps/nose"])
    trainer = engine(7, 2e-4, train__loss=0.5, val__loss=0.25, train__confmaps__nose=0.125, other=9.0)
    log.on_fit_start(trainer, cast(Any, None))
    run_epoch(log, trainer, clock)
    assert rows(path)[1] == ["7", "0.5", "0.25", "0.0002", "3.0", "2.0", "0.125"]


def test_a_value_that_was_not_measured_is_left_empty(path: Path) -> None:
    log, trainer = CSVLog(path, ["train/confmaps/nose"]), engine(train__loss=1.0)
    run_epoch(log, trainer)
    (row,) = rows(path)
    assert row[1:3] == ["1.0", ""]
    assert row[-1] == ""


def test_a_value_that_is_undefined_is_left_empty(path: Path) -> None:
    log = CSVLog(path, ["eval/val/mOKS"])
    run_epoch(log, engine(train__loss=1.0, eval__val__mOKS=float("nan")))
    run_epoch(log, engine(1, train__loss=1.0, eval__val__mOKS=0.5))
    assert [row[-1] for row in rows(path)] == ["", "0.5"]


def test_a_resumed_run_that_logs_more_gets_new_columns(path: Path) -> None:
    for epoch, columns in enumerate(([], ["eval/val/mOKS"], ["train/other"])):
        log, trainer = CSVLog(path, columns), engine(epoch, train__loss=1.0, eval__val__mOKS=0.5)
        log.on_fit_start(trainer, cast(Any, None))
        log.on_train_start(trainer, cast(Any, None))
        run_epoch(log, trainer)
    header, *others = rows(path)
    assert header == [*HEADER, "eval/val/mOKS", "train/other"]
    assert [row[0] for row in others] == ["0", "1", "2"]
    assert [row[6] for row in others] == ["", "0.5", "0.5"]
    assert {len(row) for row in others} == {len(header)}


def test_values_are_written_in_full(path: Path) -> None:
    run_epoch(CSVLog(path), engine(train__loss=1.2345678e-9))
    assert float(rows(path)[0][1]) == pytest.approx(1.2345678e-9, rel=1e-7)


def test_a_log_that_is_there_is_continued_under_its_header(path: Path) -> None:
    for epoch in range(2):
        log = CSVLog(path)
        log.on_fit_start(engine(epoch), cast(Any, None))
        run_epoch(log, engine(epoch))
    assert [row[0] for row in rows(path)] == ["epoch", "0", "1"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_in_a_sentence_with_the_way_to_go_on(path: Path) -> None:
    path.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"No space left on device.*epochs before are safe.*--resume"):
        run_epoch(CSVLog(path), engine(train__loss=1.0))


def test_other_ranks_write_nothing(path: Path) -> None:
    log, trainer = CSVLog(path), engine(is_global_zero=False)
    log.on_fit_start(trainer, cast(Any, None))
    run_epoch(log, trainer)
    assert not path.exists()


def test_an_epoch_that_is_resumed_in_its_middle_has_its_rate(path: Path, clock: Clock) -> None:
    """The engine announces no start of such an epoch."""
    log, trainer = CSVLog(path), engine(3, 2e-4)
    log.on_fit_start(trainer, cast(Any, None))
    log.record.on_train_start(trainer, cast(Any, None))
    clock.now += 7
    log.on_train_epoch_end(trainer, cast(Any, None))
    assert rows(path)[1][3:] == ["0.0002", "7.0", "0.0"]


def test_rows_of_epochs_that_are_made_again_and_torn_rows_go(path: Path) -> None:
    log = CSVLog(path)
    log.on_fit_start(engine(), cast(Any, None))
    for epoch in range(3):
        run_epoch(log, engine(epoch))
    with path.open("a") as file:
        file.write("3,0.1")
    resumed = CSVLog(path)
    resumed.on_fit_start(engine(2), cast(Any, None))
    resumed.on_train_start(engine(2), cast(Any, None))
    assert [row[0] for row in rows(path)] == ["epoch", "0", "1"]
