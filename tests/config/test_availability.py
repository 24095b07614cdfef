import dataclasses
from typing import Annotated

import pytest

from sleap_nn.config.availability import check_available
from sleap_nn.config.data_config import PreprocessingConfig
from sleap_nn.config.fields import Option
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError


def job(path, value):
    """A configuration with one value set."""
    tree = value
    for part in reversed(path.split(".")):
        tree = {part: tree}
    return TrainingJobConfig(**tree)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data_config.train_labels_path", ["a.slp"]),
        ("data_config.data_pipeline_fw", "torch_dataset_cache_img_memory"),
        ("data_config.data_pipeline_fw", "torch_dataset_cache_img_disk"),
        ("data_config.cache_img_path", "cache"),
        ("data_config.use_existing_imgs", True),
        ("data_config.delete_cache_imgs_after_training", False),
        ("data_config.parallel_caching", False),
        ("data_config.cache_workers", 3),
        ("data_config.use_same_data_for_val", True),
        ("data_config.user_instances_only", False),
        ("data_config.preprocessing.scale", 0.5),
        ("data_config.preprocessing.max_height", 64),
        ("data_config.preprocessing.crop_size", 64),
        ("data_config.use_negative_frames", True),
        ("data_config.split", {"n_folds": 3}),
        (
            "data_config.augmentation_config",
            {"intensity": {"contrast_p": 1}, "geometric": {"flip_p": 1, "mixup_p": 0.5}},
        ),
        ("data_config.augmentation_config", None),
        ("data_config.skeletons", [{"nodes": []}]),
        ("model_config.init_weights", "xavier"),
        ("model_config.total_params", 3),
        ("model_config.backbone_config.unet", {"filters": 8, "stacks": 2}),
        ("model_config.pretrained_backbone_weights", "a.ckpt"),
        ("model_config.backbone_config.convnext", {}),
        ("model_config.backbone_config.swint", {}),
        ("model_config.head_configs.single_instance", {"confmaps": {"sigma": 2}}),
        ("model_config.head_configs.centroid", {}),
        ("model_config.head_configs.bottomup", {}),
        ("trainer_config.trainer_devices", "auto"),
        ("trainer_config.trainer_devices", 4),
        ("trainer_config.trainer_device_indices", [0, 2]),
        ("trainer_config.trainer_strategy", "ddp"),
        ("trainer_config.trainer_accelerator", "cpu"),
        ("trainer_config.wandb", {"project": "p", "viz_boxes": True}),
        ("trainer_config.use_wandb", True),
        ("trainer_config.use_tensorboard", True),
        ("trainer_config.zmq", None),
        ("trainer_config.zmq", {"publish_port": 9001, "controller_port": 9000, "controller_polling_timeout": 0}),
        ("trainer_config.lr_scheduler", {"step_lr": {}, "cosine_annealing_warmup": {"max_epochs": 3}}),
        ("trainer_config.lr_scheduler", None),
        ("trainer_config.online_hard_keypoint_mining", {"online_mining": True}),
        ("trainer_config.train_data_loader.num_workers", 2),
        ("trainer_config.val_data_loader.num_workers", "auto"),
        ("trainer_config.max_time", 1.5),
        ("trainer_config.profiler", "pytorch"),
        ("trainer_config.compile", True),
        ("trainer_config.freeze", ["encoder"]),
        ("trainer_config.optimizer", {"weight_decay": 0.1, "layer_decay": 0.9, "backbone_lr_scale": 0.1}),
        ("trainer_config.train_data_loader.batch_size", "auto"),
        ("trainer_config.ema_decay", 0.9),
        ("trainer_config.precision", 32),
        ("trainer_config.eval", {"enabled": True, "frequency": 2, "match_threshold": 9.0}),
        ("trainer_config.visualize_preds_during_training", True),
        ("trainer_config.keep_viz", True),
        ("trainer_config.viz_img_format", "jpg"),
    ],
)
def test_what_exists_may_be_set(path, value):
    check_available(job(path, value))


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("data_config.preprocessing.crop_mode", "bbox", ""),
        ("data_config.preprocessing.tiling", {"enabled": True}, ".enabled"),
        ("data_config.preprocessing.tiling", {"overlap": 8}, ".overlap"),
        ("data_config.identity", {}, ""),
        ("data_config.bbox_source", "masks", ""),
        ("model_config.head_configs.semantic_segmentation", {}, ""),
        ("model_config.head_configs.embedding", {"dim": 3}, ""),
        ("trainer_config.eval", {"select_metric": "rank5"}, ".select_metric"),
    ],
)
def test_what_does_not_exist_yet_is_refused_by_its_path(path, value, place):
    with pytest.raises(ConfigError, match=r"is not available yet; .+\.$") as caught:
        check_available(job(path, value))
    assert str(caught.value).startswith(f"{path}{place}")


def test_parts_are_checked_under_the_path_that_is_given():
    with pytest.raises(ConfigError, match=r"^data_config\.preprocessing\.crop_mode is not available yet"):
        check_available(PreprocessingConfig(crop_mode="bbox"), "data_config.preprocessing")
    with pytest.raises(ConfigError, match=r"^crop_mode is not available yet; leave it at its default \(fixed\)\.$"):
        check_available(PreprocessingConfig(crop_mode="bbox"))


def test_messages_name_what_works():
    part = dataclasses.make_dataclass(
        "Part",
        [
            ("few", Annotated[str | int | None, Option("x", available_values=(None, "auto", 1))], None),
            ("most", Annotated[str | int, Option("x", unavailable_values=("auto",))], 0),
        ],
    )
    with pytest.raises(ConfigError, match=r"part\.few: 4 is not available yet; use null or auto or 1\.$"):
        check_available(part(few=4), "part")
    with pytest.raises(ConfigError, match=r"part\.most: auto is not available yet; the default is 0\.$"):
        check_available(part(most="auto"), "part")
