"""Predictions with what was kept beside them -> `Outputs`, the raw results that users ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from sleap_nn.data.input_spec import InputSpec
from sleap_nn.inference.outputs import Outputs, PreprocInfo
from sleap_nn.structures.predictions import Predictions, Raw
from sleap_nn.tasks.base import Task

_NAMES = {
    "return_confmaps": "confmaps",
    "return_pafs": "pafs",
    "return_paf_graph": "paf_graph",
    "return_class_maps": "class_maps",
    "return_class_vectors": "class_vectors",
    "return_crops": "crops",
}
_MAP_FIELDS = {"confmaps": "pred_confmaps", "pafs": "pred_pafs", "class_maps": "pred_class_maps"}
_GRAPH = ("peaks", "edges", "scores")


class RawKeywords(TypedDict, total=False):
    """What raw results hold besides points and scores; a model type gives what it has.

    Attributes:
        return_confmaps: Confidence maps.
        return_crops: The images of the crops.
        return_pafs: Part affinity fields.
        return_paf_graph: Scored pairs of peaks.
        return_class_maps: Class maps.
        return_class_vectors: Class vectors.
    """

    return_confmaps: bool | None
    return_crops: bool | None
    return_pafs: bool | None
    return_paf_graph: bool | None
    return_class_maps: bool | None
    return_class_vectors: bool | None


def kept_names(keywords: RawKeywords) -> frozenset[str]:
    """Return what a stage keeps, see `Stage.keep`."""
    return frozenset(name for keyword, name in _NAMES.items() if keywords.get(keyword))


@dataclass(frozen=True)
class OutputForm:
    """How raw results of a model are laid out.

    Attributes:
        task: The last model type of the chain.
        spec: What its network reads.
        is_chained: Whether another stage found what it reads.
        num_slots: Instances that are padded to, None for the largest number in the batch.
    """

    task: Task
    spec: InputSpec
    is_chained: bool = False
    num_slots: int | None = None

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an image that the network can read."""
        height, width = self.spec.max_height, self.spec.max_width
        return (256 if height is None else height, 256 if width is None else width, self.spec.channels)

    def outputs(self, batch: Sequence[Predictions], keep: frozenset[str]) -> Outputs:
        """Return the results of a batch, whose frames carry `Predictions.raw`.

        Args:
            batch: The frames.
            keep: What was asked for besides.
        """
        slots = self._slot_rows(batch)
        size = (len(batch), self._num_slots(batch, slots))
        table = _Table(size, slots)
        values: dict[str, Any] = {
            "frame_indices": torch.tensor([found.key.frame for found in batch], dtype=torch.int64),
            "video_indices": torch.tensor([found.key.video for found in batch], dtype=torch.int64),
            "instance_valid": table.fill([np.ones(len(found), bool) for found in batch], empty=False),
        }
        values |= self._centroids(batch, table) if self.task.one_point else self._poses(batch, table)
        if self.task.view == "crop":
            values |= self._crops(batch, table, keep)
        else:
            values |= _whole_maps(batch, keep)
            values["preprocess_info"] = self._info(batch)
        return Outputs(**values)

    def _slot_rows(self, batch: Sequence[Predictions]) -> list[np.ndarray]:
        """Return the slot of each instance: its class where a frame has one place for each class, else its position."""
        if self.task.classes and self.task.view == "frame":
            return [np.arange(len(f)) if f.class_ids is None else f.class_ids for f in batch]
        return [np.arange(len(found)) for found in batch]

    def _num_slots(self, batch: Sequence[Predictions], slots: Sequence[np.ndarray]) -> int:
        """Return the number of slots of every frame."""
        if self.task.classes and self.task.view == "frame":
            return len(self.task.classes)
        return max(1, 0 if self.num_slots is None else self.num_slots, *(len(own) for own in slots))

    def _centroids(self, batch: Sequence[Predictions], table: _Table) -> dict[str, Any]:
        """Return the fields of a model of centroids."""
        return {
            "pred_centroids": table.fill([found.points[:, 0] for found in batch], (2,)),
            "pred_centroid_values": table.fill([found.scores for found in batch]),
        }

    def _poses(self, batch: Sequence[Predictions], table: _Table) -> dict[str, Any]:
        """Return the fields of every other model."""
        num_nodes = len(self.task.skeleton.node_names)
        values: dict[str, Any] = {
            "pred_keypoints": table.fill([found.points for found in batch], (num_nodes, 2)),
            "pred_peak_values": table.fill([found.point_scores for found in batch], (num_nodes,)),
        }
        if self.task.max_labelled != 1:
            values["instance_scores"] = table.fill([found.scores for found in batch])
        if self.task.classes:
            empty = np.zeros(0, np.float32)
            scores = [empty if f.class_scores is None else f.class_scores for f in batch]
            values["instance_tracking_scores"] = table.fill(scores)
        return values

    def _crops(self, batch: Sequence[Predictions], table: _Table, keep: frozenset[str]) -> dict[str, Any]:
        """Return the fields of a model of crops."""
        raws = [Raw() if found.raw is None else found.raw for found in batch]
        num_nodes = len(self.task.skeleton.node_names)
        boxes = [_boxes(raw.of_instances["crop_transforms"], self.spec) for raw in raws]
        values: dict[str, Any] = {
            "pred_centroids": table.fill([raw.of_instances["anchors"] for raw in raws], (2,)),
            "pred_centroid_values": table.fill([raw.of_instances["anchor_scores"] for raw in raws]),
            "instance_bboxes": table.fill(boxes, (4, 2)),
            "pred_crop_keypoints": table.fill([_in_crops(found, self.spec.scale) for found in batch], (num_nodes, 2)),
        }
        if self.task.classes:
            ids = [np.zeros(0, np.int64) if f.class_ids is None else f.class_ids for f in batch]
            tiled = [np.repeat(own[:, None], num_nodes, axis=1) for own in ids]
            values["pred_class_inds"] = table.fill(tiled, (num_nodes,), -1)
        for name, field in (("crops", "crops"), ("class_vectors", "pred_class_vectors"), ("confmaps", "pred_confmaps")):
            kept = [raw.of_instances.get(name) for raw in raws]
            first = next((own for own in kept if own is not None), None)
            if name not in keep or first is None or (name == "confmaps" and self.is_chained):
                continue
            shape, empty = first.shape[1:], 0 if first.dtype == np.uint8 else np.nan
            arrays = [np.zeros((0, *shape), first.dtype) if own is None else own for own in kept]
            values[field] = table.fill(arrays, shape, empty)
        return values

    def _info(self, batch: Sequence[Predictions]) -> PreprocInfo:
        """Return how whole frames became inputs; sizes are those of the first."""
        matrices = np.stack([np.eye(2, 3) if f.raw is None else f.raw.maps["transform"] for f in batch])
        scale = torch.from_numpy(matrices[:, 0, 0] / self.spec.scale).float()
        first = batch[0].raw
        if first is None:
            return PreprocInfo(eff_scale=scale, input_scale=self.spec.scale)
        height, width = (int(side) for side in first.maps["frame_size"])
        content, padded = self.spec.sizes(height, width)
        return PreprocInfo(
            original_size=(height, width),
            processed_size=padded,
            eff_scale=scale,
            input_scale=self.spec.scale,
            output_stride=self.task.heads[0].output_stride,
            pad_amount=(padded[0] - content[0], padded[1] - content[1]),
        )


@dataclass(frozen=True)
class _Table:
    """Values of instances, spread over slots.

    Attributes:
        size: (frames, slots).
        rows: The slot of each instance, one array a frame.
    """

    size: tuple[int, int]
    rows: Sequence[np.ndarray]

    def fill(self, values: Sequence[np.ndarray], shape: tuple[int, ...] = (), empty: float = np.nan) -> Tensor:
        """Return (frames, slots, *shape), with `empty` where there is no instance."""
        kind = values[0].dtype if len(values) else np.dtype(np.float32)
        kind = np.dtype(np.float32) if kind.kind == "f" else kind
        table = np.full((*self.size, *shape), empty, kind)
        for row, (slots, own) in enumerate(zip(self.rows, values, strict=True)):
            table[row, slots] = own
        return torch.from_numpy(table)


def _whole_maps(batch: Sequence[Predictions], keep: frozenset[str]) -> dict[str, Any]:
    """Return the maps of whole frames that were kept."""
    raws = [Raw() if found.raw is None else found.raw for found in batch]
    values: dict[str, Any] = {
        field: torch.from_numpy(np.stack([raw.maps[name] for raw in raws]))
        for name, field in _MAP_FIELDS.items()
        if name in keep and all(name in raw.maps for raw in raws)
    }
    if "paf_graph" in keep and all("graph_peaks" in raw.maps for raw in raws):
        values["pred_paf_graph"] = _joined_graph([raw.maps for raw in raws])
    return values


def _joined_graph(graphs: Sequence[Mapping[str, np.ndarray]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the scored pairs of peaks of all frames, peaks counted through."""
    starts = np.cumsum([0, *(len(graph["graph_peaks"]) for graph in graphs)])[:-1]
    pairs = [
        np.stack([graph["graph_sources"], graph["graph_destinations"]], axis=1) + start
        for graph, start in zip(graphs, starts, strict=True)
    ]
    peaks, edges, scores = (np.concatenate([graph[f"graph_{name}"] for graph in graphs]) for name in _GRAPH)
    return (
        torch.from_numpy(peaks.astype(np.float32)),
        torch.from_numpy(edges.astype(np.int32)),
        torch.from_numpy(np.concatenate(pairs).astype(np.int64)),
        torch.from_numpy(scores.astype(np.float32)),
    )


def _boxes(transforms: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Return the corners of crops (I, 4, 2), px of the frame: top-left, top-right, bottom-right, bottom-left.

    Corners are centres of pixels, so a side is one less than the crop.

    Args:
        transforms: (I, 2, 3) frame px to input px.
        spec: What the network reads.
    """
    factor = transforms[:, :1, 0]
    side = (0 if spec.crop_size is None else spec.crop_size - 1) * spec.scale / factor
    start = -transforms[:, :, 2] / factor
    return start[:, None] + np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * side[:, None]


def _in_crops(found: Predictions, scale: float) -> np.ndarray:
    """Return the points of each instance in px of its crop before the input scale."""
    matrices = np.zeros((0, 2, 3)) if found.raw is None else found.raw.of_instances["crop_transforms"]
    mapped = np.einsum("iab,inb->ina", matrices[:, :, :2], found.points) + matrices[:, None, :, 2]
    return (mapped / scale).astype(np.float32)
