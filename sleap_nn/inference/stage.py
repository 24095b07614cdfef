"""`Stage`: one network in the chain from frames to instances: prepare, run, finish."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sleap_nn.data.input_spec import InputSpec
from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame, FrameKey
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks.base import DecodeSettings, Task

Runtime = Callable[[Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame turned into the inputs of a stage.

    Attributes:
        key: The frame.
        images: One (C, H, W) uint8 input a region.
        transforms: Frame px to input px, one a region.
    """

    key: FrameKey
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
    """

    task: Task
    spec: InputSpec
    runtime: Runtime
    settings: DecodeSettings = field(default_factory=DecodeSettings)

    def prepare(self, frame: Frame, anchors: Sequence[Region] | None = None) -> Prepared:
        """Read the inputs of one frame; done ahead of the device, in another thread."""
        read = [self.spec.read(frame, region) for region in self.spec.regions(frame, anchors)]
        return Prepared(frame.key, tuple(image for image, _ in read), tuple(transform for _, transform in read))

    def finish(self, batch: Sequence[Prepared]) -> list[Predictions]:
        """Run the network on a batch of frames and return the instances of each, in order."""
        images = [image for prepared in batch for image in prepared.images]
        transforms = [transform for prepared in batch for transform in prepared.transforms]
        detections = self._detect(images)
        lifted = [detection.lift(t) for detection, t in zip(detections, transforms, strict=True)]
        results, start = [], 0
        for prepared in batch:
            stop = start + len(prepared.images)
            results.append(self.task.assemble(prepared.key, lifted[start:stop]))
            start = stop
        return results

    def _detect(self, images: Sequence[UInt8[np.ndarray, "channels height width"]]) -> list[Detection]:
        """Run images, those of equal size together, and return their detections in order."""
        detections: list[Detection | None] = [None] * len(images)
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            by_size.setdefault(image.shape, []).append(index)
        for indices in by_size.values():
            stacked = torch.from_numpy(np.stack([images[i] for i in indices]))
            with torch.inference_mode():
                maps = self.task.activate(self.runtime(stacked))
                found = self.task.detect(maps, self.settings)
            for index, detection in zip(indices, found, strict=True):
                detections[index] = detection
        return [detection for detection in detections if detection is not None]
