"""Splits and moved videos through the command line, from labels to run folder, resuming and fine-tuning."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import sleap_io as sio
import yaml
from click.testing import CliRunner, Result
from factories import make_labels

from sleap_nn.cli import cli
from sleap_nn.data.dataset import PoseDataset
from sleap_nn.data.video_paths import VideoPaths
from sleap_nn.errors import ConfigError
from sleap_nn.train import run_training
from sleap_nn.training.model_trainer import ModelTrainer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Labels in one folder, their two videos in another, and a configuration of a short training."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    make_labels(8, path=tmp_path / "old" / "labels.slp", embed=False, num_clips=2)
    for clip in (tmp_path / "old").glob("*.mp4"):
        clip.rename(tmp_path / "new" / clip.name)
    config = {
        "data_config": {
            "train_labels_path": [str(tmp_path / "old" / "labels.slp")],
            "test_file_path": str(tmp_path / "old" / "labels.slp"),
        },
        "model_config": {
            "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
        },
        "trainer_config": {
            "save_ckpt": True,
            "ckpt_dir": str(tmp_path / "models"),
            "run_name": "run",
            "max_epochs": 2,
            "train_steps_per_epoch": 2,
            "min_train_steps_per_epoch": 1,
            "trainer_accelerator": "cpu",
        },
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)


def train(folder: Path, *arguments: str | Path) -> Result:
    return run("train", "-c", "config", "-d", folder, *arguments)


def frames(path: Path, **kwargs: Any) -> list[tuple[str, int]]:
    labels = sio.load_slp(str(path), open_videos=False, **kwargs)
    return [(Path(str(frame.video.filename)).name, frame.frame_idx) for frame in labels]


def at_draw(monkeypatch: pytest.MonkeyPatch, number: int, action: Any) -> None:
    """Do something when the training set makes its n-th draw."""
    read, count = PoseDataset.__getitem__, iter(range(10**6))

    def counted(self: PoseDataset, draw: Any) -> Any:
        if self._augmenter is not None and next(count) == number:
            action()
        return read(self, draw)

    monkeypatch.setattr(PoseDataset, "__getitem__", counted)


@pytest.mark.parametrize("way", ["paths", "map", "prefix"])
def test_labels_train_with_their_videos_at_new_paths(folder: Path, way: str) -> None:
    clips = [folder / "new" / f"clip{i}.mp4" for i in range(2)]
    arguments = {
        "paths": ["-v", clips[0], "--video-paths", clips[1]],
        "map": [x for clip in clips for x in ("--video-path-map", folder / "old" / clip.name, clip)],
        "prefix": ["--prefix-map", f"{folder / 'old'}/", folder / "new"],
    }[way]
    before = (folder / "old" / "labels.slp").read_bytes()
    result = train(folder, *arguments)
    assert result.exit_code in (0, 3), result.output
    assert (folder / "old" / "labels.slp").read_bytes() == before
    for name in ("labels_gt.train.0.slp", "labels_gt.val.0.slp", "labels_gt.test.0.slp", "labels_pr.test.0.slp"):
        written = sio.load_slp(str(folder / "models" / "run" / name))
        assert {Path(str(video.filename)) for video in written.videos} == set(clips)
        assert written[0].image.shape == (64, 64, 1)


def test_paths_that_do_not_fit_are_refused_in_a_sentence(folder: Path) -> None:
    clip = folder / "new" / "clip0.mp4"
    for arguments, words in (
        (["-v", clip], ("1 new video path is given, but the labels have 2 videos", "old/clip1.mp4")),
        (["--prefix-map", folder / "ol", folder / "new"], ("No video of the labels starts with", "old/clip0.mp4")),
        (["--video-path-map", folder / "old", clip], ("is stored as", "old/clip0.mp4")),
        (["--prefix-map", folder / "old", folder / "none"], ("none/clip0.mp4 does not exist",)),
        ([], ("does not exist",)),
    ):
        result = train(folder, *arguments)
        assert result.exit_code == 1, result.output
        assert result.output.count("Error: ") == 1
        assert "Traceback" not in result.output
        for word in words:
            assert word in result.output
    assert not (folder / "models").exists()


def test_a_resumed_run_finds_its_videos_and_its_frames_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        at_draw(patch, 5, lambda: os.kill(os.getpid(), signal.SIGTERM))
        result = train(folder, "--prefix-map", folder / "old", folder / "new")
    assert result.exit_code == 75, result.output
    models = folder / "models" / "run"
    before = {name: frames(models / f"labels_gt.{name}.0.slp") for name in ("train", "val")}
    split = (models / "split.json").read_bytes()

    grown = sio.load_slp(str(folder / "old" / "labels.slp"), open_videos=False)
    extra = grown[0]
    grown.append(sio.LabeledFrame(video=extra.video, frame_idx=7, instances=extra.instances))
    grown.save(str(folder / "old" / "labels.slp"), embed=False, verbose=False)
    result = run("train", "--resume", models)
    assert result.exit_code in (0, 3), result.output
    assert "1 labelled frame(s) are new since the run began and are not used" in result.output
    assert {name: frames(models / f"labels_gt.{name}.0.slp") for name in ("train", "val")} == before
    assert (models / "split.json").read_bytes() == split
    assert json.loads(split)["counts"] == {"train": 7, "val": 1}
    assert VideoPaths.load(models / "video_paths.yaml").prefix_map == ((str(folder / "old"), str(folder / "new")),)


def test_a_resumed_run_can_be_told_that_videos_moved_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        at_draw(patch, 5, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert train(folder, "--prefix-map", folder / "old", folder / "new").exit_code == 75
    (folder / "new").rename(folder / "newest")
    models = folder / "models" / "run"
    assert run("train", "--resume", models).exit_code == 1
    result = run("train", "--resume", models, "--prefix-map", folder / "old", folder / "newest")
    assert result.exit_code in (0, 3), result.output
    labels = sio.load_slp(str(models / "labels_gt.val.0.slp"))
    assert Path(str(labels.videos[0].filename)).parent == folder / "newest"


def test_a_resumed_run_goes_on_when_the_labels_were_repaired(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        at_draw(patch, 5, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert train(folder, "--prefix-map", folder / "old", folder / "new").exit_code == 75
    labels = sio.load_slp(str(folder / "old" / "labels.slp"), open_videos=False)
    labels.replace_filenames(prefix_map={str(folder / "old"): str(folder / "new")})
    labels.save(str(folder / "old" / "labels.slp"), embed=False, verbose=False)
    result = run("train", "--resume", folder / "models" / "run")
    assert result.exit_code in (0, 3), result.output


def test_fine_tuning_keeps_validation_frames_out_of_training(folder: Path) -> None:
    moved = ("--prefix-map", folder / "old", folder / "new")
    assert train(folder, *moved, "data_config.validation_fraction=0.25").exit_code in (0, 3)
    models = folder / "models"
    package = sio.load_slp(str(folder / "old" / "labels.slp"))
    package.replace_filenames(prefix_map={str(folder / "old"): str(folder / "new")})
    package.save(str(folder / "labels.pkg.slp"), embed="user", verbose=False)
    result = train(
        folder,
        f"data_config.train_labels_path=['{folder / 'labels.pkg.slp'}']",
        "data_config.test_file_path=null",
        "data_config.split.split_by=frame",
        "trainer_config.seed=5",
        "trainer_config.run_name=tuned",
        f"model_config.pretrained_backbone_weights='{models / 'run' / 'best.ckpt'}'",
    )
    assert result.exit_code in (0, 3), result.output
    assert "8 frames are known from the weights" in result.output
    first, tuned = (json.loads((models / name / "split.json").read_text()) for name in ("run", "tuned"))
    for side in ("train", "val"):
        pairs = [
            {(runs["video"].split("|")[0], frame) for runs in split["files"][0][side] for frame in runs["frames"]}
            for split in (first, tuned)
        ]
        assert pairs[0] == pairs[1]


def test_labels_in_memory_can_be_given_new_paths_and_are_not_changed(folder: Path) -> None:
    labels = sio.load_slp(str(folder / "old" / "labels.slp"))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["data_config"] = {}
    paths = VideoPaths(prefix_map=((str(folder / "old"), str(folder / "new")),))
    before = [video.filename for video in labels.videos]
    trainer = ModelTrainer.get_model_trainer_from_config(config, [labels], video_paths=paths)
    assert [video.filename for video in labels.videos] == before
    assert Path(str(trainer.train_labels[0].videos[0].filename)).parent == folder / "new"
    with pytest.raises(ConfigError, match="starts with '/nowhere'"):
        run_training(config, [labels], video_paths=VideoPaths(prefix_map=(("/nowhere", "/else"),)))


def test_test_labels_are_looked_at_before_training(folder: Path) -> None:
    package = sio.load_slp(str(folder / "old" / "labels.slp"))
    package.replace_filenames(prefix_map={str(folder / "old"): str(folder / "new")})
    package.save(str(folder / "labels.pkg.slp"), embed="user", verbose=False)
    train_on_package = f"data_config.train_labels_path=['{folder / 'labels.pkg.slp'}']"
    result = train(folder, train_on_package)
    assert result.exit_code == 1
    assert "old/clip0.mp4" in result.output
    assert not (folder / "models").exists()
    for clip in (folder / "new").glob("*.mp4"):
        shutil.copy(clip, folder / "old")
    unlabelled = sio.load_slp(str(folder / "labels.pkg.slp"))
    for frame in unlabelled:
        frame.instances = []
    unlabelled.save(str(folder / "unlabelled.slp"), embed=False, verbose=False)
    tests = f"data_config.test_file_path=['{folder / 'old' / 'labels.slp'}','{folder / 'unlabelled.slp'}']"
    result = train(folder, train_on_package, tests, "trainer_config.max_epochs=1")
    assert result.exit_code in (0, 3), result.output
    assert "unlabelled.slp has no frame labelled by a user, so it is not evaluated" in result.output
    assert (folder / "models" / "run" / "labels_pr.test.0.slp").exists()
    assert "7 of the 8 labelled frame(s) of the test labels are also in the training labels" in result.output
