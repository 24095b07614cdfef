"""`Outputs`: the raw results of a batch of frames as tensors, padded to the largest number of instances.

They are made of `Predictions` in `raw_outputs`; empty slots are NaN, or -1 in class indices. B batch, I instances,
N nodes, E edges, K classes, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sleap_nn.data.labels import Labels
from sleap_nn.inference.label_form import Identity, LabelForm, PredictedInstance, Track, Video
from sleap_nn.inference.preprocess_info import PreprocInfo
from sleap_nn.inference.to_labels import AnySkeleton, Centroid, CentroidForm, centroids_of
from sleap_nn.structures.predictions import Predictions, Raw
from sleap_nn.structures.sample import FrameKey

__all__ = ["Outputs", "PreprocInfo"]

_HEAVY = (
    "original_image",
    "processed_image",
    "crops",
    "pred_confmaps",
    "pred_pafs",
    "pred_class_maps",
    "pred_paf_graph",
)
_SLOTS = (
    "pred_keypoints",
    "pred_crop_keypoints",
    "pred_peak_values",
    "pred_centroids",
    "pred_centroid_values",
    "instance_scores",
    "instance_tracking_scores",
    "instance_bboxes",
    "pred_class_vectors",
)
"""Floating-point fields with the instances on their second axis."""


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Outputs:
    """Raw results of a batch of frames; a field that the model type does not fill, or nobody asked for, is None.

    Attributes:
        original_image: (B, C, H, W) uint8, the frames.
        processed_image: (B, C, h, w), the inputs.
        crops: (B, I, C, h, w) uint8, the inputs of a model of crops.
        pred_keypoints: (B, I, N, 2) px of the frame.
        pred_crop_keypoints: (B, I, N, 2) px of the crop before the input scale.
        pred_peak_values: (B, I, N) map values.
        pred_confmaps: (B, N, h, w); of a model of crops (B, I, N, h, w).
        pred_pafs: (B, 2 E, h, w).
        pred_paf_graph: Peaks (P, 2) in px of the frame, edge of every pair (M,), pairs (M, 2), line scores (M,); all
            frames joined.
        pred_centroids: (B, I, 2) px of the frame.
        pred_centroid_values: (B, I).
        instance_scores: (B, I).
        instance_tracking_scores: (B, I) probability of the class.
        instance_valid: (B, I) whether a slot is filled.
        instance_bboxes: (B, I, 4, 2) corners of the crops in px of the frame.
        pred_class_inds: (B, I, N) int64.
        pred_class_vectors: (B, I, K) probabilities.
        pred_class_probs: (B, I, K).
        pred_class_maps: (B, K, h, w).
        preprocess_info: How the frames became inputs.
        frame_indices: (B,) int64.
        video_indices: (B,) int64.
    """

    original_image: Tensor | None = None
    processed_image: Tensor | None = None
    crops: Tensor | None = None
    pred_keypoints: Tensor | None = None
    pred_crop_keypoints: Tensor | None = None
    pred_peak_values: Tensor | None = None
    pred_confmaps: Tensor | None = None
    pred_pafs: Tensor | None = None
    pred_paf_graph: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
    pred_centroids: Tensor | None = None
    pred_centroid_values: Tensor | None = None
    instance_scores: Tensor | None = None
    instance_tracking_scores: Tensor | None = None
    instance_valid: Tensor | None = None
    instance_bboxes: Tensor | None = None
    pred_class_inds: Tensor | None = None
    pred_class_vectors: Tensor | None = None
    pred_class_probs: Tensor | None = None
    pred_class_maps: Tensor | None = None
    preprocess_info: PreprocInfo | None = None
    frame_indices: Tensor | None = None
    video_indices: Tensor | None = None

    @property
    def batch_size(self) -> int:
        """The number of frames, 0 when no field tells."""
        points = self._points()
        return 0 if points is None else len(points)

    @property
    def n_instances(self) -> int:
        """The number of slots of a frame, 0 when no field tells."""
        points = self._points()
        return 0 if points is None else points.shape[1]

    @property
    def n_nodes(self) -> int:
        """The number of nodes, 0 when no field tells."""
        return 0 if self.pred_keypoints is None else self.pred_keypoints.shape[2]

    def to(self, device: torch.device | str) -> Outputs:
        """Return the results on a device."""
        return self._mapped(lambda tensor: tensor.to(device))

    def cpu(self) -> Outputs:
        """Return the results in main memory."""
        return self.to("cpu")

    def detach(self) -> Outputs:
        """Return the results without gradients."""
        return self._mapped(Tensor.detach)

    def numpy(self) -> dict[str, Any]:
        """Return the fields that are there as arrays, by name."""
        arrays = {}
        for name, value in self._values().items():
            if isinstance(value, Tensor):
                arrays[name] = value.detach().cpu().numpy()
            elif isinstance(value, tuple):
                arrays[name] = tuple(part.detach().cpu().numpy() for part in value)
            else:
                arrays[name] = value
        return arrays

    def slim(self) -> Outputs:
        """Return the results in main memory without images and maps."""
        return replace(self.detach().cpu(), **dict.fromkeys(_HEAVY))

    def to_instances(
        self,
        skeleton: AnySkeleton,
        batch_index: int = 0,
        anchor_ind: int | None = None,
        tracks: Sequence[Track] | None = None,
        *,
        identities: Sequence[Identity] | None = None,
        collapse_skeleton: AnySkeleton | None = None,
    ) -> list[PredictedInstance]:
        """Return the instances of one frame; empty slots are left out.

        Args:
            skeleton: The nodes of the instances.
            batch_index: Which frame of the batch.
            anchor_ind: Node at which a centroid without keypoints is stored, the others missing; None: the first.
            tracks: The track of each class, for models that know their animals.
            identities: The identity of each class, likewise.
            collapse_skeleton: A skeleton of one node that holds centroids in place of `skeleton`.

        Raises:
            ConfigError: The skeleton does not fit, or has no such node.
        """
        form = LabelForm(skeleton, anchor_ind, tracks, identities, collapse_skeleton)
        labels = form.labels([self.to_predictions()[batch_index]], self.pred_keypoints is not None)
        return [own for own in labels.labeled_frames[0].instances if isinstance(own, PredictedInstance)]

    def to_centroids(
        self, batch_index: int = 0, *, source: str = "center_of_mass", tracks: Sequence[Track] | None = None
    ) -> list[Centroid]:
        """Return the centroids of one frame; none for models that do not find any.

        Args:
            batch_index: Which frame of the batch.
            source: What the centroids are: ``center_of_mass`` or ``anchor:<node>``.
            tracks: The track of each class.
        """
        if self.pred_centroids is None:
            return []
        only = replace(self, pred_keypoints=None, pred_peak_values=None, instance_scores=None)
        found = only.to_predictions()[batch_index]
        centroids = centroids_of(found, CentroidForm(source=source))
        if tracks is not None and found.class_ids is not None:
            for centroid, number in zip(centroids, found.class_ids, strict=True):
                centroid.track = tracks[number] if number >= 0 else None
        return centroids

    def to_labels(  # noqa: PLR0913 - the documented signature
        self,
        skeleton: AnySkeleton,
        videos: Sequence[Video] | None = None,
        anchor_ind: int | None = None,
        tracks: Sequence[Track] | None = None,
        *,
        identities: Sequence[Identity] | None = None,
        collapse_skeleton: AnySkeleton | None = None,
        emit_centroid: str = "instance",
        source: str = "center_of_mass",
        keep_empty_frames: bool = False,
    ) -> Labels:
        """Return the results as labels, one frame for every frame of the batch in which anything was found.

        Args:
            skeleton: As for `to_instances`, as are `anchor_ind`, `tracks`, `identities` and `collapse_skeleton`.
            videos: What `video_indices` counts; a single one holds all frames. None: one that stands for any.
            anchor_ind: As above.
            tracks: As above.
            identities: As above.
            collapse_skeleton: As above.
            emit_centroid: How centroids without keypoints are stored: ``instance``, ``centroid`` or ``both``.
            source: What the centroids are, see `to_centroids`.
            keep_empty_frames: Keep frames in which nothing was found.

        Raises:
            ConfigError: As for `to_instances`.
            IndexError: There is no such video.
        """
        form = LabelForm(skeleton, anchor_ind, tracks, identities, collapse_skeleton, emit_centroid, source)
        frames = [found for found in self.to_predictions() if keep_empty_frames or len(found)]
        return form.labels(frames, self.pred_keypoints is not None, videos)

    def to_predictions(self) -> list[Predictions]:
        """Return the filled slots of every frame; ``raw.of_instances["slot"]`` says which they are."""
        points = self._points()
        if points is None:
            return []
        frames = zip(self._keys(), np.asarray(points.detach().cpu()), strict=True)
        return [self._frame(row, key, own) for row, (key, own) in enumerate(frames)]

    def with_predictions(self, frames: Sequence[Predictions]) -> Outputs:
        """Return the results with only the instances that `frames` hold, which `to_predictions` returned.

        Points that went missing there go missing here; other slots become empty, and shapes stay.
        """
        kept = torch.zeros((self.batch_size, self.n_instances), dtype=torch.bool)
        new: dict[str, Any] = {name: value.clone() for name, value in self._slots().items()}
        for row, frame in enumerate(frames):
            slots = np.zeros(0, np.int64) if frame.raw is None else frame.raw.of_instances["slot"]
            kept[row, slots] = True
            if self.pred_keypoints is not None:
                lost = torch.from_numpy(np.isnan(frame.points).any(axis=-1))
                rows = new["pred_keypoints"][row, slots]
                rows[lost] = torch.nan
                new["pred_keypoints"][row, slots] = rows
                new["pred_peak_values"][row, slots] = torch.from_numpy(frame.point_scores).to(rows)
        for value in new.values():
            value[~kept] = torch.nan
        if self.pred_class_inds is not None:
            new["pred_class_inds"] = self.pred_class_inds.clone()
            new["pred_class_inds"][~kept] = -1
        valid = None if self.instance_valid is None else self.instance_valid & kept.to(self.instance_valid.device)
        return replace(self, **new, instance_valid=valid)

    def __repr__(self) -> str:
        """Show shapes and dtypes, not values."""
        shown = [
            f"{name}={tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else f"{name}=..."
            for name, value in self._values().items()
        ]
        return f"Outputs({', '.join(shown)})"

    def _values(self) -> dict[str, Any]:
        """Return the fields that are there."""
        values = {entry.name: object.__getattribute__(self, entry.name) for entry in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def _slots(self) -> dict[str, Tensor]:
        """Return the fields with one floating-point entry an instance."""
        return {name: value for name, value in self._values().items() if name in _SLOTS}

    def _points(self) -> Tensor | None:
        """Return points (B, I, N, 2), of centroids N = 1."""
        if self.pred_keypoints is not None:
            return self.pred_keypoints
        return None if self.pred_centroids is None else self.pred_centroids[:, :, None]

    def _keys(self) -> list[FrameKey]:
        """Return which frames these are; without indices they are counted from 0."""
        videos = [0] * self.batch_size if self.video_indices is None else self.video_indices.tolist()
        indices = range(self.batch_size) if self.frame_indices is None else self.frame_indices.tolist()
        return [FrameKey(video, index) for video, index in zip(videos, indices, strict=True)]

    def _frame(self, row: int, key: FrameKey, points: np.ndarray) -> Predictions:
        """Return the instances of one frame."""
        slots = np.flatnonzero(~np.isnan(points).all(axis=(1, 2)))
        values = {name: np.asarray(value[row].detach().cpu())[slots] for name, value in self._slots().items()}
        if self.pred_keypoints is None:
            peaks = values["pred_centroid_values"][:, None]
        else:
            peaks = np.nan_to_num(values["pred_peak_values"])
        scores = values["instance_scores"] if "instance_scores" in values else peaks.sum(axis=-1)
        if self.pred_class_inds is not None:
            class_ids = np.asarray(self.pred_class_inds[row, :, 0].cpu())[slots]
        else:  # a slot for each class, where there are classes
            class_ids = slots if "instance_tracking_scores" in values else None
        return Predictions(
            key=key,
            points=points[slots],
            point_scores=peaks,
            scores=scores,
            class_ids=class_ids,
            class_scores=values.get("instance_tracking_scores"),
            raw=Raw({}, {"slot": slots}),
        )

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> Outputs:
        """Return the results with every tensor changed."""
        new: dict[str, Any] = {}
        for name, value in self._values().items():
            if isinstance(value, Tensor):
                new[name] = change(value)
            elif isinstance(value, tuple):
                new[name] = tuple(change(part) for part in value)
            elif isinstance(value, PreprocInfo):
                offsets = value.crop_offsets
                new[name] = replace(
                    value,
                    eff_scale=change(value.eff_scale),
                    crop_offsets=None if offsets is None else change(offsets),
                )
        return replace(self, **new)
