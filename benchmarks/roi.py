"""Following an animal with a part of the frame (``--roi``) against whole frames: speed, and how far points are apart.

``python -m benchmarks.roi`` from the root of the repository trains a small model on a drawn animal first; with
``--model`` and ``--video`` it compares on others. Frames are decoded in both cases, and both take turns. Where other
programs keep the machine busy, trust the ratio of the CPU time, not that of the frames a second.
"""

from __future__ import annotations

import argparse
import statistics
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


class Contender:
    """One of the two ways to predict, with what it took in each round."""

    def __init__(self, predictor: Predictor, counter: CountingRuntime) -> None:
        """Take a predictor and what counts its pixels."""
        self._predictor = predictor
        self._counter = counter
        self.found: list[Predictions] = []
        self.pixels = 0
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def run(self, video: Path, frames: range, counted: bool) -> None:
        """Predict the frames once; the first round only warms up."""
        self._counter.pixels = 0
        wall, cpu = time.perf_counter(), time.process_time()
        batches = self._predictor.predict_streaming(video, frames=frames)
        self.found = [frame for batch in batches for frame in batch.to_predictions()]
        if counted:
            self.wall.append(time.perf_counter() - wall)
            self.cpu.append(time.process_time() - cpu)
        self.pixels = self._counter.pixels


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
    parser.add_argument("--rounds", type=int, default=3)
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
            whole, followed = (
                Contender(
                    Predictor.from_model_paths(model, device=options.device, batch_size=batch_size, roi=roi), counter
                )
                for roi in (None, RoiSettings())
            )
            for number in range(options.rounds + 1):
                for contender in (whole, followed):
                    contender.run(video, range(options.num_frames), counted=number > 0)
            distances, differing = apart(followed.found, whole.found)
            rates = [len(one.found) / statistics.median(one.wall) for one in (whole, followed)]
            cpu = statistics.median(whole.cpu) / statistics.median(followed.cpu)
            share = followed.pixels / whole.pixels
            figures = [np.median(distances), np.percentile(distances, 99), distances.max()]
            rows.append([f"batch {batch_size}", *rates, rates[1] / rates[0], cpu, share, *figures, differing])
    columns = [
        "",
        "whole f/s",
        "roi f/s",
        "ratio",
        "CPU ratio",
        "pixels",
        "median px",
        "p99 px",
        "max px",
        "points of one only",
    ]
    print_table(f"roi against whole frames, {options.num_frames} frames", columns, rows)


if __name__ == "__main__":
    main()
