"""`bottomup`: all nodes of all animals in the frame, joined along part affinity fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from sleap_nn.config.model_config import BottomUpConfig
from sleap_nn.errors import ConfigError
from sleap_nn.heads.base import Head
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.heads.losses import LossSettings
from sleap_nn.heads.part_affinity_fields import PartAffinityFieldsHead
from sleap_nn.ops.grouping import Candidates, edge_order, enough_peaks, group_peaks, match_edges
from sleap_nn.ops.part_affinity_fields import LineReading, Lines
from sleap_nn.ops.peaks import LocalPeaks
from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import DecodeSettings, Task
from sleap_nn.tasks.parts import all_peaks, group_maps, split_peaks


@dataclass(frozen=True, kw_only=True)
class BottomUp(Task):
    """Any number of animals, told apart by the edges between their nodes.

    Attributes:
        confmaps: One map a node.
        pafs: Two maps an edge.
    """

    name: ClassVar[str] = "bottomup"
    view: ClassVar[Literal["frame", "crop"]] = "frame"
    confmaps: ConfidenceMapsHead
    pafs: PartAffinityFieldsHead

    @classmethod
    def from_config(cls, config: BottomUpConfig, skeleton: Skeleton, loss_settings: LossSettings | None = None) -> Self:
        """Build the task from its section of ``head_configs``.

        Raises:
            ConfigError: There are no edges.
        """
        settings = LossSettings() if loss_settings is None else loss_settings
        edges = _edges(config.pafs.edges, skeleton)
        pafs = PartAffinityFieldsHead(
            layer_name="PartAffinityFieldsHead",
            channels=2 * len(edges),
            output_stride=config.pafs.output_stride,
            loss_weight=1.0 if config.pafs.loss_weight is None else config.pafs.loss_weight,
            edges=edges,
            sigma=config.pafs.sigma,
            loss_settings=settings,
        )
        return cls(skeleton=skeleton, confmaps=group_maps(config.confmaps, skeleton, settings), pafs=pafs)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The confidence maps and the fields."""
        return (self.confmaps, self.pafs)

    def detect(self, maps: Mapping[str, Tensor], settings: DecodeSettings) -> list[Detection]:
        """Read all peaks, and score every pair of peaks that an edge may join."""
        confmaps, fields = maps[self.confmaps.name], maps[self.pafs.name]
        peaks = all_peaks(self.confmaps, confmaps, settings)
        edges, sources, destinations = self._pairs(peaks)
        lines = Lines(peaks.points[sources], peaks.points[destinations], peaks.samples[sources], edges)
        reading = LineReading(settings.num_line_points, settings.max_edge_length_ratio, settings.dist_penalty_weight)
        scores = self.pafs.score_lines(fields, lines, reading)
        candidates = Candidates(*(values.cpu().numpy() for values in (edges, sources, destinations, scores)))
        return _with_candidates(split_peaks(peaks, len(confmaps)), candidates, lines.samples.cpu().numpy())

    def assemble(self, key: FrameKey, detections: Sequence[Detection], settings: DecodeSettings) -> Predictions:
        """Join the peaks of a frame; the score of an instance is the sum of those of its edges."""
        (detection,) = detections
        nodes, num_nodes = detection.extras["node"], len(self.skeleton.node_names)
        candidates = Candidates(*(detection.extras[name] for name in Candidates._fields))
        matches = match_edges(candidates, detection.scores, len(self.pafs.edges), settings.min_line_score)
        member, scores = group_peaks(nodes, matches, edge_order(self.pafs.edges))
        count = np.bincount(member[member >= 0], minlength=len(scores))
        fewest = max(1, enough_peaks(settings.min_instance_peaks, num_nodes))
        kept = np.flatnonzero(count >= fewest)
        kept = kept[np.argsort(-scores[kept], kind="stable")][: settings.max_instances]
        found = Predictions(
            key=key,
            points=np.full((len(kept), num_nodes, 2), np.nan, np.float32),
            point_scores=np.zeros((len(kept), num_nodes), np.float32),
            scores=scores[kept].astype(np.float32),
        )
        row = np.full(len(scores) + 1, -1)  # the last entry serves peaks without an instance, whose number is -1
        row[kept] = np.arange(len(kept))
        placed = np.flatnonzero(row[member] >= 0)
        found.points[row[member[placed]], nodes[placed]] = detection.points[placed]
        found.point_scores[row[member[placed]], nodes[placed]] = detection.scores[placed]
        return found

    def _pairs(self, peaks: LocalPeaks) -> tuple[Tensor, Tensor, Tensor]:
        """Return edge, source peak and destination peak of all pairs within a sample that an edge may join."""
        edges = torch.tensor(self.pafs.edges, device=peaks.points.device)
        num_nodes = len(self.skeleton.node_names)
        group = peaks.samples * num_nodes + peaks.channels  # ascending
        num_samples = int(peaks.samples[-1]) + 1 if len(group) else 0
        counts = torch.bincount(group, minlength=num_samples * num_nodes)
        starts = counts.cumsum(0) - counts
        base = torch.arange(num_samples, device=edges.device)[:, None] * num_nodes
        source_group, destination_group = (base + edges[:, 0]).flatten(), (base + edges[:, 1]).flatten()
        num_pairs = counts[source_group] * counts[destination_group]
        owner = torch.repeat_interleave(torch.arange(len(num_pairs), device=edges.device), num_pairs)
        place = torch.arange(len(owner), device=edges.device) - (num_pairs.cumsum(0) - num_pairs)[owner]
        width = counts[destination_group][owner]
        sources = starts[source_group][owner] + torch.div(place, width, rounding_mode="floor")
        destinations = starts[destination_group][owner] + place % width
        return owner % len(edges), sources, destinations


def _edges(names: Sequence[Sequence[str]] | None, skeleton: Skeleton) -> tuple[tuple[int, int], ...]:
    """Return the edges as pairs of node indices.

    Raises:
        ConfigError: There are none.
    """
    index = skeleton.node_names.index
    edges = skeleton.edges if names is None else tuple((index(a), index(b)) for a, b in names)
    if not edges:
        raise ConfigError(
            "The skeleton has no edges, along which a bottomup model joins points to animals; add edges to the "
            "skeleton, or train a top-down pair (centroid and centered_instance)."
        )
    return edges


def _with_candidates(detections: Sequence[Detection], candidates: Candidates, samples: np.ndarray) -> list[Detection]:
    """Give each sample its candidates, whose ascending `samples` are known; peaks are counted anew in each."""
    first_peak = np.cumsum([0, *(len(detection.points) for detection in detections)])
    cuts = np.searchsorted(samples, np.arange(len(detections) + 1))
    result = []
    for i, detection in enumerate(detections):
        own = Candidates(*(values[cuts[i] : cuts[i + 1]] for values in candidates))
        own = own._replace(sources=own.sources - first_peak[i], destinations=own.destinations - first_peak[i])
        result.append(replace(detection, extras={**detection.extras, **own._asdict()}))
    return result
