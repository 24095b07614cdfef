from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError
from sleap_nn.training import monitoring
from sleap_nn.training.callbacks.tensorboard import TensorBoardListener
from sleap_nn.training.callbacks.wandb import WandbListener
from sleap_nn.training.callbacks.zmq import ZmqListener
from sleap_nn.training.model_trainer import ModelTrainer

MODEL = {"backbone_config": {"unet": {}}, "head_configs": {"single_instance": {}}}


def job(**trainer: Any) -> TrainingJobConfig:
    return TrainingJobConfig.from_cfg({"model_config": MODEL, "trainer_config": trainer})


def kinds(folder: Path | None, **trainer: Any) -> list[type]:
    return [type(listener) for listener in monitoring.make_listeners(job(**trainer), folder)]


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name in packages else ModuleSpec(name, None)

    monkeypatch.setattr(monitoring, "find_spec", find)


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({}, []),
        ({"zmq": None}, []),
        ({"zmq": {"publish_port": 9001}}, [ZmqListener]),
        ({"zmq": {"controller_port": 9000}}, [ZmqListener]),
        ({"wandb": {"project": "p"}}, []),
        ({"use_wandb": True}, [WandbListener]),
        ({"use_wandb": True, "wandb": {"wandb_mode": "disabled"}}, []),
        ({"use_tensorboard": True}, [TensorBoardListener]),
        (
            {"use_wandb": True, "use_tensorboard": True, "zmq": {"publish_port": 9001}},
            [WandbListener, TensorBoardListener, ZmqListener],
        ),
    ],
)
def test_those_listen_that_are_asked_for(tmp_path: Path, trainer: dict[str, Any], expected: list[type]) -> None:
    assert kinds(tmp_path, **trainer) == expected


def test_ports_and_wait_are_the_configured_ones() -> None:
    zmq = {"publish_port": 9011, "controller_port": 9010, "controller_polling_timeout": 7}
    (listener,) = monitoring.make_listeners(job(zmq=zmq), None)
    assert isinstance(listener, ZmqListener)
    assert (listener._publish_port, listener._controller_port, listener._polling_timeout) == (9011, 9010, 7)


def test_nobody_hears_the_login_key(tmp_path: Path) -> None:
    config = job(use_wandb=True, use_tensorboard=True, wandb={"api_key": "secret"}, optimizer_name="AdamW")
    web, log = monitoring.make_listeners(config, tmp_path)
    assert isinstance(web, WandbListener)
    assert isinstance(log, TensorBoardListener)
    assert "secret" not in str(web._config)
    assert "secret" not in log._config_text
    assert web._optimizer == "AdamW"
    assert log._folder == tmp_path / "tensorboard"


def test_without_a_run_folder_local_files_are_where_it_would_be() -> None:
    (listener,) = monitoring.make_listeners(job(use_wandb=True, ckpt_dir="models"), None)
    assert isinstance(listener, WandbListener)
    assert listener._folder == Path("models")


@pytest.mark.parametrize(
    ("trainer", "words"),
    [
        ({"use_wandb": True}, r"use_wandb needs the package wandb.*pip install 'sleap-nn\[wandb\]'"),
        (
            {"use_tensorboard": True, "save_ckpt": True},
            r"use_tensorboard needs the package tensorboard.*'sleap-nn\[tensorboard\]'",
        ),
        ({"use_tensorboard": True}, "use_tensorboard writes into the run folder"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, trainer: dict[str, Any], words: str
) -> None:
    without(monkeypatch, "wandb", "tensorboard")
    config = {"data_config": {"train_labels_path": ["none.slp"]}, "model_config": MODEL, "trainer_config": trainer}
    with pytest.raises(ConfigError, match=words):
        ModelTrainer(config)


def test_a_package_that_is_not_used_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "wandb", "tensorboard")
    monitoring.check(TrainerConfig())
    monitoring.check(job(use_wandb=True, wandb={"wandb_mode": "disabled"}).trainer_config)
    without(monkeypatch)
    monitoring.check(TrainerConfig(use_wandb=True, use_tensorboard=True, save_ckpt=True))


def test_the_run_on_the_service_has_a_name_and_an_id() -> None:
    settings = job(use_wandb=True, run_name="day1").trainer_config
    monitoring.identify(settings)
    assert settings.wandb.name == "day1"
    assert settings.wandb.current_run_id
    settings = job(use_wandb=True, run_name="day1", wandb={"name": "mine", "prv_runid": "old"}).trainer_config
    monitoring.identify(settings)
    assert (settings.wandb.name, settings.wandb.current_run_id) == ("mine", "old")


@pytest.mark.parametrize(("resumed", "is_the_same"), [("models/run", True), (None, False)])
def test_a_resumed_run_goes_on_under_its_id(resumed: str | None, is_the_same: bool) -> None:
    settings = job(use_wandb=True, resume_ckpt_path=resumed, wandb={"current_run_id": "last"}).trainer_config
    monitoring.identify(settings)
    assert (settings.wandb.current_run_id == "last") is is_the_same


def test_without_the_service_nothing_is_filled_in() -> None:
    settings = job(run_name="day1").trainer_config
    monitoring.identify(settings)
    assert (settings.wandb.name, settings.wandb.current_run_id) == (None, None)


def test_only_who_has_a_port_for_commands_may_stop_a_run() -> None:
    assert monitoring.may_stop(job(zmq={"controller_port": 9000}).trainer_config)
    assert not monitoring.may_stop(job(zmq={"publish_port": 9001}).trainer_config)
    assert not monitoring.may_stop(job(zmq=None).trainer_config)
