"""Milliseconds of a UNet on the processor, with memory kept from pass to pass and with memory fetched anew.

``python -m benchmarks.host_memory`` from the root of the repository. Each way has a process of its own, as the setting
holds for a whole process; the processes take turns. Ratios are against memory fetched anew; above 1 is faster.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time

import torch

from benchmarks.measure import print_table
from benchmarks.network import WAYS, make_step
from benchmarks.predict import peak_memory
from sleap_nn.networks.host_memory import keep_host_memory

FLOAT32 = WAYS[1]


def milliseconds(keep: bool, training: bool, shape: tuple[int, ...]) -> tuple[float, float, float]:
    """Return wall time and processor time of a pass, medians in ms, and the peak of memory in MiB."""
    if keep:
        keep_host_memory()
    step = make_step(FLOAT32, torch.zeros(shape, dtype=torch.uint8), training)
    step()
    walls, works = [], []
    for _ in range(7):
        wall, work = time.perf_counter(), time.process_time()
        step()
        walls.append(time.perf_counter() - wall)
        works.append(time.process_time() - work)
    return statistics.median(walls) * 1e3, statistics.median(works) * 1e3, peak_memory()


def main() -> None:
    """Measure forward passes and steps of training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--side", type=int, default=384, help="height and width of the images, px")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    shape = (options.batch, 1, options.side, options.side)
    for training in (False, True):
        runs: dict[bool, list[tuple[float, float, float]]] = {False: [], True: []}
        for _ in range(options.rounds):
            for keep, found in runs.items():
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    found.append(pool.apply(milliseconds, (keep, training, shape)))
        columns = {
            keep: [statistics.median(column) for column in zip(*found, strict=True)] for keep, found in runs.items()
        }
        rows: list[list[object]] = [
            [name, *columns[keep], columns[False][0] / columns[keep][0], columns[False][1] / columns[keep][1]]
            for name, keep in (("fetched anew", False), ("kept", True))
        ]
        title = f"{'step of training' if training else 'forward pass'}, {shape[0]} images of {options.side} px"
        print_table(title, ["memory", "ms", "processor ms", "peak MiB", "speed", "speed of processor"], rows)


if __name__ == "__main__":
    main()
