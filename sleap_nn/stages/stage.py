"""`Stage`: one network in the chain from frames to instances: prepare, run, finish."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sleap_nn.data.input_spec import InputSpec
from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks.base import DecodeSettings, Task

Runtime = Callable[[Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame turned into the inputs of a stage.

    Attributes:
        frame: The frame, of which a later stage may read other regions.
        regions: What was read.
        images: One (C, H, W) uint8 input a region.
        transforms: Frame px to input px, one a region.
    """

    frame: Frame
    regions: tuple[Region, ...]
    images: tuple[UInt8[np.ndarray, "channels height width"], ...]
    transforms: tuple[Transform, ...]


@dataclass(frozen=True)
class Stage:
    """A task, the input it reads, and what executes its network.

    Attributes:
        task: Decodes the maps.
        spec: Makes the inputs.
        runtime: Any callable from images (B, C, H, W) uint8 to raw outputs by head name.
        settings: How maps are read.
        max_images: Most images in one pass of the network.
    """

    task: Task
    spec: InputSpec
    runtime: Runtime
    settings: DecodeSettings = field(default_factory=DecodeSettings)
    max_images: int = 64

    def prepare(self, frame: Frame, anchors: Sequence[Region] | None = None) -> Prepared:
        """Read the inputs of one frame; that of a first stage is done ahead of the device, in another thread."""
        regions = tuple(self.spec.regions(frame, anchors))
        read = [self.spec.read(frame, region) for region in regions]
        return Prepared(frame, regions, tuple(image for image, _ in read), tuple(transform for _, transform in read))

    def finish(self, batch: Sequence[Prepared]) -> list[Predictions]:
        """Run the network on a batch of frames and return the instances of each, in order."""
        detections = self._detect([image for prepared in batch for image in prepared.images])
        results, start = [], 0
        for prepared in batch:
            stop = start + len(prepared.images)
            lifted = [
                detection.lift(transform, region.score)
                for detection, transform, region in zip(
                    detections[start:stop], prepared.transforms, prepared.regions, strict=True
                )
            ]
            results.append(self.task.assemble(prepared.frame.key, lifted, self.settings))
            start = stop
        return results

    def _detect(self, images: Sequence[UInt8[np.ndarray, "channels height width"]]) -> list[Detection]:
        """Run images, those of equal size together, and return their detections in order."""
        detections: dict[int, Detection] = {}
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            by_size.setdefault(image.shape, []).append(index)
        for same_size in by_size.values():
            for indices in batched(same_size, self.max_images):
                stacked = torch.from_numpy(np.stack([images[i] for i in indices]))
                with torch.inference_mode():
                    maps = self.task.activate(self.runtime(stacked))
                    found = self.task.detect(maps, self.settings)
                detections.update(zip(indices, found, strict=True))
        return [detections[index] for index in range(len(images))]


def run_stages(stages: Sequence[Stage], batch: Sequence[Prepared]) -> list[Predictions]:
    """Run a chain of stages; each reads the regions that the one before found.

    Args:
        stages: In the order in which they run.
        batch: Frames that the first stage has prepared.
    """
    found = stages[0].finish(batch)
    for stage in stages[1:]:
        batch = [stage.prepare(prepared.frame, result.anchors()) for prepared, result in zip(batch, found, strict=True)]
        found = stage.finish(batch)
    return found


def batched(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Yield the items in runs of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
