import dataclasses

import pytest

from sleap_nn.config import trainer_config as t
from sleap_nn.errors import ConfigError

PLATEAU = {
    "threshold": 1e-6, "threshold_mode": "abs", "cooldown": 3, "patience": 5, "factor": 0.5,
    "min_lr": 1e-8,
}  # fmt: skip
SCHEDULER = {
    "step_lr": None, "reduce_lr_on_plateau": PLATEAU, "cosine_annealing_warmup": None,
    "linear_warmup_linear_decay": None,
}  # fmt: skip
OPTIMIZER = {
    "lr": 1e-4, "amsgrad": False, "weight_decay": None, "backbone_lr_scale": 1.0, "layer_decay": None,
}  # fmt: skip
STOPPING = {"stop_training_on_plateau": True, "min_delta": 1e-8, "patience": 10}
MINING = {
    "online_mining": False, "hard_to_easy_ratio": 2.0, "min_hard_keypoints": 2,
    "max_hard_keypoints": None, "loss_scale": 5.0,
}  # fmt: skip
ZMQ = {"controller_port": None, "controller_polling_timeout": 10, "publish_port": None}
EVAL = {
    "enabled": False, "frequency": 1, "oks_stddev": 0.025, "oks_scale": None, "match_threshold": 50.0,
    "select_metric": "rank1",
}  # fmt: skip
WANDB = {
    "entity": None, "project": None, "name": None, "api_key": None, "wandb_mode": None, "prv_runid": None,
    "group": None, "current_run_id": None, "save_viz_imgs_wandb": False, "viz_enabled": True,
    "viz_boxes": False, "viz_masks": False, "viz_box_size": 5.0, "viz_confmap_threshold": 0.1,
    "log_viz_table": False, "delete_local_logs": None,
}  # fmt: skip
TRAINER = {
    "train_data_loader": {"batch_size": 4, "shuffle": True, "num_workers": 0},
    "val_data_loader": {"batch_size": 4, "shuffle": False, "num_workers": 0},
    "model_ckpt": {"save_top_k": 1, "save_last": None, "monitor": "val/loss", "mode": "min"},
    "trainer_devices": None, "trainer_device_indices": None, "trainer_accelerator": "auto",
    "trainer_strategy": "auto", "precision": "auto", "channels_last": True, "profiler": None, "compile": False,
    "enable_progress_bar": True, "min_train_steps_per_epoch": 200, "train_steps_per_epoch": None,
    "max_epochs": 100, "max_time": None, "seed": 42, "use_wandb": False, "use_tensorboard": False,
    "save_ckpt": False,
    "ckpt_dir": ".", "run_name": None, "resume_ckpt_path": None, "wandb": WANDB, "optimizer_name": "Adam",
    "optimizer": OPTIMIZER, "freeze": None, "freeze_epochs": None, "accumulate_grad_batches": 1,
    "gradient_clip_val": None,
    "ema_decay": 0.0, "foreground_weight": 30.0, "lr_scheduler": SCHEDULER, "early_stopping": STOPPING,
    "online_hard_keypoint_mining": MINING, "zmq": ZMQ, "eval": EVAL,
    "visualize_preds_during_training": False, "keep_viz": False, "viz_img_format": "png",
}  # fmt: skip


@pytest.mark.parametrize(
    ("cls", "defaults"),
    [
        (t.TrainerConfig, TRAINER),
        (t.DataLoaderConfig, {"batch_size": 4, "shuffle": False, "num_workers": 0}),
        (t.StepLRConfig, {"step_size": 10, "gamma": 0.1}),
        (
            t.CosineAnnealingWarmupConfig,
            {"warmup_epochs": 5, "max_epochs": None, "warmup_start_lr": 0.0, "eta_min": 0.0},
        ),
        (
            t.LinearWarmupLinearDecayConfig,
            {"warmup_epochs": 5, "max_epochs": None, "warmup_start_lr": 0.0, "end_lr": 0.0},
        ),
    ],
)
def test_keys_and_defaults(cls, defaults):
    assert dataclasses.asdict(cls()) == defaults


@pytest.mark.parametrize(
    ("cls", "key", "good", "bad"),
    [
        (t.TrainerConfig, "trainer_devices", [None, "auto", 0, 1, 4, "2"], [-1, "many", 1.5, True]),
        (t.TrainerConfig, "trainer_device_indices", [None, [0, 2]], [[-1], 0, ["a"]]),
        (t.TrainerConfig, "trainer_accelerator", ["auto", "cpu", "gpu", "cuda", "mps"], ["tpu", None]),
        (t.TrainerConfig, "profiler", [None, "simple", "advanced", "pytorch", "passthrough"], ["fast"]),
        (t.TrainerConfig, "precision", ["auto", "32", 32, "bf16-mixed", "16-mixed"], [16, "64", None]),
        (t.TrainerConfig, "max_time", [None, 0.5, 90], [0, -1, "00:12:00:00"]),
        (t.TrainerConfig, "ema_decay", [0, 0.999], [-0.1, 1]),
        (t.TrainerConfig, "gradient_clip_val", [None, 1], [0, -1]),
        (t.TrainerConfig, "accumulate_grad_batches", [1, 8], [0, 1.5]),
        (t.TrainerConfig, "foreground_weight", [0, 10], [-1, None]),
        (t.TrainerConfig, "channels_last", [True, False], [None, "maybe"]),
        (t.TrainerConfig, "max_epochs", [1, 500], [0, -1, None]),
        (t.TrainerConfig, "train_steps_per_epoch", [None, 1], [0]),
        (t.TrainerConfig, "seed", [None, 0, 7], [-1, "x"]),
        (t.TrainerConfig, "optimizer_name", ["Adam", "AdamW"], ["SGD", "adam"]),
        (t.TrainerConfig, "wandb", [{}], [None]),
        (t.TrainerConfig, "zmq", [None, {}], [3]),
        (t.TrainerConfig, "lr_scheduler", [None, {}], ["step_lr"]),
        (t.TrainerConfig, "online_hard_keypoint_mining", [None, {}], [True]),
        (t.TrainerConfig, "ckpt_dir", [None, "models"], [["a"]]),
        (t.TrainerConfig, "freeze", [None, [], "backbone", ["encoder", "head_layers.0.*"]], [3, [["a"]]]),
        (t.TrainerConfig, "freeze_epochs", [None, 1], [0, -1]),
        (t.TrainerConfig, "compile", [True, False], [None, "maybe"]),
        (t.DataLoaderConfig, "batch_size", [1, 64, "auto", "2"], [0, 1.5, None, "many", True]),
        (t.DataLoaderConfig, "num_workers", [0, 4, "auto", "2"], [-1, "many", None, True]),
        (t.ModelCkptConfig, "save_top_k", [-1, 0, 3], [-2]),
        (t.ModelCkptConfig, "mode", ["min", "max"], ["best"]),
        (t.OptimizerConfig, "lr", [1e-5, 1], [0, -1]),
        (t.OptimizerConfig, "weight_decay", [None, 0, 0.05], [-0.1]),
        (t.OptimizerConfig, "backbone_lr_scale", [0.1, 2], [0, -1]),
        (t.OptimizerConfig, "layer_decay", [None, 0.9, 1], [0, 1.1]),
        (t.StepLRConfig, "step_size", [1], [0, -1]),
        (t.ReduceLROnPlateauConfig, "min_lr", [0.0, 1e-6, [1e-6, 1e-7]], [0, 1, [1e-6, 1], -1e-3, None]),
        (t.ReduceLROnPlateauConfig, "threshold_mode", ["abs", "rel"], ["none"]),
        (t.ReduceLROnPlateauConfig, "factor", [0.1], [0, 1]),
        (t.CosineAnnealingWarmupConfig, "warmup_epochs", [0], [-1]),
        (t.LinearWarmupLinearDecayConfig, "warmup_start_lr", [0], [-1]),
        (t.EarlyStoppingConfig, "patience", [0], [-1]),
        (t.EvalConfig, "frequency", [1], [0]),
        (t.EvalConfig, "oks_stddev", [0.05], [0]),
        (t.ZMQConfig, "publish_port", [None, 9001], [0, 70000]),
        (t.WandBConfig, "wandb_mode", [None, "online", "offline", "disabled"], ["cloud"]),
    ],
)
def test_ranges(cls, key, good, bad):
    for value in good:
        cls(**{key: value})
    for value in bad:
        with pytest.raises(ConfigError, match=rf"{cls.__name__}\.{key}"):
            cls(**{key: value})


def test_other_spellings_of_values():
    assert t.TrainerConfig(trainer_devices="2").trainer_devices == 2
    assert t.ModelCkptConfig(monitor="val_loss").monitor == "val/loss"
    assert t.TrainerConfig(precision=32).precision == "32"
    assert t.TrainerConfig(freeze="backbone").freeze == ["backbone"]
    assert t.DataLoaderConfig(batch_size="8").batch_size == 8
