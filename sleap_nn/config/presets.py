"""Short names and the full values they stand for: backbones, model types and augmentation effects.

Short names are what ``train(backbone_config="unet_medium_rf", geometry_aug="rotation")`` accepts; YAML files
hold the full values.
"""

from typing import Any

from sleap_nn.config.backbone_config import (
    ConvNextBaseConfig,
    ConvNextConfig,
    ConvNextLargeConfig,
    ConvNextSmallConfig,
    PretrainedConfig,
    SwinTBaseConfig,
    SwinTConfig,
    SwinTSmallConfig,
    UNetConfig,
    UNetLargeRFConfig,
    UNetMediumRFConfig,
)
from sleap_nn.config.fields import fields_of
from sleap_nn.config.head_config import HeadConfig

BACKBONES: dict[str, tuple[str, type]] = {
    "unet": ("unet", UNetConfig),
    "unet_medium_rf": ("unet", UNetMediumRFConfig),
    "unet_large_rf": ("unet", UNetLargeRFConfig),
    "convnext": ("convnext", ConvNextConfig),
    "convnext_tiny": ("convnext", ConvNextConfig),
    "convnext_small": ("convnext", ConvNextSmallConfig),
    "convnext_base": ("convnext", ConvNextBaseConfig),
    "convnext_large": ("convnext", ConvNextLargeConfig),
    "swint": ("swint", SwinTConfig),
    "swint_tiny": ("swint", SwinTConfig),
    "swint_small": ("swint", SwinTSmallConfig),
    "swint_base": ("swint", SwinTBaseConfig),
    "pretrained": ("pretrained", PretrainedConfig),
}
"""Short name -> (entry of `BackboneConfig`, its class)."""

HEADS: dict[str, type] = {entry.name: entry.section for entry in fields_of(HeadConfig) if entry.section is not None}
"""Model type -> its class, whose defaults are the preset."""

INTENSITY: dict[str, dict[str, float]] = {
    "uniform_noise": {"uniform_noise_p": 1.0},
    "gaussian_noise": {"gaussian_noise_p": 1.0},
    "contrast": {"contrast_p": 1.0},
    "brightness": {"brightness_p": 1.0},
    "motion_blur": {"motion_blur_p": 1.0},
    "defocus": {"defocus_p": 1.0},
}
"""Effect -> the fields of `IntensityConfig` that it sets."""

GEOMETRIC: dict[str, dict[str, float]] = {
    "rotation": {"rotation_p": 1.0},
    "scale": {"scale_min": 0.9, "scale_max": 1.1, "scale_p": 1.0},
    "translate": {"translate_width": 0.2, "translate_height": 0.2, "translate_p": 1.0},
    "erase_scale": {"erase_p": 1.0},
    "mixup": {"mixup_p": 1.0},
    "flip": {"flip_p": 1.0},
}
"""Effect -> the fields of `GeometricConfig` that it sets."""


def effect_fields(effects: dict[str, dict[str, float]], names: list[str]) -> dict[str, Any]:
    """Return the fields for some effects, with the probability of every other effect at 0.

    Args:
        effects: `INTENSITY` or `GEOMETRIC`.
        names: Short names of the wanted effects.

    Raises:
        KeyError: A name is not among the effects.
    """
    off = {field: 0.0 for fields in effects.values() for field in fields if field.endswith("_p")}
    return off | {field: value for name in names for field, value in effects[name].items()}
