"""`Tracker`: gives the instances of each frame, one frame after another, the tracks that they belong to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from sleap_nn.config.tracker_config import TrackerConfig, complete_tracking, in_effect
from sleap_nn.errors import ConfigError
from sleap_nn.log import logger
from sleap_nn.ops.matching import greedy, hungarian, unmatched
from sleap_nn.ops.resample import to_channels
from sleap_nn.ops.similarity import pairwise_distances
from sleap_nn.structures.predictions import Predictions
from sleap_nn.tracking.cleanup import cull
from sleap_nn.tracking.kalman import ConstantVelocity
from sleap_nn.tracking.looks import describe
from sleap_nn.tracking.memory import FixedWindow, LocalQueues, Memory, Moment
from sleap_nn.tracking.motion import Candidates, Motion, OpticalFlow, Still
from sleap_nn.tracking.scoring import Similarity, count_visible, median_points, reduce_by_track

MATCHING: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {"hungarian": hungarian, "greedy": greedy}

TIE = 1e-9
"""Weight of distances among assignments of equal score."""


@dataclass(frozen=True)
class Rules:
    """Which instances count, and how they find their tracks.

    Attributes:
        reduction: How the scores with one track become one: ``mean``, ``max`` or ``robust_quantile``.
        quantile: Of `robust_quantile`.
        matching: ``hungarian`` or ``greedy``.
        min_match_points: An earlier instance with no more visible points is not compared with.
        min_new_points: An instance with no more visible points starts no track.
        max_tracks: Largest number of tracks, None for any.
        target_count: Number of instances that stay in a frame, None for all.
        target_iou: Overlap above which the weaker of two goes first, 0 for none.
    """

    reduction: str = "mean"
    quantile: float = 1.0
    matching: str = "hungarian"
    min_match_points: int = 0
    min_new_points: int = 0
    max_tracks: int | None = None
    target_count: int | None = None
    target_iou: float = 0.0


class Tracker:
    """Tracks the frames of one video after another, in order.

    Attributes:
        needs_image: Whether `update` has to be given images.
        num_tracks: Number of tracks made so far, over all videos.
    """

    def __init__(self, similarity: Similarity, memory: Memory, motion: Motion, rules: Rules) -> None:
        """Join the parts."""
        self._similarity = similarity
        self._memory = memory
        self._motion = motion
        self._rules = rules
        self._video: int | None = None
        self.needs_image = motion.needs_image or similarity.features == "image"
        self.num_tracks = 0
        self._num_tracks_here = 0

    @classmethod
    def from_config(cls, config: TrackerConfig, num_nodes: int) -> Tracker:
        """Return the tracker that the options ask for.

        Args:
            config: The options.
            num_nodes: Nodes of the skeleton; one point is compared by its distance.

        Raises:
            ConfigError: Options exclude each other, or one lacks another.
        """
        asked = complete_tracking(config)
        config = in_effect(asked, num_nodes)
        if config.candidates_method != asked.candidates_method:
            level = logging.WARNING if asked.was_chosen("candidates_method") else logging.INFO
            logger.log(level, "A largest number of tracks needs a memory for each of them: using local_queues.")
        rules = Rules(
            reduction=config.scoring_reduction,
            quantile=config.robust_best_instance,
            matching=config.track_matching_method,
            min_match_points=config.min_match_points,
            min_new_points=config.min_new_track_points,
            max_tracks=config.max_tracks,
            target_count=config.tracking_target_instance_count if config.tracking_pre_cull_to_target else None,
            target_iou=config.tracking_pre_cull_iou_threshold,
        )
        memories = {"local_queues": LocalQueues, "fixed_window": FixedWindow}
        memory = memories[config.candidates_method](config.window_size)
        return cls(Similarity.from_config(config, num_nodes), memory, _motion(config), rules)

    def update(
        self, found: Predictions, image: UInt8[np.ndarray, "height width channels"] | None = None
    ) -> Predictions:
        """Return the instances of the next frame with their tracks; those without a track are left out.

        Args:
            found: The frame; frames of a video come in ascending order. A new video starts new tracks.
            image: The frame itself, where `needs_image` asks for it.
        """
        if found.key.video != self._video:
            self._start_video(found.key.video)
        if self._rules.target_count is not None:
            kept = cull(found.points, found.scores, self._rules.target_count, self._rules.target_iou)
            found = found.take(kept)
        gray = to_channels(image, 1)[..., 0] if image is not None and self._motion.needs_image else None
        looks = self._looks(found, image)
        tracks, scores = self._assign(found, gray, looks)
        self._start_tracks(found, tracks, scores)
        rows = np.flatnonzero(tracks >= 0)
        result = found.take(rows).with_tracks(tracks[rows], scores[rows])
        seen = None if looks is None else looks[rows]
        moment = Moment(found.key.frame, np.asarray(result.points, np.float64), tracks[rows], gray, seen)
        self._memory.add(moment)
        self._motion.observe(moment)
        return result

    def _looks(
        self, found: Predictions, image: UInt8[np.ndarray, "height width channels"] | None
    ) -> Float[np.ndarray, "instances nodes channels"] | None:
        """Return what the instances look like, if that is compared.

        Raises:
            ConfigError: The frame came without its image.
        """
        if self._similarity.features != "image":
            return None
        if image is None:
            raise ConfigError("Tracking by looks (features=image) needs the images of the video; choose keypoints.")
        return describe(image, found.points)

    def _start_video(self, video: int) -> None:
        """Forget the video before."""
        self._video = video
        self._memory.clear()
        self._motion.clear()
        self._num_tracks_here = 0

    def _assign(
        self,
        found: Predictions,
        gray: UInt8[np.ndarray, "height width"] | None,
        looks: Float[np.ndarray, "instances nodes channels"] | None,
    ) -> tuple[Int[np.ndarray, " instances"], Float[np.ndarray, " instances"]]:
        """Return the known track of every instance, -1 for none, and the score of the match."""
        tracks, scores = np.full(len(found), -1, np.int64), np.zeros(len(found))
        moments = self._memory.recall()
        if not len(found) or not moments:
            return tracks, scores
        known = self._motion.candidates(moments, found.key.frame, gray)
        counted = count_visible(known.points) > self._rules.min_match_points
        names, owners = np.unique(known.tracks, return_inverse=True)
        if looks is None or known.looks is None:
            pairs = self._similarity(np.asarray(found.points, np.float64), known.points[counted])
        else:
            pairs = self._similarity(looks, known.looks[counted])
        table = reduce_by_track(pairs, owners[counted], len(names), self._rules.reduction, self._rules.quantile)
        rows, columns = MATCHING[self._rules.matching](-table)
        if self._rules.matching == "hungarian" and (np.abs(table[rows, columns]) < TIE).any():
            rows, columns = hungarian(_tie_broken(-table, found.points, known, owners))
        tracks[rows], scores[rows] = names[columns], table[rows, columns]
        return tracks, scores

    def _start_tracks(self, found: Predictions, tracks: np.ndarray, scores: np.ndarray) -> None:
        """Fill in new tracks, in the order of the instances, for those that have none and may start one."""
        visible = count_visible(found.points)
        for row in unmatched(len(found), np.flatnonzero(tracks >= 0)):
            full = self._rules.max_tracks is not None and self._num_tracks_here >= self._rules.max_tracks
            if visible[row] > self._rules.min_new_points and not full:
                tracks[row], scores[row] = self.num_tracks, 1.0
                self.num_tracks += 1
                self._num_tracks_here += 1


def _tie_broken(
    cost: Float[np.ndarray, "instances tracks"],
    points: Float[np.ndarray, "instances nodes 2"],
    known: Candidates,
    owners: Int[np.ndarray, " stored"],
) -> Float[np.ndarray, "instances tracks"]:
    """Return costs under which of equally good assignments the one with the shortest ways wins.

    A similarity is 0 for everything that is far away, and an assignment that serves all instances must then choose.

    Args:
        cost: Of each instance with each track.
        points: The instances, px.
        known: The candidates, of each track the latest last.
        owners: Column of each candidate.
    """
    latest = np.zeros(cost.shape[1], np.int64)
    latest[owners] = np.arange(len(owners))
    middles = median_points(np.concatenate([known.points[latest], points]))
    ways = np.nan_to_num(pairwise_distances(middles[cost.shape[1] :], middles[: cost.shape[1]]))
    return cost + TIE * ways / max(float(ways.max(initial=0.0)), 1.0)


def _motion(config: TrackerConfig) -> Motion:
    """Return how remembered instances are carried into the present."""
    if config.use_flow:
        return OpticalFlow(config.of_img_scale, config.of_window_size, config.of_max_levels)
    if config.use_kalman:
        keypoints = config.kf_track_features == "keypoints"
        return ConstantVelocity(config.kf_init_frame_count, config.kf_reset_gap_size, keypoints, config.kf_node_indices)
    return Still()
