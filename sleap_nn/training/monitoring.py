"""Who follows a run: the listeners that the configuration asks for, and what they need to exist."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError
from sleap_nn.training.callbacks import tensorboard
from sleap_nn.training.callbacks.listeners import Listener
from sleap_nn.training.callbacks.tensorboard import TensorBoardListener
from sleap_nn.training.callbacks.wandb import WandbListener, choose_run_id
from sleap_nn.training.callbacks.zmq import ZmqListener


def check(settings: TrainerConfig) -> None:
    """Check, before any work is done, that what is asked for can be had.

    Raises:
        ConfigError: A package is not installed, or there is no run folder to write to.
    """
    if settings.use_tensorboard and not settings.save_ckpt:
        raise ConfigError(
            "trainer_config.use_tensorboard writes into the run folder, which trainer_config.save_ckpt=false leaves "
            "out; set save_ckpt=true, or use_tensorboard=false."
        )
    for wanted, key, package in (
        (uses_wandb(settings), "use_wandb", "wandb"),
        (settings.use_tensorboard, "use_tensorboard", "tensorboard"),
    ):
        if wanted and find_spec(package) is None:
            raise ConfigError(
                f"trainer_config.{key} needs the package {package}, which is not installed; install it with "
                f"pip install 'sleap-nn[{package}]', or set {key}=false."
            )


def uses_wandb(settings: TrainerConfig) -> bool:
    """Return whether the run is on Weights & Biases."""
    return settings.use_wandb and settings.wandb.wandb_mode != "disabled"


def may_stop(settings: TrainerConfig) -> bool:
    """Return whether somebody outside may end the run."""
    return settings.zmq is not None and settings.zmq.controller_port is not None


def identify(settings: TrainerConfig) -> None:
    """Fill in the name and the id under which the run is on Weights & Biases."""
    if uses_wandb(settings):
        settings.wandb.name = settings.wandb.name or settings.run_name
        settings.wandb.current_run_id = choose_run_id(settings.wandb, settings.resume_ckpt_path is not None)


def make_listeners(config: TrainingJobConfig, folder: Path | None) -> list[Listener]:
    """Return those that the configuration asks for; nothing is connected yet.

    Args:
        config: The resolved configuration.
        folder: The run folder, None without one.
    """
    settings = config.trainer_config
    listeners: list[Listener] = []
    if uses_wandb(settings):
        place = Path(settings.ckpt_dir or ".") if folder is None else folder
        listeners.append(WandbListener(settings.wandb, place, config.public_tree(), settings.optimizer_name))
    if settings.use_tensorboard and folder is not None:
        listeners.append(TensorBoardListener(folder / tensorboard.FOLDER, config.to_yaml()))
    ports = settings.zmq
    if ports is not None and (ports.publish_port is not None or ports.controller_port is not None):
        listeners.append(ZmqListener(ports.publish_port, ports.controller_port, ports.controller_polling_timeout))
    return listeners
