"""Metrics and drawings of a run: they choose weights, follow their options, and change nothing else."""

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from factories import make_labels

from sleap_nn.data.dataset import PoseDataset
from sleap_nn.errors import ConfigError, TrainingInterruptedError
from sleap_nn.networks import model_dir
from sleap_nn.train import run_training
from sleap_nn.training.model_trainer import ModelTrainer
from sleap_nn.training.run_folder import resume_config

pytestmark = pytest.mark.slow
STEPS, BATCH = 12, 2
OBSERVED: dict[str, Any] = {"eval": {"enabled": True}, "visualize_preds_during_training": True}


def settings(folder: Path, name: str, **trainer: Any) -> dict[str, Any]:
    return {
        "data_config": {
            "train_labels_path": [str(folder / "labels.slp")],
            "use_same_data_for_val": True,
            "augmentation_config": {"geometric": {"rotation_p": 1.0}},
        },
        "model_config": {
            "backbone_config": {"unet": {"filters": 8, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 1.5, "output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": 4,
            "train_steps_per_epoch": STEPS,
            "min_train_steps_per_epoch": 1,
            "train_data_loader": {"batch_size": BATCH},
            "save_ckpt": True,
            "ckpt_dir": str(folder / "models"),
            "run_name": name,
            "trainer_accelerator": "cpu",
            "optimizer": {"lr": 1e-2},
            "ema_decay": 0.5,
            **trainer,
        },
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("observed")
    make_labels(6, height=48, width=48, path=made / "labels.slp", embed=False)
    return made


def log_of(run: Path) -> list[dict[str, str]]:
    with (run / "training_log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if not k.endswith("/time")} for row in csv.DictReader(file)]


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return model_dir.read_checkpoint(run / model_dir.RESUME)["state_dict"]


def same_weights(a: Path, b: Path) -> bool:
    first, second = weights_of(a), weights_of(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Tell the run to stop when the augmented training set makes its n-th draw."""
    read, count = PoseDataset.__getitem__, iter(range(10**6))

    def counted(self: PoseDataset, draw: Any) -> Any:
        if self._augmenter is not None and next(count) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return read(self, draw)

    monkeypatch.setattr(PoseDataset, "__getitem__", counted)


def drawn(run: Path) -> list[str]:
    return sorted(path.name for path in run.glob("viz/*"))


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    """A run with metrics and drawings that is not interrupted."""
    ModelTrainer(settings(folder, "whole", keep_viz=True, **OBSERVED)).train()
    return folder / "models" / "whole"


def test_who_looks_on_changes_nothing(folder: Path, whole: Path) -> None:
    ModelTrainer(settings(folder, "plain")).train()
    plain = folder / "models" / "plain"
    assert same_weights(plain, whole)
    common = log_of(plain)
    assert [{name: row[name] for name in common[0]} for row in log_of(whole)] == common
    assert "eval/val/mOKS" in log_of(whole)[0]
    assert any(row["eval/val/PCK_10"] not in ("", "0.0") for row in log_of(whole))
    assert drawn(plain) == []


def test_an_interrupted_run_goes_on_with_metrics_and_drawings(
    folder: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = folder / "models" / "parts"
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2 * STEPS * BATCH + 5)
        with pytest.raises(TrainingInterruptedError):
            ModelTrainer(settings(folder, "parts", **OBSERVED)).train()
    assert drawn(run) == [f"{stage}.{epoch:04d}.png" for stage in ("train", "validation") for epoch in (0, 1)]
    ModelTrainer(resume_config(run, ["trainer_config.keep_viz=true"])).train()
    assert log_of(run) == log_of(whole)
    assert same_weights(run, whole)
    assert drawn(run) == drawn(whole)
    for name in drawn(run):
        assert (run / "viz" / name).read_bytes() == (whole / "viz" / name).read_bytes()


def test_a_metric_chooses_the_weights(folder: Path) -> None:
    chosen = settings(
        folder,
        "chosen",
        max_epochs=6,
        eval={"enabled": True, "frequency": 2},
        model_ckpt={"monitor": "eval/val/PCK_10", "mode": "max", "save_top_k": 2},
        early_stopping={"stop_training_on_plateau": False},
    )
    ModelTrainer(chosen).train()
    run = folder / "models" / "chosen"
    logged = [row["eval/val/PCK_10"] for row in log_of(run)]
    assert [value == "" for value in logged[::2]] == [True] * 3
    scores = [float(value) if value else float("-inf") for value in logged]
    assert max(scores) > 0
    best = model_dir.read_checkpoint(run / "best.ckpt")["epoch"]
    assert scores[best] == max(scores)
    second = model_dir.read_checkpoint(run / "best-v1.ckpt")["epoch"]
    assert scores[second] == sorted(scores)[-2]


def test_a_value_that_is_not_logged_is_refused_before_training(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"'val/mOKS', which is not logged; perhaps .* is meant; this run logs"):
        ModelTrainer(settings(folder, "no", eval={"enabled": True}, model_ckpt={"monitor": "val/mOKS"}))


def test_drawings_alone_make_a_run_folder(folder: Path) -> None:
    options = {"save_ckpt": False, "max_epochs": 2, "visualize_preds_during_training": True}
    ModelTrainer(settings(folder, "drawings", keep_viz=True, viz_img_format="jpg", **options)).train()
    run = folder / "models" / "drawings"
    assert [path.name for path in run.iterdir()] == ["viz"]
    assert drawn(run) == [f"{stage}.{epoch:04d}.jpg" for stage in ("train", "validation") for epoch in (0, 1)]
    ModelTrainer(settings(folder, "drawings", **options)).train()
    assert len(drawn(run)) == 4
    assert not (folder / "models" / "drawings-1").exists()


def test_the_whole_command_evaluates_while_it_trains(folder: Path) -> None:
    trainer = run_training(settings(folder, "command", **OBSERVED))
    assert trainer.run_dir is not None
    row = log_of(trainer.run_dir)[model_dir.read_checkpoint(trainer.run_dir / "best.ckpt")["epoch"]]
    metrics = json.loads((trainer.run_dir / "metrics.val.0.json").read_text())
    assert float(row["eval/val/distance/avg"]) == pytest.approx(metrics["distance_metrics"]["avg"], rel=1e-4)
    assert not (trainer.run_dir / "viz").exists()
