import csv
import gc
import signal
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sleap_io as sio
import torch
from factories import make_labels
from omegaconf import OmegaConf
from phase_recorder import PhaseRecorder

from sleap_nn import heartbeat
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError, DataError, TrainingCollapsedError
from sleap_nn.networks import model_dir
from sleap_nn.train import run_training, train
from sleap_nn.training.model_trainer import ModelTrainer


def settings(folder: Path, **trainer: Any) -> dict[str, Any]:
    return {
        "data_config": {"train_labels_path": [str(folder / "labels.pkg.slp")]},
        "model_config": {
            "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": 1,
            "min_train_steps_per_epoch": 2,
            "save_ckpt": True,
            "ckpt_dir": str(folder / "models"),
            "run_name": "run",
            "trainer_accelerator": "cpu",
            **trainer,
        },
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_labels(8, path=tmp_path / "labels.pkg.slp")
    return tmp_path


def test_a_training_that_is_over_holds_neither_signals_nor_memory(folder: Path) -> None:
    def trained() -> weakref.ref[torch.nn.Module]:
        trainer = ModelTrainer.get_model_trainer_from_config(config=OmegaConf.create(settings(folder)))
        trainer.train()
        return weakref.ref(trainer.lightning_model)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    module = trained()
    assert [signal.getsignal(number) for number in numbers] == before
    gc.collect()
    assert module() is None


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_the_documented_artifacts(folder: Path) -> None:
    trainer = ModelTrainer.get_model_trainer_from_config(config=OmegaConf.create(settings(folder, max_epochs=2)))
    trainer.train()
    run = folder / "models" / "run"
    names = {path.name for path in run.iterdir()}
    assert {
        "initial_config.yaml",
        "training_config.yaml",
        "best.ckpt",
        "training_log.csv",
        "labels_gt.train.0.slp",
        "labels_gt.val.0.slp",
    } <= names
    log = rows(run / "training_log.csv")
    assert [row["epoch"] for row in log] == ["0", "1"]
    assert list(log[0])[:6] == ["epoch", "train/loss", "val/loss", "learning_rate", "train/time", "val/time"]
    assert {"train/confmaps/snout", "train/confmaps/tail_tip"} <= set(log[0])
    assert all(float(value) >= 0 for row in log for value in row.values())
    assert float(log[0]["learning_rate"]) == pytest.approx(1e-4)
    resolved = TrainingJobConfig.load(run / "training_config.yaml")
    assert resolved.model_config.total_params == trainer.lightning_model.model.num_parameters
    initial = TrainingJobConfig.load(run / "initial_config.yaml")
    assert initial.data_config.preprocessing.max_height is None
    assert resolved.data_config.preprocessing.max_height == 64
    train_part = sio.load_slp(str(run / "labels_gt.train.0.slp"))
    val_part = sio.load_slp(str(run / "labels_gt.val.0.slp"))
    train_frames = {frame.frame_idx for frame in train_part}
    val_frames = {frame.frame_idx for frame in val_part}
    assert len(train_frames) == 7
    assert len(val_frames) == 1
    assert not train_frames & val_frames


def test_every_phase_that_may_take_long_is_announced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = PhaseRecorder()
    monkeypatch.setattr(heartbeat, "_HEARTBEAT", recorder)
    ModelTrainer(settings(folder, max_epochs=2)).train()
    names = list(dict.fromkeys(recorder.names))
    before = ["reading labels", "checking the labels", "building the network", "writing the labels of the run"]
    before += ["preparing the samples", "waiting for the first batch", "running the first step"]
    epochs = ["training epoch 0", "validating epoch 0", "training epoch 1", "validating epoch 1"]
    assert names == before + epochs
    assert [(phase.done, phase.total) for phase in recorder.phases if phase.total is not None] == [
        (2, 2),
        (1, 1),
        (2, 2),
        (1, 1),
    ]
    assert recorder.open == []


def test_the_checkpoint_holds_the_documented_names_and_no_objects(folder: Path) -> None:
    trainer = ModelTrainer(settings(folder))
    trainer.train()
    checkpoint = torch.load(folder / "models" / "run" / "best.ckpt", weights_only=True)
    assert {"state_dict", "epoch", "global_step", "optimizer_states", "lr_schedulers", "callbacks"} <= set(checkpoint)
    assert "hyper_parameters" not in checkpoint
    names = list(checkpoint["state_dict"])
    assert all(name.startswith("model.") for name in names)
    assert "model.head_layers.0.SingleInstanceConfmapsHead.0.weight" in names
    weights = model_dir.load_weights(folder / "models" / "run" / "best.ckpt")
    assert set(weights) == set(trainer.lightning_model.model.state_dict())


def test_a_second_run_of_the_same_name_gets_a_suffix(folder: Path) -> None:
    first, second = ModelTrainer(settings(folder)), ModelTrainer(settings(folder))
    first.train()
    weights = (folder / "models" / "run" / "best.ckpt").read_bytes()
    second.train()
    assert second.run_dir == folder / "models" / "run-1"
    assert second.config.trainer_config.run_name == "run-1"
    assert (folder / "models" / "run" / "best.ckpt").read_bytes() == weights


def test_the_same_seed_gives_the_same_losses(folder: Path) -> None:
    logs = []
    for name in ("a", "b"):
        ModelTrainer(settings(folder, run_name=name, seed=3)).train()
        logs.append(rows(folder / "models" / name / "training_log.csv"))
    for column in ("train/loss", "val/loss"):
        assert [row[column] for row in logs[0]] == [row[column] for row in logs[1]]


def test_run_training_predicts_and_scores_every_split(folder: Path) -> None:
    config = settings(folder, max_epochs=12, optimizer={"lr": 5e-3}, min_train_steps_per_epoch=10)
    config["data_config"]["test_file_path"] = str(folder / "labels.pkg.slp")
    trainer = run_training(config)
    assert trainer.run_dir is not None
    for split, num_frames in (("train", 7), ("val", 1), ("test", 8)):
        predicted = sio.load_slp(str(trainer.run_dir / f"labels_pr.{split}.0.slp"))
        assert len(predicted) == num_frames
        with np.load(trainer.run_dir / f"metrics.{split}.0.npz", allow_pickle=False) as metrics:
            assert metrics["distance_metrics/p50"] < 20
        assert (trainer.run_dir / f"metrics.{split}.0.json").exists()


def test_train_is_the_same_path_from_keywords(folder: Path) -> None:
    train(
        [str(folder / "labels.pkg.slp")],
        head_configs={"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
        backbone_config={"unet": {"filters": 4, "max_stride": 8}},
        max_epochs=12,
        min_train_steps_per_epoch=40,
        learning_rate=5e-3,
        save_ckpt=True,
        ckpt_dir=str(folder / "models"),
        run_name="keywords",
    )
    assert (folder / "models" / "keywords" / "labels_pr.val.0.slp").exists()
    with pytest.raises(TypeError, match="no_such_keyword"):
        train(no_such_keyword=1)


def test_labels_objects_replace_the_files(folder: Path) -> None:
    labels = sio.load_slp(str(folder / "labels.pkg.slp"))
    config = settings(folder)
    config["data_config"] = {}
    trainer = ModelTrainer.get_model_trainer_from_config(config=config, train_labels=[labels], val_labels=[labels])
    assert len(trainer.train_labels[0]) == len(trainer.val_labels[0]) == 8
    with pytest.raises(DataError, match="train_labels_path"):
        ModelTrainer(config)


def test_training_without_save_ckpt_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    trainer = ModelTrainer(settings(folder, save_ckpt=False))
    trainer.train()
    assert trainer.run_dir is None
    assert [path.name for path in folder.iterdir()] == ["labels.pkg.slp"]


def test_a_network_that_finds_nothing_is_reported_after_everything_is_written(folder: Path) -> None:
    with pytest.raises(TrainingCollapsedError, match=r"of no use.*foreground_weight"):
        run_training(settings(folder, optimizer={"lr": 1e-12}))
    run = folder / "models" / "run"
    assert (run / "best.ckpt").exists()
    assert len(sio.load_slp(str(run / "labels_pr.train.0.slp"))) == 7


def test_flat_maps_are_reported_without_a_run_folder_too(folder: Path) -> None:
    with pytest.raises(TrainingCollapsedError, match="highest value of its confidence maps"):
        run_training(settings(folder, save_ckpt=False, optimizer={"lr": 1e-12}))


def test_a_loss_that_is_no_number_ends_the_run(folder: Path) -> None:
    with pytest.raises(TrainingCollapsedError, match="loss became"):
        ModelTrainer(settings(folder, optimizer={"lr": 1e30}, min_train_steps_per_epoch=20)).train()


def test_a_time_limit_ends_the_run_with_a_checkpoint(folder: Path) -> None:
    trainer = ModelTrainer(settings(folder, max_time=1e-4, max_epochs=1000, min_train_steps_per_epoch=50))
    trainer.train()
    assert trainer.trainer.current_epoch <= 1
    assert (folder / "models" / "run" / "best.ckpt").exists()


@pytest.mark.parametrize(
    "extra",
    [
        {"ema_decay": 0.5},
        {"precision": "bf16-mixed"},
        {"channels_last": False},
        {"accumulate_grad_batches": 2, "gradient_clip_val": 0.1},
        {"online_hard_keypoint_mining": {"online_mining": True}},
        {"foreground_weight": 0.0},
        {"model_ckpt": {"save_last": True, "save_top_k": 2}},
        {"early_stopping": {"stop_training_on_plateau": False}},
        {"train_data_loader": {"num_workers": 2}, "val_data_loader": {"num_workers": 1}},
        {"lr_scheduler": None},
        {"optimizer_name": "AdamW"},
    ],
)
def test_every_training_option_trains(folder: Path, extra: dict[str, Any]) -> None:
    ModelTrainer(settings(folder, **extra)).train()
    assert (folder / "models" / "run" / "best.ckpt").exists()


def test_a_frame_with_two_animals_is_refused(tmp_path: Path) -> None:
    make_labels(3, num_animals=2, path=tmp_path / "labels.pkg.slp", height=96, width=96)
    with pytest.raises(DataError, match="2 labelled animals"):
        ModelTrainer(settings(tmp_path)).train()


def test_wrong_part_names_are_refused(folder: Path) -> None:
    config = settings(folder)
    config["model_config"]["head_configs"]["single_instance"]["confmaps"]["part_names"] = ["nose"]
    with pytest.raises(ConfigError, match="part_names"):
        ModelTrainer(config)
