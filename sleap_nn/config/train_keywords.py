"""Which keyword of ``train()`` sets which configuration key, and its default where that differs.

``train()`` names these keywords in its signature; `get_config` builds the configuration from them.
"""

from dataclasses import dataclass
from typing import Any, Final

from sleap_nn.config.fields import find_field
from sleap_nn.config.training_job_config import TrainingJobConfig

_OF_KEY: Final = object()


@dataclass(frozen=True)
class Keyword:
    """One keyword of ``train()``."""

    keys: tuple[str, ...]
    """The keys it sets; none for a keyword that stands for a whole section."""
    default: Any = _OF_KEY


def _keys(*keys: str) -> Keyword:
    return Keyword(keys)


_DATA = "data_config"
_PREPROCESSING = "data_config.preprocessing"
_TRAINER = "trainer_config"
_WANDB = "trainer_config.wandb"
_MINING = "trainer_config.online_hard_keypoint_mining"
_STOPPING = "trainer_config.early_stopping"
_LOADERS = ("trainer_config.train_data_loader", "trainer_config.val_data_loader")

TRAIN_KEYWORDS: dict[str, Keyword] = {
    "train_labels_path": _keys(f"{_DATA}.train_labels_path"),
    "val_labels_path": _keys(f"{_DATA}.val_labels_path"),
    "validation_fraction": _keys(f"{_DATA}.validation_fraction"),
    "use_same_data_for_val": _keys(f"{_DATA}.use_same_data_for_val"),
    "test_file_path": _keys(f"{_DATA}.test_file_path"),
    "provider": _keys(f"{_DATA}.provider"),
    "user_instances_only": _keys(f"{_DATA}.user_instances_only"),
    "data_pipeline_fw": _keys(f"{_DATA}.data_pipeline_fw"),
    "cache_img_path": _keys(f"{_DATA}.cache_img_path"),
    "use_existing_imgs": _keys(f"{_DATA}.use_existing_imgs"),
    "delete_cache_imgs_after_training": _keys(f"{_DATA}.delete_cache_imgs_after_training"),
    "ensure_rgb": _keys(f"{_PREPROCESSING}.ensure_rgb"),
    "ensure_grayscale": _keys(f"{_PREPROCESSING}.ensure_grayscale"),
    "scale": _keys(f"{_PREPROCESSING}.scale"),
    "max_height": _keys(f"{_PREPROCESSING}.max_height"),
    "max_width": _keys(f"{_PREPROCESSING}.max_width"),
    "crop_size": _keys(f"{_PREPROCESSING}.crop_size"),
    "min_crop_size": _keys(f"{_PREPROCESSING}.min_crop_size"),
    "crop_padding": _keys(f"{_PREPROCESSING}.crop_padding"),
    "use_augmentations_train": _keys(f"{_DATA}.use_augmentations_train"),
    "intensity_aug": Keyword((), default=None),
    "geometry_aug": Keyword((), default="rotation"),
    "bbox_source": _keys(f"{_DATA}.bbox_source"),
    "bbox_padding": _keys(f"{_DATA}.bbox_padding"),
    "init_weight": _keys("model_config.init_weights"),
    "pretrained_backbone_weights": _keys("model_config.pretrained_backbone_weights"),
    "pretrained_head_weights": _keys("model_config.pretrained_head_weights"),
    "backbone_config": Keyword((), default="unet"),
    "head_configs": Keyword((), default=None),
    "batch_size": Keyword(tuple(f"{loader}.batch_size" for loader in _LOADERS), default=1),
    "shuffle_train": _keys(f"{_LOADERS[0]}.shuffle"),
    "num_workers": _keys(*(f"{loader}.num_workers" for loader in _LOADERS)),
    "ckpt_save_top_k": _keys(f"{_TRAINER}.model_ckpt.save_top_k"),
    "ckpt_save_last": _keys(f"{_TRAINER}.model_ckpt.save_last"),
    "trainer_num_devices": _keys(f"{_TRAINER}.trainer_devices"),
    "trainer_device_indices": _keys(f"{_TRAINER}.trainer_device_indices"),
    "trainer_accelerator": _keys(f"{_TRAINER}.trainer_accelerator"),
    "enable_progress_bar": _keys(f"{_TRAINER}.enable_progress_bar"),
    "min_train_steps_per_epoch": _keys(f"{_TRAINER}.min_train_steps_per_epoch"),
    "train_steps_per_epoch": _keys(f"{_TRAINER}.train_steps_per_epoch"),
    "visualize_preds_during_training": _keys(f"{_TRAINER}.visualize_preds_during_training"),
    "keep_viz": _keys(f"{_TRAINER}.keep_viz"),
    "max_epochs": Keyword((f"{_TRAINER}.max_epochs",), default=10),
    "seed": _keys(f"{_TRAINER}.seed"),
    "use_wandb": _keys(f"{_TRAINER}.use_wandb"),
    "save_ckpt": _keys(f"{_TRAINER}.save_ckpt"),
    "ckpt_dir": Keyword((f"{_TRAINER}.ckpt_dir",), default=None),
    "run_name": _keys(f"{_TRAINER}.run_name"),
    "resume_ckpt_path": _keys(f"{_TRAINER}.resume_ckpt_path"),
    "wandb_entity": _keys(f"{_WANDB}.entity"),
    "wandb_project": _keys(f"{_WANDB}.project"),
    "wandb_name": _keys(f"{_WANDB}.name"),
    "wandb_api_key": _keys(f"{_WANDB}.api_key"),
    "wandb_mode": _keys(f"{_WANDB}.wandb_mode"),
    "wandb_save_viz_imgs_wandb": _keys(f"{_WANDB}.save_viz_imgs_wandb"),
    "wandb_resume_prv_runid": _keys(f"{_WANDB}.prv_runid"),
    "wandb_group_name": _keys(f"{_WANDB}.group"),
    "wandb_delete_local_logs": _keys(f"{_WANDB}.delete_local_logs"),
    "optimizer": _keys(f"{_TRAINER}.optimizer_name"),
    "learning_rate": Keyword((f"{_TRAINER}.optimizer.lr",), default=1e-3),
    "amsgrad": _keys(f"{_TRAINER}.optimizer.amsgrad"),
    "lr_scheduler": Keyword((), default=None),
    "early_stopping": Keyword((f"{_STOPPING}.stop_training_on_plateau",), default=False),
    "early_stopping_min_delta": Keyword((f"{_STOPPING}.min_delta",), default=0.0),
    "early_stopping_patience": Keyword((f"{_STOPPING}.patience",), default=1),
    "online_mining": _keys(f"{_MINING}.online_mining"),
    "hard_to_easy_ratio": _keys(f"{_MINING}.hard_to_easy_ratio"),
    "min_hard_keypoints": _keys(f"{_MINING}.min_hard_keypoints"),
    "max_hard_keypoints": _keys(f"{_MINING}.max_hard_keypoints"),
    "loss_scale": _keys(f"{_MINING}.loss_scale"),
    "zmq_publish_port": _keys(f"{_TRAINER}.zmq.publish_port"),
    "zmq_controller_port": _keys(f"{_TRAINER}.zmq.controller_port"),
    "zmq_controller_timeout": _keys(f"{_TRAINER}.zmq.controller_polling_timeout"),
    "precision": _keys(f"{_TRAINER}.precision"),
    "channels_last": _keys(f"{_TRAINER}.channels_last"),
    "max_time": _keys(f"{_TRAINER}.max_time"),
    "accumulate_grad_batches": _keys(f"{_TRAINER}.accumulate_grad_batches"),
    "gradient_clip_val": _keys(f"{_TRAINER}.gradient_clip_val"),
    "ema_decay": _keys(f"{_TRAINER}.ema_decay"),
    "foreground_weight": _keys(f"{_TRAINER}.foreground_weight"),
    "use_tensorboard": _keys(f"{_TRAINER}.use_tensorboard"),
    "split": _keys(f"{_DATA}.split"),
    "weight_decay": _keys(f"{_TRAINER}.optimizer.weight_decay"),
    "backbone_lr_scale": _keys(f"{_TRAINER}.optimizer.backbone_lr_scale"),
    "layer_decay": _keys(f"{_TRAINER}.optimizer.layer_decay"),
    "freeze": _keys(f"{_TRAINER}.freeze"),
    "freeze_epochs": _keys(f"{_TRAINER}.freeze_epochs"),
    "compile": _keys(f"{_TRAINER}.compile"),
    "profiler": _keys(f"{_TRAINER}.profiler"),
}
"""Keyword -> what it sets, in the order of the signature of ``train()``."""


def train_keyword_defaults() -> dict[str, Any]:
    """Return keyword -> default for the signature of ``train()``, in its order."""
    return {name: _default(keyword) for name, keyword in TRAIN_KEYWORDS.items()}


def _default(keyword: Keyword) -> Any:
    if keyword.default is not _OF_KEY:
        return keyword.default
    field = find_field(TrainingJobConfig, keyword.keys[0])
    if field is None:
        raise LookupError(f"no configuration key {keyword.keys[0]}")
    return field.default
