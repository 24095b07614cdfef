"""Runs that are watched and stopped from outside, as the command and the SLEAP GUI do it."""

import csv
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb
from click.testing import CliRunner
from factories import make_labels
from gui_peer import Gui
from listening import Notebook
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb_file import read_run

from sleap_nn.cli import cli
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import TrainingInterruptedError
from sleap_nn.train import resume_training, run_training
from sleap_nn.training import monitoring
from sleap_nn.training.module import TrainingModule

KEY = "0123456789abcdef0123456789abcdefSECRETXY"
STEPS = 20


def settings(folder: Path, **trainer: Any) -> dict[str, Any]:
    return {
        "data_config": {"train_labels_path": [str(folder / "labels.pkg.slp")]},
        "model_config": {
            "backbone_config": {"unet": {"filters": 8, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 4.0, "output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": 3,
            "min_train_steps_per_epoch": STEPS,
            "save_ckpt": True,
            "ckpt_dir": str(folder / "models"),
            "run_name": "run",
            "trainer_accelerator": "cpu",
            "optimizer": {"lr": 5e-3},
            **trainer,
        },
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_labels(8, path=tmp_path / "labels.pkg.slp")
    return tmp_path


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.INFO, logger="sleap_nn")
    return caplog


def test_the_gui_sees_a_run_from_begin_to_end(folder: Path) -> None:
    gui = Gui(stop_at_batch=None)
    gui.start()
    trainer = run_training(settings(folder, max_epochs=2, zmq=gui.ports(timeout=0)))
    epoch = ["epoch_begin", *["batch_start", "batch_end"] * STEPS, "epoch_end"]
    assert gui.kinds() == ["train_begin", *epoch, *epoch, "train_end"]
    assert trainer.run_dir is not None
    with (trainer.run_dir / "training_log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    ends = [message for message in gui.messages if message["event"] == "epoch_end"]
    for row, message in zip(rows, ends, strict=True):
        assert float(row["train/loss"]) == message["logs"]["train/loss"] == message["logs"]["loss"]
        assert float(row["val/loss"]) == message["logs"]["val/loss"] == message["logs"]["val_loss"]
        assert float(row["val/time"]) == message["logs"]["val/time"]


def test_a_stop_ends_after_the_batch_and_all_that_follows_a_run_takes_place(folder: Path) -> None:
    gui = Gui(stop_at_batch=STEPS + 1)
    gui.start()
    trainer = run_training(settings(folder, max_epochs=50, zmq=gui.ports(timeout=300)))
    kinds = gui.kinds()
    assert STEPS + 2 <= kinds.count("batch_end") < 2 * STEPS
    assert kinds[-3:] == ["batch_end", "epoch_end", "train_end"]
    assert trainer.run_dir is not None
    names = {path.name for path in trainer.run_dir.iterdir()}
    assert {"best.ckpt", "labels_pr.val.0.slp", "training_config.yaml"} <= names
    with (trainer.run_dir / "training_log.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]


def test_a_run_that_is_stopped_too_early_is_no_failure(folder: Path, logged: pytest.LogCaptureFixture) -> None:
    gui = Gui(stop_at_batch=0)
    gui.start()
    config = TrainingJobConfig.from_cfg(settings(folder, optimizer={"lr": 1e-8}, zmq=gui.ports(timeout=3000)))
    config.save(folder / "config.yaml")
    result = CliRunner().invoke(cli, ["train", str(folder / "config.yaml")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert gui.kinds().count("batch_end") == 1
    assert "stopped before the network is of any use" in result.output


def test_a_broken_listener_costs_one_warning_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch, logged: pytest.LogCaptureFixture
) -> None:
    broken, other = Notebook(fail_in="write"), Notebook()
    monkeypatch.setattr(monitoring, "make_listeners", lambda *_: [broken, other])
    trainer = run_training(settings(folder, max_epochs=2))
    warnings = [record.getMessage() for record in logged.records if "notebook" in record.getMessage()]
    assert warnings == [
        "The notebook is switched off for this run, which is not affected: RuntimeError: no write today."
    ]
    assert broken.names() == ["open", "write", "close"]
    assert [event.kind for event in other.events()][-2:] == ["train_end", "evaluated"]
    assert other.calls[-1] == ("close", False)
    assert trainer.run_dir is not None
    assert (trainer.run_dir / "labels_pr.val.0.slp").exists()


def test_listeners_hear_of_a_crash(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Notebook()
    monkeypatch.setattr(monitoring, "make_listeners", lambda *_: [book])

    def broken(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(TrainingModule, "training_step", broken)
    with pytest.raises(MemoryError):
        run_training(settings(folder))
    assert book.calls[-1] == ("close", True)


def test_a_resumed_run_goes_on_in_the_same_run_of_the_service(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, Any]] = []
    ended: list[int] = []

    def init(**arguments: Any) -> Any:
        started.append(arguments)
        return SimpleNamespace(
            id=arguments["id"], url="https://a", offline=False, dir="", summary={},
            define_metric=lambda *_, **__: None,
            log=lambda values: interrupt_at_third(values),
            finish=lambda exit_code: ended.append(exit_code),
        )  # fmt: skip

    batches = iter(range(10**6))

    def interrupt_at_third(values: dict[str, Any]) -> None:
        if "loss" in values and next(batches) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(wandb, "init", init)
    with pytest.raises((KeyboardInterrupt, TrainingInterruptedError)):
        run_training(settings(folder, use_wandb=True, model_ckpt={"save_last": True}))
    trainer = run_training(settings(folder, use_wandb=True, max_epochs=2))
    assert trainer.run_dir is not None
    resume_training(trainer.run_dir, ["trainer_config.max_epochs=3"])
    first, second, third = (arguments["id"] for arguments in started)
    assert second == third != first
    assert [arguments["name"] for arguments in started] == ["run", "run", "run"]
    assert ended == [1, 0, 0]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    arguments = ["train", str(tmp_path / "config.yaml"), f"trainer_config.wandb_config.api_key={KEY}"]
    monkeypatch.setattr(sys, "argv", ["sleap-nn", *arguments])
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    yield arguments


@pytest.mark.slow
def test_a_run_on_weights_and_biases_and_tensorboard(folder: Path, command: list[str]) -> None:
    section = {"wandb_mode": "offline", "project": "mice"}
    config = settings(folder, max_epochs=2, use_wandb=True, use_tensorboard=True, wandb=section)
    TrainingJobConfig.from_cfg(config).save(folder / "config.yaml")
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "switched off" not in result.output, result.output
    run = folder / "models" / "run"
    web = read_run(run / "wandb")
    assert (web["name"], web["project"], web["exit_code"]) == ("run", "mice", 0)
    saved = TrainingJobConfig.load(run / "training_config.yaml")
    assert saved.trainer_config.wandb.current_run_id == web["id"]
    assert saved.trainer_config.wandb.name == "run"
    epochs = [step for step in web["history"] if "train/loss" in step]
    assert [step["epoch"] for step in epochs] == [0, 1]
    assert len([step for step in web["history"] if "loss" in step]) == 2 * STEPS
    assert {"train/confmaps/snout", "snout", "train_loss", "val_loss", "train/frames_per_sec"} <= set(epochs[0])
    assert web["summary"]["best/val/loss"] == min(step["val/loss"] for step in epochs)
    metrics = {name for name in web["summary"] if name.startswith("eval/")}
    assert {"eval/train.0/mOKS", "eval/val.0/distance_p95"} <= metrics
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [*range(1, 2 * STEPS + 1)]
    assert [event.value for event in events.Scalars("val/loss")] == pytest.approx([e["val/loss"] for e in epochs])
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
