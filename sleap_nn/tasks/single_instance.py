"""`single_instance`: one animal a frame, one confidence map a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from torch import Tensor

from sleap_nn.config.model_config import SingleInstanceConfig
from sleap_nn.heads.base import Head
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.heads.losses import LossSettings
from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import DecodeSettings, Task
from sleap_nn.tasks.parts import one_point_a_node


@dataclass(frozen=True, kw_only=True)
class SingleInstance(Task):
    """A frame holds at most one animal.

    Attributes:
        confmaps: One map a node.
    """

    name: ClassVar[str] = "single_instance"
    view: ClassVar[Literal["frame", "crop"]] = "frame"
    max_labelled: ClassVar[int | None] = 1
    confmaps: ConfidenceMapsHead

    @classmethod
    def from_config(
        cls, config: SingleInstanceConfig, skeleton: Skeleton, loss_settings: LossSettings | None = None
    ) -> Self:
        """Build the task from its section of ``head_configs``."""
        confmaps = ConfidenceMapsHead(
            layer_name="SingleInstanceConfmapsHead",
            channels=len(skeleton.node_names),
            output_stride=config.confmaps.output_stride,
            channel_names=skeleton.node_names,
            sigma=config.confmaps.sigma,
            loss_settings=LossSettings() if loss_settings is None else loss_settings,
        )
        return cls(skeleton=skeleton, confmaps=confmaps)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The confidence maps."""
        return (self.confmaps,)

    def detect(self, maps: Mapping[str, Tensor], settings: DecodeSettings) -> list[Detection]:
        """Read one point a node."""
        return one_point_a_node(self.confmaps, maps[self.confmaps.name], settings)

    def assemble(self, key: FrameKey, detections: Sequence[Detection], settings: DecodeSettings) -> Predictions:
        """Make one instance of the points, or none if no node was found; its score is the sum of theirs."""
        (detection,) = detections
        if np.isnan(detection.points).any(axis=-1).all():
            return Predictions.empty(key, len(self.skeleton.node_names))
        return Predictions(
            key=key,
            points=detection.points[None],
            point_scores=detection.scores[None],
            scores=detection.scores.sum(keepdims=True),
        )
