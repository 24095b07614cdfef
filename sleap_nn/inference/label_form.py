"""`LabelForm`: how raw results become labels, in the words of `Outputs.to_labels`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sleap_io.model.identity import Identity
from sleap_io.model.instance import PredictedInstance, Track
from sleap_io.model.video import Video

from sleap_nn.data.labels import Labels
from sleap_nn.errors import ConfigError
from sleap_nn.inference.to_labels import AnySkeleton, CentroidForm, instance_tracks, to_labels
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey


@dataclass(frozen=True, eq=False)
class LabelForm:
    """What labels call the things that a model found.

    Attributes:
        skeleton: The nodes of the instances.
        anchor_ind: Node at which a centroid without keypoints is stored, the others missing; None: the first.
        tracks: The track of each class, for models that know their animals; None: no tracks.
        identities: The identity of each class, likewise.
        collapse_skeleton: A skeleton of one node that holds centroids in place of `skeleton`.
        emit_centroid: How centroids without keypoints are stored: ``instance``, ``centroid`` or ``both``.
        source: What the centroids are: ``center_of_mass`` or ``anchor:<node>``.
    """

    skeleton: AnySkeleton
    anchor_ind: int | None = None
    tracks: Sequence[Track] | None = None
    identities: Sequence[Identity] | None = None
    collapse_skeleton: AnySkeleton | None = None
    emit_centroid: str = "instance"
    source: str = "center_of_mass"

    def __post_init__(self) -> None:
        """Refuse what no labels can be made of.

        Raises:
            ConfigError: The skeleton has no such node, or a word is unknown.
        """
        count = len(self.skeleton.node_names)
        if self.anchor_ind is not None and not 0 <= self.anchor_ind < count:
            raise ConfigError(f"anchor_ind is {self.anchor_ind}, but the skeleton has {count} node(s), counted from 0.")
        if self.emit_centroid not in ("instance", "centroid", "both"):
            raise ConfigError(f"emit_centroid is {self.emit_centroid!r}; choose instance, centroid, both.")

    def centroids(self) -> CentroidForm:
        """Return how centroids without keypoints are stored."""
        if self.collapse_skeleton is not None:
            node = self.collapse_skeleton.node_names[0]
            return CentroidForm(self.emit_centroid, node, self.collapse_skeleton, self.source)
        node = self.skeleton.node_names[self.anchor_ind or 0]
        return CentroidForm(self.emit_centroid, node, self.skeleton, self.source)

    def labels(
        self, frames: Sequence[Predictions], has_keypoints: bool, videos: Sequence[Video] | None = None
    ) -> Labels:
        """Return frames as labels.

        Args:
            frames: One entry a frame, empty ones included.
            has_keypoints: Whether instances are more than centroids.
            videos: What `FrameKey.video` counts; a single one holds all frames. None: one that stands for any.

        Raises:
            ConfigError: The skeleton does not fit.
            IndexError: There is no such video.
        """
        self.check_nodes(frames, has_keypoints)
        named = [unknown_video()] if videos is None else list(videos)
        placed = [self._placed(found, len(named)) for found in frames]
        knows = self.tracks is not None and any(found.class_ids is not None for found in placed)
        classes = self.tracks if knows and self.tracks is not None else ()
        labels = to_labels(placed, self.skeleton, named, True, classes, None if has_keypoints else self.centroids())
        if self.identities is not None:
            _name(labels, frames, self.identities)
        return labels

    def _placed(self, found: Predictions, num_videos: int) -> Predictions:
        """Return a frame in the videos that are named, without classes if they have no tracks."""
        if num_videos == 1:
            found = replace(found, key=FrameKey(0, found.key.frame))
        return found if self.tracks is not None else replace(found, class_ids=None, class_scores=None)

    def check_nodes(self, frames: Sequence[Predictions], has_keypoints: bool) -> None:
        """Refuse a skeleton with other nodes than were predicted.

        Raises:
            ConfigError: It has more or fewer.
        """
        wanted, found = len(self.skeleton.node_names), {frame.points.shape[1] for frame in frames}
        if has_keypoints and found and found != {wanted}:
            raise ConfigError(f"The skeleton has {wanted} node(s), but {max(found)} were predicted; give the model's.")


def unknown_video() -> Video:
    """Return what stands for a video that nobody named."""
    return Video(filename="unknown", open_backend=False)


def _name(labels: Labels, frames: Sequence[Predictions], identities: Sequence[Identity]) -> None:
    """Give the instances of labels the identities that their classes stand for, in place."""
    labels.identities = list(identities)
    for frame, found in zip(labels.labeled_frames, frames, strict=True):
        numbers, scores = instance_tracks(found)
        for instance, number, score in zip(frame.instances, numbers, scores, strict=False):
            if number >= 0 and isinstance(instance, PredictedInstance):
                instance.identity, instance.identity_score = identities[number], float(score)
