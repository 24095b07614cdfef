"""Samples a second from cached frames to inputs and targets, against the plain way to do it.

``python -m benchmarks.input_pipeline`` from the root of the repository. One thread, frames in memory, turn, zoom,
contrast and brightness on. The plain way makes float32 images in the dataset (resize, then `affine_grid` and
`grid_sample`) and ships float target maps from there; it is measured in turns with the package.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from benchmarks.measure import median_seconds, print_table
from sleap_nn.config.data_config import AugmentationConfig, GeometricConfig, IntensityConfig
from sleap_nn.config.model_config import SingleInstanceConfig, SingleInstanceConfMapsConfig
from sleap_nn.data.augment import Augmenter
from sleap_nn.data.cache import CachedFrames
from sleap_nn.data.dataset import PoseDataset
from sleap_nn.data.frame_stores import MemoryStore
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.labels import LabelSet
from sleap_nn.data.loaders import EpochSampler, make_loader
from sleap_nn.data.sources import FrameSource, VideoFrames
from sleap_nn.data.synthetic import Scene, synthetic_labels
from sleap_nn.tasks.single_instance import SingleInstance

SIGMA, OUTPUT_STRIDE, MAX_STRIDE = 2.5, 2, 16
DEGREES, ZOOM, FACTOR = 180.0, (0.9, 1.1), (0.8, 1.2)
CASES = ((256, 1, 1.0), (256, 3, 1.0), (512, 1, 0.5))
"""(side of the frame in px, channels, scale)"""


class PlainDataset(Dataset):
    """Float images and float targets, one sample at a time, all in torch."""

    def __init__(self, labels: LabelSet, source: FrameSource, scale: float) -> None:
        """Keep the frames as they are."""
        self.images = [np.ascontiguousarray(source.read(frame.key).image) for frame in labels.frames]
        self.points = [torch.from_numpy(frame.points[0]) for frame in labels.frames]
        self.scale = scale

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return an image (C, H, W) and its maps (N, h, w)."""
        image = torch.from_numpy(self.images[index]).permute(2, 0, 1).float() / 255
        points = self.points[index] * self.scale
        if self.scale != 1:
            image = functional.interpolate(
                image[None], scale_factor=self.scale, mode="bilinear", antialias=True, align_corners=False
            )[0]
        image, points = self.turn(image, points)
        draw = np.random.default_rng()
        mean = image.mean()
        image = ((image - mean) * draw.uniform(*FACTOR) + mean) * draw.uniform(*FACTOR)
        height, width = image.shape[1:]
        padding = (-width % MAX_STRIDE, -height % MAX_STRIDE)
        image = functional.pad(image.clamp(0, 1), (0, padding[0], 0, padding[1]))
        return image, self.maps(points, image.shape[1], image.shape[2])

    def turn(self, image: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Turn and zoom an image about its centre, and the points with it."""
        draw = np.random.default_rng()
        angle, zoom = math.radians(draw.uniform(-DEGREES, DEGREES)), draw.uniform(*ZOOM)
        cos, sin = math.cos(angle), math.sin(angle)
        height, width = image.shape[1:]
        back = torch.tensor([[cos, sin * height / width, 0], [-sin * width / height, cos, 0]]) / zoom
        grid = functional.affine_grid(back[None], [1, *image.shape], align_corners=False)
        turned = functional.grid_sample(image[None], grid, mode="bilinear", align_corners=False)[0]
        centre = torch.tensor([(width - 1) / 2, (height - 1) / 2])
        return turned, (points - centre) @ (zoom * torch.tensor([[cos, -sin], [sin, cos]])).T + centre

    def maps(self, points: Tensor, height: int, width: int) -> Tensor:
        """Draw the maps over the whole grid."""
        x = torch.arange(0, width, OUTPUT_STRIDE).float()
        y = torch.arange(0, height, OUTPUT_STRIDE).float()
        distance = (x[None, None] - points[:, 0, None, None]) ** 2 + (y[None, :, None] - points[:, 1, None, None]) ** 2
        return torch.exp(-distance / (2 * (SIGMA * OUTPUT_STRIDE) ** 2)).nan_to_num(0.0)


def plain_batches(dataset: PlainDataset, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images and targets, the plain way."""
    yield from DataLoader(dataset, batch_size=batch_size, shuffle=True)


def package_batches(
    labels: LabelSet, cache: CachedFrames, spec: InputSpec, batch_size: int
) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Yield images and targets, as training does."""
    config = SingleInstanceConfig(confmaps=SingleInstanceConfMapsConfig(sigma=SIGMA, output_stride=OUTPUT_STRIDE))
    task = SingleInstance.from_config(config, labels.skeleton)
    augmentation = AugmentationConfig(
        IntensityConfig(
            contrast_p=1.0,
            contrast_min=FACTOR[0],
            contrast_max=FACTOR[1],
            brightness_p=1.0,
            brightness_min=FACTOR[0],
            brightness_max=FACTOR[1],
        ),
        GeometricConfig(
            rotation_min=-DEGREES,
            rotation_max=DEGREES,
            rotation_p=1.0,
            scale_min=ZOOM[0],
            scale_max=ZOOM[1],
            scale_p=1.0,
        ),
    )
    dataset = PoseDataset(labels, cache, task, spec, Augmenter.from_config(augmentation))
    for batch in make_loader(dataset, batch_size, EpochSampler(len(dataset), len(dataset), True, 0), 0):
        yield batch.image, task.encode(batch)


def measure_case(case: tuple[int, int, float], num_frames: int, rounds: int, batch_size: int) -> list[object]:
    """Return the row of one case."""
    side, channels, scale = case
    with tempfile.TemporaryDirectory() as folder:
        labels = synthetic_labels(
            Path(folder) / "labels.pkg.slp", Scene(height=side, width=side, channels=channels), num_frames
        )
        label_set = LabelSet.from_labels([labels])
        source = VideoFrames(label_set.videos, [frame.key for frame in label_set.frames])
        plain = PlainDataset(label_set, source, scale)
        spec = InputSpec(channels, scale=scale, stride=MAX_STRIDE)
        store = MemoryStore([spec.reduced_shape(*shape) for shape in source.shapes()], between_processes=False)
        cache = CachedFrames(source, store, spec.reduced)
        list(cache)
        cache.close()
    for (a, _), (b, targets) in zip(
        plain_batches(plain, batch_size), package_batches(label_set, cache, spec, batch_size), strict=True
    ):
        assert a.shape == b.shape
        assert targets["confmaps"].shape[2] == a.shape[2] // OUTPUT_STRIDE
    ways = [
        lambda: list(plain_batches(plain, batch_size)),
        lambda: list(package_batches(label_set, cache, spec, batch_size)),
    ]
    slow, fast = median_seconds(ways, rounds)
    num_samples = len(label_set)
    return [f"{side} x {side} x {channels}, scale {scale:g}", num_samples / slow, num_samples / fast, slow / fast]


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=32, help="labelled frames, all of them in every round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows = [measure_case(case, options.frames, options.rounds, options.batch_size) for case in CASES]
    print_table("Input pipeline, samples/s in one thread", ["frame", "plain", "package", "ratio"], rows)


if __name__ == "__main__":
    main()
