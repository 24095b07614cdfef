"""Samples a second of whole `train` commands with a network of next to no work, side by side with another release.

``python -m benchmarks.training --other "/path/to/venv/bin/sleap-nn"`` from the root of the repository. Both commands
read the same configuration and labels, one core each, images cached in memory, augmentation on; they take turns, with
few and with many training steps, so that the difference is the steps alone. What the commands print is not read.

What is left of a step when the network's own time is taken off is the input pipeline and the loop around it. The
network is timed alone in this process; so is this package's pipeline: dataset, loader, and targets. Of the other one
the time is measured that its training waits for its loader, and from there to the first convolution, in the interpreter
that lies beside its command; what it does for targets after that is not in it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import torch
from omegaconf import OmegaConf

from benchmarks.measure import median_seconds, print_table
from sleap_nn.data.synthetic import Scene, write_dataset
from sleap_nn.training.model_trainer import ModelTrainer

BATCH_SIZE, VAL_BATCH_SIZE, NUM_FRAMES, OWN_STEPS = 4, 3, 48, 100
OUTPUT_STRIDE = 4
CONFMAPS = {"sigma": 2.5, "output_stride": OUTPUT_STRIDE}
CASES: dict[str, tuple[Scene, dict[str, Any], dict[str, Any]]] = {
    "crops of 160 px in 512 x 512": (
        Scene(num_animals=2, height=512, width=512, channels=1, body_length=90),
        {"crop_size": 160},
        {"centered_instance": {"confmaps": {"anchor_part": None, **CONFMAPS}}},
    ),
    "frames of 640 x 480 at scale 0.5": (
        Scene(height=480, width=640, channels=1),
        {"scale": 0.5},
        {"single_instance": {"confmaps": CONFMAPS}},
    ),
}
"""What is drawn, preprocessing, heads."""


def configuration(labels: Path, folder: Path, preprocessing: dict[str, Any], heads: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration that both commands know."""
    return {
        "data_config": {
            "train_labels_path": [str(labels)],
            "validation_fraction": 0.05,
            "data_pipeline_fw": "torch_dataset_cache_img_memory",
            "preprocessing": preprocessing,
            "use_augmentations_train": True,
            "augmentation_config": {
                "intensity": {
                    "contrast_min": 0.8,
                    "contrast_max": 1.2,
                    "contrast_p": 1.0,
                    "brightness_min": 0.8,
                    "brightness_max": 1.2,
                    "brightness_p": 1.0,
                },
                "geometric": {
                    "rotation_min": -180.0,
                    "rotation_max": 180.0,
                    "scale_min": 0.9,
                    "scale_max": 1.1,
                    "affine_p": 1.0,
                },
            },
        },
        "model_config": {
            "backbone_config": {
                "unet": {"filters": 1, "filters_rate": 1.0, "max_stride": 8, "output_stride": OUTPUT_STRIDE}
            },
            "head_configs": heads,
        },
        "trainer_config": {
            "train_data_loader": {"batch_size": BATCH_SIZE, "shuffle": True, "num_workers": 0},
            "val_data_loader": {"batch_size": VAL_BATCH_SIZE, "num_workers": 0},
            "max_epochs": 1,
            "min_train_steps_per_epoch": OWN_STEPS,
            "run_name": "run",
            "trainer_accelerator": "cpu",
            "enable_progress_bar": False,
            "save_ckpt": True,
            "ckpt_dir": str(folder),
            "early_stopping": {"stop_training_on_plateau": False},
        },
    }


def command_seconds(command: list[str], config: Path, steps: int, name: str) -> float:
    """Run a `train` command to its end; ends this program where no epoch was trained.

    The code is not looked at: a network as small as this learns nothing, of which this package's command complains.
    """
    overrides = [f"trainer_config.min_train_steps_per_epoch={steps}", f"trainer_config.run_name={name}"]
    words = [*command, "train", "--config-dir", str(config.parent), "--config-name", config.name, *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    start = time.perf_counter()
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    log = config.parent / name / "training_log.csv"
    if not log.is_file() or len(log.read_text().splitlines()) < 2:
        sys.exit(f"{shlex.join(words)} ended with code {done.returncode}: {(done.stdout + done.stderr)[-3000:]}")
    return seconds


def input_seconds(command: list[str], config: Path, name: str) -> tuple[float, float]:
    """Return what a `train` command takes a sample, by the median of its batches: in its loader, and from there on.

    The second ends where the network begins.
    """
    script = Path(shutil.which(command[0]) or command[0])
    log = config.parent / f"{name}.txt"
    timer = [str(script.parent / "python"), str(Path(__file__).with_name("timed_loader.py")), str(log), script.name]
    command_seconds(timer, config, OWN_STEPS, name)
    lines = [line.split() for line in log.read_text().splitlines()]
    batches = [(float(waited), float(on)) for size, waited, on in lines if int(size) == BATCH_SIZE]
    waited, on = (statistics.median(seconds) / BATCH_SIZE for seconds in zip(*batches, strict=True))
    return waited, on


def own_seconds(config: dict[str, Any], rounds: int) -> tuple[float, float]:
    """Return the seconds a sample of this package's pipeline, and of a training step of the bare network."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    config["trainer_config"]["min_train_steps_per_epoch"] = OWN_STEPS
    trainer = ModelTrainer.get_model_trainer_from_config(OmegaConf.create(config))
    with trainer._samples() as (_, loaders):

        def batches() -> Iterator[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
            for batch in loaders.train:
                yield batch.image, trainer.task.encode(batch)

        image, targets = next(batches())
        network = trainer._network().train()
        optimizer = torch.optim.Adam(network.parameters())

        def steps() -> None:
            for _ in range(OWN_STEPS):
                outputs = network(image)
                losses = [torch.nn.functional.mse_loss(outputs[name], target) for name, target in targets.items()]
                optimizer.zero_grad()
                torch.stack(losses).sum().backward()
                optimizer.step()

        pipeline, network_alone = median_seconds([lambda: list(batches()), steps], rounds)
    return pipeline / (OWN_STEPS * BATCH_SIZE), network_alone / (OWN_STEPS * BATCH_SIZE)


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", required=True, help="command of the other release")
    parser.add_argument("--steps", type=int, nargs=2, default=[40, 240], help="few and many training steps")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", type=int, action="append", choices=range(len(CASES)), help="0: crops, 1: frames")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    commands = {"this": [sys.executable, "-m", "sleap_nn.cli"], "other": shlex.split(options.other)}
    for title in [list(CASES)[number] for number in options.case or range(len(CASES))]:
        scene, preprocessing, heads = CASES[title]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            labels = write_dataset(folder / "data", scene, NUM_FRAMES, 2).labels
            config = configuration(labels, folder, preprocessing, heads)
            OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
            seconds: dict[tuple[str, int], list[float]] = {}
            for turn in range(options.rounds):
                for steps in options.steps:
                    for who, command in commands.items():
                        run = f"{who}_{turn}_{steps}"
                        taken = command_seconds(command, folder / "config.yaml", steps, run)
                        seconds.setdefault((who, steps), []).append(taken)
            loader, on = input_seconds(commands["other"], folder / "config.yaml", "timed")
            pipeline, network = own_seconds(config, 5)
        few, many = options.steps
        num_samples = (many - few) * BATCH_SIZE
        whole = {
            who: (statistics.median(seconds[who, many]) - statistics.median(seconds[who, few])) / num_samples
            for who in commands
        }
        rows = [
            ["training step", whole["this"], whole["other"]],
            ["the network of it", network, network],
            ["the rest of it", whole["this"] - network, whole["other"] - network],
            ["pipeline, against the other's loader", pipeline, loader],
            ["pipeline, against all before its network", pipeline, loader + on],
        ]
        table = [[text, 1000 * this, 1000 * other, 1 / this, 1 / other, other / this] for text, this, other in rows]
        columns = ["", "this ms", "other ms", "this samples/s", "other samples/s", "ratio"]
        print_table(f"{title}: a sample, one core, batches of {BATCH_SIZE}", columns, table)


if __name__ == "__main__":
    main()
