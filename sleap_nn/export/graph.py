"""Networks as functions of an image that a file can hold: their maps, and what `reading` makes of them.

``map_<head>`` is the raw output of a head, which predictions of this package go on with; the other outputs are for
programs that have nothing but the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sleap_nn.data.input_spec import InputSpec
from sleap_nn.export.reading import (
    LineReading,
    build_bottomup_candidate_template,
    candidate_scores,
    highest_peaks,
    highest_points,
)
from sleap_nn.heads.class_vectors import ClassVectorsHead
from sleap_nn.inference.onnx_runtime import MAP_PREFIX
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.tasks.base import DecodeSettings, Task
from sleap_nn.tasks.bottomup import BottomUp
from sleap_nn.tasks.multi_class_bottomup import MultiClassBottomUp

Outputs = dict[str, Tensor]


@dataclass(frozen=True)
class Reading:
    """How the outputs of a graph are read from its maps.

    Attributes:
        settings: Thresholds and lines.
        max_instances: Centroids of an image.
        max_peaks_per_node: Peaks a node of an image, of models that find those of all animals at once.
    """

    settings: DecodeSettings
    max_instances: int
    max_peaks_per_node: int

    @property
    def half(self) -> int:
        """Cells on either side of a peak that refine it."""
        return self.settings.patch_size // 2


def read_points(task: Task, maps: Mapping[str, Tensor], reading: Reading) -> Outputs:
    """Return one point a node."""
    head = task.heads[0]
    points, values = highest_points(maps[head.name], reading.settings.peak_threshold, head.output_stride, reading.half)
    return {"peaks": points, "peak_vals": values}


def read_centroids(task: Task, maps: Mapping[str, Tensor], reading: Reading) -> Outputs:
    """Return the highest peaks of the only map."""
    head = task.heads[0]
    peaks = highest_peaks(
        maps[head.name], reading.max_instances, reading.settings.peak_threshold, head.output_stride, reading.half
    )
    points = torch.where(peaks.found[..., None], peaks.points, torch.full_like(peaks.points, torch.nan))
    values = torch.where(peaks.found, peaks.values, torch.zeros_like(peaks.values))
    return {"centroids": points[:, 0], "centroid_vals": values[:, 0], "instance_valid": peaks.found[:, 0]}


def read_edges(task: Task, maps: Mapping[str, Tensor], reading: Reading) -> Outputs:
    """Return the peaks of every node, and a score for every pair that an edge may join."""
    task, settings = cast(BottomUp, task), reading.settings
    confmaps, fields, most = task.confmaps, task.pafs, reading.max_peaks_per_node
    peaks = highest_peaks(maps[confmaps.name], most, settings.peak_threshold, confmaps.output_stride, reading.half)
    template = build_bottomup_candidate_template(len(task.skeleton.node_names), most, fields.edges)
    edge, source, destination = (index.to(peaks.points.device) for index in template)
    points, found = peaks.points.flatten(1, 2), peaks.found.flatten(1, 2)
    scores = candidate_scores(
        maps[fields.name],
        points.index_select(1, source),
        points.index_select(1, destination),
        edge,
        fields.output_stride,
        LineReading(settings.num_line_points, settings.max_edge_length_ratio, settings.dist_penalty_weight),
    )
    usable = found.index_select(1, source) & found.index_select(1, destination)
    return {
        **_masked(peaks.points, peaks.values, peaks.found),
        "line_scores": torch.where(usable, scores, torch.zeros_like(scores)),
        "candidate_mask": usable,
    }


def read_classes(task: Task, maps: Mapping[str, Tensor], reading: Reading) -> Outputs:
    """Return the peaks of every node, and the class maps where they lie."""
    task = cast(MultiClassBottomUp, task)
    head, stride = task.confmaps, task.class_maps.output_stride
    peaks = highest_peaks(
        maps[head.name],
        reading.max_peaks_per_node,
        reading.settings.peak_threshold,
        head.output_stride,
        reading.half,
    )
    classes = maps[task.class_maps.name]
    cells = (peaks.points / stride).round().long()
    x = cells[..., 0].clamp(min=0).clamp(max=classes.shape[3] - 1)
    y = cells[..., 1].clamp(min=0).clamp(max=classes.shape[2] - 1)
    place = (y * classes.shape[3] + x).flatten(1)[:, None].expand(-1, classes.shape[1], -1)
    probabilities = classes.flatten(2).gather(2, place).transpose(1, 2).unflatten(1, peaks.values.shape[1:])
    return {**_masked(peaks.points, peaks.values, peaks.found), "class_probs": probabilities}


def _masked(points: Tensor, values: Tensor, found: Tensor) -> Outputs:
    """Return peaks, NaN and 0 where there are none."""
    return {
        "peaks": torch.where(found[..., None], points, torch.full_like(points, torch.nan)),
        "peak_vals": torch.where(found, values, torch.zeros_like(values)),
        "peak_mask": found,
    }


class Reader(NamedTuple):
    """What the graph of a model type gives besides the maps.

    Attributes:
        read: Reads it from the maps.
        lists_peaks: Whether the peaks of all animals are among it, at most ``max_peaks_per_node`` of each node.
    """

    read: Callable[[Task, Mapping[str, Tensor], Reading], Outputs]
    lists_peaks: bool = False


READERS: dict[str, Reader] = {
    "single_instance": Reader(read_points),
    "centroid": Reader(read_centroids),
    "centered_instance": Reader(read_points),
    "bottomup": Reader(read_edges, lists_peaks=True),
    "multi_class_bottomup": Reader(read_classes, lists_peaks=True),
    "multi_class_topdown": Reader(read_points),
}
"""Model type -> its reader."""


class NetworkGraph(nn.Module):
    """A network and what is read from its maps.

    It takes images (B, C, H, W) uint8 as the network reads them: scaled, and padded to multiples of its stride. Points
    are in px of these images.
    """

    def __init__(self, task: Task, network: PoseNetwork, reading: Reading) -> None:
        """Take the parts of a trained model."""
        super().__init__()
        self.network = network
        self._task, self._reading = task, reading

    def forward(self, image: Tensor) -> Outputs:
        """Return the outputs by name."""
        raw = self.network(image)
        found = READERS[self._task.name].read(self._task, self._task.activate(raw), self._reading)
        for head in self._task.heads:
            if isinstance(head, ClassVectorsHead):
                found["class_logits"] = raw[head.name]
        return {**found, **{f"{MAP_PREFIX}{name}": values for name, values in raw.items()}}


class TopDownGraph(nn.Module):
    """A centroid model and a model of crops as one function of whole frames.

    It takes frames (B, C, H, W) uint8, matched to the size of training if that matters, and gives points in px of them.
    Crops are cut inside by bilinear interpolation; those of this package's own predictions are resampled with care for
    their scale, so points of the two can differ by a fraction of a px.
    """

    def __init__(self, first: NetworkGraph, second: NetworkGraph, specs: tuple[InputSpec, InputSpec]) -> None:
        """Take the two models, and what they read."""
        super().__init__()
        self.first, self.second = first, second
        self._specs = specs

    def forward(self, image: Tensor) -> Outputs:
        """Return the outputs by name."""
        frames = image.float()
        spec, crop_spec = self._specs
        found = self.first(_padded(_scaled(frames, spec.scale), spec.stride))
        centroids = found["centroids"] / spec.scale
        valid = found["instance_valid"]
        crops, corner = self._crops(frames, torch.where(valid[..., None], centroids, torch.zeros_like(centroids)))
        own = self.second(_padded(crops.flatten(0, 1), crop_spec.stride))
        of_frame = {name: values.unflatten(0, valid.shape) for name, values in own.items() if name != "map_confmaps"}
        peaks = of_frame["peaks"] / crop_spec.scale + corner[:, :, None]
        values = of_frame["peak_vals"] * valid[..., None]
        outputs = {
            "centroids": centroids,
            "centroid_vals": found["centroid_vals"],
            "peaks": torch.where(valid[..., None, None], peaks, torch.full_like(peaks, torch.nan)),
            "peak_vals": values,
            "instance_valid": valid,
        }
        return outputs | {name: of_frame[name] for name in ("class_logits",) if name in of_frame}

    def _crops(self, frames: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
        """Return crops (B, I, C, h, w) about centroids (B, I, 2), and where their points begin in the frame."""
        spec = self._specs[1]
        size = cast(int, spec.crop_size)
        side = max(1, int(size * spec.scale))
        corner = centroids - (size / 2 - 0.5)
        # Pixels keep their areas when they are resized, so their centres lie at halves.
        ways = (torch.arange(side, device=frames.device) + 0.5) * (size / side) - 0.5
        x, y = corner[..., 0, None] + ways, corner[..., 1, None] + ways
        shape = (*corner.shape[:2], side, side)
        grid = torch.stack([x[:, :, None, :].expand(shape), y[:, :, :, None].expand(shape)], dim=-1)
        extent = torch.stack([torch.ones_like(frames[0, 0, 0]).sum(), torch.ones_like(frames[0, 0, :, 0]).sum()])
        places = ((2 * grid + 1) / extent - 1).flatten(1, 2)
        cut = functional.grid_sample(frames, places, mode="bilinear", padding_mode="zeros", align_corners=False)
        crops = cut.unflatten(2, (shape[1], side)).transpose(1, 2)
        return crops, corner


def _scaled(frames: Tensor, scale: float) -> Tensor:
    """Resize frames by a factor."""
    if scale == 1:
        return frames
    return functional.interpolate(frames, scale_factor=scale, mode="bilinear", align_corners=False)


def _padded(images: Tensor, stride: int) -> Tensor:
    """Pad images with black at the right and at the bottom to multiples of a stride."""
    height, width = images.shape[2], images.shape[3]
    return functional.pad(images, (0, -width % stride, 0, -height % stride))
