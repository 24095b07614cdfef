import dataclasses
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sleap_nn.config.data_config import GeometricConfig, IntensityConfig
from sleap_nn.config.get_config import (
    config_from_train_keywords,
    get_aug_config,
    get_backbone_config,
    get_data_config,
    get_head_configs,
    get_lr_scheduler,
    get_model_config,
    get_trainer_config,
)
from sleap_nn.config.model_config import BackboneConfig, HeadConfig, PAFConfig, UNetConfig
from sleap_nn.config.train_keywords import train_keyword_defaults
from sleap_nn.config.trainer_config import LRSchedulerConfig, StepLRConfig
from sleap_nn.errors import ConfigError


def active(config):
    """The probabilities that are not 0 or null."""
    return {name: value for name, value in dataclasses.asdict(config).items() if name.endswith("_p") and value}


@pytest.mark.parametrize(
    ("intensity", "geometric", "probabilities"),
    [
        ("uniform_noise", None, ({"uniform_noise_p": 1.0}, None)),
        (["contrast", "brightness"], "flip", ({"contrast_p": 1.0, "brightness_p": 1.0}, {"flip_p": 1.0})),
        (None, "rotation", (None, {"rotation_p": 1.0})),
        (None, ["rotation", "scale"], (None, {"rotation_p": 1.0, "scale_p": 1.0})),
        (None, "translate", (None, {"translate_p": 1.0})),
        (None, "erase_scale", (None, {"erase_p": 1.0})),
        ({"contrast_p": 0.5}, {"rotation_p": 0.5}, ({"contrast_p": 0.5}, {"rotation_p": 0.5, "scale_p": 1.0})),
    ],
)
def test_named_effects_only(intensity, geometric, probabilities):
    config = get_aug_config(intensity, geometric)
    expected = [active(part) if part is not None else None for part in (config.intensity, config.geometric)]
    assert tuple(expected) == probabilities


def test_full_values_of_augmentation():
    config = get_aug_config(OmegaConf.create({"contrast_max": 1.5}), {"scale_max": 2})
    assert config.intensity == IntensityConfig(contrast_max=1.5)
    assert config.geometric == GeometricConfig(scale_max=2.0)
    assert get_aug_config("contrast", "translate").geometric.translate_width == 0.2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"intensity_aug": "noise"}, "intensity_aug has no effect 'noise'; choose among uniform_noise, gaussian_noise"),
        ({"geometric_aug": ["scale", "shear"]}, "geometry_aug has no effect 'shear'; choose among rotation, scale"),
        ({"geometric_aug": {"shear": 1}}, "Unknown key 'shear' in GeometricConfig"),
    ],
)
def test_unknown_effects(values, message):
    with pytest.raises(ConfigError, match=message):
        get_aug_config(**values)


@pytest.mark.parametrize(
    ("given", "config"),
    [
        ("unet", BackboneConfig(unet=UNetConfig())),
        ({"unet": {"filters": 8}}, BackboneConfig(unet=UNetConfig(filters=8))),
        ({"unet": {"filters": 8}, "swint": {}}, BackboneConfig(unet=UNetConfig(filters=8))),
        ({"unet": None, "swint": {"model_type": "small"}}, BackboneConfig(swint={"model_type": "small"})),
        (OmegaConf.create({"unet": {}}), BackboneConfig(unet=UNetConfig())),
        (BackboneConfig(unet=UNetConfig(filters=3)), BackboneConfig(unet=UNetConfig(filters=3))),
    ],
)
def test_backbones(given, config):
    assert get_backbone_config(given) == config


def test_presets_of_backbones():
    assert get_backbone_config("unet_large_rf").unet.filters == 24
    assert get_backbone_config("convnext_base").convnext.model_type == "base"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("unet_x", "no backbone 'unet_x'; choose one of unet, unet_medium_rf, unet_large_rf, convnext"),
        ({"resnet": {}}, "cannot be made from 'resnet'; choose one of unet"),
        ({}, "cannot be made from nothing"),
        ({"unet": {"filtrs": 3}}, "'filtrs' in BackboneConfig.unet; did you mean"),
    ],
)
def test_unknown_backbones(given, message):
    with pytest.raises(ConfigError, match=message):
        get_backbone_config(given)


def test_heads():
    assert get_head_configs("bottomup").bottomup.pafs == PAFConfig()
    head = get_head_configs({"multi_class_bottomup": {}, "bottomup": {"pafs": {"sigma": 10}}})
    assert head.which_oneof_attrib_name() == "bottomup"
    assert head.bottomup.pafs.sigma == 10.0
    assert head.bottomup.confmaps.sigma == 5.0
    assert get_head_configs(None) == get_head_configs({}) == HeadConfig()
    with pytest.raises(ConfigError, match="no model type 'topdown'; choose one of single_instance"):
        get_head_configs("topdown")


@pytest.mark.parametrize(
    ("given", "config"),
    [
        (None, LRSchedulerConfig()),
        ("step_lr", LRSchedulerConfig(step_lr=StepLRConfig(), reduce_lr_on_plateau=None)),
        ("reduce_lr_on_plateau", LRSchedulerConfig()),
        ({"step_lr": {"gamma": 0.5}}, LRSchedulerConfig(step_lr=StepLRConfig(gamma=0.5), reduce_lr_on_plateau=None)),
        ("cosine_annealing_warmup", LRSchedulerConfig(cosine_annealing_warmup={}, reduce_lr_on_plateau=None)),
    ],
)
def test_schedules(given, config):
    assert get_lr_scheduler(given) == config


@pytest.mark.parametrize("given", ["exponential", {"exponential": {}}, {"step_lr": {"step_size": 0}}])
def test_unknown_schedules(given):
    with pytest.raises(ConfigError, match=r"lr_scheduler 'exponential'|'exponential' in|step_size"):
        get_lr_scheduler(given)


def test_parts_have_the_defaults_of_train():
    trainer = get_trainer_config()
    assert trainer.max_epochs == 10
    assert trainer.optimizer.lr == 1e-3
    assert (trainer.train_data_loader.batch_size, trainer.val_data_loader.batch_size) == (1, 1)
    assert not trainer.early_stopping.stop_training_on_plateau
    assert trainer.early_stopping.patience == 1
    assert active(get_data_config().augmentation_config.geometric) == {"rotation_p": 1.0}
    assert get_model_config().head_configs == HeadConfig()


def test_keywords_reach_their_keys():
    data = get_data_config(
        train_labels_path=[Path("a.slp")], scale=0.5, crop_size=96, max_epochs=3, split={"n_folds": 4, "fold": 1}
    )
    assert (data.split.split_by, data.split.n_folds, data.split.fold) == ("auto", 4, 1)
    assert (data.train_labels_path, data.preprocessing.scale, data.preprocessing.crop_size) == (["a.slp"], 0.5, 96)
    model = get_model_config(init_weights="xavier", backbone_config="unet_medium_rf", head_configs="centroid")
    assert (model.init_weights, model.backbone_config.unet.filters_rate) == ("xavier", 2.0)
    trainer = get_trainer_config(
        batch_size=8, shuffle_train=False, num_workers=2, wandb_mode="offline", wandb_group_name="g",
        wandb_resume_prv_runid="r", optimizer="AdamW", learning_rate=0.01, early_stopping=True, loss_scale=3,
        zmq_publish_port=9001, trainer_devices=2, ckpt_save_last=True, precision=32, ema_decay=0.5,
    )  # fmt: skip
    assert (trainer.train_data_loader.batch_size, trainer.val_data_loader.batch_size) == (8, 8)
    assert (trainer.train_data_loader.shuffle, trainer.val_data_loader.shuffle) == (False, False)
    assert trainer.val_data_loader.num_workers == 2
    assert (trainer.wandb.wandb_mode, trainer.wandb.group, trainer.wandb.prv_runid) == ("offline", "g", "r")
    assert (trainer.optimizer_name, trainer.optimizer.lr) == ("AdamW", 0.01)
    assert trainer.early_stopping.stop_training_on_plateau
    assert trainer.online_hard_keypoint_mining.loss_scale == 3.0
    assert trainer.zmq.publish_port == 9001
    assert (trainer.trainer_devices, trainer.model_ckpt.save_last) == (2, True)
    assert (trainer.precision, trainer.ema_decay) == ("32", 0.5)


def test_every_keyword_of_train_is_accepted():
    config = config_from_train_keywords(**train_keyword_defaults() | {"head_configs": "single_instance"})
    assert config == config_from_train_keywords(head_configs="single_instance")


def test_the_call_of_the_training_guide():
    config = config_from_train_keywords(
        train_labels_path=["labels.slp"],
        backbone_config="unet_medium_rf",
        head_configs="single_instance",
        save_ckpt=True,
        use_augmentations_train=True,
        intensity_aug="uniform_noise",
        geometric_aug=["rotation", "scale"],
    )
    assert config.trainer_config.save_ckpt
    assert active(config.data_config.augmentation_config.intensity) == {"uniform_noise_p": 1.0}
    assert active(config.data_config.augmentation_config.geometric) == {"rotation_p": 1.0, "scale_p": 1.0}


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "head_configs is missing; choose one of single_instance"),
        (
            {"head_configs": "semantic_segmentation"},
            r"model_config\.head_configs\.semantic_segmentation is not available yet",
        ),
        ({"geometry_aug": "scale", "geometric_aug": "flip"}, "two names of one option"),
        ({"head_configs": "single_instance", "bbox_source": "masks"}, r"data_config\.bbox_source.*not available yet"),
        ({"head_configs": "single_instance", "validation_fraction": 3}, "validation_fraction must be below 1"),
        ({"head_configs": "single_instance", "backbone_config": {}}, "cannot be made from nothing"),
    ],
)
def test_refused_keywords(keywords, message):
    with pytest.raises(ConfigError, match=message):
        config_from_train_keywords(**keywords)


def test_unknown_keywords_are_a_mistake_of_the_caller():
    with pytest.raises(TypeError, match=r"train\(\) got an unexpected keyword argument 'epochs'; .*'max_epochs'"):
        config_from_train_keywords(head_configs="single_instance", epochs=3)


def test_a_keyword_like_no_other_gets_no_suggestion():
    with pytest.raises(TypeError, match=r"train\(\) got an unexpected keyword argument 'zzz'$"):
        config_from_train_keywords(head_configs="single_instance", zzz=3)
