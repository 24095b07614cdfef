"""Predictions to sleap-io labels; nothing else in the package does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Int
from sleap_io.model.centroid import Centroid, PredictedCentroid
from sleap_io.model.instance import Instance, PredictedInstance, Track
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.skeleton import Skeleton as SioSkeleton
from sleap_io.model.video import Video

from sleap_nn.data.labels import Labels, sio_skeleton
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton

AnySkeleton = Skeleton | SioSkeleton
"""The skeleton of a model, or one of sleap-io, which labels then share."""
Name = TypeVar("Name")


@dataclass(frozen=True)
class CentroidForm:
    """How centroids without keypoints are stored.

    Attributes:
        emit: ``instance``, ``centroid`` or ``both``.
        node: Name of the node that the centroid stands for, None for the mean of the visible nodes.
        skeleton: The skeleton in which instances hold the centroid at `node`; None for a skeleton of one node.
        source: What the centroids say they are; None: what `node` says.
    """

    emit: str = "instance"
    node: str | None = None
    skeleton: AnySkeleton | None = None
    source: str | None = None

    def placed(self, found: Predictions) -> Predictions:
        """Return instances (I, 1, 2) of one node as instances of the skeleton, with all other nodes missing."""
        if self.skeleton is None or self.node is None:
            return found
        node, shape = self.skeleton.node_names.index(self.node), (len(found), len(self.skeleton.node_names))
        points, scores = np.full((*shape, 2), np.nan, np.float32), np.zeros(shape, np.float32)
        points[:, node], scores[:, node] = found.points[:, 0], found.point_scores[:, 0]
        return replace(found, points=points, point_scores=scores)


def to_labels(
    predictions: Iterable[Predictions],
    skeleton: AnySkeleton,
    videos: Sequence[Video],
    keep_empty: bool = True,
    classes: Sequence[str | Track] = (),
    centroids: CentroidForm | None = None,
) -> Labels:
    """Return predictions as labels.

    Args:
        predictions: One entry a frame.
        skeleton: The nodes of the points.
        videos: What `FrameKey.video` counts.
        keep_empty: Keep frames in which nothing was found.
        classes: What `Predictions.class_ids` counts; every class is a track, or becomes one of its name.
        centroids: How centroids are stored, None for predictions that have keypoints.
    """
    form = CentroidForm() if centroids is None else centroids
    shared = skeleton if form.skeleton is None else form.skeleton
    target = shared if isinstance(shared, SioSkeleton) else sio_skeleton(shared)
    predictions = list(predictions)
    highest = max((int(instance_tracks(found)[0].max(initial=-1)) for found in predictions), default=-1)
    names = track_names(classes, highest + 1)
    tracks = [name if isinstance(name, Track) else Track(name) for name in names]
    frames = [
        LabeledFrame(
            video=videos[found.key.video],
            frame_idx=found.key.frame,
            instances=[] if form.emit == "centroid" else _instances(form.placed(found), target, tracks),
            centroids=[] if form.emit == "instance" else centroids_of(found, form),
        )
        for found in predictions
        if keep_empty or len(found)
    ]
    return Labels(labeled_frames=frames, videos=list(videos), skeletons=[target], tracks=tracks)


def empty_labels(
    skeleton: AnySkeleton, videos: Sequence[Video], classes: Sequence[str], centroids: CentroidForm | None = None
) -> Labels:
    """Return labels with one frame for each video, and nothing in it; arguments as for `to_labels`."""
    nothing = [Predictions.empty(FrameKey(index, 0), len(skeleton.node_names)) for index in range(len(videos))]
    return to_labels(nothing, skeleton, videos, classes=classes, centroids=centroids)


def instance_tracks(found: Predictions) -> tuple[Int[np.ndarray, " instances"], Float[np.ndarray, " instances"]]:
    """Return the track of every instance, as a position in `track_names`, -1 for none, and the score that goes with it.

    Tracks over time count before learned identities.
    """
    tracked = found.tracks is not None
    ids, scores = (found.tracks, found.track_scores) if tracked else (found.class_ids, found.class_scores)
    return (
        np.full(len(found), -1, np.int64) if ids is None else np.asarray(ids, np.int64),
        np.zeros(len(found), np.float32) if scores is None else np.asarray(scores, np.float32),
    )


def track_names(classes: Sequence[Name], num_tracks: int) -> Sequence[Name | str]:
    """Return the names of tracks: the classes, or numbers where there are none."""
    return list(classes) if classes else [f"track_{number}" for number in range(num_tracks)]


def centroids_of(found: Predictions, form: CentroidForm) -> list[Centroid]:
    """Return the centroids of one frame."""
    named = "center_of_mass" if form.node is None else f"anchor:{form.node}"
    source = named if form.source is None else form.source
    return [
        PredictedCentroid(x=float(x), y=float(y), score=float(score), source=source)
        for (x, y), score in zip(found.points[:, 0], found.scores, strict=True)
    ]


def _instances(
    found: Predictions, skeleton: SioSkeleton, tracks: Sequence[Track]
) -> list[PredictedInstance | Instance]:
    """Return the instances of one frame."""
    numbers, scores = instance_tracks(found)
    return [
        PredictedInstance.from_numpy(
            points_data=np.asarray(found.points[i], np.float64),
            point_scores=np.asarray(found.point_scores[i], np.float64),
            score=float(found.scores[i]),
            skeleton=skeleton,
            track=tracks[numbers[i]] if numbers[i] >= 0 else None,
            tracking_score=float(scores[i]),
        )
        for i in range(len(found))
    ]
