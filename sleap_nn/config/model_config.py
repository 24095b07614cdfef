"""Options of the model: its backbone, its model type and the weights it starts from.

Backbones are declared in `backbone_config`, model types in `head_config`; both can be imported from here.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any

from sleap_nn.config.backbone_config import (
    BackboneConfig,
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
from sleap_nn.config.fields import Option
from sleap_nn.config.head_config import (
    BottomUpConfig,
    BottomUpConfMapsConfig,
    BottomUpMultiClassConfig,
    BottomUpSegmentationConfig,
    CenteredInstanceConfig,
    CenteredInstanceConfMapsConfig,
    CenteredInstanceSegmentationConfig,
    CenteredInstanceSegmentationHeadConfig,
    CenterOffsetConfig,
    CentroidConfig,
    CentroidConfMapsConfig,
    ClassMapConfig,
    ClassVectorsConfig,
    HeadConfig,
    InstanceCenterConfig,
    PAFConfig,
    SegmentationHeadConfig,
    SemanticSegmentationConfig,
    SingleInstanceConfig,
    SingleInstanceConfMapsConfig,
    TopDownCenteredInstanceMultiClassConfig,
)
from sleap_nn.config.schema import config_class
from sleap_nn.config.sleap_profiles import section_of

__all__ = [
    "BackboneConfig",
    "BottomUpConfMapsConfig",
    "BottomUpConfig",
    "BottomUpMultiClassConfig",
    "BottomUpSegmentationConfig",
    "CenterOffsetConfig",
    "CenteredInstanceConfMapsConfig",
    "CenteredInstanceConfig",
    "CenteredInstanceSegmentationConfig",
    "CenteredInstanceSegmentationHeadConfig",
    "CentroidConfMapsConfig",
    "CentroidConfig",
    "ClassMapConfig",
    "ClassVectorsConfig",
    "ConvNextBaseConfig",
    "ConvNextConfig",
    "ConvNextLargeConfig",
    "ConvNextSmallConfig",
    "HeadConfig",
    "InstanceCenterConfig",
    "ModelConfig",
    "PAFConfig",
    "PretrainedConfig",
    "SegmentationHeadConfig",
    "SemanticSegmentationConfig",
    "SingleInstanceConfMapsConfig",
    "SingleInstanceConfig",
    "SwinTBaseConfig",
    "SwinTConfig",
    "SwinTSmallConfig",
    "TopDownCenteredInstanceMultiClassConfig",
    "UNetConfig",
    "UNetLargeRFConfig",
    "UNetMediumRFConfig",
    "model_mapper",
]


@config_class
class ModelConfig:
    """What is trained."""

    init_weights: Annotated[
        str,
        Option(
            "How weights are drawn before training: so that the signal keeps its spread through the depth (He), "
            "or uniformly after Xavier.",
            choices=("default", "xavier"),
        ),
    ] = "default"
    pretrained_backbone_weights: Annotated[
        str | None,
        Option("Checkpoint (.ckpt, .h5) from which the backbone starts; null: random weights."),
    ] = None
    pretrained_head_weights: Annotated[
        str | None,
        Option("Checkpoint (.ckpt, .h5) from which the heads start; null: random weights."),
    ] = None
    backbone_config: Annotated[
        BackboneConfig, Option("The network between image and heads; exactly one entry is not null.")
    ] = field(default_factory=BackboneConfig)
    head_configs: Annotated[HeadConfig, Option("The model type; exactly one entry is not null.")] = field(
        default_factory=HeadConfig
    )
    total_params: Annotated[int | None, Option("Number of parameters; filled in when the model is built.", ge=0)] = None


def model_mapper(legacy_config: Mapping[str, Any]) -> ModelConfig:
    """Return this section for a training profile of SLEAP up to 1.4, given as parsed JSON.

    Raises:
        ConfigError: It is no profile, or needs something that does not exist here.
    """
    return section_of(legacy_config, "model_config", ModelConfig)
