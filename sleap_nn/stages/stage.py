"""`Stage`: one network in the chain from frames to instances: prepare, run, finish."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sleap_nn.data.input_spec import InputSpec
from sleap_nn.stages.grouping_pool import GroupingPool
from sleap_nn.stages.raw import IMAGE, raw_of_crops, raw_of_frame, with_earlier, with_image, with_size
from sleap_nn.structures.predictions import Detection, Predictions, Raw
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame, FrameKey
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks.base import DecodeSettings, Task

Runtime = Callable[[Tensor], Mapping[str, Tensor]]
Assembled = Callable[[], Predictions]
"""Returns the instances of a frame, when they are assembled."""


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
        keep: What is kept in `Predictions.raw`: names of heads, ``crops``, ``paf_graph``,
            ``image``; None keeps nothing there.
        pool: Processes that assemble; None assembles here.
    """

    task: Task
    spec: InputSpec
    runtime: Runtime
    settings: DecodeSettings = field(default_factory=DecodeSettings)
    max_images: int = 64
    keep: frozenset[str] | None = None
    pool: GroupingPool | None = None

    def prepare(self, frame: Frame, anchors: Sequence[Region] | None = None) -> Prepared:
        """Read the inputs of one frame."""
        regions = tuple(self.spec.regions(frame, anchors))
        read = [self.spec.read(frame, region) for region in regions]
        return Prepared(frame, regions, tuple(image for image, _ in read), tuple(transform for _, transform in read))

    def prepare_all(
        self, frames: Sequence[Frame], anchors: Mapping[FrameKey, Sequence[Region]] | None = None
    ) -> list[Prepared]:
        """Read the inputs of several frames.

        Args:
            frames: Successive frames.
            anchors: What is read of each frame, a frame that is not in it having none; None for whole frames.
        """
        if anchors is not None:
            return [self.prepare(frame, anchors.get(frame.key, ())) for frame in frames]
        read = self.spec.read_whole(frames)
        return [
            Prepared(frame, (Region(),), (image,), (transform,))
            for frame, (image, transform) in zip(frames, read, strict=True)
        ]

    def finish(self, batch: Sequence[Prepared]) -> list[Predictions]:
        """Run the network on a batch of frames and return the instances of each, in order."""
        return [assembled() for assembled in self.begin(batch)]

    def begin(self, batch: Sequence[Prepared]) -> list[Assembled]:
        """Run the network on a batch of frames; calling the entries gives the instances of each, in order."""
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
            results.append(self._assembled(prepared, lifted))
            start = stop
        return results

    def _assembled(self, prepared: Prepared, lifted: Sequence[Detection]) -> Assembled:
        """Have the detections of a frame (frame px) joined to instances, here or by the pool."""
        key = prepared.frame.key
        if self.pool is not None:
            result = self.pool.submit(key, [_without_maps(detection) for detection in lifted]).result
        else:
            result = partial(self.task.assemble, key, lifted, self.settings)
        if self.keep is None:
            return result
        raw = self._raw(prepared, lifted, self.keep)
        return lambda: replace(result(), raw=raw)

    def _raw(self, prepared: Prepared, lifted: Sequence[Detection], keep: frozenset[str]) -> Raw:
        """Return what is kept of a frame beside its instances."""
        if self.task.view == "frame":
            (detection,), (transform,) = lifted, prepared.transforms
            maps = {head.name: detection.extras[f"map_{head.name}"] for head in self.task.heads if head.name in keep}
            raw = with_size(raw_of_frame(detection, maps, transform, keep), prepared.frame)
            return raw if IMAGE not in keep else with_image(raw, prepared.frame, prepared.images[0], transform)
        raw = raw_of_crops(lifted, prepared.regions, prepared.images, prepared.transforms, keep)
        if IMAGE not in keep:
            return raw
        matched = replace(self.spec, crop_size=None, scale=1.0, stride=1).read(prepared.frame, Region())
        return with_image(raw, prepared.frame, *matched)

    def _detect(self, images: Sequence[UInt8[np.ndarray, "channels height width"]]) -> list[Detection]:
        """Run images, those of equal size together, and return their detections in order."""
        detections: dict[int, Detection] = {}
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            by_size.setdefault(image.shape, []).append(index)
        for same_size in by_size.values():
            for indices in batched(same_size, self.max_images):
                last = np.stack([images[i].transpose(1, 2, 0) for i in indices])  # as they lie in memory
                stacked = torch.from_numpy(last).permute(0, 3, 1, 2)
                with torch.inference_mode():
                    maps = self.task.activate(self.runtime(stacked))
                    found = self.task.detect(maps, self.settings)
                detections.update(zip(indices, _with_maps(found, maps, self.keep), strict=True))
        return [detections[index] for index in range(len(images))]


def _with_maps(
    found: Sequence[Detection], maps: Mapping[str, Tensor], keep: frozenset[str] | None
) -> Sequence[Detection]:
    """Return detections that carry the maps that are kept, as ``extras["map_<head>"]``."""
    kept = {name: values.float().cpu().numpy() for name, values in maps.items() if keep and name in keep}
    if not kept:
        return found
    return [
        replace(detection, extras={**detection.extras, **{f"map_{name}": own[i] for name, own in kept.items()}})
        for i, detection in enumerate(found)
    ]


def _without_maps(detection: Detection) -> Detection:
    """Return a detection without the maps that it carries, which no other process needs."""
    extras = {name: values for name, values in detection.extras.items() if not name.startswith("map_")}
    return replace(detection, extras=extras)


def run_stages(stages: Sequence[Stage], batch: Sequence[Prepared]) -> list[Predictions]:
    """Run a chain of stages; each reads the regions that the one before found.

    Args:
        stages: In the order in which they run.
        batch: Frames that the first stage has prepared.
    """
    return [assembled() for assembled in begin_stages(stages, batch)]


def begin_stages(stages: Sequence[Stage], batch: Sequence[Prepared]) -> list[Assembled]:
    """Run a chain of stages; of the last, the entries give the instances of each frame when they are called."""
    found: list[Predictions] = []
    for stage, following in pairwise(stages):
        found = stage.finish(batch)
        batch = [
            following.prepare(prepared.frame, result.anchors()) for prepared, result in zip(batch, found, strict=True)
        ]
    last = stages[-1].begin(batch)
    if len(stages) == 1 or stages[-2].keep is None:
        return last
    return [partial(_with_earlier, result, own.raw) for result, own in zip(last, found, strict=True)]


def _with_earlier(result: Assembled, earlier: Raw | None) -> Predictions:
    """Wait for the instances of a frame, and return them with what an earlier stage has kept of it."""
    found = result()
    return replace(found, raw=with_earlier(Raw() if found.raw is None else found.raw, earlier))


def batched(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Yield the items in runs of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
