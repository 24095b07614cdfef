"""`centered_instance`: the nodes of the animal in the middle of a crop; the second stage of a top-down pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from torch import Tensor

from sleap_nn.config.model_config import CenteredInstanceConfig
from sleap_nn.heads.base import Head
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.heads.losses import LossSettings
from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import DecodeSettings, Task
from sleap_nn.tasks.parts import anchor_of, crop_maps, found_anything, instances_of_crops, one_point_a_node


@dataclass(frozen=True, kw_only=True)
class CenteredInstance(Task):
    """A crop shows one animal about its anchor; parts of others in it are background.

    Attributes:
        confmaps: One map a node.
    """

    name: ClassVar[str] = "centered_instance"
    view: ClassVar[Literal["frame", "crop"]] = "crop"
    confmaps: ConfidenceMapsHead

    @classmethod
    def from_config(
        cls, config: CenteredInstanceConfig, skeleton: Skeleton, loss_settings: LossSettings | None = None
    ) -> Self:
        """Build the task from its section of ``head_configs``.

        Raises:
            ConfigError: ``anchor_part`` is no node of the skeleton.
        """
        return cls(
            skeleton=skeleton,
            anchor_node=anchor_of(config.confmaps.anchor_part, skeleton),
            confmaps=crop_maps(config.confmaps, skeleton, loss_settings),
        )

    @property
    def heads(self) -> tuple[Head, ...]:
        """The confidence maps."""
        return (self.confmaps,)

    def detect(self, maps: Mapping[str, Tensor], settings: DecodeSettings) -> list[Detection]:
        """Read one point a node."""
        return one_point_a_node(self.confmaps, maps[self.confmaps.name], settings)

    def assemble(self, key: FrameKey, detections: Sequence[Detection], settings: DecodeSettings) -> Predictions:
        """Make an instance of every crop in which a node was found; its score is that of the anchor."""
        return instances_of_crops(key, [d for d in detections if found_anything(d)], len(self.skeleton.node_names))
