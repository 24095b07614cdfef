"""Whole `predict` commands with small networks on frames of 384 x 384 px, side by side with another release's command.

``python -m benchmarks.small_networks FOLDER --other "/path/to/venv/bin/sleap-nn"`` from the root of the repository.
Draws one animal and three, and trains a small network of each kind (a quarter of an hour on two cores); what a former
run left in FOLDER is used again. The commands are compared as in `benchmarks.commands`.
"""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sleap_io.io.video_writing import VideoWriter

from benchmarks.commands import HEADER, Comparison
from benchmarks.measure import print_table
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.synthetic import Scene, synthetic_labels
from sleap_nn.train import run_training

SIDE = 384
NUM_LABELS, NUM_FRAMES = 200, 1200
ANCHOR, CROP_SIZE, BODY_LENGTH = "body", 144, 60.0


@dataclass(frozen=True)
class Model:
    """A network to train.

    Attributes:
        name: Folder name.
        head: Entry of `head_configs`.
        minutes: How long it trains at most.
        scale: Of the frame.
    """

    name: str
    head: dict[str, Any]
    minutes: float
    scale: float = 1.0


@dataclass(frozen=True)
class Way:
    """Animals and the networks that find them."""

    num_animals: int
    models: tuple[Model, ...]


WAYS = {
    "single instance": Way(
        1, (Model("single", {"single_instance": {"confmaps": {"sigma": 1.5, "output_stride": 4}}}, 3.0),)
    ),
    "top-down": Way(
        3,
        (
            Model(
                "centroid",
                {"centroid": {"confmaps": {"anchor_part": ANCHOR, "sigma": 2.5, "output_stride": 4}}},
                2.0,
                scale=0.5,
            ),
            Model(
                "centered",
                {"centered_instance": {"confmaps": {"anchor_part": ANCHOR, "sigma": 1.5, "output_stride": 4}}},
                3.0,
            ),
        ),
    ),
    "bottom-up": Way(
        3,
        (
            Model(
                "bottomup",
                {
                    "bottomup": {
                        "confmaps": {"sigma": 1.5, "output_stride": 4},
                        "pafs": {"sigma": 15.0, "output_stride": 8},
                    }
                },
                5.0,
            ),
        ),
    ),
}


def draw(folder: Path, num_animals: int) -> None:
    """Write labels and a video, encoded as is usual for videos to track, where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    length = None if num_animals == 1 else BODY_LENGTH
    scene = Scene(num_animals, SIDE, SIDE, channels=1, body_length=length)
    if not (folder / "labels.pkg.slp").exists():
        synthetic_labels(folder / "labels.pkg.slp", replace(scene, seed=500), NUM_LABELS, num_clips=3)
    if not (folder / "video.mp4").exists():
        options = ["-crf", "23", "-preset", "superfast"]
        with VideoWriter(str(folder / "video.mp4"), fps=30.0, codec="h264", output_params=options) as writer:
            for t in range(NUM_FRAMES):
                writer(scene.image(t))


def train(model: Model, labels: Path, folder: Path) -> Path:
    """Train a network, or take the one that is there."""
    run_dir = folder / model.name
    if (run_dir / "best.ckpt").exists():
        return run_dir
    reads_crops = "centered_instance" in model.head
    random_crop = {} if reads_crops else {"random_crop_size": int(SIDE // 2 * model.scale)}
    run_training(
        TrainingJobConfig.from_cfg(
            {
                "data_config": {
                    "train_labels_path": [str(labels)],
                    "data_pipeline_fw": "torch_dataset_cache_img_memory",
                    "preprocessing": {"scale": model.scale, "crop_size": CROP_SIZE if reads_crops else None},
                    "augmentation_config": {
                        "geometric": {"rotation_min": -180.0, "rotation_max": 180.0, **random_crop}
                    },
                },
                "model_config": {
                    "backbone_config": {"unet": {"filters": 8, "filters_rate": 2.0, "max_stride": 16}},
                    "head_configs": model.head,
                },
                "trainer_config": {
                    "train_data_loader": {"batch_size": 4},
                    "val_data_loader": {"batch_size": 4},
                    "min_train_steps_per_epoch": 50,
                    "max_epochs": 200,
                    "max_time": model.minutes,
                    "save_ckpt": True,
                    "ckpt_dir": str(folder),
                    "run_name": model.name,
                    "ema_decay": 0.98,
                    "optimizer": {"lr": 1.5e-3},
                    "lr_scheduler": {"cosine_annealing_warmup": {"warmup_epochs": 0}},
                    "eval": {"enabled": False},
                },
            }
        )
    )
    return run_dir


def main() -> None:
    """Train what is missing, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where videos and networks are kept")
    parser.add_argument("--other", required=True, help="command of the other release")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for name in options.ways:
        way = WAYS[name]
        folder = options.folder / f"animals_{way.num_animals}"
        draw(folder, way.num_animals)
        video, labels = folder / "video.mp4", folder / "labels.pkg.slp"
        models = [str(train(model, labels, folder)) for model in way.models]
        few, many = (100, NUM_FRAMES) if way.num_animals == 1 else (20, NUM_FRAMES // 4)
        rows = Comparison(shlex.split(options.other), (few, many), options.rounds).rows(str(video), models)
        named = [[command, *row] for command, row in zip(("this", "other", "ratio"), rows, strict=True)]
        print_table(f"{name}, frames of {SIDE} x {SIDE} px", ["command", *HEADER], named)


if __name__ == "__main__":
    main()
