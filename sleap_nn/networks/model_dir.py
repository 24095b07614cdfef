"""The files of a trained model folder: configuration and weights, written and read here only.

No pickle is ever read: checkpoints are opened with ``weights_only=True``, which loads tensors and plain values and
refuses everything else. ``best.safetensors`` holds nothing but tensors.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sleap_nn.config.availability import check_available
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError, MissingFileError, ModelError, OutputError
from sleap_nn.log import logger
from sleap_nn.networks.foreign import read_foreign, refuse_packed, refuse_strange
from sleap_nn.networks.keras_file import image_channels, read_keras
from sleap_nn.whole_files import whole_file

WEIGHTS = "best.ckpt"
PLAIN_WEIGHTS = "best.safetensors"
KERAS_WEIGHTS = "best_model.h5"
WEIGHT_FILES = (WEIGHTS, PLAIN_WEIGHTS, KERAS_WEIGHTS)
"""Weights of a folder, the first counts: a checkpoint of a training, plain tensors, those of SLEAP up to 1.4."""
LAST_WEIGHTS = "last.ckpt"
RESUME = "resume.ckpt"
CONFIG = "training_config.yaml"
INITIAL_CONFIG = "initial_config.yaml"
CONFIGS = (CONFIG, "training_config.json", INITIAL_CONFIG, "initial_config.json")
"""Configurations of a folder, the best first; JSON is that of SLEAP up to 1.4."""
_PREFIX = "model."

# What reading a file raises that is no checkpoint, or a damaged one.
_BROKEN = (
    UnpicklingError,
    zipfile.BadZipFile,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
)


def find_model_dir(path: str | Path) -> Path:
    """Return the folder of a trained model, named by itself or by a file in it.

    Raises:
        MissingFileError: The folder, its configuration or its weights are not there.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"The model {path} does not exist; give a run folder or its {WEIGHTS}.")
    folder = path if path.is_dir() else path.parent
    if folder != path and not any((folder / name).is_file() for name in CONFIGS):
        raise MissingFileError(
            f"{path} does not belong to a trained model, as its folder has no {CONFIG}; give a run folder or its "
            f"{WEIGHTS}."
        )
    if path.suffix == ".ckpt" and path.name != WEIGHTS:
        logger.warning("%s is not %s; the best weights of its folder are used.", path, WEIGHTS)
    config_file(folder)
    weights_file(folder)
    return folder


def config_file(folder: Path) -> Path:
    """Return the configuration of a model folder.

    Raises:
        MissingFileError: There is none.
    """
    return _first_of(folder, CONFIGS)


def weights_file(folder: Path) -> Path:
    """Return the weights of a model folder.

    Raises:
        MissingFileError: There are none.
    """
    return _first_of(folder, WEIGHT_FILES)


def _first_of(folder: Path, names: Sequence[str]) -> Path:
    """Return the first file of a folder that exists.

    Raises:
        MissingFileError: There is none.
    """
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    if found is None:
        raise MissingFileError(f"The folder {folder} has no {names[0]}; give the folder of a finished training run.")
    return found


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
        path = weights_file(path)
    if not path.is_file():
        raise MissingFileError(
            f"The weights {path} do not exist; give a run folder or a checkpoint (.ckpt, .safetensors, or .h5 of SLEAP "
            "up to 1.4) of an earlier training."
        )
    if path.suffix not in (".ckpt", ".h5", ".safetensors"):
        raise ModelError(
            f"{path} is no checkpoint; give a .ckpt or .safetensors file of an earlier training, a best_model.h5 of "
            "SLEAP up to 1.4, or a run folder."
        )
    return TrainedWeights(path, load_weights(path), _config_beside(path))


def _config_beside(checkpoint: Path) -> TrainingJobConfig | None:
    """Return the configuration beside a checkpoint; one that cannot be used is as good as none."""
    path = next((checkpoint.parent / name for name in CONFIGS if (checkpoint.parent / name).is_file()), None)
    if path is None:
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
    config = TrainingJobConfig.load(config_file(folder), require_available=False)
    weights = weights_file(folder)
    if weights.suffix == ".h5":
        config = _computing_as_keras(config, weights)
    check_available(config.model_config, "model_config")
    check_available(config.data_config.preprocessing, "data_config.preprocessing")
    return config


def _computing_as_keras(config: TrainingJobConfig, weights: Path) -> TrainingJobConfig:
    """Return the configuration of a network that computes what SLEAP up to 1.4 computed with its weights.

    Raises:
        ModelError: The weights cannot be read.
    """
    tree = config.public_tree()
    tree["model_config"]["backbone_config"]["unet"] |= {
        "in_channels": image_channels(read_keras(weights)[0]),
        "keras_layers": True,
    }
    return TrainingJobConfig.from_cfg(tree, require_available=False)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read the network weights of a checkpoint, named as in `PoseNetwork`.

    Raises:
        MissingFileError: There is no such file.
        ModelError: As in `read_checkpoint` and `read_keras`; or the file holds no tensors.
    """
    if path.suffix == ".h5":
        return read_keras(path)[0]
    if path.suffix == ".safetensors":
        return _read_plain(path)
    state: dict[str, Tensor] = read_checkpoint(path)["state_dict"]
    try:
        refuse_strange(state)
    except ValueError as error:
        raise ModelError(f"{path} cannot be read as tensors ({error}); give an intact file.") from error
    return {name.removeprefix(_PREFIX): tensor for name, tensor in state.items()}


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write weights, named as in `PoseNetwork`, as a file of tensors and nothing else; whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    try:
        with whole_file(path) as partial:
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, partial)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"The weights {path} cannot be written ({error}); choose another folder.") from error


def _read_plain(path: Path) -> dict[str, Tensor]:
    """Read what `save_weights` wrote; the library checks every size against that of the file.

    Raises:
        MissingFileError: There is no such file.
        ModelError: It holds something else.
    """
    if not path.is_file():
        raise MissingFileError(f"The weights {path} do not exist; check the path.")
    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path} cannot be read as tensors ({reason}); give an intact file.") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint whole: tensors and plain values by name, the weights under ``state_dict``.

    Raises:
        MissingFileError: There is no such file.
        ModelError: The file is no checkpoint, or holds more than tensors and plain values.
    """
    if not path.is_file():
        raise MissingFileError(f"The checkpoint {path} does not exist; check the path.")
    try:
        checkpoint = _read(path)
    except _BROKEN as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{path} cannot be read as a checkpoint of tensors and plain values ({reason}); give an intact file."
        ) from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise ModelError(f"{path} holds no state_dict; give a checkpoint written by a training run.")
    return checkpoint


def _read(path: Path) -> Any:
    """Read a checkpoint of this version, or of an earlier one."""
    if zipfile.is_zipfile(path):
        refuse_packed(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        return read_foreign(path)
