"""The files of a trained model folder: configuration and weights, written and read here only.

No pickle is ever read: weights are opened with ``weights_only=True``, which loads tensors and plain values and
refuses everything else.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from sleap_nn.config.availability import check_available
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError, MissingFileError, ModelError
from sleap_nn.log import logger

WEIGHTS = "best.ckpt"
LAST_WEIGHTS = "last.ckpt"
RESUME = "resume.ckpt"
CONFIG = "training_config.yaml"
INITIAL_CONFIG = "initial_config.yaml"
_PREFIX = "model."


def find_model_dir(path: str | Path) -> Path:
    """Return the folder of a trained model, named by itself or by a file in it.

    Raises:
        MissingFileError: The folder, its configuration or its weights are not there.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"The model {path} does not exist; give a run folder or its {WEIGHTS}.")
    folder = path if path.is_dir() else path.parent
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise MissingFileError(f"The folder {folder} has no {name}; give the folder of a finished training run.")
    return folder


@dataclass(frozen=True)
class TrainedWeights:
    """Weights of an earlier model, from which another one starts.

    Attributes:
        path: The checkpoint.
        weights: Its tensors, named as in `PoseNetwork`.
        config: The resolved configuration of the earlier model, None if it is not beside the checkpoint.
    """

    path: Path
    weights: dict[str, Tensor]
    config: TrainingJobConfig | None

    @property
    def image_channels(self) -> int | None:
        """The channels of the images that the backbone reads, None without a backbone."""
        first = (tensor for name, tensor in self.weights.items() if name.startswith("backbone.") and tensor.ndim == 4)
        kernel = next(first, None)
        return None if kernel is None else kernel.shape[1]


def load_trained(given: str | Path) -> TrainedWeights:
    """Read the weights of an earlier model.

    Args:
        given: A checkpoint, or a run folder, whose best weights are taken.

    Raises:
        MissingFileError: It does not exist, or the folder has no weights.
        ModelError: The file cannot be read as a checkpoint.
    """
    path = Path(given)
    if path.is_dir():
        path = path / WEIGHTS
    if not path.is_file():
        raise MissingFileError(
            f"The weights {path} do not exist; give a run folder or a checkpoint (.ckpt) of an earlier training."
        )
    if path.suffix != ".ckpt":
        raise ModelError(
            f"{path} is no checkpoint of this version; give a .ckpt file of an earlier training, or its run folder."
        )
    weights = load_weights(path)
    return TrainedWeights(path, weights, _config_beside(path))


def _config_beside(checkpoint: Path) -> TrainingJobConfig | None:
    """Return the configuration beside a checkpoint; one that cannot be used is as good as none."""
    path = checkpoint.parent / CONFIG
    if not path.is_file():
        return None
    try:
        return TrainingJobConfig.load(path, require_available=False)
    except ConfigError as error:
        logger.warning("%s is not used to compare the models: %s", path, error)
        return None


def load_config(folder: Path) -> TrainingJobConfig:
    """Read the resolved configuration of a model folder.

    Options of the training run that do not exist here do not matter any more; those of the network and of its input
    do.

    Raises:
        ConfigError: The file is no configuration, or needs something that is not available yet.
    """
    config = TrainingJobConfig.load(folder / CONFIG, require_available=False)
    check_available(config.model_config, "model_config")
    check_available(config.data_config.preprocessing, "data_config.preprocessing")
    return config


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read the network weights of a checkpoint, named as in `PoseNetwork`; errors as of `read_checkpoint`."""
    state: dict[str, Tensor] = read_checkpoint(path)["state_dict"]
    return {name.removeprefix(_PREFIX): tensor for name, tensor in state.items()}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint whole: tensors and plain values by name, the weights under ``state_dict``.

    Raises:
        MissingFileError: There is no such file.
        ModelError: The file is no checkpoint, or holds more than tensors and plain values.
    """
    if not path.is_file():
        raise MissingFileError(f"The checkpoint {path} does not exist; check the path.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{path} cannot be read as a checkpoint of tensors and plain values ({reason}); give an intact file."
        ) from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise ModelError(f"{path} holds no state_dict; give a checkpoint written by a training run.")
    return checkpoint
