"""How well tracks keep identities: CLEAR-MOT, IDF1, HOTA and what else is counted over the frames of a video.

Arrays in, numbers out; which instances are compared, and how alike they are, is decided in `tracks`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.ops.assignment import assign

ALPHAS = np.arange(1, 20) / 20
"""Similarities at which HOTA is averaged."""
_EPSILON = float(np.finfo(np.float64).eps)
_KEEP = 1000.0
"""Weight of a pair of the frame before: no sum of similarities of a frame makes up for it."""


@dataclass(frozen=True, eq=False)
class FrameIdentities:
    """One frame to score.

    Attributes:
        truth: (I,) identity of every true instance, 0 and up.
        predicted: (J,) track of every prediction, 0 and up.
        similarity: (I, J) from 0 to 1.
    """

    truth: Int[np.ndarray, " truth"]
    predicted: Int[np.ndarray, " predicted"]
    similarity: Float[np.ndarray, "truth predicted"]


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The pairs of one frame under the rule of CLEAR-MOT."""

    truth: Int[np.ndarray, " pairs"]
    predicted: Int[np.ndarray, " pairs"]
    similarity: Float[np.ndarray, " pairs"]


def clear_mot(
    frames: Sequence[FrameIdentities], threshold: float, mostly_tracked: float = 0.8, mostly_lost: float = 0.2
) -> dict[str, float]:
    """Return detection errors and identity switches, frame by frame.

    Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics", 2008. A pair
    of the frame before is kept as long as it is similar enough; a switch is counted where an animal is found under
    another track than the last one under which it was found. As in TrackEval, a frame in which nothing is there, or
    nothing was predicted, leaves the pairs as they were: the frame before is the last one with both.

    Args:
        frames: In order.
        threshold: Smallest similarity of a pair.
        mostly_tracked: Share of its frames in which an animal must be found to count as mostly tracked.
        mostly_lost: Share of its frames below which an animal counts as mostly lost.
    """
    latest: dict[int, int] = {}
    before: dict[int, int] = {}
    seen, found, runs = Counter[int](), Counter[int](), Counter[int]()
    owners: dict[int, Counter[int]] = {}
    switches, total = 0, 0.0
    for frame in frames:
        seen.update(frame.truth.tolist())
        if not frame.similarity.size:
            continue
        pairs = _match(frame, before, threshold)
        current = dict(zip(pairs.truth.tolist(), pairs.predicted.tolist(), strict=True))
        switches += sum(latest.get(animal, track) != track for animal, track in current.items())
        found.update(list(current))
        runs.update(animal for animal in current if animal not in before)
        for animal, track in current.items():
            owners.setdefault(track, Counter())[animal] += 1
        total += float(pairs.similarity.sum())
        latest |= current
        before = current
    num_truth, num_found = sum(seen.values()), sum(found.values())
    num_predicted = sum(len(frame.predicted) for frame in frames)
    shares = np.array([found[animal] / count for animal, count in seen.items()])
    false_negatives, false_positives = num_truth - num_found, num_predicted - num_found
    return {
        "MOTA": 1.0 - _ratio(false_negatives + false_positives + switches, num_truth),
        "MOTP": _ratio(total, num_found),
        "switches": switches,
        "switches_per_1000_frames": 1000.0 * _ratio(switches, len(frames)),
        "false_negatives": false_negatives,
        "false_positives": false_positives,
        "fragments": sum(count - 1 for count in runs.values()),
        "mostly_tracked": int((shares > mostly_tracked).sum()),
        "partly_tracked": int(((shares <= mostly_tracked) & (shares >= mostly_lost)).sum()),
        "mostly_lost": int((shares < mostly_lost).sum()),
        "purity": _ratio(sum(max(counts.values()) for counts in owners.values()), num_found),
    }


def identity_f1(frames: Sequence[FrameIdentities], threshold: float) -> dict[str, float]:
    """Return IDF1, precision and recall of the best assignment of whole tracks to animals.

    Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", 2016.

    Args:
        frames: In any order.
        threshold: Smallest similarity of an instance and a prediction that may be the same animal.
    """
    shared = _table(frames)
    for frame in frames:
        rows, columns = np.nonzero(frame.similarity >= threshold)
        np.add.at(shared, (frame.truth[rows], frame.predicted[columns]), 1.0)
    kept = shared[assign(-shared)].sum()
    num_truth = sum(len(frame.truth) for frame in frames)
    num_predicted = sum(len(frame.predicted) for frame in frames)
    return {
        "IDF1": _ratio(2 * kept, num_truth + num_predicted),
        "IDP": _ratio(kept, num_predicted),
        "IDR": _ratio(kept, num_truth),
    }


def higher_order(frames: Sequence[FrameIdentities]) -> dict[str, float]:
    """Return HOTA and its parts, averaged over `ALPHAS`.

    Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021.

    Args:
        frames: In any order.
    """
    potential = _table(frames)
    for frame in frames:
        union = frame.similarity.sum(axis=1, keepdims=True) + frame.similarity.sum(axis=0) - frame.similarity
        share = np.divide(frame.similarity, union, out=np.zeros_like(union), where=union > _EPSILON)
        np.add.at(potential, (frame.truth[:, None], frame.predicted[None]), share)
    truth_counts = _counts([frame.truth for frame in frames], potential.shape[0])[:, None]
    predicted_counts = _counts([frame.predicted for frame in frames], potential.shape[1])
    alignment = potential / np.maximum(truth_counts + predicted_counts - potential, _EPSILON)
    matched = np.zeros((len(ALPHAS), *potential.shape))
    for frame in frames:
        weights = alignment[frame.truth[:, None], frame.predicted[None]] * frame.similarity
        rows, columns = assign(-weights)
        levels = np.searchsorted(ALPHAS - _EPSILON, frame.similarity[rows, columns], side="right")
        for row, column, level in zip(frame.truth[rows], frame.predicted[columns], levels, strict=True):
            matched[:level, row, column] += 1
    hits = matched.sum(axis=(1, 2))
    every = truth_counts.sum() + predicted_counts.sum()
    detection = hits / np.maximum(every - hits, 1.0)
    jaccard = matched / np.maximum(truth_counts + predicted_counts - matched, 1.0)
    association = (matched * jaccard).sum(axis=(1, 2)) / np.maximum(hits, 1.0)
    return {
        "HOTA": float(np.sqrt(detection * association).mean()),
        "DetA": float(detection.mean()),
        "AssA": float(association.mean()),
    }


def _match(frame: FrameIdentities, before: dict[int, int], threshold: float) -> _Pairs:
    """Return the pairs of a frame: those of the frame before if they still fit, then the most similar ones."""
    kept = np.array([[before.get(a, -1) == b for b in frame.predicted.tolist()] for a in frame.truth.tolist()], bool)
    allowed = frame.similarity >= threshold - _EPSILON
    weights = np.where(allowed, frame.similarity + _KEEP * kept.reshape(allowed.shape), 0.0)
    rows, columns = assign(-weights)
    true_pairs = allowed[rows, columns]
    rows, columns = rows[true_pairs], columns[true_pairs]
    return _Pairs(frame.truth[rows], frame.predicted[columns], frame.similarity[rows, columns])


def _table(frames: Sequence[FrameIdentities]) -> Float[np.ndarray, "truth predicted"]:
    """Return zeros for every pair of an animal and a track."""
    sizes = [1 + max((int(ids.max(initial=-1)) for ids in side), default=-1) for side in _sides(frames)]
    return np.zeros(sizes)


def _sides(frames: Sequence[FrameIdentities]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the identities of the truth and of the predictions, frame by frame."""
    return [frame.truth for frame in frames], [frame.predicted for frame in frames]


def _counts(identities: Sequence[np.ndarray], size: int) -> Float[np.ndarray, " identities"]:
    """Return the number of frames of each identity."""
    joined = np.concatenate([np.zeros(0, np.int64), *identities])
    return np.bincount(joined, minlength=size).astype(np.float64)


def _ratio(part: float, whole: float) -> float:
    """Return a quotient, NaN of nothing."""
    return float(part / whole) if whole else float("nan")
