"""`generate_config`: all setters of a `ConfigGenerator` in one call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sleap_nn.config.training_job_config import DictConfig
from sleap_nn.config_generator.generator import ConfigGenerator

SETTERS: dict[str, Callable[..., ConfigGenerator]] = {
    "pipeline": ConfigGenerator.pipeline,
    "backbone": ConfigGenerator.backbone,
    "batch_size": ConfigGenerator.batch_size,
    "max_epochs": ConfigGenerator.max_epochs,
    "learning_rate": ConfigGenerator.learning_rate,
    "input_scale": ConfigGenerator.input_scale,
    "output_stride": ConfigGenerator.output_stride,
    "sigma": ConfigGenerator.sigma,
    "rotation": ConfigGenerator.rotation,
    "scale_augmentation": ConfigGenerator.scale_augmentation,
    "augmentation": ConfigGenerator.augmentation,
    "early_stopping": ConfigGenerator.early_stopping,
    "crop_size": ConfigGenerator.crop_size,
    "anchor_part": ConfigGenerator.anchor_part,
    "validation_fraction": ConfigGenerator.validation_fraction,
}
"""Keyword -> the setter it stands for."""


def generate_config(
    slp_path: str | Path,
    output_path: str | Path | None = None,
    *,
    view: str | None = None,
    pipeline: str | None = None,
    backbone: str | None = None,
    batch_size: int | str | None = None,
    **setters: Any,
) -> DictConfig:
    """Make the configuration for a labels file in one call.

    Args:
        slp_path: The labels.
        output_path: Where it is written, see `ConfigGenerator.save`; None: nowhere.
        view: As for `ConfigGenerator.auto`.
        pipeline: Which models; None: as recommended.
        backbone: Short name of the network; None: as recommended.
        batch_size: Samples of a step; None: as recommended.
        **setters: Names of further setters of `ConfigGenerator` with their value, or a tuple of their values.

    Returns:
        What `ConfigGenerator.build` returns.

    Raises:
        TypeError: There is no such setter.
        UserError: As for `ConfigGenerator`.
    """
    unknown = setters.keys() - SETTERS.keys()
    if unknown:
        raise TypeError(f"generate_config() got an unexpected keyword argument {min(unknown)!r}")
    generator = ConfigGenerator.from_slp(slp_path).auto(view)
    named = {"pipeline": pipeline, "backbone": backbone, "batch_size": batch_size}
    for name, value in (named | setters).items():
        if value is not None:
            SETTERS[name](generator, *(value if isinstance(value, tuple) else (value,)))
    if output_path is not None:
        generator.save(output_path)
    return generator.build()
