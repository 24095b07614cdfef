"""Trained folders to stages; combinations that make no sense are refused with a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.errors import ConfigError, ModelError
from sleap_nn.inference.runtime import TorchRuntime
from sleap_nn.inference.settings import StageSettings
from sleap_nn.networks import model_dir
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.stages.stage import Stage
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import Task

PREPROCESSING_OVERRIDES = ("ensure_rgb", "ensure_grayscale", "max_height", "max_width", "scale", "crop_size")


@dataclass(frozen=True)
class LoadedModel:
    """A trained folder, ready to run.

    Attributes:
        folder: Where it was read.
        config: Its resolved configuration.
        stage: What predicts.
        device: Where the network runs.
        precision: In which precision it runs.
    """

    folder: Path
    config: TrainingJobConfig
    stage: Stage
    device: str
    precision: str

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the training labels."""
        return self.stage.task.skeleton

    @property
    def model_type(self) -> str:
        """The model type."""
        return self.stage.task.name


def load_models(
    paths: Sequence[str | Path] | str | Path,
    device: str,
    precision: str,
    settings: StageSettings,
    preprocessing: Mapping[str, object] | None = None,
) -> list[LoadedModel]:
    """Load the folders of a prediction, in the order in which they run.

    Args:
        paths: Run folders or files in them: one model, or a centroid model and one that reads crops, in any order.
        device: See `runtime.resolve_device`.
        precision: ``auto``, ``32``, ``bf16`` or ``16``.
        settings: How maps are read.
        preprocessing: Values of `PREPROCESSING_OVERRIDES` that replace those of training; None entries do not.

    Raises:
        MissingFileError: A folder or a file in it is not there.
        ModelError: A file cannot be used, or the models do not go together.
        ConfigError: An override is unknown or impossible.
    """
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    folders = [model_dir.find_model_dir(path) for path in paths]
    configs = [model_dir.load_config(folder) for folder in folders]
    order = _run_order(folders, [_model_type(config) for config in configs])
    overrides = _checked_overrides(preprocessing or {}, [TASKS[_model_type(config)] for config in configs])
    return [_load_model(folders[i], configs[i], device, precision, settings, overrides) for i in order]


def _model_type(config: TrainingJobConfig) -> str:
    """Return the model type of a folder."""
    return str(config.model_config.head_configs.which_oneof_attrib_name())


def _run_order(folders: Sequence[Path], types: Sequence[str]) -> list[int]:
    """Return the positions of the models in the order in which they run.

    Raises:
        ModelError: A model type is not known here, or the models do not go together.
    """
    for folder, name in zip(folders, types, strict=True):
        if name not in TASKS:
            raise ModelError(
                f"{folder} holds a {name} model, which is not available yet; known are {', '.join(TASKS)}."
            )
    if len(types) == 1:
        return [0]
    crops = [name for name, task in TASKS.items() if task.view == "crop"]
    first = [i for i, name in enumerate(types) if name == "centroid"]
    second = [i for i, name in enumerate(types) if name in crops]
    if len(types) != 2 or len(first) != 1 or len(second) != 1:
        raise ModelError(
            f"Models of the types {', '.join(types) or 'none'} were given; give one model, or a centroid model "
            f"together with one {' or '.join(crops)} model."
        )
    return first + second


def _load_model(
    folder: Path,
    config: TrainingJobConfig,
    device: str,
    precision: str,
    settings: StageSettings,
    overrides: Mapping[str, object],
) -> LoadedModel:
    """Load one folder."""
    task_type = TASKS[_model_type(config)]
    task = task_type.from_config(config.model_config.head_configs.which_oneof(), _skeleton(folder, config))
    network = PoseNetwork.from_config(config.model_config.backbone_config, task.heads)
    _fill(network, folder)
    given = {name: value for name, value in overrides.items() if name != "crop_size" or task.view == "crop"}
    channels = _channels(network.backbone.in_channels, given)
    network_input = replace(config.data_config.preprocessing, **_without_channels(given))
    spec = InputSpec.from_config(network_input, channels, network.backbone.max_stride)
    runtime = TorchRuntime(network, device, precision)
    stage = Stage(task, spec, runtime, settings.of(task))
    return LoadedModel(folder, config, stage, str(runtime.device), runtime.precision)


def _fill(network: PoseNetwork, folder: Path) -> None:
    """Put the saved weights into the network.

    Raises:
        ModelError: Names or shapes differ from what the configuration says.
    """
    file = model_dir.weights_file(folder)
    weights = model_dir.load_weights(file)
    expected = network.state_dict()
    wrong = sorted(set(expected) ^ set(weights))
    wrong += [name for name in expected if name in weights and expected[name].shape != weights[name].shape]
    if wrong:
        raise ModelError(
            f"The weights in {file} do not fit {model_dir.config_file(folder).name} beside them ({len(wrong)} "
            f"tensors differ, the first is {wrong[0]}); use the folder as training left it."
        )
    network.load_state_dict(weights)


def _skeleton(folder: Path, config: TrainingJobConfig) -> Skeleton:
    """Return the skeleton a folder was trained with."""
    if config.data_config.skeletons:
        return Skeleton.from_config(config.data_config.skeletons[0])
    raise ModelError(f"{model_dir.config_file(folder)} holds no skeleton; use the folder as training left it.")


def _checked_overrides(overrides: Mapping[str, object], tasks: Sequence[type[Task]]) -> dict[str, object]:
    """Return the overrides that are set.

    Raises:
        ConfigError: An override is unknown, or no model has a use for it.
    """
    unknown = [name for name in overrides if name not in PREPROCESSING_OVERRIDES]
    if unknown:
        raise ConfigError(
            f"preprocess_config has the key {unknown[0]!r}; known are {', '.join(PREPROCESSING_OVERRIDES)}."
        )
    given = {name: value for name, value in overrides.items() if value is not None}
    if "crop_size" in given and all(task.view == "frame" for task in tasks):
        raise ConfigError(f"crop_size was given, but a {tasks[0].name} model reads whole frames; leave it out.")
    return given


def _without_channels(overrides: Mapping[str, object]) -> dict[str, Any]:
    """Return the overrides that change the input; its channels are the network's."""
    return {name: value for name, value in overrides.items() if name not in ("ensure_rgb", "ensure_grayscale")}


def _channels(trained: int, overrides: Mapping[str, object]) -> int:
    """Return the channels of the input; the network decides, and an override may only agree.

    Raises:
        ConfigError: The override contradicts the network.
    """
    for name, channels in (("ensure_rgb", 3), ("ensure_grayscale", 1)):
        if overrides.get(name) and channels != trained:
            raise ConfigError(
                f"{name} was given, but the model was trained on images of {trained} channel(s); leave it out."
            )
    return trained
