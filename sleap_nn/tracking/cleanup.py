"""Fewer instances than were found, and fewer tracks than were made, where the number of animals is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.ops.matching import non_maximum_suppression
from sleap_nn.ops.similarity import bounding_boxes, box_iou, visible_nodes
from sleap_nn.structures.predictions import Predictions


def cull(
    points: Float[np.ndarray, "instances nodes 2"],
    scores: Float[np.ndarray, " instances"],
    num_kept: int,
    iou_threshold: float = 0.0,
) -> Int[np.ndarray, " kept"]:
    """Return which instances of a frame stay when there are too many.

    Args:
        points: Poses, px.
        scores: One an instance.
        num_kept: The number of animals.
        iou_threshold: Instances whose box overlaps that of a better one by more go first; 0 does not look at boxes.

    Returns:
        Rows in their order; all of them if there are not too many.
    """
    kept = np.arange(len(scores))
    if len(kept) <= num_kept:
        return kept
    if iou_threshold > 0:
        boxes = bounding_boxes(points)
        kept = np.sort(non_maximum_suppression(box_iou(boxes, boxes), scores, iou_threshold))
    best = np.argsort(-scores[kept], kind="stable")[:num_kept]
    return np.sort(kept[best])


def connect_single_breaks(frames: Iterable[Predictions]) -> Iterator[Predictions]:
    """Give a track that appears the frame when exactly one is missing the name of the missing one, frame by frame."""
    good: set[int] | None = None
    renames: dict[int, int] = {}
    for found in frames:
        if found.tracks is None:
            yield found
            continue
        tracks = found.tracks.copy()
        for row, track in enumerate(tracks.tolist()):
            new = renames.get(track, track)
            if new not in tracks:
                tracks[row] = new
        present = set(tracks.tolist())
        good = present if good is None else good
        extra, missing = present - good, good - present
        if len(extra) == len(missing) == 1:
            (before,), (after,) = extra, missing
            renames[before] = after
            tracks[tracks == before] = after
        elif len(present) >= len(good):
            good = present
        yield found.with_tracks(tracks, found.track_scores)


def kept_tracks(frames: Sequence[Predictions], min_points: int = 0, max_tracks: int | None = None) -> list[Predictions]:
    """Return frames without the tracks that never show enough points, and without the shortest if they are too many.

    Args:
        frames: All frames of a video.
        min_points: A track with never more visible points goes.
        max_tracks: Largest number of tracks, None for any.

    Returns:
        The frames; tracks count from 0 by first appearance.
    """
    best: dict[int, int] = {}
    lengths = Counter[int]()
    for found in frames:
        if found.tracks is not None:
            for track, visible in zip(
                found.tracks.tolist(), visible_nodes(found.points).sum(axis=1).tolist(), strict=True
            ):
                best[track] = max(best.get(track, 0), visible)
                lengths[track] += 1
    enough = [track for track, visible in best.items() if visible > min_points]
    kept = set(sorted(enough, key=lambda track: -lengths[track])[:max_tracks])
    number = {track: i for i, track in enumerate(track for track in best if track in kept)}
    result = []
    for found in frames:
        tracks = np.zeros(0, np.int64) if found.tracks is None else found.tracks
        rows = np.array([row for row, track in enumerate(tracks.tolist()) if track in number], np.int64)
        names = np.array([number[track] for track in tracks[rows].tolist()], np.int64)
        part = found.take(rows)
        result.append(part.with_tracks(names, part.track_scores))
    return result
