"""A read-only numpy view of labels: points, identities, skeleton, videos.

Reading files and reading labels happens here; pixels are read in `sources`, splits are made in `splits`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sleap_io as sio
from jaxtyping import Float, Int

from sleap_nn.errors import DataError, MissingFileError
from sleap_nn.log import logger
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class LabeledFrame:
    """The labelled instances of one frame.

    Attributes:
        key: Which frame; the video counts through all label files.
        points: (I, N, 2) float32, frame px, NaN where not visible; no instance is all NaN.
        class_ids: (I,) int64, position of the instance's track in `LabelSet.track_names`, -1 without one.
    """

    key: FrameKey
    points: Float[np.ndarray, "instances nodes 2"]
    class_ids: Int[np.ndarray, " instances"]


@dataclass(frozen=True, eq=False)
class LabelSet:
    """The labelled frames of one or several label files that share a skeleton.

    Attributes:
        skeleton: Nodes, edges and symmetries.
        videos: All videos of all files, in order.
        frames: Frames with at least one visible point.
        track_names: Names of the tracks, in order of first appearance.
    """

    skeleton: Skeleton
    videos: tuple[sio.Video, ...]
    frames: tuple[LabeledFrame, ...]
    track_names: tuple[str, ...]

    @classmethod
    def from_labels(cls, labels: Sequence[sio.Labels], user_instances_only: bool = True) -> LabelSet:
        """Read label objects.

        Args:
            labels: One entry a file; all must have the same nodes.
            user_instances_only: Leave predicted instances out. Otherwise a frame keeps its user instances, and its
                predicted ones if it has no others.

        Raises:
            DataError: There is no label with a visible point, or the skeletons differ.
        """
        if not labels:
            raise DataError("No labels were given; name at least one .slp file in data_config.train_labels_path.")
        skeleton = _common_skeleton(labels)
        videos: list[sio.Video] = []
        frames: list[LabeledFrame] = []
        track_names: dict[str, int] = {}
        for part in labels:
            offset = len(videos)
            videos.extend(part.videos)
            index = {id(video): offset + i for i, video in enumerate(part.videos)}
            for frame in part.labeled_frames:
                key = FrameKey(index[id(frame.video)], int(frame.frame_idx))
                instances = _training_instances(frame, user_instances_only)
                if instances:
                    frames.append(_labeled_frame(key, instances, track_names))
        if not frames:
            raise DataError(
                f"The labels ({_names(labels)}) hold no {'user-labelled ' if user_instances_only else ''}instance "
                "with a visible point; label at least one frame, or set data_config.user_instances_only=false."
            )
        return cls(skeleton, tuple(videos), tuple(frames), tuple(track_names))

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frames)


def load_labels(path: str | Path) -> sio.Labels:
    """Read a ``.slp`` or ``.pkg.slp`` file.

    Raises:
        MissingFileError: There is no such file.
        DataError: The file is no labels file.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"The labels file {path} does not exist; check the path.")
    try:
        return sio.load_slp(str(path))
    except (OSError, KeyError, ValueError, IndexError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as a SLEAP labels file ({error}); give a .slp or .pkg.slp.") from error


def skeleton_of(labels: sio.Labels) -> Skeleton:
    """Return the first skeleton of a labels object.

    Raises:
        DataError: It has none.
    """
    if not labels.skeletons:
        raise DataError(f"The labels ({_names([labels])}) have no skeleton; define the nodes before labelling.")
    source = labels.skeletons[0]
    names = tuple(node.name for node in source.nodes)
    index = {name: i for i, name in enumerate(names)}
    pairs = [sorted(index[node.name] for node in symmetry.nodes) for symmetry in source.symmetries]
    return Skeleton(
        node_names=names,
        edges=tuple((index[edge.source.name], index[edge.destination.name]) for edge in source.edges),
        symmetries=tuple((a, b) for a, b in pairs),
        name=source.name if source.name else "Skeleton-0",
    )


def sio_skeleton(skeleton: Skeleton) -> sio.Skeleton:
    """Return the skeleton as sleap-io writes it."""
    nodes = [sio.Node(name) for name in skeleton.node_names]
    return sio.Skeleton(
        nodes=nodes,
        edges=[sio.Edge(nodes[a], nodes[b]) for a, b in skeleton.edges],
        symmetries=[sio.Symmetry([nodes[a], nodes[b]]) for a, b in skeleton.symmetries],
        name=skeleton.name,
    )


def _common_skeleton(labels: Sequence[sio.Labels]) -> Skeleton:
    """Return the skeleton of all label files.

    Raises:
        DataError: Their nodes differ.
    """
    first = skeleton_of(labels[0])
    for part in labels[1:]:
        other = skeleton_of(part)
        if other.node_names != first.node_names:
            raise DataError(
                f"The labels files have different skeletons: {_names(labels[:1])} has the nodes "
                f"{', '.join(first.node_names)}, {_names([part])} has {', '.join(other.node_names)}; use files of one project."
            )
    return first


def _training_instances(frame: sio.LabeledFrame, user_instances_only: bool) -> list[sio.Instance]:
    """Return the instances of a frame that count as labels, without those that have no visible point."""
    instances = list(frame.user_instances)
    if not instances and not user_instances_only:
        instances = list(frame.predicted_instances)
    visible = [instance for instance in instances if instance.n_visible > 0]
    if len(visible) < len(instances):
        logger.warning(
            "Frame %d of %s: %d labelled instance(s) without a visible point are left out.",
            frame.frame_idx,
            frame.video.filename,
            len(instances) - len(visible),
        )
    return visible


def _labeled_frame(key: FrameKey, instances: list[sio.Instance], track_names: dict[str, int]) -> LabeledFrame:
    """Read points and tracks; new track names are appended to `track_names`."""
    class_ids = [
        -1 if instance.track is None else track_names.setdefault(instance.track.name, len(track_names))
        for instance in instances
    ]
    return LabeledFrame(
        key=key,
        points=np.stack([instance.numpy() for instance in instances]).astype(np.float32),
        class_ids=np.asarray(class_ids, np.int64),
    )


def _names(labels: Sequence[sio.Labels]) -> str:
    """Return what the label objects were read from, for messages."""
    return ", ".join(str(part.provenance.get("filename", "labels in memory")) for part in labels)
