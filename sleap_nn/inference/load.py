"""Trained folders to stages; combinations that make no sense are refused with a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, cast

import torch

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.errors import ConfigError, MixedModelsError, ModelError, UsageError
from sleap_nn.inference.checkpoints import fill
from sleap_nn.inference.exported import is_exported, load_exported
from sleap_nn.inference.loaded_model import LoadedModel, ModelKeywords, model_type_of, task_of, warn_of_other_anchors
from sleap_nn.inference.runtime import TorchRuntime
from sleap_nn.inference.settings import StageSettings
from sleap_nn.log import logger
from sleap_nn.networks import model_dir
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.stages.stage import Stage
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import Task
from sleap_nn.tasks.parts import anchor_of

PREPROCESSING_OVERRIDES = ("ensure_rgb", "ensure_grayscale", "max_height", "max_width", "scale", "crop_size")


def load_models(
    paths: Sequence[str | Path] | str | Path, settings: StageSettings, **options: Unpack[ModelKeywords]
) -> list[LoadedModel]:
    """Load the folders of a prediction, in the order in which they run.

    Args:
        paths: Run folders or files in them: one model, or a centroid model and one that reads crops, in any order; or
            an exported folder.
        settings: How maps are read.
        **options: How models are loaded, see `ModelKeywords`.

    Raises:
        MissingFileError: A folder or a file in it is not there.
        ModelError: A file cannot be used, or the models do not go together.
        ConfigError: An override is unknown or impossible, or no path is named.
    """
    paths = _paths_of(paths)
    options = _with_names(options)
    if options.get("export_dir") is not None or any(is_exported(path) for path in paths):
        return load_exported(paths, settings, **options)
    _warn_of_unused(options)
    folders = [model_dir.find_model_dir(path) for path in paths]
    configs = [model_dir.load_config(folder) for folder in folders]
    order = _run_order(folders, [model_type_of(config) for config in configs])
    if options.get("centroid_only"):
        order = [_centroid_model(order, configs)]
    tasks = [TASKS[model_type_of(configs[i])] for i in order]
    overrides = _checked_overrides(options.get("preprocess_config") or {}, tasks)
    models = [_load_model(folders[i], configs[i], settings, overrides, options) for i in order]
    warn_of_other_anchors(models)
    return models


def _paths_of(given: Any) -> list[str | Path]:
    """Return one path, or several, as a list.

    Raises:
        UsageError: Something else was given.
    """
    paths = [given] if isinstance(given, str | Path) else given
    if not isinstance(paths, Iterable) or not all(isinstance(path, str | Path) for path in paths):
        raise UsageError(f"The models are {given!r}; name the folder of a trained or exported model, or two folders.")
    return list(paths)


def _with_names(options: ModelKeywords) -> ModelKeywords:
    """Return options in which device and precision go by their names, as a `torch.device` and a number have them."""
    named = {name: str(value) for name, value in options.items() if name in ("device", "precision")}
    return cast(ModelKeywords, {**options, **named})


def _warn_of_unused(options: ModelKeywords) -> None:
    """Say which options trained models have no use for."""
    if options.get("runtime", "auto") != "auto":
        logger.warning("runtime has no effect: the model is not exported.")
    if options.get("peak_conf_threshold") is not None:
        logger.warning("peak_conf_threshold has no effect: the model is not exported; give peak_threshold.")


def _centroid_model(order: Sequence[int], configs: Sequence[TrainingJobConfig]) -> int:
    """Return the position of the centroid model.

    Raises:
        UsageError: There is none.
    """
    for i in order:
        if TASKS[model_type_of(configs[i])].one_point:
            return i
    raise UsageError(
        f"centroid_only needs a centroid model, but a {model_type_of(configs[order[0]])} model was given; leave it out."
    )


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
        raise MixedModelsError(
            f"Models of the types {', '.join(types) or 'none'} were given; give one model, or a centroid model "
            f"together with one {' or '.join(crops)} model."
        )
    return first + second


def _load_model(
    folder: Path,
    config: TrainingJobConfig,
    settings: StageSettings,
    overrides: Mapping[str, object],
    options: ModelKeywords,
) -> LoadedModel:
    """Load one folder."""
    task = task_of(config, model_dir.config_file(folder))
    if options.get("anchor_part") is not None:
        task = replace(task, anchor_node=anchor_of(options.get("anchor_part"), task.skeleton))
    with torch.random.fork_rng(devices=[]):  # the random weights of the beginning are all replaced
        network = PoseNetwork.from_config(config.model_config.backbone_config, task.heads)
    fill(network, folder, options.get("backbone_ckpt_path"), options.get("head_ckpt_path"))
    given = {name: value for name, value in overrides.items() if name != "crop_size" or task.view == "crop"}
    _check_channels(config, network.backbone.in_channels, given)
    network_input = replace(config.data_config.preprocessing, **_without_channels(given))
    spec = InputSpec.from_config(network_input, network.backbone.in_channels, network.backbone.max_stride)
    runtime = TorchRuntime(network, options.get("device", "cpu"), _precision(options, config))
    stage = Stage(task, spec, runtime, settings.of(task))
    named = options.get("anchor_part") is not None
    return LoadedModel(folder, config, stage, str(runtime.device), runtime.precision, network, named)


def _precision(options: ModelKeywords, config: TrainingJobConfig) -> str:
    """Return the precision in which a network runs: as asked for, else no lower than it was trained in.

    A network that was trained in float32 need not bear the rounding of bfloat16: points move by hundredths of a pixel,
    and where two peaks of a map are nearly equal, to the other one.
    """
    asked = options.get("precision", "auto")
    return "32" if asked == "auto" and config.trainer_config.precision in ("auto", "32") else asked


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


def _check_channels(config: TrainingJobConfig, trained: int, overrides: Mapping[str, object]) -> None:
    """Refuse colours other than those of training; the network decides, and an override may only agree.

    Raises:
        ConfigError: The override contradicts the network, or what training did to reach its channels.
    """
    as_trained = vars(config.data_config.preprocessing)
    for name, channels in (("ensure_rgb", 3), ("ensure_grayscale", 1)):
        if overrides.get(name) and channels != trained:
            raise ConfigError(
                f"{name} was given, but the model was trained on images of {trained} channel(s); leave it out."
            )
        if overrides.get(name) is False and as_trained[name]:
            raise ConfigError(
                f"{name} was switched off, but the model was trained with it and reads {trained} channel(s) only; "
                "leave it out."
            )
