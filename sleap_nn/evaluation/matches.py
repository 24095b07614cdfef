"""Which prediction belongs to which true instance: the data that flow between matching and metrics.

The rules of matching are in `keypoints` (poses) and `detection` (centroids); nothing here knows files or
sleap-io.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.ops.matching import unmatched
from sleap_nn.ops.similarity import point_distances, visible_nodes


class FramePoints(NamedTuple):
    """One frame to score, points in frame px, NaN where a node is missing.

    Attributes:
        truth: True points.
        predicted: Predicted points, same nodes in the same order.
        scores: Score of each prediction.
    """

    truth: Float[np.ndarray, "instances nodes 2"]
    predicted: Float[np.ndarray, "predictions nodes 2"]
    scores: Float[np.ndarray, " predictions"]


class FrameMatch(NamedTuple):
    """Pairs of one frame: indices into its true and predicted instances, and the score of each pair."""

    truth: Int[np.ndarray, " pairs"]
    predicted: Int[np.ndarray, " pairs"]
    similarity: Float[np.ndarray, " pairs"]


@dataclass(frozen=True, eq=False)
class Matches:
    """Which prediction belongs to which true instance, over all frames.

    Attributes:
        truth: (P, N, 2) true points of the pairs, px.
        predicted: (P, N, 2) predicted points of the pairs, px.
        similarities: (P,) what paired them: OKS, or distance in px for centroids.
        scores: (P,) score of each pair's prediction.
        indices: (P, 3) frame, true instance, prediction.
        missed: (M, 2) frame and true instance without a prediction.
        extra: (K, 2) frame and prediction without a true instance.
        num_frames: Frames that were scored.
    """

    truth: Float[np.ndarray, "pairs nodes 2"]
    predicted: Float[np.ndarray, "pairs nodes 2"]
    similarities: Float[np.ndarray, " pairs"]
    scores: Float[np.ndarray, " pairs"]
    indices: Int[np.ndarray, "pairs 3"]
    missed: Int[np.ndarray, "missed 2"]
    extra: Int[np.ndarray, "extra 2"]
    num_frames: int

    @property
    def distances(self) -> Float[np.ndarray, "pairs nodes"]:
        """Distance of each node of each pair, px; NaN where one of the two points is missing."""
        return point_distances(self.truth, self.predicted)

    def counts(self) -> dict[str, int]:
        """Count frames, instances on both sides, pairs, leftovers, and points compared."""
        num_pairs = len(self.indices)
        return {
            "frames": self.num_frames,
            "truth_instances": num_pairs + len(self.missed),
            "predicted_instances": num_pairs + len(self.extra),
            "matched": num_pairs,
            "false_negatives": len(self.missed),
            "false_positives": len(self.extra),
            "points": int(np.count_nonzero(~np.isnan(self.distances))),
        }


def join_matches(parts: Sequence[Matches]) -> Matches:
    """Return the matches of several sets of frames as one; frames are counted through, in the order of the parts.

    Args:
        parts: At least one; all have the same nodes.
    """
    starts = np.cumsum([0, *(part.num_frames for part in parts)])

    def join(name: Literal["indices", "missed", "extra"]) -> Int[np.ndarray, "rows columns"]:
        rows = [vars(part)[name] for part in parts]
        shifts = np.repeat(starts[:-1], [len(own) for own in rows])
        joined = np.concatenate(rows)
        joined[:, 0] += shifts
        return joined

    return Matches(
        truth=np.concatenate([part.truth for part in parts]),
        predicted=np.concatenate([part.predicted for part in parts]),
        similarities=np.concatenate([part.similarities for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        indices=join("indices"),
        missed=join("missed"),
        extra=join("extra"),
        num_frames=int(starts[-1]),
    )


def collect_matches(frames: Sequence[FramePoints], match: Callable[[FramePoints], FrameMatch]) -> Matches:
    """Pair every frame and join the results.

    Instances without a visible point, true or predicted, are left out before pairing: they are neither
    missed nor extra.

    Args:
        frames: Frames to score, all with the same number of nodes.
        match: Pairs the instances of one frame.
    """
    truth, predicted, similarities, scores = [], [], [], []
    indices, missed, extra = [], [], []
    for frame_index, frame in enumerate(frames):
        true_kept = np.flatnonzero(visible_nodes(frame.truth).any(axis=-1))
        predicted_kept = np.flatnonzero(visible_nodes(frame.predicted).any(axis=-1))
        kept = FramePoints(frame.truth[true_kept], frame.predicted[predicted_kept], frame.scores[predicted_kept])
        pairs = match(kept)
        truth.append(kept.truth[pairs.truth])
        predicted.append(kept.predicted[pairs.predicted])
        similarities.append(pairs.similarity)
        scores.append(kept.scores[pairs.predicted])
        indices += [
            (frame_index, *pair) for pair in zip(true_kept[pairs.truth], predicted_kept[pairs.predicted], strict=True)
        ]
        missed += [(frame_index, i) for i in true_kept[unmatched(len(kept.truth), pairs.truth)]]
        extra += [(frame_index, i) for i in predicted_kept[unmatched(len(kept.scores), pairs.predicted)]]
    num_nodes = frames[0].truth.shape[1] if frames else 0
    return Matches(
        truth=np.concatenate([np.empty((0, num_nodes, 2)), *truth]),
        predicted=np.concatenate([np.empty((0, num_nodes, 2)), *predicted]),
        similarities=np.concatenate([np.empty(0), *similarities]),
        scores=np.concatenate([np.empty(0), *scores]),
        indices=np.array(indices, np.int64).reshape(-1, 3),
        missed=np.array(missed, np.int64).reshape(-1, 2),
        extra=np.array(extra, np.int64).reshape(-1, 2),
        num_frames=len(frames),
    )
