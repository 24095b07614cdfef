"""How large a crop must be to hold every animal; one stray label does not decide it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, cos, radians, sin, sqrt

import numpy as np

from sleap_nn.config.data_config import AugmentationConfig, PreprocessingConfig
from sleap_nn.data.labels import LabelSet
from sleap_nn.data.sources import frame_size
from sleap_nn.log import logger
from sleap_nn.ops.similarity import visible_nodes

STRAY_FACTOR = 3.0
"""Times the median size from which an instance is taken for a stray label."""
_FALLBACK_SIDE = 100


@dataclass(frozen=True)
class Extent:
    """How far an instance reaches from its anchor.

    Attributes:
        side: Side in frame px of the smallest square about the anchor that holds its visible points.
        frame_size: (height, width) of the frame in px.
        where: Name of the frame for messages.
    """

    side: float
    frame_size: tuple[int, int]
    where: str

    def matched(self, preprocessing: PreprocessingConfig) -> float:
        """Return the side in px of the size-matched frame."""
        height, width = self.frame_size
        canvas_height = height if preprocessing.max_height is None else preprocessing.max_height
        canvas_width = width if preprocessing.max_width is None else preprocessing.max_width
        return self.side * min(canvas_height / height, canvas_width / width)


def extents(labels: LabelSet, anchors: Callable[[np.ndarray], np.ndarray]) -> list[Extent]:
    """Return the extent of every labelled instance but for those of which only a centroid is known.

    Args:
        labels: The training labels.
        anchors: Points (I, N, 2) to anchors (I, 2), both in frame px.
    """
    sizes = {video: frame_size(labels.videos[video]) for video in {frame.key.video for frame in labels.frames}}
    found = []
    for frame in labels.frames:
        points = frame.points[visible_nodes(frame.points).any(axis=1)]
        if not len(points):
            continue
        reach = np.nanmax(np.abs(points - anchors(points)[:, None]), axis=(1, 2))
        found += [Extent(2 * float(side), sizes[frame.key.video], labels.where(frame)) for side in reach]
    return found


def find_crop_size(
    instances: Sequence[Extent],
    preprocessing: PreprocessingConfig,
    augmentation: AugmentationConfig | None,
    max_stride: int,
) -> int:
    """Return the side of the crop in px of the size-matched frame, a multiple of the stride.

    It holds the largest instance and the room that augmentation needs. An instance more than three times as large as
    the median one is taken for a stray label: it is named in the log and does not count.

    Args:
        instances: The extents of all labelled instances.
        preprocessing: Resolved size match, ``min_crop_size`` and ``crop_padding``.
        augmentation: Changes of training inputs, None without.
        max_stride: Stride of the bottleneck in input px.
    """
    sides = np.array([extent.matched(preprocessing) for extent in instances])
    limit = STRAY_FACTOR * max(float(np.median(sides)), 1.0)
    for extent, side in zip(instances, sides, strict=True):
        if side > limit:
            logger.warning(
                "An animal in %s spans %.0f px, the median one %.0f px; it is left out of the crop size. "
                "If it is labelled right, set data_config.preprocessing.crop_size.",
                extent.where,
                side,
                np.median(sides),
            )
    largest = float(sides[sides <= limit].max())
    smallest = preprocessing.min_crop_size or 0
    padding = preprocessing.crop_padding
    if padding is None:
        padding = augmentation_padding(max(largest, smallest or _FALLBACK_SIDE), augmentation)
    return ceil(max(largest + padding, smallest, 1) / max_stride) * max_stride


def augmentation_padding(side: float, augmentation: AugmentationConfig | None) -> int:
    """Return the px by which turning and zooming a square of `side` px make it larger."""
    geometric = None if augmentation is None else augmentation.geometric
    if geometric is None:
        return 0
    together = geometric.affine_p > 0 and geometric.rotation_p is None and geometric.scale_p is None
    angle = max(abs(geometric.rotation_min), abs(geometric.rotation_max)) if geometric.rotation_p or together else 0.0
    turn = sqrt(2) if angle >= 45 else cos(radians(angle)) + sin(radians(angle))
    zoom = max(1.0, geometric.scale_max) if geometric.scale_p or together else 1.0
    return ceil(side * turn * zoom - side)
