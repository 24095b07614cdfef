import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from sleap_nn.training.callbacks import summary
from sleap_nn.training.callbacks.epoch_record import EpochRecord
from sleap_nn.training.callbacks.summary import RunSummary


def console(is_terminal: bool = True) -> Console:
    return Console(file=io.StringIO(), force_terminal=is_terminal, width=100, color_system=None, legacy_windows=False)


def shown(target: Console, folder: Path | None, best_epoch: int | None = 3, is_global_zero: bool = True) -> str:
    record = EpochRecord("val/loss", "min")
    record.best_epoch, record.best = best_epoch, {"train/loss": 0.125, "val/loss": 0.0625}
    trainer = cast(Any, SimpleNamespace(is_global_zero=is_global_zero, current_epoch=8))
    callback = RunSummary(record, folder, target)
    callback.on_train_start(trainer, cast(Any, None))
    callback.on_train_end(trainer, cast(Any, None))
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


def test_the_table_says_what_became_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 10.0 + 3725.2])
    monkeypatch.setattr(summary, "time", SimpleNamespace(perf_counter=lambda: next(times)))
    text = shown(console(), Path("models/run"))
    for words in ("3 (the last is 7)", "0.125", "0.0625", "1:02:05", str(Path("models/run"))):
        assert words in text


def test_without_a_run_folder_it_says_so() -> None:
    assert "save_ckpt is false" in shown(console(), None)


def test_nothing_is_printed_without_a_terminal_an_epoch_or_on_other_ranks(tmp_path: Path) -> None:
    assert shown(console(is_terminal=False), tmp_path) == ""
    assert shown(console(), tmp_path, best_epoch=None) == ""
    assert shown(console(), tmp_path, is_global_zero=False) == ""
