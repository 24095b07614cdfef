"""Frames a second of `render` against real time, 30 a second, and memory on a short and a long video.

``python -m benchmarks.render`` from the root of the repository. Two drawn animals on frames of 1024 x 1024 px, with
edges, names and trails. Every run has a process of its own, whose peak of resident memory is reported.
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

import sleap_io as sio

from benchmarks.measure import print_table
from sleap_nn.data.synthetic import Scene, synthetic_skeleton
from sleap_nn.render import render

SIDE, REAL_TIME, DRAWN_FRAMES = 1024, 30.0, 40


def write_labels(path: Path, num_frames: int) -> Path:
    """Write a video that runs forwards and backwards through a few drawn frames, and labels with its true points."""
    scene = Scene(2, SIDE, SIDE, channels=1, body_length=120)
    images = [scene.image(t) for t in range(DRAWN_FRAMES)]
    times = [DRAWN_FRAMES - 1 - abs(t % (2 * DRAWN_FRAMES - 2) - DRAWN_FRAMES + 1) for t in range(num_frames)]
    with sio.VideoWriter(str(path.with_suffix(".mp4")), fps=REAL_TIME, codec="h264") as writer:
        for t in times:
            writer(images[t])
    video, skeleton = sio.load_video(str(path.with_suffix(".mp4"))), synthetic_skeleton()
    tracks = [sio.Track(f"animal {i}") for i in range(scene.num_animals)]
    frames = []
    for index, t in enumerate(times):
        poses = zip(scene.points(t), tracks, strict=True)
        instances = [sio.Instance.from_numpy(points, skeleton=skeleton, track=track) for points, track in poses]
        frames.append(sio.LabeledFrame(video=video, frame_idx=index, instances=instances))
    sio.Labels(frames, videos=[video], skeletons=[skeleton], tracks=tracks).save(str(path), verbose=False)
    return path


def run_once(labels: Path, output: Path, trail: int, scale: float) -> tuple[float, float]:
    """Draw a video; return its frames a second, and the peak of this process's memory in MiB.

    The first frames are drawn before, to leave out what only happens once.
    """
    render(labels, output_path=output, frames="0-4")
    start = time.perf_counter()
    rendered = render(labels, output_path=output, trail=trail, scale=scale)
    rate = rendered.num_frames / (time.perf_counter() - start)
    unit = 1 if sys.platform == "darwin" else 1024
    return rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def measure(labels: Path, output: Path, trail: int, scale: float, rounds: int) -> tuple[float, float]:
    """Return the median rate and the median peak of processes of their own."""
    context = multiprocessing.get_context("spawn")
    results = []
    for _ in range(rounds):
        with context.Pool(1) as pool:
            results.append(pool.apply(run_once, (labels, output, trail, scale)))
    rates, peaks = zip(*results, strict=True)
    return statistics.median(rates), statistics.median(peaks)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[200, 600], help="frames of the videos")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for num_frames in options.lengths:
            labels = write_labels(Path(name) / f"{num_frames}.slp", num_frames)
            for trail, scale in ((0, 1.0), (50, 1.0), (50, 0.5)):
                rate, peak = measure(labels, Path(name) / "out.mp4", trail, scale, options.rounds)
                rows.append([f"{num_frames} frames, trail {trail}, scale {scale:g}", rate, rate / REAL_TIME, peak])
    print_table(f"render, frames of {SIDE} x {SIDE}", ["video", "frames/s", "x real time", "peak MiB"], rows)


if __name__ == "__main__":
    main()
