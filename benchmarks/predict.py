"""Frames a second and memory of `predict` on a short and a long video: the second must not grow with the length.

``python -m benchmarks.predict`` from the root of the repository. The model is untrained and the threshold so low that
every node of every frame is found. Every run has a process of its own, whose peak of resident memory is reported.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import print_table
from sleap_nn.data.synthetic import Scene, synthetic_labels, write_video
from sleap_nn.inference import predict
from sleap_nn.training.model_trainer import ModelTrainer

SIDE = 256
EVERYTHING = -1e9
"""A threshold below any map value."""


def write_model(folder: Path, side: int = SIDE, filters: int = 8) -> Path:
    """Train for one step and return the run folder."""
    labels = folder / "labels.pkg.slp"
    synthetic_labels(labels, Scene(height=side, width=side, channels=1), 4)
    trainer = ModelTrainer(
        {
            "data_config": {"train_labels_path": [str(labels)], "validation_fraction": 0.25},
            "model_config": {
                "backbone_config": {"unet": {"filters": filters, "max_stride": 16}},
                "head_configs": {"single_instance": {"confmaps": {"output_stride": 4}}},
            },
            "trainer_config": {
                "max_epochs": 1,
                "min_train_steps_per_epoch": 1,
                "train_steps_per_epoch": 1,
                "enable_progress_bar": False,
                "save_ckpt": True,
                "ckpt_dir": str(folder),
                "run_name": "run",
            },
        }
    )
    trainer.train()
    return folder / "run"


def run_once(video: Path, model: Path, device: str) -> tuple[int, float, float]:
    """Predict a video; return instances found, seconds, and the peak of this process's memory in MiB.

    The first frames are predicted before, to leave out what only happens once.
    """
    options = {"model_paths": model, "device": device, "peak_threshold": EVERYTHING}
    predict(video, frames=range(8), **options)
    start = time.perf_counter()
    found = predict(video, **options)
    seconds = time.perf_counter() - start
    return sum(len(frame.instances) for frame in found), seconds, peak_memory()


def peak_memory() -> float:
    """Return the peak of this process's resident memory in MiB.

    Linux is asked by file: what `getrusage` says there starts from the memory of the parent.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def measure(video: Path, model: Path, device: str, num_frames: int, rounds: int) -> tuple[float, float]:
    """Return the median of frames a second and of the peak in MiB, over runs in fresh processes."""
    rates, peaks = [], []
    for _ in range(rounds):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            num_instances, seconds, peak = pool.apply(run_once, (video, model, device))
        assert num_instances == num_frames
        rates.append(num_frames / seconds)
        peaks.append(peak)
    return statistics.median(rates), statistics.median(peaks)


def main() -> None:
    """Measure both lengths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--lengths", type=int, nargs="+", default=[200, 1000], help="frames of the videos")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_model(folder)
        for num_frames in options.lengths:
            video = folder / f"{num_frames}.mp4"
            write_video(video, Scene(height=SIDE, width=SIDE, channels=1), num_frames)
            rate, peak = measure(video, model, options.device, num_frames, options.rounds)
            rows.append([f"{num_frames} frames", rate, peak])
    rows = [[*row, row[1] / rows[0][1], row[2] / rows[0][2]] for row in rows]
    title = f"predict on videos of {SIDE} x {SIDE}, device {options.device}"
    print_table(title, ["video", "frames/s", "peak MiB", "speed ratio", "memory ratio"], rows)


if __name__ == "__main__":
    main()
