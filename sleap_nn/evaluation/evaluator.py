"""`Evaluator`: the metrics kernel applied to two sets of labels, and the same step by step.

Wraps `pairs` (labels -> arrays) and the kernels `keypoints` and `detection`; computes nothing itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from sleap_nn.errors import ConfigError, DataError, UsageError
from sleap_nn.evaluation import detection, keypoints, pairs
from sleap_nn.evaluation.keypoints import MATCH_SCORE_THRESHOLDS, PCK_THRESHOLDS, RECALL_THRESHOLDS
from sleap_nn.evaluation.node_errors import NodeErrors, node_errors
from sleap_nn.evaluation.pairs import FramePair, LabeledFrame, Labels, MatchInstance
from sleap_nn.log import logger
from sleap_nn.ops.identity import same_identity
from sleap_nn.ops.similarity import point_distances, visible_nodes

PositivePair = tuple[MatchInstance, MatchInstance, float]


class Evaluator:
    """Score predictions against the truth.

    Attributes:
        frame_pairs: (true frame, predicted frame) for every frame that is scored.
        positive_pairs: (truth, prediction, score); the score is the OKS, or the distance in px for centroids.
        false_negatives: True instances without a prediction.
        false_positives: Predictions without a true instance.
        num_skipped_frames: Frames of the truth left out because nothing was predicted for them.
        num_videos: Videos with truth, and `num_videos_matched` how many of them the predictions have.
        dists_dict: `dists` (pairs, nodes) px, or (pairs,) for centroids, and `frame_idxs`, `video_paths`.
        true_tracks: Track name of the true instance of each pair, None without one; `found_tracks` likewise of the
            prediction.
        node_names: Names of what is compared, in the order of the points of `matches`.
        num_labelled: (N,) labelled points of all true instances, also of those without a prediction.
        anchor_index: Node of the truth that is the centroid, None for the mean of visible nodes and for poses.
    """

    def __init__(  # noqa: PLR0913 - the documented signature
        self,
        ground_truth_instances: Labels,
        predicted_instances: Labels,
        oks_stddev: float = 0.025,
        oks_scale: float | None = None,
        match_threshold: float = 0,
        user_labels_only: bool = True,
        match_method: str = "oks",
        anchor_ind: int | None = None,
        *,
        count_missing_frames: bool = False,
    ) -> None:
        """Pair all frames and instances.

        Args:
            ground_truth_instances: Labels with the truth.
            predicted_instances: Labels with predictions; only predicted instances in them are scored.
            oks_stddev: Spread of a node in the OKS.
            oks_scale: Area in px^2 of every instance in the OKS; None means the box of each true instance.
            match_threshold: OKS that a pair must exceed; with "centroid" the largest distance in px.
            user_labels_only: Only instances drawn by a user are truth.
            match_method: "oks" compares poses ("auto" does the same), "centroid" compares centroids.
            anchor_ind: With "centroid": node that is the truth's centroid; None is the mean of visible nodes.
            count_missing_frames: Count instances of frames that were not predicted as missed, instead of
                skipping those frames.

        Raises:
            ConfigError: A setting has no meaning.
            DataError: No frame, or no node name, occurs in both.
        """
        _check_settings(oks_stddev, oks_scale, match_method, match_threshold)
        truth, predicted = ground_truth_instances, predicted_instances
        self.match_method = "centroid" if match_method == "centroid" else "oks"
        self.anchor_index = anchor_ind if self.match_method == "centroid" else None
        if self.match_method == "oks":
            pairs.check_nodes(truth, predicted)
        found = pairs.pair_frames(truth, predicted, user_labels_only, count_missing_frames)
        if not found.pairs or not found.num_videos_matched:
            raise DataError(_no_pairs_message(found, user_labels_only))
        self.frame_pairs = found.pairs
        self.num_skipped_frames = found.num_skipped
        self.num_videos, self.num_videos_matched = found.num_videos, found.num_videos_matched
        names = pairs.node_names(truth, "ground truth")
        if self.match_method == "centroid":
            frames = pairs.centroid_frames(found.pairs, names, self.anchor_index)
            names = ["centroid"]
            self.matches = detection.match_detections(frames, match_threshold)
        else:
            frames = pairs.keypoint_frames(found.pairs, names)
            self.matches = keypoints.match_keypoints(frames, oks_stddev, oks_scale, match_threshold)
            if oks_scale is None:
                _warn_without_area([frame.truth for frame in frames])
        self.node_names = tuple(names)
        self.num_labelled = np.sum([visible_nodes(frame.truth).sum(axis=0) for frame in frames], axis=0)
        self.positive_pairs = pairs.positive_pairs(self.frame_pairs, self.matches)
        self.false_negatives = [pairs.true_instance(self.frame_pairs, *at) for at in self.matches.missed]
        self.false_positives = [pairs.predicted_instance(self.frame_pairs, *at) for at in self.matches.extra]
        self.true_tracks = [_track_name(true) for true, _, _ in self.positive_pairs]
        self.found_tracks = [_track_name(found) for _, found, _ in self.positive_pairs]
        distances = self.matches.distances
        self.dists_dict = {
            "dists": distances[:, 0] if self.match_method == "centroid" else distances,
            **_places(self.positive_pairs),
        }

    def voc_metrics(
        self,
        match_score_by: str = "oks",
        match_score_thresholds: Float[np.ndarray, " thresholds"] = MATCH_SCORE_THRESHOLDS,
        recall_thresholds: Float[np.ndarray, " recalls"] = RECALL_THRESHOLDS,
    ) -> dict[str, Any]:
        """Return `keypoints.voc_metrics` with the keys prefixed by ``oks_voc.`` or ``pck_voc.``.

        Args:
            match_score_by: "oks" or "pck".
            match_score_thresholds: Scores from which a pair counts as true positive.
            recall_thresholds: Recalls at which precision is sampled.

        Raises:
            ConfigError: `match_score_by` is something else.
        """
        if match_score_by not in ("oks", "pck"):
            raise ConfigError(f"match_score_by {match_score_by!r} is unknown; use 'oks' or 'pck'.")
        scores = self.matches.similarities if match_score_by == "oks" else keypoints.pck_of_pairs(self.matches)
        metrics = keypoints.voc_metrics(
            scores, self.matches.scores, len(self.matches.missed), match_score_thresholds, recall_thresholds
        )
        return {f"{match_score_by}_voc.{key}": value for key, value in metrics.items()}

    def mOKS(self) -> dict[str, float]:  # noqa: N802 - the name of the metric
        """Return the mean OKS over pairs, NaN without any."""
        return {"mOKS": keypoints.mean_or_nan(self.matches.similarities)}

    def distance_metrics(self) -> dict[str, Any]:
        """Return `dists_dict` and the statistics `avg`, `rmse`, `p50` to `p99` in px, NaN without any."""
        return {**self.dists_dict, **keypoints.distance_statistics(self.dists_dict["dists"])}

    def pck_metrics(self, thresholds: Iterable[float] = PCK_THRESHOLDS) -> dict[str, Any]:
        """Return `keypoints.pck_metrics` at thresholds in px."""
        return keypoints.pck_metrics(self.matches, thresholds)

    def visibility_metrics(self) -> dict[str, float]:
        """Return `keypoints.visibility_metrics`."""
        return keypoints.visibility_metrics(self.matches)

    def node_errors(self) -> list[NodeErrors]:
        """Return how well each node is found."""
        return node_errors(self.node_names, self.matches, self.num_labelled)

    def detection_metrics(self) -> dict[str, Any]:
        """Return `detection.detection_rates`: precision, recall and F1 of instances, and distances in px."""
        return detection.detection_rates(self.matches)

    def evaluate(self) -> dict[str, dict[str, Any]]:
        """Return all metrics in sections, as a metrics file holds them.

        Returns:
            For poses `voc_metrics`, `mOKS`, `distance_metrics`, `pck_metrics`, `visibility_metrics`; for
            centroids `detection_metrics`, `distance_metrics`; for both `counts`, and `identity_metrics` where
            predictions carry track names of the truth.
        """
        kernel = detection.detection_metrics if self.match_method == "centroid" else keypoints.keypoint_metrics
        metrics = kernel(self.matches)
        return {
            **metrics,
            "distance_metrics": self.distance_metrics(),
            "counts": {**metrics["counts"], "frames_skipped": self.num_skipped_frames},
            **self._identity_metrics(),
        }

    def _identity_metrics(self) -> dict[str, dict[str, float]]:
        """Return `identity_metrics`, or nothing where no prediction carries a track name of the truth."""
        if not (set(self.true_tracks) & set(self.found_tracks)) - {None}:
            return {}
        return {"identity_metrics": same_identity(self.true_tracks, self.found_tracks)}


def match_frame_pairs(
    frame_pairs: Sequence[FramePair], stddev: float = 0.025, scale: float | None = None, threshold: float = 0
) -> tuple[list[PositivePair], list[MatchInstance]]:
    """Pair the instances of frame pairs by OKS.

    Args:
        frame_pairs: (true frame, predicted frame); all instances of the first are truth.
        stddev: Spread of a node.
        scale: Area in px^2; None means the box of each true instance.
        threshold: OKS that a pair must exceed.

    Returns:
        (truth, prediction, OKS) of each pair, and the true instances without a prediction.
    """
    names = next((list(t.instances[0].skeleton.node_names) for t, _ in frame_pairs if t.instances), [])
    matches = keypoints.match_keypoints(pairs.keypoint_frames(frame_pairs, names), stddev, scale, threshold)
    missed = [pairs.true_instance(frame_pairs, *at) for at in matches.missed]
    return pairs.positive_pairs(frame_pairs, matches), missed


def match_instances(
    frame_gt: LabeledFrame,
    frame_pr: LabeledFrame,
    stddev: float = 0.025,
    scale: float | None = None,
    threshold: float = 0,
) -> tuple[list[PositivePair], list[MatchInstance]]:
    """Pair the instances of one frame by OKS; see `match_frame_pairs`."""
    return match_frame_pairs([(frame_gt, frame_pr)], stddev, scale, threshold)


def compute_dists(positive_pairs: Sequence[PositivePair]) -> dict[str, Any]:
    """Return the distances of paired instances.

    Args:
        positive_pairs: (truth, prediction, score), as `match_frame_pairs` returns them.

    Returns:
        `dists` (pairs, nodes) px, NaN where a point is missing, in the node order of the truth; `frame_idxs`
        and `video_paths` of the pairs.
    """
    rows = []
    for truth, predicted, _ in positive_pairs:
        names = list(truth.instance.skeleton.node_names)
        true_points, found = (pairs.instance_points([i.instance], names)[0] for i in (truth, predicted))
        rows.append(point_distances(true_points, found))
    return {"dists": np.array(rows).reshape(len(rows), -1 if rows else 0), **_places(positive_pairs)}


def _places(positive_pairs: Sequence[PositivePair]) -> dict[str, list]:
    return {
        "frame_idxs": [truth.frame_idx for truth, _, _ in positive_pairs],
        "video_paths": [truth.video_path for truth, _, _ in positive_pairs],
    }


def _track_name(entry: MatchInstance) -> str | None:
    return None if entry.instance.track is None else entry.instance.track.name


def _check_settings(oks_stddev: float, oks_scale: float | None, match_method: str, match_threshold: float) -> None:
    if match_method in ("mask", "semantic"):
        raise UsageError(
            f"match_method {match_method!r} scores masks, which are not supported; use 'oks' or 'centroid'."
        )
    if match_method not in ("auto", "oks", "centroid"):
        raise ConfigError(f"match_method {match_method!r} is unknown; use 'auto', 'oks' or 'centroid'.")
    if not 0 < oks_stddev < math.inf:
        raise ConfigError(f"oks_stddev is {oks_stddev}; it must be larger than 0.")
    if not math.isfinite(match_threshold):
        raise ConfigError(f"match_threshold is {match_threshold}; it must be a finite number.")
    if oks_scale is not None and not 0 < oks_scale < math.inf:
        raise ConfigError(f"oks_scale is {oks_scale}; it is an area in px^2 and must be larger than 0.")


def _no_pairs_message(found: pairs.FramePairs, user_labels_only: bool) -> str:
    if found.num_videos == 0:
        kind = "user-labelled " if user_labels_only else ""
        return f"Empty Frame Pairs: the ground truth has no frame with {kind}instances."
    if found.num_videos_matched == 0:
        return "Empty Frame Pairs: no video of the ground truth is among those of the predictions."
    return "Empty Frame Pairs: no labelled frame of the ground truth was predicted; check the predicted frames."


def _warn_without_area(truth: Sequence[Float[np.ndarray, "instances nodes 2"]]) -> None:
    """Say so when OKS cannot tell good from bad because the box of a true instance has no area."""
    seen = [visible_nodes(points).any(axis=-1) for points in truth]
    num_flat = sum(int((keypoints.compute_instance_area(p)[s] == 0).sum()) for p, s in zip(truth, seen, strict=True))
    if num_flat:
        logger.warning(
            "%d of %d true instances have a box without area (one visible node, or all on a line), so only "
            "exact predictions match them; give oks_scale, or use match_method 'centroid'.",
            num_flat,
            sum(int(s.sum()) for s in seen),
        )
