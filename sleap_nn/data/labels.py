"""A read-only numpy view of labels: points, identities, skeleton, videos.

Reading files and reading labels happens here, those of other programs in `other_formats`; pixels are read in
`sources`, splits are made in `splits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float, Int
from sleap_io.io.main import load_slp
from sleap_io.model.centroid import UserCentroid
from sleap_io.model.instance import Instance
from sleap_io.model.labeled_frame import LabeledFrame as SioFrame
from sleap_io.model.labels import Labels
from sleap_io.model.skeleton import Edge, Node, Symmetry
from sleap_io.model.skeleton import Skeleton as SioSkeleton
from sleap_io.model.video import Video

from sleap_nn.data import other_formats
from sleap_nn.data.embedding import write_package
from sleap_nn.data.hdf5_bounds import check_hdf5
from sleap_nn.data.hdf5_output import hdf5_output
from sleap_nn.data.media_video import adopt
from sleap_nn.data.skeletons import main_skeleton, points_of, refuse_other_nodes, unify
from sleap_nn.data.symmetry_order import order_in_labels
from sleap_nn.errors import DataError, MissingFileError, reason
from sleap_nn.log import logger
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton

# What sleap-io lets through when a file is not what it seems; broken JSON in it has many forms.
_BROKEN = (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, AssertionError, MemoryError)


@dataclass(frozen=True, eq=False)
class LabeledFrame:
    """The labelled instances of one frame.

    Attributes:
        key: Which frame; the video counts through all label files.
        points: (I, N, 2) float32, frame px, NaN where not visible; no instance is all NaN unless it has a centroid.
            No instance at all makes a negative example.
        class_ids: (I,) int64, position of the instance's track in `LabelSet.track_names`, -1 without one.
        centroids: (I, 2) float32, frame px, as stored in the labels; None where they are computed from the points.
    """

    key: FrameKey
    points: Float[np.ndarray, "instances nodes 2"]
    class_ids: Int[np.ndarray, " instances"]
    centroids: Float[np.ndarray, "instances 2"] | None = None

    @property
    def is_negative(self) -> bool:
        """Whether the frame is there to show that it holds no animal."""
        return len(self.points) == 0


@dataclass(frozen=True, eq=False)
class LabelSet:
    """The labelled frames of one or several label files that share a skeleton.

    Attributes:
        skeleton: Nodes, edges and symmetries.
        videos: All videos of all files, in order.
        frames: Frames with at least one visible point, and negative ones if they were asked for.
        track_names: What class ids count: names of the tracks, in order of first appearance.
    """

    skeleton: Skeleton
    videos: tuple[Video, ...]
    frames: tuple[LabeledFrame, ...]
    track_names: tuple[str, ...]

    @classmethod
    def from_labels(
        cls,
        labels: Sequence[Labels],
        user_instances_only: bool = True,
        negative_frames: bool = False,
        stored_centroids: bool = False,
        like: Skeleton | None = None,
    ) -> LabelSet:
        """Read label objects.

        Args:
            labels: One entry a file; all must have the same nodes, in any order.
            user_instances_only: Leave predicted instances out. Otherwise a frame keeps its user instances, and its
                predicted ones if it has no others.
            negative_frames: Take in frames marked as showing no animal.
            stored_centroids: Where a user stored centroids in a frame, take them instead of its instances.
            like: Skeleton that gives the nodes their order, None for that of the first labels.

        Raises:
            DataError: There is no label with a visible point, or the skeletons differ.
        """
        if not labels:
            raise DataError("No labels were given; name at least one .slp file in data_config.train_labels_path.")
        skeleton = _common_skeleton(labels, like)
        videos: list[Video] = []
        frames: list[LabeledFrame] = []
        track_names: dict[str, int] = {}
        for part in labels:
            offset = len(videos)
            videos.extend(part.videos)
            index = {id(video): offset + i for i, video in enumerate(part.videos)}
            for frame in part.labeled_frames:
                key = FrameKey(index[id(frame.video)], int(frame.frame_idx))
                centroids = user_centroids(frame) if stored_centroids else []
                visible = [] if centroids else _visible_instances(frame, user_instances_only)
                if centroids:
                    frames.append(_frame_of_centroids(key, centroids, len(skeleton.node_names)))
                elif visible:
                    frames.append(_labeled_frame(key, visible, track_names, skeleton.node_names))
                elif negative_frames and frame.is_negative:
                    frames.append(_negative_frame(key, len(skeleton.node_names)))
        if not any(len(frame.points) for frame in frames):
            raise DataError(
                f"The labels ({_names(labels)}) hold no {'user-labelled ' if user_instances_only else ''}instance "
                "with a visible point; label at least one frame, or set data_config.user_instances_only=false."
            )
        return cls(skeleton, tuple(videos), tuple(frames), tuple(track_names))

    def with_classes(self, names: Sequence[str]) -> LabelSet:
        """Return the labels with class ids that count `names`; tracks of other names have no class."""
        position = {name: i for i, name in enumerate(names)}
        table = np.array([*(position.get(name, -1) for name in self.track_names), -1], np.int64)  # -1 stays -1
        frames = tuple(replace(frame, class_ids=table[frame.class_ids]) for frame in self.frames)
        return replace(self, frames=frames, track_names=tuple(names))

    @property
    def num_instances(self) -> int:
        """The number of labelled instances."""
        return sum(len(frame.points) for frame in self.frames)

    @property
    def num_negative(self) -> int:
        """The number of frames that are there to show that they hold no animal."""
        return sum(frame.is_negative for frame in self.frames)

    def where(self, frame: LabeledFrame) -> str:
        """Return the name of a frame for messages."""
        name = self.videos[frame.key.video].filename
        return f"frame {frame.key.frame} of {name if isinstance(name, str) else name[0]}"

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frames)


def load_labels(path: str | Path, open_videos: bool = True) -> Labels:
    """Read labels: a ``.slp`` or ``.pkg.slp`` file, or those of another program, see `other_formats.kind_of`.

    Args:
        path: The file or folder.
        open_videos: Open the videos that it names; without pixels to read this is only slow. Labels of other programs
            have to have their images then.

    Raises:
        MissingFileError: There is no such file, or an image is not there.
        DataError: The file is no labels file, or claims to hold more than it can.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"The labels file {path} does not exist; check the path.")
    kind = other_formats.kind_of(path)
    if kind != other_formats.SLP and (kind is not None or not h5py.is_hdf5(path)):
        return other_formats.read_labels(path, open_videos)
    check_hdf5(path)
    try:
        labels = load_slp(str(path), open_videos=open_videos)
        for video in labels.videos if open_videos else ():
            adopt(video)
    except _BROKEN as error:
        raise DataError(
            f"{path} cannot be read as a SLEAP labels file ({reason(error)}); give a .slp or .pkg.slp."
        ) from error
    unify(labels)
    return labels


def write_labels(labels: Labels, path: str | Path, embed: bool = False, restore_source_videos: bool = False) -> None:
    """Write labels that refer to the very files their images are read from.

    For a package (``.pkg.slp``) that is the package itself, not the videos it was once made from.

    Args:
        labels: What is written.
        path: Where.
        embed: Store the images of all frames in the file instead, see `embedding`.
        restore_source_videos: Refer to the videos that a package was once made from instead.

    Raises:
        OSError: The file cannot be written to its end.
        MissingFileError: A video is not there whose images are to be stored.
        DataError: None of its images can be read.
    """
    with hdf5_output(Path(path)):
        if embed:
            write_package(labels, path)
        else:
            labels.save(str(path), restore_original_videos=restore_source_videos, verbose=False)
        order_in_labels(Path(path))


def skeleton_of(labels: Labels) -> Skeleton:
    """Return the skeleton that the instances of a labels object use, see `skeletons.main_skeleton`.

    Raises:
        DataError: There is none, or instances have different nodes.
    """
    source = main_skeleton(labels)
    if source is None:
        raise DataError(f"The labels ({_names([labels])}) have no skeleton; define the nodes before labelling.")
    refuse_other_nodes(labels)
    names = tuple(node.name for node in source.nodes)
    index = {name: i for i, name in enumerate(names)}
    pairs = [sorted(index[node.name] for node in symmetry.nodes) for symmetry in source.symmetries]
    return Skeleton(
        node_names=names,
        edges=tuple((index[edge.source.name], index[edge.destination.name]) for edge in source.edges),
        symmetries=tuple((a, b) for a, b in pairs),
        name=source.name if source.name else "Skeleton-0",
    )


def training_instances(frame: SioFrame, user_instances_only: bool = True) -> list[Instance]:
    """Return the instances of a frame that count as labels, see `LabelSet.from_labels`."""
    instances = list(frame.user_instances)
    return instances if instances or user_instances_only else list(frame.predicted_instances)


def user_frames(labels: Labels) -> set[FrameKey]:
    """Return the frames in which a user has labelled anything."""
    position = {id(video): i for i, video in enumerate(labels.videos)}
    return {
        FrameKey(position[id(frame.video)], int(frame.frame_idx))
        for frame in labels.labeled_frames
        if frame.has_user_instances
    }


def user_centroids(frame: SioFrame) -> list[UserCentroid]:
    """Return the centroids that a user stored in a frame."""
    return [centroid for centroid in frame.centroids if isinstance(centroid, UserCentroid)]


def has_visible_point(instance: Instance) -> bool:
    """Tell whether any point of an instance is visible and has both coordinates."""
    return bool(np.isfinite(instance.numpy()).all(axis=-1).any())


def sio_skeleton(skeleton: Skeleton) -> SioSkeleton:
    """Return the skeleton as sleap-io writes it."""
    nodes = [Node(name) for name in skeleton.node_names]
    return SioSkeleton(
        nodes=nodes,
        edges=[Edge(nodes[a], nodes[b]) for a, b in skeleton.edges],
        symmetries=[Symmetry([nodes[a], nodes[b]]) for a, b in skeleton.symmetries],
        name=skeleton.name,
    )


def _common_skeleton(labels: Sequence[Labels], like: Skeleton | None = None) -> Skeleton:
    """Return the skeleton of all label files: a given one, else that of the first. The order of nodes may differ.

    Raises:
        DataError: Their nodes differ.
    """
    labelled = [part for part in labels if any(frame.instances for frame in part.labeled_frames)] or labels[:1]
    common = skeleton_of(labelled[0]) if like is None else like
    first = _names(labelled[:1]) if like is None else "that of the training labels"
    for part in labelled:
        other = skeleton_of(part)
        if set(other.node_names) != set(common.node_names):
            raise DataError(
                f"The labels files have different skeletons: {first} has the nodes {', '.join(common.node_names)}, "
                f"{_names([part])} has {', '.join(other.node_names)}; use files of one project."
            )
    return common


def _visible_instances(frame: SioFrame, user_instances_only: bool) -> list[Instance]:
    """Return the labelled instances of a frame that have a visible point."""
    instances = training_instances(frame, user_instances_only)
    visible = [instance for instance in instances if has_visible_point(instance)]
    if len(visible) < len(instances):
        _warn_of_empty(frame, len(instances) - len(visible))
    return visible


def _frame_of_centroids(key: FrameKey, centroids: Sequence[UserCentroid], num_nodes: int) -> LabeledFrame:
    """Return a frame of which only the centroids are known."""
    return LabeledFrame(
        key=key,
        points=np.full((len(centroids), num_nodes, 2), np.nan, np.float32),
        class_ids=np.full(len(centroids), -1, np.int64),
        centroids=np.array([(centroid.x, centroid.y) for centroid in centroids], np.float32),
    )


def _negative_frame(key: FrameKey, num_nodes: int) -> LabeledFrame:
    """Return a frame without animals."""
    return LabeledFrame(key, np.zeros((0, num_nodes, 2), np.float32), np.zeros(0, np.int64))


def _warn_of_empty(frame: SioFrame, num_empty: int) -> None:
    """Tell that instances of a frame cannot be used."""
    logger.warning(
        "Frame %d of %s: %d labelled instance(s) without a visible point are left out.",
        frame.frame_idx,
        frame.video.filename,
        num_empty,
    )


def _labeled_frame(
    key: FrameKey, instances: list[Instance], track_names: dict[str, int], node_names: Sequence[str]
) -> LabeledFrame:
    """Read points and tracks; new track names are appended to `track_names`.

    Raises:
        DataError: An instance has other nodes.
    """
    class_ids = [
        -1 if instance.track is None else track_names.setdefault(instance.track.name, len(track_names))
        for instance in instances
    ]
    return LabeledFrame(
        key=key,
        points=np.stack([_points(instance, node_names) for instance in instances]),
        class_ids=np.asarray(class_ids, np.int64),
    )


def _points(instance: Instance, node_names: Sequence[str]) -> Float[np.ndarray, "nodes 2"]:
    """Return float32 points in frame px; a point that is not visible, or lacks a coordinate, is NaN."""
    points = points_of(instance, node_names).astype(np.float32)
    return np.where(np.isfinite(points).all(axis=-1, keepdims=True), points, np.float32(np.nan))


def _names(labels: Sequence[Labels]) -> str:
    """Return what the label objects were read from, for messages."""
    return ", ".join(str(part.provenance.get("filename", "labels in memory")) for part in labels)
