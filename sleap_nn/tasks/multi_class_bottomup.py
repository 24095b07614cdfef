"""`multi_class_bottomup`: all nodes of all animals in the frame, told apart by their learned identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
from torch import Tensor

from sleap_nn.config.model_config import BottomUpMultiClassConfig
from sleap_nn.heads.base import Head
from sleap_nn.heads.class_maps import ClassMapsHead
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.heads.losses import LossSettings
from sleap_nn.ops.identity import group_by_class
from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import DecodeSettings, Task
from sleap_nn.tasks.parts import all_peaks, group_maps, required_classes, split_peaks


@dataclass(frozen=True, kw_only=True)
class MultiClassBottomUp(Task):
    """At most one animal of each class in a frame.

    Attributes:
        confmaps: One map a node.
        class_maps: One map a class.
    """

    name: ClassVar[str] = "multi_class_bottomup"
    view: ClassVar[Literal["frame", "crop"]] = "frame"
    confmaps: ConfidenceMapsHead
    class_maps: ClassMapsHead

    @classmethod
    def from_config(
        cls, config: BottomUpMultiClassConfig, skeleton: Skeleton, loss_settings: LossSettings | None = None
    ) -> Self:
        """Build the task from its section of ``head_configs``.

        Raises:
            ConfigError: There are no classes.
        """
        settings = LossSettings() if loss_settings is None else loss_settings
        classes = required_classes(config.class_maps.classes)
        maps = ClassMapsHead(
            layer_name="ClassMapsHead",
            channels=len(classes),
            output_stride=config.class_maps.output_stride,
            loss_weight=1.0 if config.class_maps.loss_weight is None else config.class_maps.loss_weight,
            sigma=config.class_maps.sigma,
            loss_settings=settings,
        )
        confmaps = group_maps(config.confmaps, skeleton, settings)
        return cls(skeleton=skeleton, classes=classes, confmaps=confmaps, class_maps=maps)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The confidence maps and the class maps."""
        return (self.confmaps, self.class_maps)

    def detect(self, maps: Mapping[str, Tensor], settings: DecodeSettings) -> list[Detection]:
        """Read all peaks, and the class maps where they lie."""
        confmaps = maps[self.confmaps.name]
        peaks = all_peaks(self.confmaps, confmaps, settings)
        classes = self.class_maps.read_classes(maps[self.class_maps.name], peaks.points, peaks.samples)
        detections = split_peaks(peaks, len(confmaps))
        bounds = np.cumsum([len(detection.points) for detection in detections])[:-1]
        return [
            replace(detection, extras={**detection.extras, "classes": own})
            for detection, own in zip(detections, np.split(classes.float().cpu().numpy(), bounds), strict=True)
        ]

    def assemble(self, key: FrameKey, detections: Sequence[Detection], settings: DecodeSettings) -> Predictions:
        """Make an instance of the peaks of each class; its score is their mean."""
        (detection,) = detections
        nodes, probabilities = detection.extras["node"], detection.extras["classes"]
        num_nodes = len(self.skeleton.node_names)
        heights = detection.scores if settings.class_assignment == "weighted" else None
        of_peak = group_by_class(nodes, probabilities, num_nodes, heights)
        instances = []
        for class_id in np.unique(of_peak[of_peak >= 0]):
            own = np.flatnonzero(of_peak == class_id)
            instances.append((detection.scores[own].mean(), class_id, own))
        instances = sorted(instances, key=lambda entry: -entry[0])[: settings.max_instances]
        found = Predictions(
            key=key,
            points=np.full((len(instances), num_nodes, 2), np.nan, np.float32),
            point_scores=np.zeros((len(instances), num_nodes), np.float32),
            scores=np.array([score for score, _, _ in instances], np.float32),
            class_ids=np.array([class_id for _, class_id, _ in instances], np.int64),
            class_scores=np.array([probabilities[own, c].mean() for _, c, own in instances], np.float32),
        )
        for row, (_, _, own) in enumerate(instances):
            found.points[row, nodes[own]] = detection.points[own]
            found.point_scores[row, nodes[own]] = detection.scores[own]
        return found
