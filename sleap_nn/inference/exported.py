"""Exported folders to stages: the chain of a prediction with another runtime, and with what was decided at export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from sleap_nn.config.availability import check_available
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError, MissingFileError, ModelError, UsageError
from sleap_nn.inference.export_metadata import (
    ENGINE_METADATA,
    FACTS,
    METADATA,
    MODEL,
    SUFFIXES,
    ExportedStage,
    ExportMetadata,
    check_facts,
    read_stages,
)
from sleap_nn.inference.loaded_model import LoadedModel, ModelKeywords, model_type_of, task_of, warn_of_other_anchors
from sleap_nn.inference.onnx_runtime import OnnxRuntime
from sleap_nn.inference.settings import StageSettings
from sleap_nn.inference.tensorrt_runtime import TensorRtRuntime, can_run
from sleap_nn.log import logger
from sleap_nn.stages.stage import Stage
from sleap_nn.tasks.base import DecodeSettings

RUNTIMES = ("auto", *SUFFIXES)
BAKED = {
    "peak_threshold": "peak_threshold",
    "refinement": "integral_refinement",
    "patch_size": "integral_patch_size",
    "num_line_points": "n_points",
    "max_edge_length_ratio": "max_edge_length_ratio",
    "dist_penalty_weight": "dist_penalty_weight",
}
"""Field of `DecodeSettings` that an export decides -> what users call it."""


def is_exported(path: str | Path) -> bool:
    """Tell whether a path is an exported folder, if only what is left of one, or a model file in one."""
    path = Path(path)
    if path.suffix in SUFFIXES.values():
        return path.is_file()
    return any((path / name).is_file() for name in (METADATA, *(f"{MODEL}{suffix}" for suffix in SUFFIXES.values())))


def load_exported(
    paths: Sequence[str | Path], settings: StageSettings, **options: Unpack[ModelKeywords]
) -> list[LoadedModel]:
    """Load an exported folder, its parts in the order in which they run.

    Args:
        paths: The folder, or the file of the whole model in it, whose runtime counts then.
        settings: How maps are read; what the export has decided counts, and a difference is said in the log.
        **options: See `ModelKeywords`; those that an export has decided have no effect, which is said as well.

    Raises:
        MissingFileError: The folder, its metadata, or the file of a runtime is not there.
        MissingPackageError: What runs it is not installed.
        ModelError: A file is broken, or of another kind.
        UsageError: There is another model as well, the file is a part, or of another runtime than is asked for.
        ConfigError: An option is unknown.
    """
    if len(paths) != 1:
        raise UsageError("An exported model is whole by itself; give its folder alone, without other models.")
    folder, runtime = _named(Path(paths[0]), options.get("runtime", "auto"))
    metadata = ExportMetadata.load(folder / METADATA)
    runtime = _runtime_of(folder, runtime)
    if runtime == "tensorrt" and (folder / ENGINE_METADATA).is_file():
        metadata = ExportMetadata.load(folder / ENGINE_METADATA)
    stages = read_stages(folder)
    _warn_of_baked(options)
    models = [_load_stage(folder, stage, metadata, runtime, options) for stage in stages]
    if [model.stage.task.one_point for model in models[:-1]] != [True] * (len(models) - 1):
        raise ModelError(f"{folder} holds models that do not go together; export the model again.")
    models = enforced(models, [settings.of(model.stage.task) for model in models], DecodeSettings())
    warn_of_other_anchors(models)
    logger.info("Exported %s model, run by %s on %s.", metadata.model_type, runtime, models[-1].device)
    return models


def enforced(
    models: Sequence[LoadedModel], asked: Sequence[DecodeSettings], unasked: DecodeSettings | None = None
) -> list[LoadedModel]:
    """Return models with settings, but for what an export has decided; where that differs, the log says so once.

    Args:
        models: The models; those that are not exported take their settings whole.
        asked: The settings of each.
        unasked: The values of what nobody has asked for; None where settings that nobody named are those of the models.
    """
    default = {} if unasked is None else vars(unasked)
    ignored: dict[str, None] = {}
    changed = []
    for model, settings in zip(models, asked, strict=True):
        decided = {} if model.baked is None else {name: vars(model.baked)[name] for name in BAKED}
        for name, value in decided.items():
            given = vars(settings)[name]
            if given not in (value, default.get(name, value)):
                ignored[
                    f"{BAKED[name]}={given} has no effect on an exported model, which was exported with {value}."
                ] = None
        changed.append(replace(model, stage=replace(model.stage, settings=replace(settings, **decided))))
    for sentence in ignored:
        logger.warning("%s", sentence)
    return changed


def _load_stage(
    folder: Path,
    stage: ExportedStage,
    metadata: ExportMetadata,
    runtime: str,
    options: ModelKeywords,
) -> LoadedModel:
    """Load one network."""
    config = _config_of(folder / stage.config)
    if model_type_of(config) != stage.model_type:
        raise ModelError(f"{folder / stage.config} is not the configuration of a {stage.model_type} model.")
    task = task_of(config, folder / stage.config)
    file = folder / f"{stage.file}{SUFFIXES[runtime]}"
    device = options.get("device", "cpu")
    if runtime == "onnx":
        runs = OnnxRuntime(file, task.heads, device)
        check_facts(runs.properties.get(FACTS), task, stage.input, file)
    else:
        runs = TensorRtRuntime(file, task.heads, device, metadata.precision)
    baked = _tightened(stage.decoding.settings(), options.get("peak_conf_threshold"))
    return LoadedModel(
        folder,
        config,
        _limited(Stage(task, stage.input, runs), metadata),
        str(runs.device),
        runs.precision,
        file,
        baked=baked,
    )


def _limited(stage: Stage, metadata: ExportMetadata) -> Stage:
    """Return a stage that gives an engine no larger batches than it was built for."""
    most = metadata.max_batch_size
    return replace(stage, max_images=most) if metadata.export_format == "tensorrt" and most is not None else stage


def _tightened(baked: DecodeSettings, threshold: float | None) -> DecodeSettings:
    """Return what an export has decided, with a higher threshold if one is given."""
    if threshold is None:
        return baked
    if threshold < baked.peak_threshold:
        logger.warning(
            "peak_conf_threshold=%s has no effect: the model was exported with %s, which can only be raised.",
            threshold,
            baked.peak_threshold,
        )
    return replace(baked, peak_threshold=max(threshold, baked.peak_threshold))


def _config_of(path: Path) -> TrainingJobConfig:
    """Read the configuration of a network.

    Raises:
        MissingFileError: It is not there.
        ConfigError: It is none, or needs something that is not available.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; give a folder as sleap-nn export wrote it.")
    config = TrainingJobConfig.load(path, require_available=False)
    check_available(config.model_config, "model_config")
    return config


def _named(path: Path, runtime: str) -> tuple[Path, str]:
    """Return the folder that a path names, and the runtime.

    Raises:
        UsageError: The path is a part of a model, or of another runtime than is asked for.
    """
    if not path.is_file():
        return path, runtime
    own = next((kind for kind, suffix in SUFFIXES.items() if path.suffix == suffix), runtime)
    if path.stem != MODEL or runtime not in ("auto", own):
        raise UsageError(
            f"{path} is not the whole of an exported model for the runtime {runtime}; give its folder, {path.parent}."
        )
    return path.parent, own


def _runtime_of(folder: Path, name: str) -> str:
    """Return what executes a folder; ``auto`` is TensorRT where the folder has it and it can run, else ONNX.

    Raises:
        ConfigError: The name is unknown.
        MissingFileError: The folder has no model, or none for this runtime.
    """
    if name not in RUNTIMES:
        raise ConfigError(f"runtime is {name!r}; choose {', '.join(RUNTIMES)}.")
    there = [kind for kind, suffix in SUFFIXES.items() if (folder / f"{MODEL}{suffix}").is_file()]
    if not there:
        raise MissingFileError(f"{folder} has no {MODEL}.onnx; give a folder that sleap-nn export wrote.")
    if name == "auto":
        return "tensorrt" if "tensorrt" in there and ("onnx" not in there or can_run()) else "onnx"
    if name not in there:
        raise MissingFileError(f"{folder} has no {MODEL}{SUFFIXES[name]} for the runtime {name}; it has {there[0]}.")
    return name


def _warn_of_baked(options: ModelKeywords) -> None:
    """Say which options have no effect, because they were decided at export."""
    overrides = options.get("preprocess_config") or {}
    given = [name for name, value in overrides.items() if value is not None]
    given += [name for name in ("backbone_ckpt_path", "head_ckpt_path", "anchor_part") if options.get(name) is not None]
    given += ["centroid_only"] if options.get("centroid_only") else []
    given += ["precision"] if options.get("precision", "auto") not in ("auto", "32") else []
    if given:
        logger.warning(
            "%s has no effect on an exported model, where it is decided; export the trained folder with another value.",
            ", ".join(given),
        )
