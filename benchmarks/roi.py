"""Following an animal with a part of the frame (``--roi``) against whole frames: speed, and how far points are apart.

``python -m benchmarks.roi`` from the root of the repository trains a small model on a drawn animal first; with
``--model`` and ``--video`` it compares on others. Frames are decoded in both cases.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks.measure import print_table
from sleap_nn.data.synthetic import Scene, write_dataset
from sleap_nn.inference import Predictor
from sleap_nn.inference.runtime import TorchRuntime
from sleap_nn.stages.follow import RoiSettings
from sleap_nn.structures.predictions import Predictions
from sleap_nn.training.model_trainer import ModelTrainer

SIDE, BODY = 384, 64


def write_model(folder: Path, num_frames: int) -> tuple[Path, Path]:
    """Train a small model on a drawn animal; return its run folder and an unseen video."""
    scene = Scene(height=SIDE, width=SIDE, channels=1, body_length=BODY, seed=1)
    drawn = write_dataset(folder, scene, num_labels=40, num_video_frames=num_frames)
    ModelTrainer(
        {
            "data_config": {
                "train_labels_path": [str(drawn.labels)],
                "data_pipeline_fw": "torch_dataset_cache_img_memory",
                "preprocessing": {"scale": 0.5},
            },
            "model_config": {
                "backbone_config": {"unet": {"filters": 8, "filters_rate": 2.0, "max_stride": 16}},
                "head_configs": {"single_instance": {"confmaps": {"sigma": 2.5, "output_stride": 2}}},
            },
            "trainer_config": {
                "max_epochs": 5,
                "min_train_steps_per_epoch": 50,
                "ema_decay": 0.98,
                "optimizer": {"lr": 2e-3},
                "enable_progress_bar": False,
                "save_ckpt": True,
                "ckpt_dir": str(folder),
                "run_name": "run",
            },
        }
    ).train()
    return folder / "run", drawn.video


class CountingRuntime:
    """Counts the pixels that networks see."""

    def __init__(self) -> None:
        """Put itself between stages and networks."""
        self.pixels = 0
        forward = TorchRuntime.__call__

        def counted(runtime: TorchRuntime, images: Tensor):
            self.pixels += images.numel()
            return forward(runtime, images)

        TorchRuntime.__call__ = counted


def predict(predictor: Predictor, video: Path, frames: range | None) -> tuple[list[Predictions], float]:
    """Return what is found and the frames a second, without the first batch."""
    list(predictor.predict_streaming(video, frames=range(8)))
    start = time.perf_counter()
    found = list(predictor.predict_streaming(video, frames=frames))
    return found, len(found) / (time.perf_counter() - start)


def apart(ours: list[Predictions], theirs: list[Predictions]) -> tuple[np.ndarray, int]:
    """Return the distances in px of points that both found, and the number of points that one of them found."""
    distances, differing = [], 0
    for a, b in zip(ours, theirs, strict=True):
        if len(a) and len(b):
            known = np.isfinite(a.points[0]).all(axis=1), np.isfinite(b.points[0]).all(axis=1)
            differing += int((known[0] != known[1]).sum())
            distances.append(np.linalg.norm(a.points[0] - b.points[0], axis=1)[known[0] & known[1]])
        elif len(a) or len(b):
            differing += (a if len(a) else b).points.shape[1]
    return np.concatenate(distances) if distances else np.zeros(0), differing


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, help="run folder of a single_instance model")
    parser.add_argument("--video", type=Path, help="video to predict")
    parser.add_argument("--num_frames", type=int, default=300, help="frames that are predicted, from the first")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    if (options.model is None) != (options.video is None):
        parser.error("give --model and --video together, or neither")
    counter, rows = CountingRuntime(), []
    with tempfile.TemporaryDirectory() as name:
        model, video = options.model, options.video
        if model is None:
            model, video = write_model(Path(name), options.num_frames)
        for batch_size in options.batch_sizes:
            results, pixels = [], []
            for roi in (None, RoiSettings()):
                predictor = Predictor.from_model_paths(model, device=options.device, batch_size=batch_size, roi=roi)
                counter.pixels = 0
                results.append(predict(predictor, video, range(options.num_frames)))
                pixels.append(counter.pixels)
            (whole, slow), (followed, fast) = results
            distances, differing = apart(followed, whole)
            figures = [np.median(distances), np.percentile(distances, 99), distances.max()]
            rows.append([f"batch {batch_size}", slow, fast, fast / slow, pixels[1] / pixels[0], *figures, differing])
    columns = ["", "whole f/s", "roi f/s", "ratio", "pixels", "median px", "p99 px", "max px", "points of one only"]
    print_table(f"roi against whole frames, {options.num_frames} frames", columns, rows)


if __name__ == "__main__":
    main()
