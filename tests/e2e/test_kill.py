"""`kill -9` at random moments of a run: its folder can always be resumed, and its best weights always load."""

import random
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from factories import make_labels
from forking import fork_server

from sleap_nn.data.video_paths import VideoPaths
from sleap_nn.networks import model_dir
from sleap_nn.train import resume_training, run_training
from sleap_nn.training import run_folder

NUM_KILLS = 20


def settings(folder: Path, name: str) -> dict[str, Any]:
    return {
        "data_config": {
            "train_labels_path": [str(folder / "labels.pkg.slp")],
            "augmentation_config": {"geometric": {"rotation_p": 1.0}},
        },
        "model_config": {
            "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": 40,
            "train_steps_per_epoch": 5,
            "min_train_steps_per_epoch": 1,
            "train_data_loader": {"batch_size": 2},
            "save_ckpt": True,
            "model_ckpt": {"save_last": True},
            "ckpt_dir": str(folder / "models"),
            "run_name": name,
            "trainer_accelerator": "cpu",
            "enable_progress_bar": False,
            "ema_decay": 0.9,
            "optimizer": {"lr": 1e-3},
        },
    }


def start(target: Any, *arguments: Any) -> BaseProcess:
    """Run in a process of its own, forked from one that has imported everything."""
    process = fork_server().Process(target=target, args=arguments)
    process.start()
    return process


def test_every_file_of_a_run_is_put_in_place_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test below hits the moments in which a file is half there too rarely to find one."""
    make_labels(8, path=tmp_path / "labels.pkg.slp")
    config = settings(tmp_path, "run")
    config["trainer_config"] |= {"visualize_preds_during_training": True, "keep_viz": True}
    run = tmp_path / "models" / "run"
    needed = [run / name for name in (model_dir.CONFIG, run_folder.SPLIT, run_folder.VIDEO_PATHS)]
    needed += [run / f"labels_gt.{split}.0.slp" for split in ("train", "val")]
    placed: set[Path] = set()
    missed: set[Path] = set()
    replace = Path.replace

    def record(path: Path, target: Path) -> Path:
        if (run / model_dir.LAST_WEIGHTS).exists():
            missed.update(file for file in needed if not file.exists())
        placed.add(Path(target))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", record)
    moved = VideoPaths(prefix_map=(("/nowhere", "/else"),), required=False)
    run_training(config, video_paths=moved)
    written = {path for path in run.rglob("*") if path.is_file()}
    assert written - placed == {run / run_folder.LOG}  # grows by lines
    assert written > set(needed)

    again: set[Path] = set()
    placed, before = again, placed
    resume_training(run, ["trainer_config.max_epochs=41"], moved)
    assert again >= set(needed)
    assert {path for path in run.rglob("*") if path.is_file()} - before - again == {run / run_folder.LOG}
    assert not missed


@pytest.mark.slow
def test_a_killed_run_can_always_be_resumed(tmp_path: Path) -> None:
    make_labels(8, path=tmp_path / "labels.pkg.slp")
    whole, parts = (tmp_path / "models" / name for name in ("whole", "parts"))
    begin = time.monotonic()
    start(run_training, settings(tmp_path, "whole")).join(400)
    longest = min(2.0, (time.monotonic() - begin) / 8)
    random_times = random.Random(5)
    process = start(run_training, settings(tmp_path, "parts"))
    kills = 0
    while kills < NUM_KILLS:
        process.join(random_times.uniform(0.1, longest))
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
        if process.exitcode != -9:  # it had just come to its end
            break
        kills += 1
        if (parts / model_dir.WEIGHTS).exists():
            assert model_dir.load_weights(parts / model_dir.WEIGHTS)
        is_run = (parts / model_dir.CONFIG).exists()
        process = start(resume_training, parts) if is_run else start(run_training, settings(tmp_path, "parts"))
    process.join(400)
    assert kills >= 5
    first, second = (torch.load(run / model_dir.LAST_WEIGHTS, weights_only=True) for run in (whole, parts))
    assert first["global_step"] == second["global_step"] == 200
    assert first["state_dict"].keys() == second["state_dict"].keys()
    assert all(torch.equal(tensor, second["state_dict"][name]) for name, tensor in first["state_dict"].items())
    assert (parts / "metrics.train.0.json").exists() == (whole / "metrics.train.0.json").exists()
    assert not (parts / model_dir.RESUME).exists()
