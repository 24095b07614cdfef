import pytest

from sleap_nn.config.fields import find_field
from sleap_nn.config.train_keywords import TRAIN_KEYWORDS, train_keyword_defaults
from sleap_nn.config.training_job_config import TrainingJobConfig

SIGNATURE = {
    "train_labels_path": None, "val_labels_path": None, "validation_fraction": 0.1, "use_same_data_for_val": False,
    "test_file_path": None, "provider": "LabelsReader", "user_instances_only": True,
    "data_pipeline_fw": "torch_dataset", "cache_img_path": None, "use_existing_imgs": False,
    "delete_cache_imgs_after_training": True, "ensure_rgb": False, "ensure_grayscale": False, "scale": 1.0,
    "max_height": None, "max_width": None, "crop_size": None, "min_crop_size": 100, "crop_padding": None,
    "use_augmentations_train": True, "intensity_aug": None, "geometry_aug": "rotation", "bbox_source": "auto",
    "bbox_padding": 0.0, "init_weight": "default", "pretrained_backbone_weights": None,
    "pretrained_head_weights": None, "backbone_config": "unet", "head_configs": None, "batch_size": 1,
    "shuffle_train": True, "num_workers": 0, "ckpt_save_top_k": 1, "ckpt_save_last": None,
    "trainer_num_devices": None, "trainer_device_indices": None, "trainer_accelerator": "auto",
    "enable_progress_bar": True, "min_train_steps_per_epoch": 200, "train_steps_per_epoch": None,
    "visualize_preds_during_training": False, "keep_viz": False, "max_epochs": 10, "seed": 42, "use_wandb": False,
    "save_ckpt": False, "ckpt_dir": None, "run_name": None, "resume_ckpt_path": None, "wandb_entity": None,
    "wandb_project": None, "wandb_name": None, "wandb_api_key": None, "wandb_mode": None,
    "wandb_save_viz_imgs_wandb": False, "wandb_resume_prv_runid": None, "wandb_group_name": None,
    "wandb_delete_local_logs": None, "optimizer": "Adam", "learning_rate": 1e-3, "amsgrad": False,
    "lr_scheduler": None, "early_stopping": False, "early_stopping_min_delta": 0.0, "early_stopping_patience": 1,
    "online_mining": False, "hard_to_easy_ratio": 2.0, "min_hard_keypoints": 2, "max_hard_keypoints": None,
    "loss_scale": 5.0, "zmq_publish_port": None, "zmq_controller_port": None, "zmq_controller_timeout": 10,
}  # fmt: skip
OURS = {
    "precision": "auto", "channels_last": True, "max_time": None, "accumulate_grad_batches": 1,
    "gradient_clip_val": None, "ema_decay": 0.0, "foreground_weight": 30.0, "use_tensorboard": False,
    "split": None, "weight_decay": None, "backbone_lr_scale": 1.0, "layer_decay": None, "freeze": None,
    "freeze_epochs": None, "compile": False, "profiler": None,
}  # fmt: skip


def test_signature_with_order_and_defaults():
    assert list(train_keyword_defaults().items()) == list((SIGNATURE | OURS).items())


@pytest.mark.parametrize("name", TRAIN_KEYWORDS)
def test_keywords_set_keys_that_exist(name):
    for key in TRAIN_KEYWORDS[name].keys:
        field = find_field(TrainingJobConfig, key)
        assert field is not None
        assert field.section is None or field.default is None  # a section that is off may be given whole
