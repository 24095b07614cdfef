import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import wandb
from wandb_file import read_run

from sleap_nn.config.trainer_config import WandBConfig
from sleap_nn.training.callbacks.drawings import Drawing
from sleap_nn.training.callbacks.listeners import Event
from sleap_nn.training.callbacks.wandb import WandbListener, choose_run_id, no_trace_of, remove_local_files

KEY = "0123456789abcdef0123456789abcdefSECRETXY"
CONFIG = {"trainer_config": {"seed": 3, "wandb": {"api_key": ""}}}


def picture() -> Drawing:
    points = np.full((1, 1, 2), 3.0)
    image = np.full((8, 8, 3), 9, np.uint8)
    return Drawing("val", "predictions", image, image, np.ones((1, 2, 2)), points, points, points[..., 0], ("nose",))


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with a run that logged two epochs, drawings, and metrics at the end."""
    folder = tmp_path_factory.mktemp("offline")
    settings = WandBConfig(
        project="mice", entity="lab", group="day 1", name="run", api_key=KEY, wandb_mode="offline",
        current_run_id="id42", save_viz_imgs_wandb=True,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "home"))
        patch.setattr(sys, "argv", ["sleap-nn", "train", f"trainer_config.wandb.api_key={KEY}"])
        (folder / "home").mkdir()
        listener = WandbListener(settings, folder, CONFIG, "AdamW")
        assert listener.wants_drawings
        assert listener.open() is None
        listener.write(Event("train_begin"))
        for epoch in range(2):
            listener.write(Event("batch_end", epoch=epoch, batch=0, step=epoch, values={"loss": 0.5}))
            values = {"train/loss": 0.25, "val/loss": 0.5 - epoch / 4, "learning_rate": 0.125}
            listener.write(Event("epoch_end", epoch=epoch, values=values | {"train/confmaps/nose": 0.75}))
            listener.draw(epoch, [picture()])
        listener.write(Event("train_end", epoch=1, values={"val/loss": 0.25, "learning_rate": 0.125}))
        listener.write(Event("evaluated", values={"eval/test.0/mOKS": 0.625}))
        assert not listener.wants_stop(wait=True)
        listener.close(failed=False)
        listener.close(failed=False)
        read_run(folder / "wandb")  # waits for the file to be complete
        yield folder


@pytest.fixture(scope="module")
def logged(offline: Path) -> dict[str, Any]:
    return read_run(offline / "wandb")


def without_clock(step: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in step.items() if not name.startswith("_")}


def test_the_run_is_the_configured_one(logged: dict[str, Any]) -> None:
    assert {name: logged[name] for name in ("id", "name", "project", "entity", "group")} == {
        "id": "id42", "name": "run", "project": "mice", "entity": "lab", "group": "day 1",
    }  # fmt: skip
    assert logged["config"]["run_name"] == "run"
    assert logged["config"]["run_config"] == CONFIG
    assert logged["exit_code"] == 0


def test_batches_and_epochs_are_logged_with_todays_and_the_old_names(logged: dict[str, Any]) -> None:
    batch, epoch, pictures = (without_clock(step) for step in logged["history"][3:6])
    assert batch == {"loss": 0.5}
    assert epoch == {
        "epoch": 1, "train/loss": 0.25, "train_loss": 0.25, "val/loss": 0.25, "val_loss": 0.25, "train/lr": 0.125,
        "learning_rate": 0.125, "lr-AdamW": 0.125, "train/confmaps/nose": 0.75, "nose": 0.75,
    }  # fmt: skip
    shown = {name.removesuffix("/_type") for name in pictures if name.endswith("/_type")}
    assert shown == {"viz/val/predictions", "val_predictions"}
    assert pictures["epoch"] == 1
    assert len(logged["history"]) == 6


def test_everything_but_the_loss_of_batches_is_plotted_over_epochs(logged: dict[str, Any]) -> None:
    axes = {name: axis for name, axis in logged["metrics"].items() if axis == "epoch"}
    patterns = {"train/*", "val/*", "eval/*", "viz/*"}
    assert set(axes) >= patterns | {"train_loss", "val_loss", "learning_rate", "lr-AdamW", "nose"}
    assert "loss" not in axes


def test_the_summary_has_the_best_epoch_and_the_final_metrics(logged: dict[str, Any]) -> None:
    expected = {"best/epoch": 1, "best/val/loss": 0.25, "best/train/lr": 0.125, "eval/test.0/mOKS": 0.625}
    assert expected.items() <= logged["summary"].items()


def test_the_key_is_in_no_file(offline: Path) -> None:
    files = [path for path in offline.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert list((offline / "home").glob("*netrc")) == []
    assert any(b"api_key=***" in path.read_bytes() for path in files), "the command line is not where it was"
    assert "WANDB_API_KEY" not in os.environ


class FakeRun:
    """A run of a service that is not there."""

    def __init__(self, offline: bool = False) -> None:
        self.id = "id42"
        self.dir = "wandb/run-1-id42/files"
        self.url = "https://a/id42"
        self.offline = offline
        self.exit_codes: list[int] = []
        self.summary: dict[str, Any] = {}

    def define_metric(self, *_: Any, **__: Any) -> None:
        pass

    def finish(self, exit_code: int) -> None:
        self.exit_codes.append(exit_code)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return what the service was called with."""
    seen = SimpleNamespace(run=FakeRun(), arguments={}, key=None, argv=None)

    def init(**arguments: Any) -> FakeRun:
        seen.arguments, seen.key, seen.argv = arguments, os.environ.get("WANDB_API_KEY"), list(sys.argv)
        return seen.run

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    return seen


def listener(folder: Path, **settings: Any) -> WandbListener:
    return WandbListener(WandBConfig(current_run_id="id42", **settings), folder, CONFIG, "Adam")


def test_an_online_run_can_be_watched_on_its_page(service: SimpleNamespace, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    assert listener(folder).open() == "https://a/id42"
    assert folder.is_dir()
    assert service.arguments["mode"] is None
    assert service.arguments["dir"] == str(folder)
    assert service.arguments["settings"].disable_git
    assert service.arguments["settings"].disable_code


def test_a_service_that_the_environment_switches_off_has_no_page(
    service: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service.run.url = None
    with caplog.at_level("INFO", logger="sleap_nn"):
        assert listener(tmp_path).open() is None
    assert "switched off by the environment" in caplog.text


def test_the_key_logs_in_and_the_environment_is_as_before(
    service: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["sleap-nn", f"trainer_config.wandb.api_key={KEY}", "a=b"])
    listener(tmp_path, api_key=KEY).open()
    assert service.key == KEY
    assert service.argv == ["sleap-nn", "trainer_config.wandb.api_key=***", "a=b"]
    assert sys.argv[1].endswith(KEY)
    assert "WANDB_API_KEY" not in os.environ
    monkeypatch.setenv("WANDB_API_KEY", "other")
    with no_trace_of(KEY):
        assert os.environ["WANDB_API_KEY"] == KEY
    assert os.environ["WANDB_API_KEY"] == "other"
    listener(tmp_path, api_key="").open()
    assert service.key == "other"


@pytest.mark.parametrize(
    ("settings", "resume"),
    [({"prv_runid": "old7"}, "must"), ({}, "allow"), ({"prv_runid": "old7", "wandb_mode": "offline"}, None)],
)
def test_a_run_that_is_named_must_exist(
    service: SimpleNamespace, tmp_path: Path, settings: dict[str, Any], resume: str | None
) -> None:
    listener(tmp_path, **settings).open()
    assert service.arguments["resume"] == resume


def test_a_run_of_the_users_own_is_not_taken_over(
    service: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb, "run", SimpleNamespace(id="mine"))
    with pytest.raises(RuntimeError, match=r"run mine is active.*wandb\.finish"):
        listener(tmp_path).open()
    assert service.arguments == {}


@pytest.mark.parametrize("failed", [False, True])
def test_the_service_learns_how_the_run_ended(service: SimpleNamespace, tmp_path: Path, failed: bool) -> None:
    made = listener(tmp_path)
    made.open()
    made.close(failed)
    assert service.run.exit_codes == [int(failed)]


def test_one_that_was_never_opened_can_be_closed(tmp_path: Path) -> None:
    listener(tmp_path).close(failed=True)


def test_drawings_are_only_uploaded_if_asked_for(service: SimpleNamespace, tmp_path: Path) -> None:
    made = listener(tmp_path)
    made.open()
    assert not made.wants_drawings
    made.draw(0, [picture()])


@pytest.mark.parametrize(
    ("is_offline", "delete", "is_there"),
    [(False, None, False), (True, None, True), (False, False, True), (True, True, False)],
)
def test_local_files_are_deleted_if_they_are_not_needed(
    service: SimpleNamespace, tmp_path: Path, is_offline: bool, delete: bool | None, is_there: bool
) -> None:
    service.run.offline = is_offline
    local = tmp_path / "wandb" / "run-1-id42"
    local.mkdir(parents=True)
    made = listener(tmp_path, delete_local_logs=delete)
    made.open()
    made.close(failed=False)
    assert local.exists() is (tmp_path / "wandb").exists() is is_there


def test_local_files_of_other_runs_stay(tmp_path: Path) -> None:
    for name in ("run-1-a", "offline-run-2-a", "run-3-b"):
        (tmp_path / name).mkdir()
    (tmp_path / "latest-run").symlink_to("offline-run-2-a")
    (tmp_path / "debug.log").symlink_to("run-3-b")
    remove_local_files(tmp_path, "a")
    assert {path.name for path in tmp_path.iterdir()} == {"run-3-b", "debug.log"}
    remove_local_files(tmp_path / "none", "a")


def test_the_id_is_that_of_the_run_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "sweep")
    assert choose_run_id(WandBConfig(prv_runid="old", current_run_id="last"), is_resumed=True) == "old"
    assert choose_run_id(WandBConfig(current_run_id="last"), is_resumed=True) == "last"
    assert choose_run_id(WandBConfig(current_run_id="last"), is_resumed=False) == "sweep"
    monkeypatch.delenv("WANDB_RUN_ID")
    new = {choose_run_id(WandBConfig(current_run_id="last"), is_resumed=False) for _ in range(20)}
    assert len(new) == 20
    assert all(len(name) == 8 for name in new)
