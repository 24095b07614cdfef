"""Labels and predictions of a split, paired: the arrays behind every number of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from sleap_nn.after_training import evaluator_of_run
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.labels import Labels, skeleton_of
from sleap_nn.errors import DataError
from sleap_nn.evaluation.evaluator import Evaluator
from sleap_nn.evaluation.keypoints import counted_nodes
from sleap_nn.evaluation.matches import FramePoints, Matches, join_matches
from sleap_nn.evaluation.node_errors import NodeErrors, node_errors
from sleap_nn.evaluation.pairs import FramePair, centroid_frames, keypoint_frames, point_scores
from sleap_nn.evaluation.run import CENTROID_DISTANCE
from sleap_nn.ops.similarity import visible_nodes
from sleap_nn.structures.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class SplitScores:
    """How predictions of a split compare with its labels.

    Attributes:
        name: ``train``, ``val`` or ``test``.
        skeleton: Nodes and edges of the labels.
        one_point: Whether centroids are compared, not poses.
        anchor: Node that is the true centroid, None for the mean of the visible nodes.
        matches: Paired instances over all files of the split.
        frames: (true frame, predicted frame) of every frame that `matches` counts.
        num_labelled: (N,) labelled points of all animals, also of those that were not found.
        confidence: (P, N) score of every predicted point of a pair, NaN where there is none.
        true_tracks: Track name of the true instance of each pair, None without one.
        found_tracks: Track name of each pair's prediction.
        num_skipped: Labelled frames for which nothing was predicted.
    """

    name: str
    skeleton: Skeleton
    one_point: bool
    anchor: int | None
    matches: Matches
    frames: tuple[FramePair, ...]
    num_labelled: Int[np.ndarray, " nodes"]
    confidence: Float[np.ndarray, "pairs nodes"]
    true_tracks: tuple[str | None, ...]
    found_tracks: tuple[str | None, ...]
    num_skipped: int

    @classmethod
    def from_labels(
        cls, name: str, pairs: Sequence[tuple[Labels, Labels]], config: TrainingJobConfig | None
    ) -> SplitScores:
        """Pair labels and predictions.

        Args:
            name: Name of the split.
            pairs: Labels and predictions of each of its labels files, at least one.
            config: Configuration of the run, which says what is compared; None: the predictions decide.

        Raises:
            DataError: Nothing can be compared, or the files have different nodes.
        """
        parts = [_scores(name, _evaluator(truth, found, config), skeleton_of(truth)) for truth, found in pairs]
        if len({part.skeleton.node_names for part in parts}) > 1:
            raise DataError(f"The labels files of {name} have different nodes, so they are not scored together.")
        return _joined(parts)

    @property
    def node_names(self) -> tuple[str, ...]:
        """Names of what is compared, in the order of the arrays."""
        return ("centroid",) if self.one_point else self.skeleton.node_names

    @property
    def names_identities(self) -> bool:
        """Whether predictions carry track names of the truth, so that identities can be compared."""
        return bool((set(self.true_tracks) & set(self.found_tracks)) - {None})

    @property
    def missed_points(self) -> Bool[np.ndarray, "pairs nodes"]:
        """Points that are labelled in a pair and not predicted."""
        return visible_nodes(self.matches.truth) & ~visible_nodes(self.matches.predicted)

    @property
    def node_errors(self) -> list[NodeErrors]:
        """How well each node is found."""
        return node_errors(self.node_names, self.matches, self.num_labelled)

    @property
    def counted(self) -> Bool[np.ndarray, "pairs nodes"]:
        """Points of pairs that are labelled or predicted."""
        return counted_nodes(self.matches)

    @cached_property
    def quality(self) -> Float[np.ndarray, " frames"]:
        """How good each frame is, from 0 to 1: the mean over its animals, missed and surplus ones counting 0.

        An animal counts with its OKS, a centroid with 1 at its place and 0 at the largest distance of a pair. NaN for
        frames without animals on either side.
        """
        matches = self.matches
        own = 1 - matches.similarities / CENTROID_DISTANCE if self.one_point else matches.similarities
        total = np.bincount(matches.indices[:, 0], own, minlength=matches.num_frames)
        rows = np.concatenate([matches.indices[:, 0], matches.missed[:, 0], matches.extra[:, 0]])
        count = np.bincount(rows, minlength=matches.num_frames)
        return np.divide(total, count, out=np.full(matches.num_frames, np.nan), where=count > 0)

    def points_of(self, frame: int) -> tuple[Float[np.ndarray, "i n 2"], Float[np.ndarray, "j n 2"]]:
        """Return true and predicted points of a frame in frame px."""
        points = _points([self.frames[frame]], self.skeleton, self.one_point, self.anchor)
        return points[0].truth, points[0].predicted


def _points(frames: Sequence[FramePair], skeleton: Skeleton, one_point: bool, anchor: int | None) -> list[FramePoints]:
    """Return what is compared in frames."""
    names = skeleton.node_names
    return centroid_frames(frames, names, anchor) if one_point else keypoint_frames(frames, names)


def _evaluator(truth: Labels, found: Labels, config: TrainingJobConfig | None) -> Evaluator:
    """Pair one labels file with its predictions."""
    if config is not None:
        return evaluator_of_run(truth, found, config)
    if min(len(skeleton_of(labels).node_names) for labels in (truth, found)) > 1:
        return Evaluator(truth, found)
    return Evaluator(truth, found, match_threshold=CENTROID_DISTANCE, match_method="centroid")


def _scores(name: str, evaluator: Evaluator, skeleton: Skeleton) -> SplitScores:
    """Return what a report needs of one evaluation."""
    one_point = evaluator.match_method == "centroid"
    found = [pair[1].instance for pair in evaluator.positive_pairs]
    scores = evaluator.matches.scores[:, None] if one_point else point_scores(found, skeleton.node_names)
    return SplitScores(
        name=name,
        skeleton=skeleton,
        one_point=one_point,
        anchor=evaluator.anchor_index,
        matches=evaluator.matches,
        frames=tuple(evaluator.frame_pairs),
        num_labelled=evaluator.num_labelled,
        confidence=scores,
        true_tracks=tuple(evaluator.true_tracks),
        found_tracks=tuple(evaluator.found_tracks),
        num_skipped=evaluator.num_skipped_frames,
    )


def _joined(parts: Sequence[SplitScores]) -> SplitScores:
    """Return the scores of several labels files of one split as one."""
    first = parts[0]
    return SplitScores(
        name=first.name,
        skeleton=first.skeleton,
        one_point=first.one_point,
        anchor=first.anchor,
        matches=join_matches([part.matches for part in parts]),
        frames=tuple(pair for part in parts for pair in part.frames),
        num_labelled=np.sum([part.num_labelled for part in parts], axis=0),
        confidence=np.concatenate([part.confidence for part in parts]),
        true_tracks=tuple(track for part in parts for track in part.true_tracks),
        found_tracks=tuple(track for part in parts for track in part.found_tracks),
        num_skipped=sum(part.num_skipped for part in parts),
    )
