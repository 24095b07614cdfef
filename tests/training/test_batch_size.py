from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from factories import make_labels

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.networks import model_dir
from sleap_nn.structures.sample import Batch
from sleap_nn.training import batch_size
from sleap_nn.training.batch_size import largest_fitting
from sleap_nn.training.memory import MemoryNeed
from sleap_nn.training.model_trainer import ModelTrainer


@pytest.mark.parametrize(
    ("bound", "most", "expected"), [(32, 100, 32), (31, 100, 16), (32, 9, 8), (32, 1, 1), (32, 0, 1), (1, 100, 1)]
)
def test_the_largest_power_of_two_that_fits(bound: int, most: int, expected: int) -> None:
    tried: list[int] = []
    assert largest_fitting(bound, lambda size: tried.append(size) or size <= most) == expected
    assert tried == sorted(tried)
    assert max(tried, default=0) <= bound


def settings(folder: Path, train: int | str, val: int | str, **trainer: Any) -> dict[str, Any]:
    return {
        "data_config": {"train_labels_path": [str(folder / "labels.pkg.slp")], "use_same_data_for_val": True},
        "model_config": {
            "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": 1,
            "min_train_steps_per_epoch": 1,
            "train_data_loader": {"batch_size": train},
            "val_data_loader": {"batch_size": val},
            "save_ckpt": True,
            "ckpt_dir": str(folder / "models"),
            "run_name": "run",
            "trainer_accelerator": "cpu",
            **trainer,
        },
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_labels(11, path=tmp_path / "labels.pkg.slp")
    return tmp_path


def sizes(folder: Path) -> tuple[int | str, int | str, int | None]:
    config = TrainingJobConfig.load(folder / "models" / "run" / "training_config.yaml").trainer_config
    return config.train_data_loader.batch_size, config.val_data_loader.batch_size, config.train_steps_per_epoch


def run(config: dict[str, Any]) -> None:
    ModelTrainer(config).train()


@pytest.mark.parametrize(
    ("train", "val", "free", "expected"),
    [
        ("auto", "auto", 10**12, (8, 8, 2)),  # no more than there are samples
        ("auto", "auto", 10_100, (4, 4, 3)),
        ("auto", 3, 10_100, (4, 3, 3)),
        ("auto", "auto", 10, (1, 1, 11)),
        ("auto", "auto", None, (4, 4, 3)),
        (5, "auto", 10, (5, 5, 3)),
    ],
)
def test_auto_becomes_a_number_in_the_resolved_configuration(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    train: int | str,
    val: int | str,
    free: int | None,
    expected: tuple[int, int, int],
) -> None:
    monkeypatch.setattr(batch_size, "measure", lambda *arguments: MemoryNeed(50, 1000))
    monkeypatch.setattr(batch_size, "free_memory", lambda accelerator: free)
    run(settings(folder, train, val))
    assert sizes(folder) == expected
    initial = TrainingJobConfig.load(folder / "models" / "run" / "initial_config.yaml").trainer_config
    assert initial.train_data_loader.batch_size == train


@pytest.mark.parametrize(("train", "expected"), [("auto", 8), (6, 6)])
def test_whole_frames_are_validated_in_smaller_batches_than_random_crops(
    folder: Path, monkeypatch: pytest.MonkeyPatch, train: int | str, expected: int
) -> None:
    monkeypatch.setattr(batch_size, "free_memory", lambda _: 10**12)
    config = settings(folder, train, "auto")
    config["data_config"]["augmentation_config"] = {"geometric": {"random_crop_size": 32}}
    run(config)
    frame = TrainingJobConfig.load(folder / "models" / "run" / "training_config.yaml").data_config.preprocessing
    share = 32**2 / (frame.max_height * frame.max_width)
    assert 0 < share < 0.5
    assert sizes(folder)[:2] == (expected, max(1, int(expected * share)))


def test_a_given_length_of_epochs_stays(folder: Path) -> None:
    run(settings(folder, "auto", 2, train_steps_per_epoch=3))
    assert sizes(folder) == (8, 2, 3)


def test_a_resumed_run_keeps_the_sizes_that_were_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(settings(folder, "auto", "auto"))
    monkeypatch.setattr(batch_size, "free_memory", lambda accelerator: 10)
    again = settings(folder, "auto", "auto", max_epochs=2, resume_ckpt_path=str(folder / "models" / "run"))
    run(again)
    assert sizes(folder) == (8, 8, 2)
    assert model_dir.read_checkpoint(folder / "models" / "run" / "resume.ckpt")["batch_sizes"] == [8, 8]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), None])
def test_a_gpu_is_tried(folder: Path, monkeypatch: pytest.MonkeyPatch, error: RuntimeError | None) -> None:
    """On a made-up GPU: steps of more than 2 samples fail, or take more than there is."""
    trainer = ModelTrainer(settings(folder, "auto", "auto"))
    network, (train, _) = trainer._network(), trainer.datasets()
    trainer.job.trainer_config.trainer_accelerator = "cuda"
    trainer.job.trainer_config.precision = "32"
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tried: list[int] = []
    step: Callable[..., None] = batch_size._make_step

    def limited(net: torch.nn.Module, task: Any, batch: Batch, job: TrainingJobConfig) -> None:
        tried.append(len(batch))
        step(net, task, batch, job)
        if error is not None and len(batch) > 2:
            raise error

    monkeypatch.setattr(batch_size, "_make_step", limited)
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, device: self)
    monkeypatch.setattr(Batch, "to", lambda self, device: self)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 40 * tried[-1])
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: type("Device", (), {"total_memory": 100}))
    batch_size.settle(trainer.job, network, trainer.task, train)
    assert tried == [2, 4]
    assert trainer.job.trainer_config.train_data_loader.batch_size == 2
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_processes_share_the_memory_of_a_machine_and_take_over_what_one_decides(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_size, "measure", lambda *arguments: MemoryNeed(0, 1000))
    monkeypatch.setattr(batch_size, "free_memory", lambda accelerator: 16_000)
    trainer = ModelTrainer(settings(folder, "auto", "auto"))
    network, (train, _) = trainer._network(), trainer.datasets()
    first, other = deepcopy(trainer.job), deepcopy(trainer.job)
    batch_size.settle(first, network, trainer.task, train, num_sharing=2)
    assert batch_size.decided(first) == [4, 4, 3]
    batch_size.adopt(other, batch_size.decided(first))
    assert other == first
