"""`multi_class_topdown`: the nodes and the identity of the animal in a crop; the second stage of a top-down pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
from torch import Tensor

from sleap_nn.config.model_config import TopDownCenteredInstanceMultiClassConfig
from sleap_nn.errors import ConfigError
from sleap_nn.heads.base import Head
from sleap_nn.heads.class_vectors import ClassVectorsHead
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.heads.losses import LossSettings
from sleap_nn.ops.identity import assign_classes
from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import DecodeSettings, Task
from sleap_nn.tasks.parts import (
    anchor_of,
    crop_maps,
    found_anything,
    instances_of_crops,
    one_point_a_node,
    required_classes,
)


@dataclass(frozen=True, kw_only=True)
class MultiClassTopDown(Task):
    """A crop shows one animal about its anchor; a frame has at most one animal of each class.

    Attributes:
        confmaps: One map a node.
        class_vectors: One probability a class.
    """

    name: ClassVar[str] = "multi_class_topdown"
    view: ClassVar[Literal["frame", "crop"]] = "crop"
    confmaps: ConfidenceMapsHead
    class_vectors: ClassVectorsHead

    @classmethod
    def from_config(
        cls,
        config: TopDownCenteredInstanceMultiClassConfig,
        skeleton: Skeleton,
        loss_settings: LossSettings | None = None,
    ) -> Self:
        """Build the task from its section of ``head_configs``.

        Raises:
            ConfigError: There are no classes, ``anchor_part`` is no node, or ``global_pool`` is off.
        """
        section = config.class_vectors
        if not section.global_pool:
            raise ConfigError(
                "class_vectors.global_pool is false, but a bottleneck of any size must be read; leave it true."
            )
        classes = required_classes(section.classes)
        vectors = ClassVectorsHead(
            layer_name="ClassVectorsHead",
            channels=len(classes),
            output_stride=section.output_stride,
            loss_weight=1.0 if section.loss_weight is None else section.loss_weight,
            num_fc_layers=section.num_fc_layers,
            num_fc_units=section.num_fc_units,
        )
        return cls(
            skeleton=skeleton,
            classes=classes,
            anchor_node=anchor_of(config.confmaps.anchor_part, skeleton),
            confmaps=crop_maps(config.confmaps, skeleton, loss_settings),
            class_vectors=vectors,
        )

    @property
    def heads(self) -> tuple[Head, ...]:
        """The confidence maps and the class vector."""
        return (self.confmaps, self.class_vectors)

    def detect(self, maps: Mapping[str, Tensor], settings: DecodeSettings) -> list[Detection]:
        """Read one point a node, and the class."""
        found = one_point_a_node(self.confmaps, maps[self.confmaps.name], settings)
        classes = maps[self.class_vectors.name].float().cpu().numpy()
        return [replace(detection, extras={"classes": own}) for detection, own in zip(found, classes, strict=True)]

    def assemble(self, key: FrameKey, detections: Sequence[Detection], settings: DecodeSettings) -> Predictions:
        """Make an instance of every crop in which a node was found, and share the classes out among them."""
        kept = [detection for detection in detections if found_anything(detection)]
        probabilities = np.array([detection.extras["classes"] for detection in kept]).reshape(-1, len(self.classes))
        class_ids, class_scores = assign_classes(probabilities)
        found = instances_of_crops(key, kept, len(self.skeleton.node_names))
        return replace(found, class_ids=class_ids, class_scores=class_scores)
