import dataclasses

import pytest

from sleap_nn.config import model_config as m
from sleap_nn.errors import ConfigError

UNET = {
    "in_channels": 1, "kernel_size": 3, "filters": 32, "filters_rate": 1.5, "max_stride": 16,
    "stem_stride": None, "middle_block": True, "up_interpolate": True, "stacks": 1, "convs_per_block": 2,
    "output_stride": 1, "keras_layers": False,
}  # fmt: skip
CONVNEXT = {
    "pre_trained_weights": None, "model_type": "tiny", "arch": None, "stem_patch_kernel": 4,
    "stem_patch_stride": 2, "in_channels": 1, "kernel_size": 3, "filters_rate": 2.0, "convs_per_block": 2,
    "up_interpolate": True, "output_stride": 1, "max_stride": 32,
}  # fmt: skip
SWINT = {
    "pre_trained_weights": None, "model_type": "tiny", "arch": None, "max_stride": 32, "patch_size": 4,
    "stem_patch_stride": 2, "window_size": 7, "in_channels": 1, "kernel_size": 3, "filters_rate": 2.0,
    "convs_per_block": 2, "up_interpolate": True, "output_stride": 1,
}  # fmt: skip
PRETRAINED = {
    "source": "hf", "model_name": "facebook/convnextv2-nano-22k-224", "weights": True, "mode": "auto",
    "freeze": False, "revision": None, "normalize": True, "image_mean": None, "image_std": None,
    "in_channels": 3, "filters_rate": 2.0, "convs_per_block": 2, "kernel_size": 3, "up_interpolate": True,
    "output_stride": 2, "max_stride": 32, "out_indices": None, "layers": None, "vit_neck": None,
    "neck_channels": None, "token_stride": None, "gradient_checkpointing": False, "encoder_lr_scale": 1.0,
    "layer_decay": None, "detail_stem": False, "detail_channels": None,
}  # fmt: skip
NODES = {"part_names": None, "sigma": 5.0, "output_stride": 1}
CROP = {"part_names": None, "anchor_part": None, "sigma": 5.0, "output_stride": 1, "loss_weight": 1.0}
GROUP = {"part_names": None, "sigma": 5.0, "output_stride": 1, "loss_weight": None}
MASK = {
    "output_stride": 2, "loss_weight": 1.0, "bce_weight": 0.5, "dice_weight": 0.5, "bce_pos_weight": None,
    "target_maxpool": False,
}  # fmt: skip
CENTROID = {
    "anchor_part": None, "centroid_source": None, "sigma": 5.0, "output_stride": 1,
    "centroid_method": None, "centroid_fallback": None, "use_sigmoid_activation": False,
    "focal_loss_alpha": 0.0, "focal_loss_beta": 4.0, "pos_threshold": 0.5,
}  # fmt: skip
CLASS_VECTORS = {
    "classes": None, "num_fc_layers": 1, "num_fc_units": 64, "global_pool": True, "output_stride": 1,
    "loss_weight": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("cls", "defaults"),
    [
        (m.UNetConfig, UNET),
        (m.UNetMediumRFConfig, UNET | {"filters_rate": 2.0}),
        (m.UNetLargeRFConfig, UNET | {"filters": 24, "max_stride": 32}),
        (m.ConvNextConfig, CONVNEXT),
        (m.ConvNextSmallConfig, CONVNEXT | {"model_type": "small"}),
        (m.ConvNextBaseConfig, CONVNEXT | {"model_type": "base"}),
        (m.ConvNextLargeConfig, CONVNEXT | {"model_type": "large"}),
        (m.SwinTConfig, SWINT),
        (m.SwinTSmallConfig, SWINT | {"model_type": "small"}),
        (m.SwinTBaseConfig, SWINT | {"model_type": "base"}),
        (m.PretrainedConfig, PRETRAINED),
        (m.BackboneConfig, dict.fromkeys(["unet", "convnext", "swint", "pretrained"])),
        (m.SingleInstanceConfig, {"confmaps": NODES}),
        (m.CentroidConfig, {"confmaps": CENTROID}),
        (m.CenteredInstanceConfig, {"confmaps": CROP}),
        (
            m.BottomUpConfig,
            {
                "confmaps": GROUP,
                "pafs": {"edges": None, "sigma": 15.0, "output_stride": 1, "loss_weight": None},
            },
        ),
        (
            m.BottomUpMultiClassConfig,
            {
                "confmaps": GROUP,
                "class_maps": {"classes": None, "sigma": 5.0, "output_stride": 1, "loss_weight": None},
            },
        ),
        (m.TopDownCenteredInstanceMultiClassConfig, {"confmaps": CROP, "class_vectors": CLASS_VECTORS}),
        (
            m.BottomUpSegmentationConfig,
            {
                "segmentation": MASK,
                "center": {"sigma": 4.0, "output_stride": 2, "loss_weight": 1.0},
                "offsets": {"output_stride": 2, "loss_weight": 0.1},
            },
        ),
        (
            m.CenteredInstanceSegmentationConfig,
            {"segmentation": {"output_stride": 2, "loss_weight": 1.0, "anchor_part": None}},
        ),
        (m.SemanticSegmentationConfig, {"segmentation": MASK}),
    ],
)
def test_keys_and_defaults(cls, defaults):
    assert dataclasses.asdict(cls()) == defaults


def test_model_types():
    assert list(dataclasses.asdict(m.HeadConfig())) == [
        "single_instance", "centroid", "centered_instance", "bottomup", "multi_class_bottomup", "multi_class_topdown",
        "bottomup_segmentation", "centered_instance_segmentation", "semantic_segmentation", "embedding",
        "bbox_centernet", "bbox_ssd",
    ]  # fmt: skip
    model = dataclasses.asdict(m.ModelConfig())
    del model["backbone_config"], model["head_configs"]
    assert model == {
        "init_weights": "default",
        "pretrained_backbone_weights": None,
        "pretrained_head_weights": None,
        "total_params": None,
    }


@pytest.mark.parametrize("large", [m.UNetLargeRFConfig, m.UNetMediumRFConfig])
def test_presets_of_a_backbone_are_that_backbone(large):
    assert isinstance(m.BackboneConfig(unet=large()).unet, m.UNetConfig)


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (m.BackboneConfig, {"unet": {}, "swint": {}}, "Only one attribute"),
        (m.HeadConfig, {"centroid": {}, "bottomup": {}}, "Only one attribute"),
        (m.ConvNextConfig, {"pre_trained_weights": "imagenet"}, "Invalid pre-trained weights 'imagenet'"),
        (m.SwinTConfig, {"pre_trained_weights": "ConvNeXt_Tiny_Weights"}, "Invalid pre-trained weights"),
        (m.SwinTConfig, {"model_type": "large"}, "Invalid model_type 'large'"),
        (m.UNetConfig, {"max_stride": 12}, "max_stride must be a power of two"),
        (m.UNetConfig, {"output_stride": 0}, "output_stride must be a power of two"),
        (m.UNetConfig, {"filters": 0}, "filters must be above 0"),
        (m.SingleInstanceConfMapsConfig, {"output_stride": 3}, "output_stride must be a power of two"),
        (m.SingleInstanceConfMapsConfig, {"sigma": 0}, "sigma must be above 0"),
        (m.SingleInstanceConfig, {"confmaps": None}, "confmaps must be a section of keys, not null"),
        (m.PAFConfig, {"edges": [["a", ["b"]]]}, r"edges\[0\] must be"),
        (
            m.CentroidConfMapsConfig,
            {"centroid_source": "file"},
            "centroid_source must be one of user, computed",
        ),
        (m.ModelConfig, {"init_weights": "kaiming"}, "init_weights must be one of default, xavier"),
    ],
)
def test_refused_values(cls, values, message):
    with pytest.raises(ConfigError, match=message):
        cls(**values)


def test_other_accepted_values():
    assert m.CentroidConfMapsConfig(centroid_source="anchor").centroid_source == "computed"
    assert m.ConvNextConfig(model_type="mine", arch={"depths": [1, 1, 1, 1]}).model_type == "mine"
    assert m.HeadConfig(bbox_ssd={"num_levels": 3}).which_oneof_attrib_name() == "bbox_ssd"
    assert m.SingleInstanceConfMapsConfig(part_names=[1, "b"]).part_names == ["1", "b"]
