"""Seconds to the first training step, and samples a second after it, by where frames are kept and by worker processes.

``python -m benchmarks.first_step`` from the root of the repository. A drawn video, every fourth frame of it labelled,
as people label frames that differ; each row starts with nothing decoded and trains a small network for two epochs. The
plain way, for comparison, decodes all frames before it starts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.measure import print_table
from sleap_nn.config.data_config import AugmentationConfig, GeometricConfig, IntensityConfig
from sleap_nn.config.model_config import SingleInstanceConfig, SingleInstanceConfMapsConfig, UNetConfig
from sleap_nn.data.augment import Augmenter
from sleap_nn.data.cache import CachedFrames, CacheFiller
from sleap_nn.data.dataset import PoseDataset
from sleap_nn.data.frame_stores import NOBODY, DiskStore, MemoryStore
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.labels import LabelSet, load_labels
from sleap_nn.data.loaders import EpochSampler, make_loader
from sleap_nn.data.sources import FrameSource, VideoFrames
from sleap_nn.data.synthetic import Scene, write_dataset
from sleap_nn.networks.network import PoseNetwork, initialise
from sleap_nn.networks.unet import UNet
from sleap_nn.structures.sample import Batch
from sleap_nn.tasks.single_instance import SingleInstance

BATCH_SIZE, MAX_STRIDE, OUTPUT_STRIDE, INPUT_SIDE = 4, 8, 4, 128
NUM_THREADS = 2

Supply = tuple[FrameSource, CacheFiller]
Way = Callable[[VideoFrames, int], AbstractContextManager[Supply]]


@contextmanager
def plain(source: VideoFrames, num_workers: int) -> Iterator[Supply]:
    """Decode everything first."""
    cache = CachedFrames(source, MemoryStore(source.shapes(), num_workers > 0))
    list(cache)
    yield cache, CacheFiller([], 0)


@contextmanager
def on_demand(source: VideoFrames, num_workers: int) -> Iterator[Supply]:
    """Decode a frame whenever it is needed."""
    yield source, CacheFiller([], 0)


@contextmanager
def in_memory(source: VideoFrames, num_workers: int) -> Iterator[Supply]:
    """Decode in the background, into memory."""
    with filled(CachedFrames(source, MemoryStore(source.shapes(), num_workers > 0))) as supply:
        yield supply


@contextmanager
def on_disk(source: VideoFrames, num_workers: int) -> Iterator[Supply]:
    """Decode in the background, into files."""
    with tempfile.TemporaryDirectory() as folder:
        cache = CachedFrames(source, DiskStore(Path(folder), source.fingerprints(), NOBODY))
        with filled(cache) as supply:
            yield supply


@contextmanager
def filled(cache: CachedFrames) -> Iterator[Supply]:
    """Fill a cache in the background."""
    filler = CacheFiller([cache], NUM_THREADS)
    filler.start()
    try:
        yield cache, filler
    finally:
        filler.stop()


WAYS: dict[str, Way] = {
    "all frames first (plain)": plain,
    "torch_dataset": on_demand,
    "torch_dataset_cache_img_memory": in_memory,
    "torch_dataset_cache_img_disk": on_disk,
}


class Times(NamedTuple):
    """What a row shows: seconds to the first step, samples a second of two epochs, seconds in all."""

    first_step: float
    first_epoch: float
    second_epoch: float
    total: float


def measure(labels_path: Path, every: int, way: Way, num_workers: int) -> Times:
    """Train for two epochs, from nothing."""
    label_set = LabelSet.from_labels([load_labels(labels_path)])
    label_set = replace(label_set, frames=label_set.frames[::every])
    source = VideoFrames(label_set.videos, [frame.key for frame in label_set.frames])
    size = source.shapes()[0]
    config = SingleInstanceConfig(confmaps=SingleInstanceConfMapsConfig(sigma=2.5, output_stride=OUTPUT_STRIDE))
    task = SingleInstance.from_config(config, label_set.skeleton)
    step = make_step(task, size[2])
    spec = InputSpec(size[2], scale=INPUT_SIDE / size[0], stride=MAX_STRIDE)
    augmenter = Augmenter.from_config(AugmentationConfig(IntensityConfig(), GeometricConfig()))
    start = time.perf_counter()
    with way(source, num_workers) as (frames, filler):
        dataset = PoseDataset(label_set, frames, task, spec, augmenter)
        sampler = EpochSampler(len(dataset), len(dataset), True, seed=0)
        with closing(make_loader(dataset, BATCH_SIZE, sampler, num_workers, filler)) as loader:
            ends, first_step = [start], 0.0
            for epoch in range(2):
                sampler.set_epoch(epoch)
                for batch in loader:
                    step(batch)
                    first_step = first_step if first_step else time.perf_counter() - start
                ends.append(time.perf_counter())
    rates = [len(dataset) / (end - begin) for begin, end in pairwise(ends)]
    return Times(first_step, *rates, ends[-1] - start)


def make_step(task: SingleInstance, channels: int) -> Callable[[Batch], None]:
    """Return a training step of a small network."""
    torch.manual_seed(0)
    backbone = UNet(UNetConfig(in_channels=channels, filters=4, max_stride=MAX_STRIDE, output_stride=OUTPUT_STRIDE))
    network = PoseNetwork(backbone, task.heads)
    initialise(network, "default")
    optimizer = torch.optim.Adam(network.parameters())

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        task.total_loss(task.losses(network(batch.image), task.encode(batch))).backward()
        optimizer.step()

    return step


def main() -> None:
    """Measure all ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--every", type=int, default=4, help="label every so many frames")
    parser.add_argument("--side", type=int, default=256, help="side of a frame in px")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    scene = Scene(height=options.side, width=options.side, channels=1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        truth = write_dataset(folder, scene, 1, options.frames * options.every, num_clips=1).truth
        for name, way in WAYS.items():
            for num_workers in options.workers:
                times = measure(truth, options.every, way, num_workers)
                rows.append([f"{name}, {num_workers} workers", *times])
    title = (
        f"{options.frames} labelled frames of {options.side} x {options.side} px, one in {options.every} of a video, "
        f"{NUM_THREADS} caching threads"
    )
    print_table(title, ["", "first step s", "epoch 1 samples/s", "epoch 2 samples/s", "both epochs s"], rows)


if __name__ == "__main__":
    main()
