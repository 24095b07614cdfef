"""The verb `demo`: the main job from start to end on drawn animals, small enough for a laptop.

Draws labels and a video, trains, predicts and tracks the video, evaluates against the truth, and draws what came out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.synthetic import Scene, SyntheticDataset, write_dataset
from sleap_nn.evaluation import run_evaluation
from sleap_nn.evaluation.tracks import run_tracking_evaluation
from sleap_nn.inference.run import predict
from sleap_nn.log import logger
from sleap_nn.render import render
from sleap_nn.report import REPORT
from sleap_nn.train import run_training

_SCALE = 2.0


@dataclass(frozen=True)
class DemoResult:
    """What the demo made.

    Attributes:
        folder: Where everything is.
        run_dir: The run folder.
        report: Page about the training in the run folder.
        predictions: Predicted labels of the video.
        overlay: The video with predictions drawn on it.
        contact_sheet: Frames of the video, truth as rings and predictions as points.
        metrics: Metrics of the video against the truth, None without a single prediction.
    """

    folder: Path
    run_dir: Path
    report: Path
    predictions: Path
    overlay: Path
    contact_sheet: Path
    metrics: dict[str, dict[str, Any]] | None


def run_demo(folder: str | Path, minutes: float = 3.2, num_video_frames: int = 300, seed: int = 0) -> DemoResult:
    """Run the whole path once.

    Args:
        folder: Where to write; made if it is missing.
        minutes: How long to train at most.
        num_video_frames: Length of the video.
        seed: Same seed, same animals and same training.

    Raises:
        OutputError: The folder cannot be written.
        TrainingCollapsedError: The trained network finds nothing.
    """
    folder = Path(folder)
    logger.info("Drawing animals ...")
    drawn = write_dataset(folder, Scene(seed=seed, channels=1), num_labels=200, num_video_frames=num_video_frames)
    trainer = run_training(demo_config(drawn, folder, minutes, seed))
    run_dir = folder if trainer.run_dir is None else trainer.run_dir
    predictions = folder / "predictions.slp"
    logger.info("Predicting the video ...")
    predict(drawn.video, model_paths=run_dir, output_path=predictions, tracker_config=TrackerConfig())
    metrics = run_evaluation(drawn.truth, predictions, save_metrics=folder / "metrics.video")
    if metrics is not None:
        run_tracking_evaluation(drawn.truth, predictions, save_metrics=folder / "tracks.video.json")
    logger.info("Drawing the predictions ...")
    overlay, sheet = folder / "overlay.mp4", folder / "contact_sheet.png"
    render(predictions, output_path=overlay, gallery=sheet, truth=drawn.truth, scale=_SCALE, gallery_crop=False)
    return DemoResult(folder, run_dir, run_dir / REPORT, predictions, overlay, sheet, metrics)


def demo_config(drawn: SyntheticDataset, folder: Path, minutes: float, seed: int) -> TrainingJobConfig:
    """Return the configuration that the demo trains with."""
    return TrainingJobConfig.from_cfg(
        {
            "data_config": {
                "train_labels_path": [str(drawn.labels)],
                "validation_fraction": 0.15,
                "data_pipeline_fw": "torch_dataset_cache_img_memory",
                "augmentation_config": {
                    "intensity": {"contrast_p": 0.2, "brightness_p": 0.2},
                    "geometric": {"rotation_min": -180.0, "rotation_max": 180.0, "random_crop_size": 96},
                },
            },
            "model_config": {
                "backbone_config": {"unet": {"filters": 8, "filters_rate": 2.0, "max_stride": 16}},
                "head_configs": {"single_instance": {"confmaps": {"sigma": 1.5, "output_stride": 4}}},
            },
            "trainer_config": {
                "train_data_loader": {"batch_size": 4},
                "val_data_loader": {"batch_size": 4},
                "max_epochs": 120,
                "min_train_steps_per_epoch": 50,
                "max_time": minutes,
                "seed": seed,
                "save_ckpt": True,
                "ckpt_dir": str(folder / "models"),
                "run_name": "single_instance",
                "ema_decay": 0.98,
                "optimizer": {"lr": 1.5e-3},
                "lr_scheduler": {"cosine_annealing_warmup": {"warmup_epochs": 0}},
                # Without this the tip of the tail, thin and often hidden, was misplaced in more frames of the video.
                "online_hard_keypoint_mining": {"online_mining": True},
            },
        }
    )
