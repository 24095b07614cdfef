"""Frames a second of an exported model in ONNX Runtime against the trained one in PyTorch, on the CPU.

``python -m benchmarks.exported MODEL [MODEL] VIDEO`` from the root of the repository exports run folders to a temporary
folder, predicts the video with both in turns, and says how far their points are apart. PyTorch computes in 32 bits as
the file does. Where other programs keep the machine busy, trust the ratio of the CPU time, not that of the frames a
second.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import print_table
from sleap_nn.data.labels import Labels
from sleap_nn.export_model import export_models
from sleap_nn.inference import Predictor


def run(predictor: Predictor, video: Path, num_frames: int) -> tuple[Labels, float, float]:
    """Predict; return the labels, seconds, and seconds of the CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    labels = predictor.predict(video, frames=range(num_frames))
    return labels, time.perf_counter() - wall, time.process_time() - cpu


def distance(one: Labels, other: Labels) -> tuple[int, float]:
    """Return in how many frames the numbers of instances differ, and how far points are apart at most in the others."""
    pairs = list(zip(one.labeled_frames, other.labeled_frames, strict=True))
    same = [(a, b) for a, b in pairs if len(a.instances) == len(b.instances)]
    apart = [
        float(np.nanmax(np.abs(p.numpy() - q.numpy()), initial=0))
        for a, b in same
        for p, q in zip(a.instances, b.instances, strict=True)
    ]
    return len(pairs) - len(same), max(apart, default=0.0)


def main() -> None:
    """Measure both runtimes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", help="run folder, or two of a pair")
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=200, help="frames of the video to predict")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        exported = export_models(options.models, output=folder)
        predictors = {
            "PyTorch": Predictor.from_model_paths(options.models, precision="32", batch_size=options.batch_size),
            "ONNX Runtime": Predictor.from_export_dir(folder, device="cpu", batch_size=options.batch_size),
        }
        for predictor in predictors.values():
            predictor.predict(options.video, frames=range(min(8, options.frames)))
        found: dict[str, Labels] = {}
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in predictors}
        for _ in range(options.rounds):
            for name, predictor in predictors.items():
                found[name], wall, cpu = run(predictor, options.video, options.frames)
                seconds[name].append((wall, cpu))
    num_frames = len(found["PyTorch"].labeled_frames)
    medians = {
        name: [statistics.median(times) for times in zip(*pairs, strict=True)] for name, pairs in seconds.items()
    }
    rows = [
        [name, num_frames / wall, medians["PyTorch"][0] / wall, medians["PyTorch"][1] / cpu]
        for name, (wall, cpu) in medians.items()
    ]
    print_table(
        f"{num_frames} frames, batches of {options.batch_size}", ["runtime", "frames/s", "ratio", "CPU ratio"], rows
    )
    others, apart = distance(found["PyTorch"], found["ONNX Runtime"])
    print(f"Largest difference of maps: {max(difference.most for difference in exported.differences.values()):.2g}")
    print(f"Frames with another number of instances: {others}; points of the others apart: {apart:.2g} px at most")


if __name__ == "__main__":
    main()
