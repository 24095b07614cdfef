"""Instances of a labels file as the tracker reads them, and its tracks written back to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sleap_io.model.instance import Instance, PredictedInstance, Track
from sleap_io.model.labeled_frame import LabeledFrame as SioFrame
from sleap_io.model.labels import Labels

from sleap_nn.data.labels import training_instances
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey

_ANNOTATIONS = ("centroids", "bboxes", "masks", "rois")
_CONTENTS = ("instances", *_ANNOTATIONS, "label_images")
"""What a frame holds, in lists; older releases of sleap-io lack some."""


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """A frame of labels whose instances are tracked.

    Attributes:
        frame: The frame.
        instances: What is tracked of it: the instances of a user where there are any, else the predicted ones.
        found: The same as arrays. Its class ids are the places in `instances`: they stay with their instance when
            others are dropped.
    """

    frame: SioFrame
    instances: list[Instance]
    found: Predictions

    @property
    def drawn(self) -> bool:
        """Whether the instances are those of a user."""
        return bool(self.frame.has_user_instances)


def frames_to_track(labels: Labels, keys: set[FrameKey] | None = None) -> list[TrackedFrame]:
    """Return the frames of labels by video and frame.

    Args:
        labels: With one skeleton.
        keys: The frames that are tracked; None for all.
    """
    position = {id(video): index for index, video in enumerate(labels.videos)}
    num_nodes = len(labels.skeletons[0].nodes) if labels.skeletons else 1
    entries = [(FrameKey(position[id(frame.video)], int(frame.frame_idx)), frame) for frame in labels.labeled_frames]
    chosen = sorted((entry for entry in entries if keys is None or entry[0] in keys), key=lambda entry: entry[0])
    return [_tracked_frame(key, frame, num_nodes) for key, frame in chosen]


def _tracked_frame(key: FrameKey, frame: SioFrame, num_nodes: int) -> TrackedFrame:
    """Return one frame."""
    instances = training_instances(frame, user_instances_only=False)
    points = np.full((len(instances), num_nodes, 2), np.nan, np.float32)
    point_scores, scores = np.ones((len(instances), num_nodes), np.float32), np.ones(len(instances), np.float32)
    for row, instance in enumerate(instances):
        points[row] = instance.numpy()[:, :2]
        if isinstance(instance, PredictedInstance):
            point_scores[row], scores[row] = instance.points["score"], instance.score
    point_scores[np.isnan(points[..., 0])] = 0.0
    return TrackedFrame(frame, instances, Predictions(key, points, point_scores, scores, np.arange(len(instances))))


def join_duplicate_frames(labels: Labels) -> int:
    """Join frames of the same video and index, such as merged files have, in place: the first takes what others hold.

    Returns:
        How many frames went.
    """
    first: dict[tuple[int, int], SioFrame] = {}
    for frame in labels.labeled_frames:
        earlier = first.setdefault((id(frame.video), int(frame.frame_idx)), frame)
        if earlier is not frame:
            for name in (name for name in _CONTENTS if hasattr(frame, name)):
                setattr(earlier, name, [*getattr(earlier, name), *getattr(frame, name)])
            earlier.is_negative = earlier.is_negative and frame.is_negative
    gone = len(labels.labeled_frames) - len(first)
    if gone:
        labels.labeled_frames = list(first.values())
    return gone


def write_tracks(labels: Labels, frames: Sequence[TrackedFrame], tracked: Sequence[Predictions]) -> None:
    """Give the instances of labels their tracks, in place, and take out the frames that were not tracked.

    An instance without a track is taken out, unless a user drew it: then it stays, without a track, as do predicted
    instances beside those of a user. Tracks that nothing has any more go.

    Args:
        labels: Changed.
        frames: What was tracked, as `frames_to_track` returned it.
        tracked: The same frames with tracks.
    """
    for entry in frames:
        for instance in entry.frame.instances:
            instance.track = instance.tracking_score = None
    present = {id(entry.frame) for entry in frames}
    labels.labeled_frames = [frame for frame in labels.labeled_frames if id(frame) in present]
    numbers = sorted({number for found in tracked for number in _tracks(found).tolist()})
    others = _tracks_of_annotations(labels)
    taken = {track.name for track in others}
    wanted = [f"track_{number}" for number in numbers]
    names = (f"track_{i}" for i in range(len(numbers) + len(taken)))
    free = wanted if not taken & set(wanted) else [name for name in names if name not in taken]
    new = {number: Track(name) for number, name in zip(numbers, free, strict=False)}
    for entry, found in zip(frames, tracked, strict=True):
        _write(entry, found, new)
    labels.tracks = [*others, *new.values()]


def _tracks_of_annotations(labels: Labels) -> list[Track]:
    """Return the tracks of what is no instance, such as masks; they are not tracked again."""
    tracks: dict[int, Track] = {}
    for frame in labels.labeled_frames:
        single = [annotation for name in _ANNOTATIONS for annotation in getattr(frame, name, ())]
        parts = [part for image in getattr(frame, "label_images", ()) for part in image.objects.values()]
        tracks |= {id(own.track): own.track for own in (*single, *parts) if own.track is not None}
    return list(tracks.values())


def _write(entry: TrackedFrame, found: Predictions, tracks: dict[int, Track]) -> None:
    """Give the instances of one frame their tracks."""
    places = np.zeros(0, np.int64) if found.class_ids is None else found.class_ids
    scores = np.ones(len(found)) if found.track_scores is None else found.track_scores
    for place, number, score in zip(places.tolist(), _tracks(found).tolist(), scores.tolist(), strict=True):
        entry.instances[place].track = tracks[number]
        entry.instances[place].tracking_score = score
    kept = set(places.tolist())
    dropped = {
        id(instance)
        for place, instance in enumerate(entry.instances)
        if place not in kept and isinstance(instance, PredictedInstance)
    }
    entry.frame.instances = [instance for instance in entry.frame.instances if id(instance) not in dropped]


def _tracks(found: Predictions) -> np.ndarray:
    """Return the tracks of a frame."""
    return np.zeros(0, np.int64) if found.tracks is None else found.tracks
