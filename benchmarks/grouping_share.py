"""Milliseconds a frame that whole commands spend on crowded frames beyond what they spend on empty ones.

``python -m benchmarks.grouping_share --other "/path/to/venv/bin/sleap-nn"`` from the root of the repository. The
network costs the same on both, so that the difference is peaks, scores of lines, grouping, and instances as objects and
in the output. The frames hold 20 animals of 15 nodes, painted so that a small bottom-up network learns them in minutes;
it is trained first, unless a folder with one is given. Both commands read the same weights and frames, on one core
each, in batches of 8, and take turns.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf
from sleap_io.io.main import load_video
from sleap_io.io.video_writing import VideoWriter
from sleap_io.model.instance import Instance
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels
from sleap_io.model.skeleton import Skeleton

from benchmarks.commands import Run, run_once
from benchmarks.grouping import NUM_FRAMES, NUM_NODES, SIDE, SIGMA, STRIDE, draw_animals
from benchmarks.measure import print_table
from sleap_nn.train import run_training

NUM_ANIMALS, NUM_LABELS = 20, 96
NODE_STEP = 5.0
FLOOR, NOISE = 40, 1.0
CONFIG = {
    "data_config": {
        "validation_fraction": 0.1,
        "data_pipeline_fw": "torch_dataset_cache_img_memory",
        "use_augmentations_train": False,
    },
    "model_config": {
        "backbone_config": {"unet": {"filters": 24, "filters_rate": 1.25, "max_stride": 8}},
        "head_configs": {
            "bottomup": {
                "confmaps": {"sigma": SIGMA, "output_stride": STRIDE, "loss_weight": 1.0},
                "pafs": {"sigma": 4.0, "output_stride": STRIDE, "loss_weight": 0.5},
            }
        },
    },
    "trainer_config": {
        "train_data_loader": {"batch_size": 4},
        "val_data_loader": {"batch_size": 4},
        "min_train_steps_per_epoch": 100,
        "max_epochs": 20,
        "max_time": 5,
        "optimizer": {"lr": 0.002},
        "lr_scheduler": {"cosine_annealing_warmup": {"warmup_epochs": 0, "eta_min": 0.00001}},
        "early_stopping": {"stop_training_on_plateau": False},
        "save_ckpt": True,
        "run_name": "crowd",
    },
}


def paint(points: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw animals (I, N, 2) over a noisy floor: red tells nodes and edges apart, green and blue give the direction."""
    image = np.full((SIDE, SIDE, 3), FLOOR, np.uint8)
    for animal in points:
        ways = np.diff(animal, axis=0)
        ways /= np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 1e-6)
        places = animal.round().astype(int).tolist()
        reds = np.linspace(80, 255, 2 * NUM_NODES - 1).round().tolist()
        for edge, (x, y) in enumerate(128 + 110 * ways):
            colour = (reds[2 * edge + 1], float(x), float(y))
            cv2.line(image, places[edge], places[edge + 1], colour, 2)
        for node, place in enumerate(places):
            cv2.circle(image, place, 1, (reds[2 * node], 0, 0), -1)
    return np.clip(image + rng.normal(0, NOISE, image.shape), 0, 255).astype(np.uint8)


def write_video(path: Path, num_frames: int, num_animals: int, seed: int) -> list[NDArray[np.float32]]:
    """Write a video and return the points of each frame."""
    rng = np.random.default_rng(seed)
    batches = [draw_animals(NUM_ANIMALS, rng, NODE_STEP) for _ in range(-(-num_frames // NUM_FRAMES))]
    points = [frame[:num_animals] for batch in batches for frame in batch][:num_frames]
    with VideoWriter(str(path), fps=30, crf=4) as writer:
        for frame in points:
            writer(paint(frame, rng))
    return points


def write_labels(folder: Path) -> Path:
    """Write frames with all of their points."""
    path = folder / "crowd.pkg.slp"
    points = write_video(folder / "crowd.mp4", NUM_LABELS, NUM_ANIMALS, seed=0)
    skeleton = Skeleton([f"n{i}" for i in range(NUM_NODES)], edges=[(i, i + 1) for i in range(NUM_NODES - 1)])
    video = load_video(str(folder / "crowd.mp4"))
    frames = [
        LabeledFrame(video, t, [Instance.from_numpy(animal, skeleton=skeleton) for animal in frame])
        for t, frame in enumerate(points)
    ]
    Labels(frames, [video], [skeleton]).save(str(path), embed="all", verbose=False)
    return path


def train(folder: Path) -> Path:
    """Train the network and return its folder."""
    config = OmegaConf.create(CONFIG)
    config.data_config.train_labels_path = [str(write_labels(folder))]
    config.trainer_config.ckpt_dir = str(folder)
    run_training(config)
    return folder / "crowd"


def main() -> None:
    """Measure both commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", required=True, help="command of the other release")
    parser.add_argument("--folder", type=Path, help="where the model and the videos are kept, and found again")
    parser.add_argument("--frames", type=int, nargs=2, default=[NUM_FRAMES, 15 * NUM_FRAMES], help="few and many")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "crowd"
    if not (model / "best.ckpt").is_file():
        model = train(folder)
    videos = {"crowded": NUM_ANIMALS, "empty": 0}
    for seed, (name, num_animals) in enumerate(videos.items(), 1):
        write_video(folder / f"{name}.mp4", max(options.frames), num_animals, seed)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    commands = {"this": [sys.executable, "-m", "sleap_nn.cli"], "other": shlex.split(options.other)}
    runs: dict[tuple[str, str, int], list[Run]] = {}
    for _ in range(options.rounds):
        for num_frames in options.frames:
            for video in videos:
                for who, command in commands.items():
                    words = ["track", "-i", str(folder / f"{video}.mp4"), "-m", str(model), "--device", "cpu"]
                    words += ["--batch_size", str(NUM_FRAMES), "--frames", f"0-{num_frames - 1}"]
                    run = run_once(command, words, folder / f"{who}.slp")
                    runs.setdefault((who, video, num_frames), []).append(run)
    few, many = options.frames
    rows = []
    for who in commands:
        ms = {
            video: 1000
            * (
                statistics.median(run.processor_seconds for run in runs[who, video, many])
                - statistics.median(run.processor_seconds for run in runs[who, video, few])
            )
            / (many - few)
            for video in videos
        }
        found = [runs[who, video, many][0].num_instances / many for video in videos]
        rows.append([who, *found, ms["empty"], ms["crowded"], ms["crowded"] - ms["empty"]])
    columns = ["command", "found", "found, empty", "empty ms", "crowded ms", "difference ms"]
    title = f"{NUM_ANIMALS} animals of {NUM_NODES} nodes, {SIDE} x {SIDE} px: processor time a frame"
    print_table(title, columns, rows)
    print(f"  ratio of the differences: {rows[1][-1] / rows[0][-1]:.3g}")


if __name__ == "__main__":
    main()
