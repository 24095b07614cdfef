"""Peak memory of `predict_to_file` over 1,000 and over 100,000 frames: it must not grow with the number.

``python -m benchmarks.memory`` from the root of the repository. Frames are generated, so that nothing but prediction is
measured; the network is tiny and untrained, and the threshold so low that every node of every frame is found, and
tracked. Every run has a process of its own, whose peak of resident memory is reported. The exit code is 1 if a length
takes more than ``--tolerance`` above the shortest.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sleap_io.model.video import Video

from benchmarks.measure import print_table
from benchmarks.predict import EVERYTHING, peak_memory, write_model
from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.data.sources import FrameSource
from sleap_nn.inference import Predictor
from sleap_nn.inference.select import Selection
from sleap_nn.structures.sample import Frame, FrameKey, FrameKeys

SIDE = 32


class GeneratedFrames(FrameSource):
    """Frames of noise, made when they are read."""

    def __init__(self, num_frames: int) -> None:
        """Choose how many."""
        self.keys = FrameKeys(0, range(num_frames))

    def read(self, key: FrameKey) -> Frame:
        """Make one frame."""
        noise = np.random.default_rng(key.frame)
        return Frame(key, noise.integers(0, 256, (SIDE, SIDE, 1), np.uint8))

    def videos(self) -> tuple[Video, ...]:
        """Return one video without a file."""
        return (Video(filename="generated", open_backend=False),)

    def shapes(self) -> list[tuple[int, int, int]]:
        """Return the shape of each frame."""
        return [(SIDE, SIDE, 1)] * len(self.keys)

    def fingerprints(self) -> list[str]:
        """Return the numbers of the frames."""
        return [str(key.frame) for key in self.keys]

    def fingerprint(self) -> str:
        """Return how many frames there are."""
        return str(len(self.keys))

    def reopened(self, video: int) -> GeneratedFrames:
        """Return this source, as nothing is open."""
        return self


def run_once(model: Path, num_frames: int, output: Path) -> tuple[float, float]:
    """Predict; return seconds and the peak of this process's memory in MiB."""
    torch.set_num_threads(1)
    predictor = Predictor.from_model_paths(
        model, batch_size=32, peak_threshold=EVERYTHING, tracker_config=TrackerConfig()
    )
    start = time.perf_counter()
    predictor.predict_to_file(Selection(GeneratedFrames(num_frames)), output)
    return time.perf_counter() - start, peak_memory()


def main() -> None:
    """Measure all lengths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1000, 100_000], help="numbers of frames")
    parser.add_argument("--tolerance", type=float, default=0.10, help="share by which memory may grow")
    options = parser.parse_args()
    rows: list[list[object]] = []
    peaks: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        model = write_model(Path(name), SIDE, 2)
        for num_frames in options.lengths:
            output = Path(name) / f"{num_frames}.slp"
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                seconds, peak = pool.apply(run_once, (model, num_frames, output))
            peaks.append(peak)
            rows.append(
                [f"{num_frames} frames", num_frames / seconds, output.stat().st_size / 2**20, peak, peak / peaks[0]]
            )
    print_table("predict_to_file", ["source", "frames/s", "output MiB", "peak MiB", "memory ratio"], rows)
    if max(peaks) > (1 + options.tolerance) * peaks[0]:
        sys.exit(f"Memory grew by more than {options.tolerance:.0%}.")


if __name__ == "__main__":
    main()
