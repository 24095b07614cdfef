"""The configuration of one model, put together of what was chosen and what is recommended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sleap_nn.config.fields import values_of
from sleap_nn.config.get_config import get_backbone_config
from sleap_nn.config.presets import HEADS
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.config_generator.recommend import ConfigRecommendation, StageValues
from sleap_nn.tasks import TASKS

STRIDE = 2
"""Input px per cell of the maps: a quarter of the cells of stride 1, and points are refined below a cell anyway."""
COARSER = 2
"""Fields and class maps change slowly: their cells are so many times larger."""
NARROWEST_CLASS_BLOB = 2.0


@dataclass(frozen=True)
class Choices:
    """What a user has chosen, with the values of `ConfigGenerator`; None leaves it to the recommendation."""

    view: str | None = None
    pipeline: str | None = None
    backbone: str | None = None
    batch_size: int | str | None = None
    max_epochs: int | None = None
    learning_rate: float | None = None
    input_scale: float | None = None
    output_stride: int | None = None
    sigma: float | None = None
    rotation: tuple[float, float] | None = None
    scale_augmentation: tuple[float, float] | None = None
    augmentation: bool | None = None
    early_stopping: tuple[bool, int] | None = None
    crop_size: int | None = None
    anchor_part: str | None = None
    validation_fraction: float | None = None


def assemble(
    model_type: str,
    choices: Choices,
    recommendation: ConfigRecommendation,
    labels_path: str | None,
    description: str = "",
) -> TrainingJobConfig:
    """Return the configuration of one model, checked.

    Args:
        model_type: Key of ``head_configs``.
        choices: What the user has chosen.
        recommendation: What fills the rest.
        labels_path: The labels to train on, None where they are passed as objects.
        description: Free text that is kept in the file.

    Raises:
        ConfigError: A chosen value is out of range, or there is no such backbone.
    """
    is_crop = TASKS[model_type].view == "crop"
    values = recommendation.crop if is_crop else recommendation.frame
    backbone = get_backbone_config(_or(choices.backbone, recommendation.backbone))
    entry = str(backbone.which_oneof_attrib_name())
    stride = _or(choices.output_stride, STRIDE)
    return TrainingJobConfig.from_cfg(
        {
            "description": description,
            "data_config": _data(is_crop, choices, recommendation, values, labels_path),
            "model_config": {
                "backbone_config": {entry: asdict(backbone.which_oneof()) | {"output_stride": stride}},
                "head_configs": {model_type: _head(model_type, choices, values, stride)},
            },
            "trainer_config": _trainer(choices, values),
        }
    )


def _data(
    is_crop: bool,
    choices: Choices,
    recommendation: ConfigRecommendation,
    values: StageValues,
    labels_path: str | None,
) -> dict[str, Any]:
    """Return labels, preprocessing and augmentation."""
    rotation_min, rotation_max = _or(choices.rotation, recommendation.rotation)
    scale_min, scale_max = _or(choices.scale_augmentation, (0.9, 1.1))
    preprocessing = {"scale": _or(choices.input_scale, values.input_scale)}
    if is_crop:
        preprocessing["crop_size"] = choices.crop_size
    return {
        "train_labels_path": None if labels_path is None else [labels_path],
        "data_pipeline_fw": "torch_dataset_cache_img_memory"
        if recommendation.keep_frames_in_memory
        else "torch_dataset",
        "preprocessing": preprocessing,
        "use_augmentations_train": _or(choices.augmentation, True),
        "augmentation_config": {
            "intensity": {"contrast_p": 0.5, "brightness_p": 0.5},
            "geometric": {
                "rotation_min": rotation_min,
                "rotation_max": rotation_max,
                "rotation_p": 1.0,
                "scale_min": scale_min,
                "scale_max": scale_max,
                "scale_p": 1.0,
            },
        },
    } | _given("validation_fraction", choices.validation_fraction)


def _head(model_type: str, choices: Choices, values: StageValues, stride: int) -> dict[str, Any]:
    """Return the parts of a head: those that its section has, each by its kind of map."""
    section = HEADS[model_type]()
    sigma = _or(choices.sigma, values.sigma)
    parts: dict[str, dict[str, Any]] = {
        "confmaps": {"sigma": sigma, "output_stride": stride, "anchor_part": choices.anchor_part},
        "pafs": {"output_stride": COARSER * stride, "loss_weight": 0.5},
        "class_maps": {
            "sigma": max(sigma / COARSER, NARROWEST_CLASS_BLOB),
            "output_stride": COARSER * stride,
            "loss_weight": 0.02,
        },
        "class_vectors": {"loss_weight": 0.01},
    }
    head = {
        part: {key: value for key, value in parts[part].items() if key in values_of(own)}
        for part, own in values_of(section).items()
    }
    for own in head.values() if len(head) > 1 else ():
        own.setdefault("loss_weight", 1.0)
    return head


def _trainer(choices: Choices, values: StageValues) -> dict[str, Any]:
    """Return how training runs: as in the sample configurations, with a run folder."""
    loader = {"batch_size": _or(choices.batch_size, values.batch_size)}
    stops, patience = _or(choices.early_stopping, (True, 10))
    return {
        "train_data_loader": loader,
        "val_data_loader": dict(loader),
        "optimizer": {"lr": _or(choices.learning_rate, 1e-3)},
        "early_stopping": {"stop_training_on_plateau": stops, "patience": patience},
        "save_ckpt": True,
        "ckpt_dir": "models",
    } | _given("max_epochs", choices.max_epochs)


def _or(chosen: Any, recommended: Any) -> Any:
    return recommended if chosen is None else chosen


def _given(key: str, value: Any) -> dict[str, Any]:
    return {} if value is None else {key: value}
