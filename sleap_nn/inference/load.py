"""Trained folders to stages; combinations that make no sense are refused with a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sleap_nn.config.data_config import PreprocessingConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.errors import ConfigError, ModelError
from sleap_nn.inference.runtime import TorchRuntime
from sleap_nn.inference.stage import Stage
from sleap_nn.networks import model_dir
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import DecodeSettings

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
    settings: DecodeSettings,
    preprocessing: Mapping[str, object] | None = None,
) -> list[LoadedModel]:
    """Load the folders of a prediction.

    Args:
        paths: Run folders or files in them.
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
    if len(paths) != 1:
        raise ModelError(f"{len(paths)} models were given; give exactly one single_instance model with -m.")
    return [_load_model(path, device, precision, settings, preprocessing or {}) for path in paths]


def _load_model(
    path: str | Path, device: str, precision: str, settings: DecodeSettings, preprocessing: Mapping[str, object]
) -> LoadedModel:
    """Load one folder."""
    folder = model_dir.find_model_dir(path)
    config = model_dir.load_config(folder)
    heads = config.model_config.head_configs
    name = heads.which_oneof_attrib_name()
    if name not in TASKS:
        raise ModelError(f"{folder} holds a {name} model, which is not available yet; known are {', '.join(TASKS)}.")
    task = TASKS[name].from_config(heads.which_oneof(), _skeleton(folder, config))
    network = PoseNetwork.from_config(config.model_config.backbone_config, task.heads)
    _fill(network, folder)
    network_input = _overridden(config.data_config.preprocessing, preprocessing)
    channels = _channels(network.backbone.in_channels, preprocessing)
    spec = InputSpec.from_config(network_input, channels, network.backbone.max_stride)
    runtime = TorchRuntime(network, device, precision)
    return LoadedModel(folder, config, Stage(task, spec, runtime, settings), str(runtime.device), runtime.precision)


def _fill(network: PoseNetwork, folder: Path) -> None:
    """Put the saved weights into the network.

    Raises:
        ModelError: Names or shapes differ from what the configuration says.
    """
    weights = model_dir.load_weights(folder / model_dir.WEIGHTS)
    expected = network.state_dict()
    wrong = sorted(set(expected) ^ set(weights))
    wrong += [name for name in expected if name in weights and expected[name].shape != weights[name].shape]
    if wrong:
        raise ModelError(
            f"The weights in {folder / model_dir.WEIGHTS} do not fit {model_dir.CONFIG} beside them ({len(wrong)} "
            f"tensors differ, the first is {wrong[0]}); use the folder as training left it."
        )
    network.load_state_dict(weights)


def _skeleton(folder: Path, config: TrainingJobConfig) -> Skeleton:
    """Return the skeleton a folder was trained with."""
    if config.data_config.skeletons:
        return Skeleton.from_config(config.data_config.skeletons[0])
    raise ModelError(f"{folder / model_dir.CONFIG} holds no skeleton; use the folder as training left it.")


def _overridden(trained: PreprocessingConfig, overrides: Mapping[str, object]) -> PreprocessingConfig:
    """Return the preprocessing with the overrides that are set.

    Raises:
        ConfigError: An override is unknown, or has no meaning for a whole-frame model.
    """
    unknown = [name for name in overrides if name not in PREPROCESSING_OVERRIDES]
    if unknown:
        raise ConfigError(
            f"preprocess_config has the key {unknown[0]!r}; known are {', '.join(PREPROCESSING_OVERRIDES)}."
        )
    given = {name: value for name, value in overrides.items() if value is not None}
    if "crop_size" in given:
        raise ConfigError("crop_size was given, but a single_instance model reads whole frames; leave it out.")
    given.pop("ensure_rgb", None)
    given.pop("ensure_grayscale", None)
    return replace(trained, **given)


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
