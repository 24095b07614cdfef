"""Pieces that several model types are made of: heads from their sections, and steps of decoding."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from torch import Tensor

from sleap_nn.config.model_config import BottomUpConfMapsConfig, CenteredInstanceConfMapsConfig
from sleap_nn.errors import ConfigError
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.heads.losses import LossSettings
from sleap_nn.ops.peaks import LocalPeaks, strongest_peaks
from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import DecodeSettings

MAX_PEAKS = 100
"""Most peaks of a node in a frame; an untrained network has thousands, and pairs grow with their square."""


def anchor_of(anchor_part: str | None, skeleton: Skeleton) -> int | None:
    """Return the node that centres crops.

    Raises:
        ConfigError: It is no node of the skeleton.
    """
    node = skeleton.node_index(anchor_part)
    if anchor_part is not None and node is None:
        raise ConfigError(
            f"anchor_part is {anchor_part!r}, which is no node of the skeleton; choose one of "
            f"{', '.join(skeleton.node_names)}, or null for the mean of the visible nodes."
        )
    return node


def crop_maps(
    config: CenteredInstanceConfMapsConfig, skeleton: Skeleton, loss_settings: LossSettings | None
) -> ConfidenceMapsHead:
    """Return the head of the nodes in a crop."""
    return ConfidenceMapsHead(
        layer_name="CenteredInstanceConfmapsHead",
        channels=len(skeleton.node_names),
        output_stride=config.output_stride,
        loss_weight=1.0 if config.loss_weight is None else config.loss_weight,
        channel_names=skeleton.node_names,
        sigma=config.sigma,
        loss_settings=LossSettings() if loss_settings is None else loss_settings,
    )


def one_point_a_node(head: ConfidenceMapsHead, maps: Tensor, settings: DecodeSettings) -> list[Detection]:
    """Read the highest point of every map: one detection an image, points (N, 2) in input px."""
    points, scores = head.read_peaks(maps, settings.peak_threshold, settings.refinement, settings.patch_size)
    return [Detection(points=p, scores=s) for p, s in zip(points, scores, strict=True)]


def all_peaks(head: ConfidenceMapsHead, maps: Tensor, settings: DecodeSettings) -> LocalPeaks:
    """Read the peaks of all animals, at most `MAX_PEAKS` a node of an image, points in input px."""
    peaks = head.read_local_peaks(maps, settings.peak_threshold, settings.refinement, settings.patch_size)
    return strongest_peaks(peaks, MAX_PEAKS)


def found_anything(detection: Detection) -> bool:
    """Tell whether a crop holds any point."""
    return bool(np.isfinite(detection.points).any())


def instances_of_crops(key: FrameKey, detections: Sequence[Detection], num_nodes: int) -> Predictions:
    """Return one instance for each of the detections of a frame, points (N, 2)."""
    if not detections:
        return Predictions.empty(key, num_nodes)
    return Predictions(
        key=key,
        points=np.stack([detection.points for detection in detections]),
        point_scores=np.stack([detection.scores for detection in detections]),
        scores=np.array([detection.anchor_score for detection in detections], np.float32),
    )


def group_maps(config: BottomUpConfMapsConfig, skeleton: Skeleton, settings: LossSettings) -> ConfidenceMapsHead:
    """Return the head of the nodes of all animals."""
    return ConfidenceMapsHead(
        layer_name="MultiInstanceConfmapsHead",
        channels=len(skeleton.node_names),
        output_stride=config.output_stride,
        loss_weight=1.0 if config.loss_weight is None else config.loss_weight,
        sigma=config.sigma,
        loss_settings=settings,
    )


def required_classes(classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return the classes of a model type that learns identities.

    Raises:
        ConfigError: There are none.
    """
    if not classes:
        raise ConfigError(
            "There are no classes, which this model type learns from tracks; assign tracks to the labelled instances, "
            "or train a model type without identities."
        )
    return tuple(classes)


def split_peaks(peaks: LocalPeaks, batch_size: int) -> list[Detection]:
    """Return the peaks of each sample, with the channel of each in ``extras["node"]``.

    Args:
        peaks: Points in input px.
        batch_size: Number of samples.
    """
    points, values = peaks.points.cpu().numpy(), peaks.values.cpu().numpy()
    samples, channels = peaks.samples.cpu().numpy(), peaks.channels.cpu().numpy()
    bounds = np.searchsorted(samples, np.arange(batch_size + 1))
    return [
        Detection(points[start:stop], values[start:stop], {"node": channels[start:stop]})
        for start, stop in pairwise(bounds)
    ]
