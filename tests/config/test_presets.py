import dataclasses

import pytest

from sleap_nn.config.data_config import GeometricConfig, IntensityConfig
from sleap_nn.config.model_config import BackboneConfig, HeadConfig
from sleap_nn.config.presets import BACKBONES, GEOMETRIC, HEADS, INTENSITY, effect_fields


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("unet", {"filters": 32, "filters_rate": 1.5, "max_stride": 16}),
        ("unet_medium_rf", {"filters": 32, "filters_rate": 2.0, "max_stride": 16}),
        ("unet_large_rf", {"filters": 24, "filters_rate": 1.5, "max_stride": 32}),
        ("convnext", {"model_type": "tiny"}),
        ("convnext_tiny", {"model_type": "tiny"}),
        ("convnext_small", {"model_type": "small"}),
        ("convnext_base", {"model_type": "base"}),
        ("convnext_large", {"model_type": "large", "max_stride": 32}),
        ("swint", {"model_type": "tiny"}),
        ("swint_tiny", {"model_type": "tiny"}),
        ("swint_small", {"model_type": "small"}),
        ("swint_base", {"model_type": "base", "window_size": 7}),
        ("pretrained", {"source": "hf", "output_stride": 2}),
    ],
)
def test_backbones(name, values):
    entry, preset = BACKBONES[name]
    assert values.items() <= dataclasses.asdict(preset()).items()
    assert BackboneConfig(**{entry: preset()}).which_oneof_attrib_name() == entry


def test_every_listed_backbone_is_tested():
    assert len(BACKBONES) == 13


def test_heads():
    assert list(HEADS) == [
        "single_instance", "centroid", "centered_instance", "bottomup", "multi_class_bottomup",
        "multi_class_topdown", "bottomup_segmentation", "centered_instance_segmentation", "semantic_segmentation",
    ]  # fmt: skip
    for name, preset in HEADS.items():
        assert HeadConfig(**{name: preset()}).which_oneof_attrib_name() == name


@pytest.mark.parametrize(
    ("effects", "names", "fields"),
    [
        (
            INTENSITY,
            ["contrast"],
            {
                "contrast_p": 1, "uniform_noise_p": 0, "gaussian_noise_p": 0, "brightness_p": 0,
                "motion_blur_p": 0, "defocus_p": 0,
            },
        ),
        (
            INTENSITY,
            ["motion_blur", "defocus"],
            {
                "contrast_p": 0, "uniform_noise_p": 0, "gaussian_noise_p": 0, "brightness_p": 0,
                "motion_blur_p": 1, "defocus_p": 1,
            },
        ),
        (
            GEOMETRIC,
            ["rotation"],
            {"rotation_p": 1, "scale_p": 0, "translate_p": 0, "erase_p": 0, "mixup_p": 0, "flip_p": 0},
        ),
        (
            GEOMETRIC,
            ["scale", "translate"],
            {
                "rotation_p": 0, "scale_p": 1, "scale_min": 0.9, "scale_max": 1.1, "translate_p": 1,
                "translate_width": 0.2, "translate_height": 0.2, "erase_p": 0, "mixup_p": 0, "flip_p": 0,
            },
        ),
        (
            INTENSITY,
            [],
            {
                "contrast_p": 0, "uniform_noise_p": 0, "gaussian_noise_p": 0, "brightness_p": 0,
                "motion_blur_p": 0, "defocus_p": 0,
            },
        ),
    ],
)  # fmt: skip
def test_only_the_named_effects_take_place(effects, names, fields):
    assert effect_fields(effects, names) == fields


@pytest.mark.parametrize(("effects", "cls"), [(INTENSITY, IntensityConfig), (GEOMETRIC, GeometricConfig)])
def test_effects_set_fields_that_exist(effects, cls):
    for name in effects:
        cls(**effect_fields(effects, [name]))


@pytest.mark.parametrize(("effects", "cls"), [(INTENSITY, IntensityConfig), (GEOMETRIC, GeometricConfig)])
def test_a_short_name_switches_every_other_effect_off(effects, cls):
    for name in effects:
        values = vars(cls(**effect_fields(effects, [name])))
        on = {field for field, value in values.items() if field.endswith("_p") and value}
        assert on == {field for field in effects[name] if field.endswith("_p")}
        assert len(on) == 1


def test_unknown_effects_are_not_guessed():
    with pytest.raises(KeyError):
        effect_fields(GEOMETRIC, ["shear"])
