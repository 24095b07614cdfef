from pathlib import Path

import numpy as np
import pytest

from sleap_nn.errors import DataError
from sleap_nn.run_report.history import History

TODAY = """\
epoch,train/loss,val/loss,learning_rate,train/time,val/time,train/confmaps/a b,train/paf_loss,val/paf_loss,eval/val/mOKS
0,0.5,0.4,0.001,10,2,0.1,0.3,0.2,
1,0.2,0.1,0.001,10,3,0.1,0.1,0.1,0.5
2,0.1,0.3,0.0005,10,2.5,0.1,0.05,0.1,0.6
"""
EARLIER = """\
epoch,train_loss,val_loss,learning_rate,train_time,val_time,A,B
0,,0.9,0.001,,,,
0,0.5,0.4,0.001,10,2,0.1,0.2
1,0.2,0.1,0.001,10,3,0.1,0.2
"""
KERAS = "epoch,loss,lr,val_loss\n0,0.5,0.001,0.4\n1,0.2,0.001,0.1\n"


def read(tmp_path: Path, text: str | bytes) -> History:
    path = tmp_path / "training_log.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return History.read(path)


def test_todays_log_is_read_with_every_column(tmp_path: Path):
    history = read(tmp_path, TODAY)
    assert history.epochs.tolist() == [0, 1, 2]
    assert history.columns["train/loss"].tolist() == [0.5, 0.2, 0.1]
    assert history.columns["train/confmaps/a b"].tolist() == [0.1] * 3
    np.testing.assert_array_equal(history.columns["eval/val/mOKS"], [np.nan, 0.5, 0.6])
    assert history.head_losses == ["paf_loss"]
    assert history.seconds == 37.5


@pytest.mark.parametrize("text", [EARLIER, KERAS])
def test_logs_of_earlier_programs_have_todays_columns(tmp_path: Path, text: str):
    history = read(tmp_path, text)
    assert history.epochs.tolist() == [0, 1], "of several rows of an epoch the last one counts"
    assert history.columns["train/loss"].tolist() == [0.5, 0.2]
    assert history.columns["val/loss"].tolist() == [0.4, 0.1]
    assert history.columns["learning_rate"].tolist() == [0.001, 0.001]
    assert history.seconds == 25 if text is EARLIER else np.isnan(history.seconds)


def test_head_losses_of_earlier_programs_are_found(tmp_path: Path):
    history = read(tmp_path, "epoch,train_loss,train_confmap_loss,val_confmap_loss\n0,1,2,3\n")
    assert history.head_losses == ["confmap_loss"]
    assert history.columns["val/confmap_loss"].tolist() == [3]


@pytest.mark.parametrize(
    ("monitor", "mode", "best"),
    [
        ("val/loss", "min", 1),
        ("val_loss", "min", 1),
        ("train/loss", "min", 2),
        ("eval/val/mOKS", "max", 2),
        ("no such column", "min", None),
    ],
)
def test_the_best_epoch_is_that_of_the_value_that_was_watched(
    tmp_path: Path, monitor: str, mode: str, best: int | None
):
    assert read(tmp_path, TODAY).best(monitor, mode) == best


def test_values_that_are_no_numbers_are_never_best(tmp_path: Path):
    text = "epoch,val/loss\n0,nan\n1,0.5\n2,inf\n"
    assert read(tmp_path, text).best() == 1
    assert read(tmp_path, text).best(mode="max") == 1
    assert read(tmp_path, "epoch,val/loss\n0,nan\n").best() is None


def test_columns_without_a_value_are_left_out(tmp_path: Path):
    assert list(read(tmp_path, "epoch,train/loss,val/loss\n0,,1\n1,,2\n").columns) == ["val/loss"]


@pytest.mark.parametrize("text", ["epoch,train/loss\n", "epoch,train/loss\n,,\n", "epoch,train/loss\nhalf"])
def test_a_log_without_epochs_is_empty(tmp_path: Path, text: str):
    assert len(read(tmp_path, text)) == 0


def test_a_row_that_was_cut_off_keeps_what_it_has(tmp_path: Path):
    history = read(tmp_path, "epoch,train/loss,val/loss\n0,1,2\n1,0.5\n")
    np.testing.assert_array_equal(history.columns["val/loss"], [2, np.nan])


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", b"\xff\xfe\x00epoch"])
def test_what_is_no_log_is_refused(tmp_path: Path, text: str | bytes):
    with pytest.raises(DataError, match=r"training_log\.csv"):
        read(tmp_path, text)
