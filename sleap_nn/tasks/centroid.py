"""`centroid`: one point an animal in the whole frame; alone, or the first stage of a top-down pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
from torch import Tensor

from sleap_nn.config.model_config import CentroidConfig
from sleap_nn.heads.base import Head
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.heads.losses import LossSettings
from sleap_nn.log import logger
from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import DecodeSettings, Task
from sleap_nn.tasks.parts import split_peaks


@dataclass(frozen=True, kw_only=True)
class Centroid(Task):
    """Any number of animals, each found at its anchor.

    Attributes:
        confmaps: One map of all anchors.
    """

    name: ClassVar[str] = "centroid"
    view: ClassVar[Literal["frame", "crop"]] = "frame"
    one_point: ClassVar[bool] = True
    confmaps: ConfidenceMapsHead

    @classmethod
    def from_config(cls, config: CentroidConfig, skeleton: Skeleton, loss_settings: LossSettings | None = None) -> Self:
        """Build the task from its section of ``head_configs``; hard keypoint mining has no use for a single map."""
        anchor_part = config.confmaps.anchor_part
        anchor_node = skeleton.node_index(anchor_part)
        if anchor_part is not None and anchor_node is None:
            logger.warning(
                "anchor_part is %s, which is no node of the skeleton (%s); the mean of the visible nodes is used.",
                anchor_part,
                ", ".join(skeleton.node_names),
            )
        confmaps = ConfidenceMapsHead(
            layer_name="CentroidConfmapsHead",
            channels=1,
            output_stride=config.confmaps.output_stride,
            sigma=config.confmaps.sigma,
            loss_settings=LossSettings() if loss_settings is None else replace(loss_settings, mining=None),
            of_anchors=True,
        )
        return cls(skeleton=skeleton, anchor_node=anchor_node, confmaps=confmaps)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The confidence map."""
        return (self.confmaps,)

    def detect(self, maps: Mapping[str, Tensor], settings: DecodeSettings) -> list[Detection]:
        """Read every peak of the map."""
        confmaps = maps[self.confmaps.name]
        peaks = self.confmaps.read_local_peaks(
            confmaps, settings.peak_threshold, settings.refinement, settings.patch_size
        )
        return split_peaks(peaks, len(confmaps))

    def assemble(self, key: FrameKey, detections: Sequence[Detection], settings: DecodeSettings) -> Predictions:
        """Make an instance of one node of every peak, the highest first."""
        (detection,) = detections
        order = np.argsort(-detection.scores, kind="stable")[: settings.max_instances]
        scores = detection.scores[order]
        return Predictions(
            key=key, points=detection.points[order][:, None], point_scores=scores[:, None], scores=scores
        )
