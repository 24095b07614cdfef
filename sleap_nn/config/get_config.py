"""Keywords of ``train()`` -> configuration objects.

Which keyword sets which key, and with which default, is in `train_keywords`; the short names are in
`presets`.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from sleap_nn.compat.config_keys import canonical_keywords
from sleap_nn.config.augmentation_config import AugmentationConfig, GeometricConfig, IntensityConfig
from sleap_nn.config.availability import check_available
from sleap_nn.config.data_config import DataConfig
from sleap_nn.config.fields import fields_of
from sleap_nn.config.loading import plain_tree
from sleap_nn.config.model_config import BackboneConfig, HeadConfig, ModelConfig
from sleap_nn.config.optimization_config import LRSchedulerConfig
from sleap_nn.config.presets import BACKBONES, GEOMETRIC, HEADS, INTENSITY, effect_fields
from sleap_nn.config.train_keywords import TRAIN_KEYWORDS, train_keyword_defaults
from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.config.training_job_config import TrainingJobConfig, check_must_be_set
from sleap_nn.errors import ConfigError

Effects = str | list[str] | Mapping[str, Any] | None


def config_from_train_keywords(**keywords: Any) -> TrainingJobConfig:
    """Return the configuration that keywords of ``train()`` describe.

    Args:
        **keywords: Any of `train_keyword_defaults`, or of their other names such as ``geometric_aug``.

    Raises:
        TypeError: A keyword does not exist.
        ConfigError: A value is wrong, `head_configs` is missing, or an option is not available yet.
    """
    given = _complete(keywords)
    if given["head_configs"] is None:
        raise ConfigError(f"head_configs is missing; choose one of {', '.join(HEADS)}.")
    config = TrainingJobConfig(
        data_config=get_data_config(**given),
        model_config=get_model_config(**given),
        trainer_config=get_trainer_config(**given),
    )
    check_must_be_set(config)
    check_available(config)
    return config


def get_data_config(**keywords: Any) -> DataConfig:
    """Return the data part for keywords of ``train()``; keywords of other parts are ignored.

    Raises:
        TypeError: A keyword does not exist.
        ConfigError: A value is wrong.
    """
    given = _complete(keywords)
    augmentation = get_aug_config(given["intensity_aug"], given["geometry_aug"])
    return DataConfig(**_part("data_config", given), augmentation_config=augmentation)


def get_model_config(**keywords: Any) -> ModelConfig:
    """Return the model part for keywords of ``train()``; keywords of other parts are ignored.

    Raises:
        TypeError: A keyword does not exist.
        ConfigError: A value is wrong.
    """
    given = _complete(keywords)
    return ModelConfig(
        **_part("model_config", given),
        backbone_config=get_backbone_config(given["backbone_config"]),
        head_configs=get_head_configs(given["head_configs"]),
    )


def get_trainer_config(**keywords: Any) -> TrainerConfig:
    """Return the trainer part for keywords of ``train()``; keywords of other parts are ignored.

    Raises:
        TypeError: A keyword does not exist.
        ConfigError: A value is wrong.
    """
    given = _complete(keywords)
    return TrainerConfig(**_part("trainer_config", given), lr_scheduler=get_lr_scheduler(given["lr_scheduler"]))


def get_aug_config(intensity_aug: Effects = None, geometric_aug: Effects = None) -> AugmentationConfig:
    """Return the augmentation for short names or for full values.

    Args:
        intensity_aug: Short name, list of them, or mapping of `IntensityConfig` fields; None: no such
            changes. Only the effects that are named take place.
        geometric_aug: The same for `GeometricConfig`.

    Raises:
        ConfigError: A name is not among the effects, or a value is wrong.
    """
    return AugmentationConfig(
        intensity=_effects("intensity_aug", intensity_aug, IntensityConfig, INTENSITY),
        geometric=_effects("geometry_aug", geometric_aug, GeometricConfig, GEOMETRIC),
    )


def get_backbone_config(backbone_cfg: str | Mapping[str, Any]) -> BackboneConfig:
    """Return the backbone for a short name or for full values.

    Args:
        backbone_cfg: Name of a preset, or a mapping such as ``{"unet": {"filters": 16}}``, of which the first
            backbone counts and the missing values are defaults.

    Raises:
        ConfigError: There is no such backbone, or a value is wrong.
    """
    if isinstance(backbone_cfg, str):
        if backbone_cfg not in BACKBONES:
            raise ConfigError(f"There is no backbone {backbone_cfg!r}; choose one of {', '.join(BACKBONES)}.")
        entry, preset = BACKBONES[backbone_cfg]
        return BackboneConfig(**{entry: preset()})
    return BackboneConfig(**_first_entry(BackboneConfig, backbone_cfg, list(BACKBONES)))


def get_head_configs(head_cfg: str | Mapping[str, Any] | None) -> HeadConfig:
    """Return the model type for its name or for full values.

    Args:
        head_cfg: Name of a model type, or a mapping such as ``{"bottomup": {"pafs": {"sigma": 10}}}``, of
            which the first model type counts and the missing values are defaults. None or an empty mapping:
            none is set.

    Raises:
        ConfigError: There is no such model type, or a value is wrong.
    """
    if not head_cfg:
        return HeadConfig()
    if isinstance(head_cfg, str):
        if head_cfg not in HEADS:
            raise ConfigError(f"There is no model type {head_cfg!r}; choose one of {', '.join(HEADS)}.")
        return HeadConfig(**{head_cfg: HEADS[head_cfg]()})
    return HeadConfig(**_first_entry(HeadConfig, head_cfg, list(HEADS)))


def get_lr_scheduler(lr_scheduler: str | Mapping[str, Any] | None) -> LRSchedulerConfig:
    """Return the learning-rate schedule for its name or for full values.

    Args:
        lr_scheduler: Name of a schedule, a mapping of names to their values, or None for the default
            schedule. Only what is named is active.

    Raises:
        ConfigError: There is no such schedule, or a value is wrong.
    """
    if lr_scheduler is None:
        return LRSchedulerConfig()
    schedules = {entry.name: entry.section for entry in fields_of(LRSchedulerConfig)}
    if isinstance(lr_scheduler, str):
        if lr_scheduler not in schedules:
            raise ConfigError(f"There is no lr_scheduler {lr_scheduler!r}; choose one of {', '.join(schedules)}.")
        lr_scheduler = {lr_scheduler: {}}
    return LRSchedulerConfig(**(dict.fromkeys(schedules) | plain_tree(lr_scheduler)))


def _complete(keywords: Mapping[str, Any]) -> dict[str, Any]:
    defaults = train_keyword_defaults()
    try:
        given = canonical_keywords(keywords, defaults)
    except ValueError as error:
        raise ConfigError(f"{error}.") from None
    unknown = [name for name in given if name not in defaults]
    if unknown:
        near = get_close_matches(unknown[0], defaults, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise TypeError(f"train() got an unexpected keyword argument {unknown[0]!r}{hint}")
    return defaults | given


def _part(part: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested values of one part of the configuration."""
    tree: dict[str, Any] = {}
    for name, keyword in TRAIN_KEYWORDS.items():
        for key in keyword.keys:
            top, *sections, leaf = key.split(".")
            if top != part:
                continue
            place = tree
            for section in sections:
                place = place.setdefault(section, {})
            place[leaf] = given[name]
    return tree


def _effects(keyword: str, given: Effects, cls: type, effects: dict[str, dict[str, float]]) -> Any:
    if given is None:
        return None
    if isinstance(given, Mapping):
        return cls(**plain_tree(given))
    names = [given] if isinstance(given, str) else list(given)
    unknown = [name for name in names if name not in effects]
    if unknown:
        raise ConfigError(f"{keyword} has no effect {unknown[0]!r}; choose among {', '.join(effects)}.")
    return cls(**effect_fields(effects, names))


def _first_entry(cls: type, given: Mapping[str, Any], presets: list[str]) -> dict[str, Any]:
    given = plain_tree(given)
    entries = [entry.name for entry in fields_of(cls)]
    found = next((name for name in entries if given.get(name) is not None), None)
    unknown = [name for name in given if name not in entries]
    if found is None or unknown:
        named = ", ".join(repr(name) for name in unknown) if unknown else "nothing"
        raise ConfigError(f"{cls.__name__} cannot be made from {named}; choose one of {', '.join(presets)}.")
    return {found: given[found]}
