from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import sleap_io as sio
from constant_model import write_constant_model

from sleap_nn import demo
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.synthetic import Scene, SyntheticDataset, write_dataset
from sleap_nn.demo import demo_config, run_demo
from sleap_nn.training.model_trainer import ModelTrainer

SIDE, NUM_FRAMES = 64, 8


def draw_small(folder: Path, scene: Scene, num_labels: int, num_video_frames: int) -> SyntheticDataset:
    """Draw what the demo draws, but smaller and less of it."""
    small = replace(scene, height=SIDE, width=SIDE, num_obstacles=0)
    return write_dataset(folder, small, min(num_labels, 6), num_video_frames, num_clips=1)


@pytest.fixture
def trained_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[TrainingJobConfig]:
    """Put a network that finds something everywhere in the place of training; return what it was to train with."""
    seen: list[TrainingJobConfig] = []

    def train(config: TrainingJobConfig) -> SimpleNamespace:
        seen.append(config)
        run_dir = tmp_path / "demo" / "models" / "single_instance"
        write_constant_model(run_dir, Path(config.data_config.train_labels_path[0]))
        return SimpleNamespace(run_dir=run_dir)

    monkeypatch.setattr(demo, "write_dataset", draw_small)
    monkeypatch.setattr(demo, "run_training", train)
    return seen


def num_video_frames(path: Path) -> int:
    return len(sio.load_video(str(path)))


def test_the_demo_leaves_predictions_metrics_and_pictures(
    tmp_path: Path, trained_with: list[TrainingJobConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    result = run_demo(folder, minutes=0.5, num_video_frames=NUM_FRAMES, seed=3)
    (config,) = trained_with
    assert config.trainer_config.max_time == 0.5
    assert config.trainer_config.seed == 3
    assert result.folder == folder
    assert result.run_dir == folder / "models" / "single_instance"
    assert result.report == result.run_dir / "report.html"
    found = sio.load_slp(str(result.predictions))
    assert [frame.frame_idx for frame in found] == list(range(NUM_FRAMES))
    assert result.metrics is not None
    assert result.metrics["distance_metrics"]["p50"] > 0
    assert (folder / "metrics.video.npz").exists()
    printed = capsys.readouterr().out
    assert "mOKS" in printed
    assert "IDF1" in printed
    assert (folder / "tracks.video.json").exists()
    assert all(instance.track is not None for frame in found for instance in frame)
    assert num_video_frames(result.overlay) == NUM_FRAMES
    sheet = cv2.imread(str(result.contact_sheet))
    assert sheet.shape[1] > 4 * 2 * SIDE
    assert sheet.shape[0] > 2 * 2 * SIDE


def test_a_network_that_finds_nothing_on_the_video_still_gives_pictures(
    tmp_path: Path, trained_with: list[TrainingJobConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = demo.predict
    monkeypatch.setattr(demo, "predict", lambda *a, **k: original(*a, **k, peak_threshold=0.9))
    result = run_demo(tmp_path / "demo", num_video_frames=2)
    assert result.metrics is None
    assert num_video_frames(result.overlay) == 2


def test_the_same_seed_draws_the_same_animals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(config: TrainingJobConfig) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "write_dataset", draw_small)
    monkeypatch.setattr(demo, "run_training", stop)
    truths = []
    for seed in (1, 1, 2):
        with pytest.raises(KeyboardInterrupt):
            run_demo(tmp_path, num_video_frames=2, seed=seed)
        truths.append(sio.load_slp(str(tmp_path / "truth.slp")).numpy())
    np.testing.assert_array_equal(truths[0], truths[1])
    assert not np.array_equal(truths[0], truths[2], equal_nan=True)


@pytest.fixture
def drawn(tmp_path: Path) -> SyntheticDataset:
    return draw_small(tmp_path, Scene(channels=1), num_labels=6, num_video_frames=3)


def test_the_configuration_fits_the_labels_and_builds_a_trainer(tmp_path: Path, drawn: SyntheticDataset) -> None:
    trainer = ModelTrainer(demo_config(drawn, tmp_path, minutes=0.25, seed=7))
    assert trainer.model_type == "single_instance"
    assert len(trainer.train_labels[0]) + len(trainer.val_labels[0]) == 6
    settings = trainer.job.trainer_config
    assert (settings.max_time, settings.seed) == (0.25, 7)
    assert settings.ckpt_dir == str(tmp_path / "models")
    assert settings.save_ckpt


def test_the_schedule_ends_with_the_last_epoch(tmp_path: Path, drawn: SyntheticDataset) -> None:
    trainer = demo_config(drawn, tmp_path, 1.0, 0).trainer_config
    assert trainer.lr_scheduler is not None
    schedule = trainer.lr_scheduler.cosine_annealing_warmup
    assert schedule is not None
    assert schedule.max_epochs in (None, trainer.max_epochs)


def test_the_configuration_can_be_saved_and_read_again(tmp_path: Path, drawn: SyntheticDataset) -> None:
    config = demo_config(drawn, tmp_path, 1.0, 0)
    config.save(tmp_path / "demo.yaml")
    assert TrainingJobConfig.load(tmp_path / "demo.yaml") == config


def test_the_pictures_show_predictions_and_truth(tmp_path: Path, trained_with: list[TrainingJobConfig]) -> None:
    folder = tmp_path / "demo"
    result = run_demo(folder, num_video_frames=2)
    truth, found = (sio.load_slp(str(path)) for path in (folder / "truth.slp", result.predictions))
    plain = cv2.resize(np.repeat(truth.video[1], 3, axis=2), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    changed = np.abs(sio.load_video(str(result.overlay))[1].astype(int) - plain).max(axis=2) > 60
    for labels in (truth, found):
        for x, y in labels[1].instances[0].numpy():
            if np.isfinite(x):
                column, row = round(2 * x), round(2 * y)
                assert changed[max(0, row - 8) : row + 9, max(0, column - 8) : column + 9].any()
