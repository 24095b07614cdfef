"""How well tracks keep identities: the tracker's ways side by side, on animals whose tracks are known.

``python -m benchmarks.tracking_accuracy`` from the root of the repository. Drawn animals walk over each other and hide
under objects; a detector (`sleap_nn.data.synthetic_tracks`) jitters their points and misses some. ``--labels FILE.slp``
(repeatable) takes the tracks of a label file, whose instances are treated the same way.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from benchmarks.measure import print_table
from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.data.labels import load_labels
from sleap_nn.data.synthetic import Scene
from sleap_nn.data.synthetic_tracks import Detector, crossing_animals
from sleap_nn.evaluation.identity import FrameIdentities
from sleap_nn.evaluation.tracks import TrackingRules, tracking_metrics
from sleap_nn.ops.centroids import centroids
from sleap_nn.structures.predictions import Predictions
from sleap_nn.tracking.run import TrackingRun

CENTROIDS = {"features": "centroids", "scoring_method": "euclidean_dist"}
BOXES = {"features": "bboxes", "scoring_method": "iou"}
ONLINE: dict[str, dict[str, Any]] = {
    "default (OKS, Hungarian)": {},
    "OKS, greedy": {"track_matching_method": "greedy"},
    "OKS, maximum": {"scoring_reduction": "max"},
    "OKS, queues": {"candidates_method": "local_queues"},
    "OKS, number known": {"max_tracks": 0},
    "centroids": CENTROIDS,
    "centroids, number known": {**CENTROIDS, "max_tracks": 0},
    "boxes": BOXES,
    "boxes, number known": {**BOXES, "max_tracks": 0},
    "Kalman": {"use_kalman": True, "tracking_target_instance_count": 0},
    "Kalman, centroids": {**CENTROIDS, "use_kalman": True, "tracking_target_instance_count": 0},
    "number known, breaks joined": {
        "max_tracks": 0,
        "post_connect_single_breaks": True,
        "tracking_target_instance_count": 0,
    },
}
GLOBAL: dict[str, dict[str, Any]] = {
    "global": {"tracker": "global"},
    "global, number known": {"tracker": "global", "tracking_target_instance_count": 0},
}
"""Name -> options; 0 stands for the number of animals."""
WITH_IMAGES: dict[str, dict[str, Any]] = {
    "optical flow": {"use_flow": True},
    "image": {"features": "image", "scoring_method": "cosine_sim"},
    "global, images": {"tracker": "global", "features": "image"},
}
SCENES = (
    ("3 animals", Scene(num_animals=3, height=384, width=384)),
    ("5 animals", Scene(num_animals=5, height=384, width=384)),
    ("8 animals", Scene(num_animals=8, height=512, width=512)),
)


@dataclass(frozen=True, eq=False)
class Case:
    """Detections with known identities.

    Attributes:
        name: For the table.
        truth: True points, frame by frame, NaN where covered.
        found: What the detector found.
        animals: The animal of every found instance.
        images: Frames, for what needs them.
    """

    name: str
    truth: list[Float[np.ndarray, "animals nodes 2"]]
    found: list[Predictions]
    animals: list[Int[np.ndarray, " instances"]]
    images: list[UInt8[np.ndarray, "height width channels"]] | None = None

    @property
    def num_animals(self) -> int:
        """The number of animals."""
        return len(self.truth[0])


def drawn_case(name: str, scene: Scene, seed: int, num_frames: int, images: bool) -> Case:
    """Return a case of drawn animals."""
    scene = replace(scene, seed=seed, channels=1)
    truth = crossing_animals(scene, num_frames)
    drawn = [scene.image(t) for t in range(num_frames)] if images else None
    return Case(f"{name}, seed {seed}", truth, *Detector().detect(truth, seed), drawn)


def labelled_case(path: Path, seed: int, detector: Detector, images: bool) -> Case:
    """Return a case of tracked labels."""
    labels = load_labels(path)
    position = {id(track): i for i, track in enumerate(labels.tracks)}
    truth, drawn = [], []
    for frame in sorted(labels.labeled_frames, key=lambda frame: frame.frame_idx):
        points = np.full((len(position), len(labels.skeletons[0].nodes), 2), np.nan)
        for instance in frame.instances:
            points[position[id(instance.track)]] = instance.numpy()[:, :2]
        truth.append(points)
        if images:
            drawn.append(np.asarray(frame.image))
    return Case(f"{path.stem}, seed {seed}", truth, *detector.detect(truth, seed), drawn if images else None)


def track(case: Case, settings: dict[str, Any]) -> tuple[list[Predictions], float]:
    """Return the tracked frames of a case, and the seconds it took."""
    options = {key: case.num_animals if value == 0 and value is not False else value for key, value in settings.items()}
    run = TrackingRun.from_config(TrackerConfig(**options), case.truth[0].shape[1])
    start = time.perf_counter()
    images = case.images if case.images is not None and run.needs_image else [None] * len(case.found)
    tracked = [run.update(found, image) for found, image in zip(case.found, images, strict=True)]
    return list(run.finished(tracked)), time.perf_counter() - start


def tracks_of(case: Case, tracked: Sequence[Predictions]) -> list[Int[np.ndarray, " instances"]]:
    """Return the track of every found instance, -1 without one."""
    numbers = []
    for found, entry in zip(case.found, tracked, strict=True):
        assert entry.tracks is not None
        same = ((found.points[:, None] == entry.points[None]) | np.isnan(found.points[:, None])).all(axis=(2, 3))
        numbers.append(np.array([entry.tracks[row.argmax()] if row.any() else -1 for row in same], np.int64))
    return numbers


def score(case: Case, tracked: Sequence[Predictions]) -> dict[str, float]:
    """Return the metrics of tracked frames; instances are known, so that only identities count."""
    frames = []
    for found, animals, entry in zip(case.found, case.animals, tracked, strict=True):
        assert entry.tracks is not None
        same = (found.points[:, None] == entry.points[None]) | np.isnan(found.points[:, None])
        frames.append(FrameIdentities(animals, entry.tracks, same.all(axis=(2, 3)).astype(np.float64)))
    return tracking_metrics([frames], TrackingRules())


def compare(cases: Sequence[Case], modes: dict[str, dict[str, Any]]) -> None:
    """Print IDF1 and switches of every mode on every case."""
    rows, totals = [], []
    for name, settings in modes.items():
        cells, scores = [], []
        for case in cases:
            metrics = score(case, track(case, settings)[0])
            scores.append(metrics)
            cells.append(f"{metrics['IDF1']:.3f} /{metrics['switches']:4d}")
        rows.append([name, *cells])
        mean = np.mean([metrics["IDF1"] for metrics in scores])
        per_thousand = np.mean([metrics["switches_per_1000_frames"] for metrics in scores])
        totals.append([name, float(mean), float(per_thousand), float(np.mean([m["HOTA"] for m in scores]))])
    print_table("IDF1 / switches", ["tracker", *(case.name for case in cases)], rows)
    print_table("means", ["tracker", "IDF1", "switches a 1,000 frames", "HOTA"], totals)


def draw(case: Case, modes: Sequence[str], path: Path) -> None:
    """Save a picture: the ways of the animals, and for every mode which track each animal has in every frame."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    colours = [colormaps["tab20"](i)[:3] for i in range(20)]
    figure = Figure(figsize=(9, 4.6 + 0.32 * case.num_animals * len(modes)), layout="constrained")
    ways, *strips = figure.subplots(len(modes) + 1, 1, height_ratios=[10, *([case.num_animals] * len(modes))])
    for animal in range(case.num_animals):
        middles = np.concatenate([centroids(points[animal : animal + 1]) for points in case.truth])
        ways.plot(*middles.T, color=colours[2 * animal], linewidth=1.2, label=f"animal {animal + 1}")
    ways.set_aspect("equal")
    ways.invert_yaxis()
    ways.set_title("ways of the animals", loc="left", fontsize=9)
    ways.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    for mode, axis in zip(modes, strips, strict=True):
        tracked, _ = track(case, {**ONLINE, **GLOBAL}[mode])
        strip = np.ones((case.num_animals, len(case.found), 3))
        for t, (animals, numbers) in enumerate(zip(case.animals, tracks_of(case, tracked), strict=True)):
            for animal, number in zip(animals.tolist(), numbers.tolist(), strict=True):
                strip[animal, t] = colours[number % 20] if number >= 0 else (1, 1, 1)
        metrics = score(case, tracked)
        axis.imshow(strip, aspect="auto", interpolation="nearest")
        axis.set_title(f"{mode}: {metrics['switches']} switches, IDF1 {metrics['IDF1']:.2f}", loc="left", fontsize=9)
        axis.set_yticks(range(case.num_animals), [f"animal {i + 1}" for i in range(case.num_animals)], fontsize=7)
    strips[-1].set_xlabel("frame; a colour is a track, white is not found", fontsize=8)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--labels", type=Path, action="append", default=[])
    parser.add_argument("--missed", type=float, default=0.15, help="share of labelled instances that are left out")
    parser.add_argument("--jitter", type=float, default=3.0, help="px, for labels")
    parser.add_argument("--images", action="store_true", help="also what reads the images; 1 seed")
    parser.add_argument("--picture", type=Path, help="draw one case into this file, and nothing else")
    options = parser.parse_args()
    if options.picture is not None:
        case = drawn_case(*SCENES[1], 0, options.frames, images=False)
        draw(case, ["default (OKS, Hungarian)", "centroids, number known", "global"], options.picture)
        return
    modes = {**ONLINE, **GLOBAL, **(WITH_IMAGES if options.images else {})}
    detector = Detector(options.jitter, options.missed, gaps=0.02)
    if options.labels:
        cases = [
            labelled_case(path, seed, detector, options.images)
            for path in options.labels
            for seed in range(options.seeds)
        ]
        compare(cases, modes)
        return
    for name, scene in SCENES:
        compare([drawn_case(name, scene, s, options.frames, options.images) for s in range(options.seeds)], modes)


if __name__ == "__main__":
    main()
