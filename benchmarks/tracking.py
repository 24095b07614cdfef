"""Frames a second of the tracker alone.

``python -m benchmarks.tracking`` from the root of the repository. One thread; animals of 15 nodes walk about, are
jittered, and 3 % of them are missed, so that tracks are lost and made. The global tracker is timed over all frames.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from benchmarks.measure import print_table
from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.data.synthetic_tracks import Detector
from sleap_nn.structures.predictions import Predictions
from sleap_nn.tracking.run import TrackingRun

NUM_NODES, SPACE, SIZE = 15, 200.0, 15.0
CASES = ((5, 2000), (20, 1000), (100, 200))
"""Animals, and frames."""
MODES: dict[str, dict[str, Any]] = {
    "default": {},
    "queues": {"candidates_method": "local_queues"},
    "greedy": {"track_matching_method": "greedy"},
    "maximum": {"scoring_reduction": "max"},
    "quantile": {"scoring_reduction": "robust_quantile", "robust_best_instance": 0.8},
    "centroids": {"features": "centroids", "scoring_method": "euclidean_dist"},
    "boxes": {"features": "bboxes", "scoring_method": "iou"},
    "cosine": {"scoring_method": "cosine_sim"},
    "Kalman": {"use_kalman": True, "tracking_target_instance_count": 0},
    "global": {"tracker": "global"},
}
"""Name -> options; 0 stands for the number of animals."""


def walk(num_animals: int, num_frames: int, seed: int = 0) -> list[Predictions]:
    """Return detections of animals in an arena that grows with their number."""
    rng = np.random.default_rng(seed)
    side = SPACE * np.sqrt(num_animals)
    places, speeds = rng.uniform(0, side, (num_animals, 2)), rng.normal(0, 3, (num_animals, 2))
    shapes = rng.normal(0, SIZE, (num_animals, NUM_NODES, 2))
    frames = []
    for _ in range(num_frames):
        places = places + speeds
        speeds = speeds + rng.normal(0, 0.5, speeds.shape)
        speeds = np.where(((places < 0) & (speeds < 0)) | ((places > side) & (speeds > 0)), -speeds, speeds)
        frames.append(places[:, None] + shapes)
    return Detector(jitter=0.7, missed=0.03, gaps=0).detect(frames, seed)[0]


def frames_per_second(found: list[Predictions], num_animals: int, settings: dict[str, Any], rounds: int) -> float:
    """Return the speed of the quickest round, in processor time: whatever else the machine does makes it slower."""
    options = {key: num_animals if value == 0 and value is not False else value for key, value in settings.items()}
    best = np.inf
    for _ in range(rounds):
        run = TrackingRun.from_config(TrackerConfig(**options), NUM_NODES)
        start = time.process_time()
        list(run.finished([run.update(entry) for entry in found]))
        best = min(best, time.process_time() - start)
    return len(found) / best


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    detections = {num_animals: walk(num_animals, num_frames) for num_animals, num_frames in CASES}
    rows = [
        [name, *(frames_per_second(found, count, settings, options.rounds) for count, found in detections.items())]
        for name, settings in MODES.items()
    ]
    columns = ["tracker", *(f"{num_animals} animals" for num_animals in detections)]
    print_table(f"frames a second of processor time, {NUM_NODES} nodes", columns, rows)


if __name__ == "__main__":
    main()
