"""Small questions to a configuration: its model type, its backbone, the strides of its heads, its folder."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from sleap_nn.config.fields import values_of
from sleap_nn.config.loading import plain_tree
from sleap_nn.config.oneof import check_one, oneof, set_entries
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import MissingFileError

__all__ = [
    "check_output_strides",
    "get_backbone_type_from_cfg",
    "get_model_type_from_cfg",
    "get_output_strides_from_heads",
    "oneof",
    "resolve_model_dir",
]

_STEM_PATCH_TO_MAX_STRIDE = 16


def get_model_type_from_cfg(config: Any) -> str:
    """Return the name of the model type of a configuration.

    Args:
        config: DictConfig, dict or TrainingJobConfig.

    Raises:
        ConfigError: None or several are set.
    """
    return _active(config, "head_configs")


def get_backbone_type_from_cfg(config: Any) -> str:
    """Return the name of the backbone of a configuration: unet, convnext, swint or pretrained.

    Args:
        config: DictConfig, dict or TrainingJobConfig.

    Raises:
        ConfigError: None or several are set.
    """
    return _active(config, "backbone_config")


def get_output_strides_from_heads(head_configs: Any) -> list[int]:
    """Return the output stride of every map of the active model type, in the order of the maps.

    Args:
        head_configs: DictConfig, dict or HeadConfig.
    """
    heads = set_entries(plain_tree(head_configs))
    return [part["output_stride"] for head in heads.values() for part in head.values() if part is not None]


def check_output_strides(config: Any) -> Any:
    """Return a configuration whose backbone strides fit its heads.

    The backbone's output stride becomes the smallest one of the heads, its max stride at least the largest
    one (and 16 x the stem's stride for convnext and swint); class vectors read the bottleneck.

    Args:
        config: DictConfig, dict or TrainingJobConfig; it is not changed.

    Returns:
        TrainingJobConfig for one, else DictConfig.

    Raises:
        ConfigError: The configuration is not valid.
    """
    fitted = TrainingJobConfig.from_cfg(config, require_available=False)
    strides = get_output_strides_from_heads(fitted.model_config.head_configs)
    backbone = fitted.model_config.backbone_config.which_oneof()
    stem_stride = values_of(backbone).get("stem_patch_stride")
    max_stride = backbone.max_stride if stem_stride is None else _STEM_PATCH_TO_MAX_STRIDE * stem_stride
    backbone.output_stride = min(strides)
    backbone.max_stride = max(max_stride, *strides)
    class_head = fitted.model_config.head_configs.multi_class_topdown
    if class_head is not None:
        class_head.class_vectors.output_stride = backbone.max_stride
    return fitted if isinstance(config, TrainingJobConfig) else fitted.to_sleap_nn_cfg()


def resolve_model_dir(path: str | Path) -> str:
    """Return the folder of a trained model.

    Args:
        path: The folder, or a checkpoint or configuration file in it.

    Raises:
        MissingFileError: There is nothing at this path.
    """
    path = Path(path)
    if path.is_dir():
        return str(path)
    if path.is_file():
        return str(path.parent)
    raise MissingFileError(f"There is no model folder {str(path)!r}.")


def _active(config: Any, name: str) -> str:
    tree = config if isinstance(config, dict | DictConfig) else plain_tree(config)
    entries = plain_tree(tree).get("model_config", {}).get(name) or {}
    check_one(entries, f"model_config.{name}")
    return next(iter(set_entries(entries)))
