"""Filters after prediction: instances of a frame -> fewer instances; pure, and without any state.

The order is fixed: weak points, visible nodes, instance score, mean node score, overlap, distance of centroids.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.errors import ConfigError
from sleap_nn.inference.outputs import Outputs
from sleap_nn.log import logger
from sleap_nn.ops.matching import non_maximum_suppression
from sleap_nn.ops.similarity import bounding_boxes, box_iou, pairwise_distances, pose_overlap, visible_nodes
from sleap_nn.structures.predictions import Predictions

NOTHING = FilterConfig()
Indices = Int[np.ndarray, " kept"]


def apply_filters(found: Predictions, config: FilterConfig) -> Predictions:
    """Return what the filters leave of a frame.

    Args:
        found: The instances of a frame, unchanged.
        config: What is removed, as `effective` returned it.
    """
    if config == NOTHING or len(found) == 0:
        return found
    if config.min_peak_value > 0:
        weak = found.point_scores < config.min_peak_value
        found = replace(
            found,
            points=np.where(weak[..., None], np.float32(np.nan), found.points),
            point_scores=np.where(weak, np.float32(0), found.point_scores),
        )
    for rule in (_visible_enough, _sure_enough, _apart, _distant):
        found = found.take(rule(found, config))
    return found


def effective(config: FilterConfig, num_nodes: int, only_centroids: bool) -> FilterConfig:
    """Return the filters that a kind of predictions has a use for, and say which are left out.

    Args:
        config: What the user asks for.
        num_nodes: Nodes of an instance.
        only_centroids: Whether instances are centroids without keypoints.
    """
    if only_centroids and config.overlapping:
        logger.warning("filter_overlapping compares boxes or poses, which centroids do not have; it is left out.")
        return replace(config, overlapping=False)
    if not only_centroids and config.min_centroid_distance > 0:
        logger.warning("filter_min_centroid_distance is for models of centroids; it is left out.")
        config = replace(config, min_centroid_distance=0.0)
    if num_nodes == 1 and config.overlapping and config.overlapping_method == "oks":
        logger.warning("Poses of one node have no size for oks; filter_overlapping compares boxes (iou) instead.")
        return replace(config, overlapping_method="iou")
    return config


def _visible_enough(found: Predictions, config: FilterConfig) -> Indices:
    """Return the instances with enough visible nodes; one at least, where points were made missing."""
    count = visible_nodes(found.points).sum(axis=1)
    fewest = max(config.min_visible_nodes, 1 if config.min_peak_value > 0 else 0)
    share = count / max(1, found.points.shape[1])
    return np.flatnonzero((count >= fewest) & (share >= config.min_visible_node_fraction))


def _sure_enough(found: Predictions, config: FilterConfig) -> Indices:
    """Return the instances whose score, and whose visible points in the mean, are high enough."""
    kept = np.ones(len(found), bool)
    if config.min_instance_score > 0:
        kept &= found.scores >= config.min_instance_score
    if config.min_mean_node_score > 0:
        kept &= _mean_scores(found) >= config.min_mean_node_score
    return np.flatnonzero(kept)


def _mean_scores(found: Predictions) -> Float[np.ndarray, " instances"]:
    """Return the mean score of the visible points of each instance, 0 without any."""
    seen = visible_nodes(found.points)
    return np.where(seen, found.point_scores, 0).sum(axis=1) / np.maximum(1, seen.sum(axis=1))


def _apart(found: Predictions, config: FilterConfig) -> Indices:
    """Return the instances that do not overlap with a better one."""
    if not config.overlapping:
        return np.arange(len(found))
    if config.overlapping_method == "oks":
        similarity = pose_overlap(found.points, found.points)
    else:
        boxes = bounding_boxes(found.points)
        similarity = box_iou(boxes, boxes)
    return np.sort(non_maximum_suppression(similarity, found.scores, config.overlapping_threshold))


def _distant(found: Predictions, config: FilterConfig) -> Indices:
    """Return the centroids that are not close to a better one."""
    if config.min_centroid_distance <= 0 or len(found) == 0:
        return np.arange(len(found))
    centres = found.points[:, 0]
    nearness = -pairwise_distances(centres, centres)
    return np.sort(non_maximum_suppression(nearness, found.scores, -config.min_centroid_distance))


class FilterPipeline:
    """The filters as an object that is applied to raw outputs.

    Attributes:
        config: What is removed.
    """

    def __init__(self, config: FilterConfig = NOTHING) -> None:
        """Choose what is removed.

        Raises:
            ConfigError: It is no `FilterConfig`.
        """
        if not isinstance(config, FilterConfig):
            raise ConfigError(f"The filters are a {type(config).__name__}; give a FilterConfig.")
        self.config = config

    def apply(self, outputs: Outputs) -> Outputs:
        """Return the outputs with the slots of removed instances empty; shapes stay."""
        frames = outputs.to_predictions()
        only_centroids = outputs.pred_keypoints is None
        config = effective(self.config, 1 if only_centroids else outputs.n_nodes, only_centroids)
        return outputs.with_predictions([apply_filters(frame, config) for frame in frames])

    __call__ = apply

    @classmethod
    def run(cls, outputs: Outputs, config: FilterConfig) -> Outputs:
        """Apply filters once."""
        return cls(config).apply(outputs)


def filter_entries(config: FilterConfig) -> dict[str, Any]:
    """Return the filters that remove something, for the provenance."""
    plain = vars(NOTHING)
    return {f"filter_{name}": value for name, value in vars(config).items() if value != plain[name]}
