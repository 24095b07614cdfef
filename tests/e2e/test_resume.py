"""A run that is interrupted anywhere and resumed ends with the very weights and log of one that never stopped."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from factories import make_labels

from sleap_nn import after_training
from sleap_nn.data.dataset import PoseDataset
from sleap_nn.errors import (
    ConfigError,
    MissingFileError,
    ModelError,
    OutputError,
    TrainingCollapsedError,
    TrainingInterruptedError,
)
from sleap_nn.networks import model_dir
from sleap_nn.train import resume_training, run_training
from sleap_nn.training import engine, run_folder
from sleap_nn.training.callbacks import resume_point
from sleap_nn.training.callbacks.losses import LossWatch
from sleap_nn.training.checkpoints import Position
from sleap_nn.training.model_trainer import ModelTrainer
from sleap_nn.training.module import TrainingModule
from sleap_nn.training.run_folder import resume_config

EPOCHS = 4
STEPS = 6
BATCH = 2


def settings(folder: Path, name: str, **trainer: Any) -> dict[str, Any]:
    return {
        "data_config": {
            "train_labels_path": [str(folder / "labels.pkg.slp")],
            "use_augmentations_train": True,
            "augmentation_config": {"geometric": {"rotation_p": 1.0}, "intensity": {"gaussian_noise_p": 0.5}},
        },
        "model_config": {
            "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": EPOCHS,
            "train_steps_per_epoch": STEPS,
            "min_train_steps_per_epoch": 1,
            "train_data_loader": {"batch_size": BATCH},
            "save_ckpt": True,
            "ckpt_dir": str(folder / "models"),
            "run_name": name,
            "trainer_accelerator": "cpu",
            "ema_decay": 0.9,
            "lr_scheduler": {"reduce_lr_on_plateau": {"patience": 0, "threshold": 10.0, "factor": 0.5}},
            **trainer,
        },
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_labels(8, path=tmp_path / "labels.pkg.slp")
    return tmp_path


def at_draw(monkeypatch: pytest.MonkeyPatch, number: int, action: Any) -> None:
    """Do something when the training set makes its n-th draw."""
    read = PoseDataset.__getitem__
    count = iter(range(10**6))

    def counted(self: PoseDataset, draw: Any) -> Any:
        if self._augmenter is not None and next(count) == number:
            action()
        return read(self, draw)

    monkeypatch.setattr(PoseDataset, "__getitem__", counted)


def log_of(run: Path) -> list[dict[str, str]]:
    with (run / "training_log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if not k.endswith("/time")} for row in csv.DictReader(file)]


def same(a: Any, b: Any) -> bool:
    """Compare nested states bit by bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def assert_same_run(first: Path, second: Path) -> None:
    assert log_of(first) == log_of(second)
    a, b = (model_dir.read_checkpoint(run / model_dir.RESUME) for run in (first, second))
    for key in ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers", "position"):
        assert same(a[key], b[key]), key
    best = [model_dir.load_weights(run / model_dir.WEIGHTS) for run in (first, second)]
    assert same(*best)


@pytest.mark.parametrize("draw", [1, 2 * STEPS * BATCH + 5, EPOCHS * STEPS * BATCH - 1])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_stopped_in_the_middle_of_an_epoch_ends_like_one_that_was_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch, draw: int, accumulate: int
) -> None:
    ModelTrainer(settings(folder, "whole", accumulate_grad_batches=accumulate)).train()
    with monkeypatch.context() as patch:
        at_draw(patch, draw, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(TrainingInterruptedError, match="--resume"):
            ModelTrainer(settings(folder, "parts", accumulate_grad_batches=accumulate)).train()
    ModelTrainer(resume_config(folder / "models" / "parts")).train()
    assert_same_run(folder / "models" / "whole", folder / "models" / "parts")


@pytest.mark.parametrize("accumulate", [1, 4])
def test_a_long_epoch_is_not_lost_with_its_validation(
    folder: Path, monkeypatch: pytest.MonkeyPatch, accumulate: int
) -> None:
    validate, count = TrainingModule.validation_step, iter(range(10**6))

    def counted(self: TrainingModule, *arguments: Any) -> Any:
        if next(count) == 1:
            signal.raise_signal(signal.SIGTERM)
        return validate(self, *arguments)

    ModelTrainer(settings(folder, "whole", accumulate_grad_batches=accumulate)).train()
    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "validation_step", counted)
        patch.setattr(resume_point, "PATIENCE", -1.0)
        patch.setattr(resume_point, "LONG", -1.0)
        with pytest.raises(TrainingInterruptedError):
            ModelTrainer(settings(folder, "parts", accumulate_grad_batches=accumulate)).train()
    run = folder / "models" / "parts"
    position = Position.read(run / model_dir.RESUME)
    assert (position.epoch, position.batch) == (1, {1: STEPS - 1, 4: 4}[accumulate])
    ModelTrainer(resume_config(run)).train()
    assert_same_run(folder / "models" / "whole", run)


def test_a_run_that_died_goes_on_from_its_last_epoch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die() -> None:
        raise MemoryError

    ModelTrainer(settings(folder, "whole")).train()
    with monkeypatch.context() as patch:
        at_draw(patch, 2 * STEPS * BATCH + 5, die)
        with pytest.raises(MemoryError):
            ModelTrainer(settings(folder, "parts")).train()
    run = folder / "models" / "parts"
    assert Position.read(run / model_dir.RESUME) == Position(2, 0, 42, 2)
    with (run / "training_log.csv").open("a") as log:
        log.write("2,0.1")
    ModelTrainer(resume_config(run)).train()
    assert_same_run(folder / "models" / "whole", run)


def test_a_run_folder_can_be_moved_before_it_is_resumed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ModelTrainer(settings(folder, "whole", model_ckpt={"save_top_k": 2})).train()
    with monkeypatch.context() as patch:
        at_draw(patch, 3 * STEPS * BATCH + 5, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(TrainingInterruptedError):
            ModelTrainer(settings(folder, "parts", model_ckpt={"save_top_k": 2})).train()
    run = folder / "elsewhere" / "renamed"
    run.parent.mkdir()
    (folder / "models" / "parts").rename(run)
    ModelTrainer(resume_config(run)).train()
    assert_same_run(folder / "models" / "whole", run)
    kept = {path.name for path in run.glob("*.ckpt")}
    assert kept == {path.name for path in (folder / "models" / "whole").glob("*.ckpt")} > {"best.ckpt", "best-v1.ckpt"}


def test_a_run_that_died_before_its_first_checkpoint_starts_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> None:
        raise MemoryError

    ModelTrainer(settings(folder, "whole", seed=None)).train()
    with monkeypatch.context() as patch:
        at_draw(patch, 3, die)
        with pytest.raises(MemoryError):
            ModelTrainer(settings(folder, "parts")).train()
    trainer = ModelTrainer(resume_config(folder / "models" / "parts"))
    trainer.train()
    assert trainer.run_dir == folder / "models" / "parts"
    assert [row["epoch"] for row in log_of(trainer.run_dir)] == [str(epoch) for epoch in range(EPOCHS)]


def test_an_unseeded_run_goes_on_with_its_own_draws(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        at_draw(patch, STEPS * BATCH + 3, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(TrainingInterruptedError):
            ModelTrainer(settings(folder, "parts", seed=None)).train()
    position = Position.read(folder / "models" / "parts" / model_dir.RESUME)
    assert (position.epoch, position.batch) == (1, 2)
    trainer = ModelTrainer(resume_config(folder / "models" / "parts"))
    assert trainer._seed == position.seed


def test_finished_epochs_can_be_continued_with_more_in_a_new_folder(folder: Path) -> None:
    first = folder / "models" / "first"
    with pytest.raises(TrainingCollapsedError):  # a few steps teach it nothing, and it is told so when all is done
        run_training(settings(folder, "first", model_ckpt={"save_last": True}))
    assert not (first / model_dir.RESUME).exists()
    again = settings(folder, "second", resume_ckpt_path=str(first / "last.ckpt"), max_epochs=EPOCHS + 1)
    second = ModelTrainer(again)
    second.train()
    assert second.run_dir == folder / "models" / "second"
    assert [row["epoch"] for row in log_of(second.run_dir)] == [str(EPOCHS)]
    with pytest.raises(TrainingCollapsedError):
        resume_training(first, [f"trainer_config.max_epochs={EPOCHS + 1}"])
    assert log_of(first)[-1] == log_of(second.run_dir)[-1]


def test_what_cannot_be_resumed_is_refused_in_a_sentence(folder: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        ModelTrainer(settings(folder, "run", resume_ckpt_path=str(folder / "none.ckpt")))
    with pytest.raises(MissingFileError, match="folder of a training run"):
        resume_config(folder)
    weights = folder / "weights.ckpt"
    torch.save({"state_dict": {}}, weights)
    with pytest.raises(ModelError, match="pretrained_backbone_weights"):
        ModelTrainer(settings(folder, "run", resume_ckpt_path=str(weights)))
    ModelTrainer(settings(folder, "small", max_epochs=1)).train()
    other = settings(folder, "other", resume_ckpt_path=str(folder / "models" / "small"))
    other["model_config"]["backbone_config"]["unet"]["filters"] = 6
    with pytest.raises(ModelError, match="does not continue this network"):
        ModelTrainer(other).train()


def content(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model_config.backbone_config.unet.filters=6", "does not continue this network"),
        ("trainer_config.optimizer.backbone_lr_scale=0.1", "other learning rates from part to part"),
        ("trainer_config.max_epochs=1", "max_epochs is 1, but .* has 2 epochs behind it"),
    ],
)
def test_a_refused_resumption_changes_nothing_in_the_run_folder(folder: Path, override: str, words: str) -> None:
    ModelTrainer(settings(folder, "run", max_epochs=2)).train()
    run = folder / "models" / "run"
    before = content(run)
    with pytest.raises((ModelError, ConfigError), match=words):
        resume_training(run, [override])
    assert content(run) == before


def test_a_run_that_is_alive_is_not_resumed(folder: Path) -> None:
    ModelTrainer(settings(folder, "run", max_epochs=2)).train()
    run = folder / "models" / "run"
    hold = "import sys, pathlib; from sleap_nn.training.run_lock import RunLock as Lock; lock = Lock(); "
    hold += "lock.take(pathlib.Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(run)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        before = content(run)
        again = ModelTrainer(settings(folder, "run", resume_ckpt_path=str(run)))
        for attempt in (again.train, lambda: resume_training(run)):
            with pytest.raises(OutputError, match="Another process is training in"):
                attempt()
        assert content(run) == before


def test_a_run_that_has_made_all_its_epochs_is_finished_without_another(folder: Path) -> None:
    ModelTrainer(settings(folder, "run", max_epochs=2)).train()
    run = folder / "models" / "run"
    log = log_of(run)
    with pytest.raises(TrainingCollapsedError):  # too few steps to learn anything, which is told when all is done
        resume_training(run)
    assert log_of(run) == log
    assert not (run / model_dir.RESUME).exists()
    assert (run / "report.html").exists()


def test_a_run_that_ended_early_has_no_epoch_left_when_its_evaluation_is_made_up_for(folder: Path) -> None:
    early = {"early_stopping": {"stop_training_on_plateau": True, "patience": 1, "min_delta": 10.0}}
    run = folder / "models" / "run"
    ModelTrainer(settings(folder, "run", visualize_preds_during_training=True, **early)).train()
    logged = log_of(run)
    assert len(logged) == 2 < EPOCHS
    (run / "viz").mkdir()  # as left by an interruption at the end of the last epoch
    ModelTrainer(resume_config(run)).train()
    assert log_of(run) == logged
    assert not (run / "viz").exists()
    ModelTrainer(resume_config(run, ["trainer_config.early_stopping.patience=2"])).train()
    assert len(log_of(run)) > len(logged)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_between_the_last_step_and_the_evaluation_is_obeyed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    evaluated = []
    monkeypatch.setattr(LossWatch, "on_train_end", lambda *_: signal.raise_signal(number))
    monkeypatch.setattr(after_training, "evaluate_run", lambda *_: evaluated.append(True))
    with pytest.raises(TrainingInterruptedError, match="--resume"):
        run_training(settings(folder, "run"))
    assert not evaluated
    assert Position.read(folder / "models" / "run" / model_dir.RESUME).epoch == EPOCHS


@pytest.mark.parametrize("place", ["write_ground_truth", "write_configs"])
def test_ctrl_c_while_the_run_folder_is_written_leaves_no_half_of_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_folder, place, interrupt)
    with pytest.raises(KeyboardInterrupt):
        ModelTrainer(settings(folder, "run")).train()
    assert not (folder / "models" / "run").exists()


def test_labels_that_a_killed_run_left_are_not_scored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **keywords: object) -> None:
        raise MemoryError

    more = [make_labels(4, seed=seed, path=folder / f"{seed}.pkg.slp").provenance["filename"] for seed in (1, 2)]
    job = settings(folder, "run")
    job["data_config"] |= {"train_labels_path": [str(folder / "labels.pkg.slp"), *more], "test_file_path": more}
    with monkeypatch.context() as patch:
        patch.setattr(engine, "fit", die)
        with pytest.raises(MemoryError):
            ModelTrainer(job).train()
    run = folder / "models" / "run"
    assert {path.name.split(".")[1] for path in run.glob("labels_gt.*.2.slp")} >= {"train"}
    assert (run / "labels_gt.test.1.slp").exists()
    trainer = ModelTrainer(settings(folder, "run"))
    trainer.train()
    assert trainer.run_dir == run
    assert {path.name for path in run.glob("labels_gt.*")} == {"labels_gt.train.0.slp", "labels_gt.val.0.slp"}


def test_a_damaged_resume_point_is_refused_with_the_way_to_go_on(folder: Path) -> None:
    ModelTrainer(settings(folder, "run", max_epochs=2)).train()
    run = folder / "models" / "run"
    (run / model_dir.RESUME).write_bytes(b"broken")
    with pytest.raises(ModelError, match=r"resume.ckpt cannot be read .*; .* delete it to go on from .*best.ckpt"):
        resume_training(run)
    (run / model_dir.WEIGHTS).unlink()
    with pytest.raises(ModelError, match=r"give an intact file\.$"):
        resume_training(run)
