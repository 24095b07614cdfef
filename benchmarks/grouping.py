"""Milliseconds a frame from maps to animals, against the plain way to do it.

``python -m benchmarks.grouping`` from the root of the repository. One thread; the maps are those of drawn animals, each
a crooked chain of nodes, and hold noise as those of a network do. The plain way takes one frame at a time and goes over
nodes, pairs of peaks and points of a line in Python; it is measured in turns with the package.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchmarks.measure import median_seconds, print_table
from sleap_nn.config.model_config import BottomUpConfig, BottomUpConfMapsConfig, PAFConfig
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import Batch, FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import DecodeSettings
from sleap_nn.tasks.bottomup import BottomUp

NUM_FRAMES, NUM_NODES, STRIDE, SIDE = 8, 15, 2, 256
SIGMA, STEP, BEND, NOISE = 1.5, 9.0, 0.35, 0.02
SETTINGS = DecodeSettings()
CASES = (2, 5, 20)
"""Animals of a frame."""

Peaks = list[list[tuple[float, float, float]]]
Match = tuple[int, int, float]


def draw_animals(num_animals: int, rng: np.random.Generator, step: float = STEP) -> NDArray[np.float32]:
    """Return points (frames, animals, nodes, 2) of animals that start on a grid and crawl off in any direction."""
    side = int(np.ceil(np.sqrt(num_animals)))
    places = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)[:num_animals]
    starts = (places + 0.5) * SIDE / side + rng.uniform(-4, 4, (NUM_FRAMES, num_animals, 2))
    turns = rng.uniform(-BEND, BEND, (NUM_FRAMES, num_animals, NUM_NODES))
    turns[..., 0] = rng.uniform(0, 2 * np.pi, turns.shape[:2])
    angles = turns.cumsum(axis=-1)
    steps = step * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    points = starts[:, :, None] + steps.cumsum(axis=2) - steps.sum(axis=2, keepdims=True) / 2
    return np.clip(points, 2, SIDE - 4).astype(np.float32)


def build_task() -> BottomUp:
    """Return the model type for a chain of nodes."""
    skeleton = Skeleton(tuple(f"n{i}" for i in range(NUM_NODES)), edges=tuple((i, i + 1) for i in range(NUM_NODES - 1)))
    config = BottomUpConfig(
        confmaps=BottomUpConfMapsConfig(sigma=SIGMA, output_stride=STRIDE), pafs=PAFConfig(output_stride=STRIDE)
    )
    return BottomUp.from_config(config, skeleton)


def noisy_maps(task: BottomUp, points: NDArray[np.float32]) -> dict[str, Tensor]:
    """Return the targets of animals with noise on them."""
    batch = Batch(
        image=torch.zeros(NUM_FRAMES, 1, SIDE, SIDE, dtype=torch.uint8),
        points=torch.from_numpy(points),
        anchors=torch.from_numpy(points.mean(axis=2)),
        class_ids=torch.full(points.shape[:2], -1),
        weights=torch.ones(NUM_FRAMES),
        transforms=torch.eye(2, 3, dtype=torch.float64).expand(NUM_FRAMES, 2, 3),
        keys=tuple(FrameKey(0, i) for i in range(NUM_FRAMES)),
    )
    generator = torch.Generator().manual_seed(0)
    return {
        name: target + NOISE * torch.randn(target.shape, generator=generator)
        for name, target in task.encode(batch).items()
    }


def plain_peaks(confmaps: NDArray[np.float32]) -> Peaks:
    """Return (x, y, value) of the peaks of each node of a frame, one after the other."""
    half = SETTINGS.patch_size // 2
    found: Peaks = []
    for confmap in confmaps:
        padded = np.pad(confmap, half)
        tops = np.argwhere((confmap == maximum_filter(confmap, 3)) & (confmap > SETTINGS.peak_threshold))
        found.append([])
        for row, column in tops:
            patch = padded[row : row + SETTINGS.patch_size, column : column + SETTINGS.patch_size]
            ways = np.arange(-half, half + 1)
            dx, dy = (patch.sum(axis=0) * ways).sum() / patch.sum(), (patch.sum(axis=1) * ways).sum() / patch.sum()
            found[-1].append(((column + dx) * STRIDE, (row + dy) * STRIDE, float(confmap[row, column])))
    return found


def plain_score(
    field: NDArray[np.float32], source: tuple[float, ...], destination: tuple[float, ...], longest: float
) -> float:
    """Return the score of one pair of peaks, point by point along its line."""
    dx, dy = destination[0] - source[0], destination[1] - source[1]
    length = float(np.hypot(dx, dy))
    total = 0.0
    for step in np.linspace(0, 1, SETTINGS.num_line_points):
        column = min(max(round((source[0] + step * dx) / STRIDE), 0), field.shape[2] - 1)
        row = min(max(round((source[1] + step * dy) / STRIDE), 0), field.shape[1] - 1)
        total += (field[0, row, column] * dx + field[1, row, column] * dy) / length
    return total / SETTINGS.num_line_points + SETTINGS.dist_penalty_weight * min(0.0, longest / length - 1)


def plain_frame(confmaps: NDArray[np.float32], fields: NDArray[np.float32]) -> int:
    """Return the number of animals of a frame whose skeleton is a chain."""
    peaks = plain_peaks(confmaps)
    longest = SETTINGS.max_edge_length_ratio * max(fields.shape) * STRIDE
    matches: list[list[Match]] = []
    for edge in range(NUM_NODES - 1):
        field = fields[2 * edge : 2 * edge + 2]
        scores = np.array(
            [[plain_score(field, a, b, longest) for b in peaks[edge + 1]] for a in peaks[edge]], np.float64
        ).reshape(len(peaks[edge]), len(peaks[edge + 1]))
        rows, columns = linear_sum_assignment(-scores)
        matches.append(
            [
                (a, b, float(scores[a, b]))
                for a, b in zip(rows.tolist(), columns.tolist(), strict=True)
                if scores[a, b] >= SETTINGS.min_line_score
            ]
        )
    owner: dict[tuple[int, int], int] = {}
    num_animals = 0
    for edge, pairs in enumerate(matches):
        for a, b, _ in pairs:
            if (edge, a) not in owner:
                owner[edge, a] = num_animals
                num_animals += 1
            owner[edge + 1, b] = owner[edge, a]
    return num_animals


def package_frames(task: BottomUp, maps: dict[str, Tensor]) -> list[Predictions]:
    """Return the animals of a batch, as prediction does."""
    return [
        task.assemble(FrameKey(0, i), [detection], SETTINGS) for i, detection in enumerate(task.detect(maps, SETTINGS))
    ]


def measure_case(task: BottomUp, num_animals: int, rounds: int) -> list[object]:
    """Return the row of one case."""
    maps = noisy_maps(task, draw_animals(num_animals, np.random.default_rng(0)))
    confmaps, fields = maps["confmaps"].numpy(), maps["pafs"].numpy()
    detections = task.detect(maps, SETTINGS)
    counts = [len(frame) for frame in package_frames(task, maps)]
    plain_counts = [plain_frame(c, f) for c, f in zip(confmaps, fields, strict=True)]
    assert counts == plain_counts, (counts, plain_counts)
    peaks, detect, assemble, whole, plain = median_seconds(
        [
            lambda: task.confmaps.read_local_peaks(
                maps["confmaps"], SETTINGS.peak_threshold, SETTINGS.refinement, SETTINGS.patch_size
            ),
            lambda: task.detect(maps, SETTINGS),
            lambda: [task.assemble(FrameKey(0, i), [d], SETTINGS) for i, d in enumerate(detections)],
            lambda: package_frames(task, maps),
            lambda: [plain_frame(c, f) for c, f in zip(confmaps, fields, strict=True)],
        ],
        rounds,
    )
    shares = [1000 * seconds / NUM_FRAMES for seconds in (peaks, detect, assemble, whole, plain)]
    return [f"{num_animals} animals, {np.mean(counts):g} found", *shares, plain / whole]


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = build_task()
    rows = [measure_case(task, num_animals, options.rounds) for num_animals in CASES]
    title = f"{NUM_NODES} nodes, {SIDE // STRIDE} x {SIDE // STRIDE} maps, {NUM_FRAMES} frames at once: ms a frame"
    print_table(title, ["frame", "peaks", "peaks and lines", "grouping", "together", "plain", "ratio"], rows)


if __name__ == "__main__":
    main()
