"""The verb `demo`: the main job from start to end on drawn animals, small enough for a laptop.

Draws labels and a video, trains, predicts the video, evaluates against the truth, and draws what came out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sleap_io.model.labeled_frame import LabeledFrame

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.labels import Labels, load_labels, skeleton_of
from sleap_nn.data.synthetic import Scene, SyntheticDataset, write_dataset
from sleap_nn.evaluation import run_evaluation
from sleap_nn.inference.run import predict
from sleap_nn.log import logger
from sleap_nn.report import REPORT
from sleap_nn.train import run_training
from sleap_nn.viz import contact_sheet, draw_comparison, save_png, write_overlay_video

FPS = 30.0
_UPSCALING = 2
_SHEET_FRAMES = 12


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
    found = predict(drawn.video, model_paths=run_dir, output_path=predictions)
    metrics = run_evaluation(drawn.truth, predictions, save_metrics=folder / "metrics.video")
    logger.info("Drawing the predictions ...")
    overlay, sheet = folder / "overlay.mp4", folder / "contact_sheet.png"
    truth = load_labels(drawn.truth)
    write_overlay_video(overlay, _overlays(found, truth, range(len(found))), FPS)
    chosen = np.linspace(0, len(found) - 1, min(_SHEET_FRAMES, len(found))).astype(int)
    captions = [f"frame {i}" for i in chosen]
    save_png(sheet, contact_sheet(list(_overlays(found, truth, chosen)), columns=4, captions=captions))
    return DemoResult(folder, run_dir, run_dir / REPORT, predictions, overlay, sheet, metrics)


def demo_config(drawn: SyntheticDataset, folder: Path, minutes: float, seed: int) -> TrainingJobConfig:
    """Return the configuration that the demo trains with."""
    return TrainingJobConfig.from_cfg(
        {
            "data_config": {
                "train_labels_path": [str(drawn.labels)],
                "validation_fraction": 0.15,
                "data_pipeline_fw": "torch_dataset_cache_img_memory",
                "preprocessing": {"scale": 0.5},
                "augmentation_config": {
                    "intensity": {"contrast_p": 0.2, "brightness_p": 0.2},
                    "geometric": {"rotation_min": -20.0, "rotation_max": 20.0},
                },
            },
            "model_config": {
                "backbone_config": {"unet": {"filters": 8, "filters_rate": 2.0, "max_stride": 32}},
                "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 2}}},
            },
            "trainer_config": {
                "train_data_loader": {"batch_size": 4},
                "val_data_loader": {"batch_size": 4},
                "max_epochs": 30,
                "min_train_steps_per_epoch": 50,
                "max_time": minutes,
                "seed": seed,
                "save_ckpt": True,
                "ckpt_dir": str(folder / "models"),
                "run_name": "single_instance",
                "ema_decay": 0.98,
                "optimizer": {"lr": 1.5e-3},
                "lr_scheduler": {"cosine_annealing_warmup": {"warmup_epochs": 0}},
            },
        }
    )


def _overlays(found: Labels, truth: Labels, positions: Any) -> Iterator[np.ndarray]:
    """Draw predictions as points and the truth as rings on frames of the video."""
    skeleton = skeleton_of(found)
    video = found.videos[0]
    known = {int(frame.frame_idx): frame for frame in truth.labeled_frames}
    for position in positions:
        frame = found.labeled_frames[int(position)]
        index = int(frame.frame_idx)
        yield draw_comparison(
            np.asarray(video[index]),
            _points(known[index], len(skeleton.node_names)),
            _points(frame, len(skeleton.node_names)),
            skeleton.edges,
            upscaling=_UPSCALING,
        )


def _points(frame: LabeledFrame, num_nodes: int) -> np.ndarray:
    """Return the points of a frame, (I, N, 2)."""
    instances = [instance.numpy() for instance in frame.instances]
    return np.stack(instances) if instances else np.zeros((0, num_nodes, 2))
