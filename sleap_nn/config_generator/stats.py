"""`DatasetStats`: what labels say about animals, images and skeleton, without reading a pixel."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from sleap_nn.data.crop_size import STRAY_FACTOR
from sleap_nn.data.findings import counted
from sleap_nn.data.labels import LabeledFrame, Labels, LabelSet, load_labels
from sleap_nn.data.sources import frame_size
from sleap_nn.log import logger

_FEWEST_POSES = 10
"""Poses from which their directions say anything about the camera."""
_MOST_POSES = 500
_ALIGNED = 0.5
"""Mean resultant length of directions, from which animals are said to lie along one axis."""


@dataclass(frozen=True)
class DatasetStats:
    """What a configuration depends on.

    Attributes:
        num_frames: Frames in which a user has labelled a visible point.
        num_videos: Videos with such frames.
        num_instances: Labelled instances.
        max_instances: Most instances in one frame.
        height: Largest height of a frame in px.
        width: Largest width in px.
        channels: 1 (grey) or 3 (RGB).
        node_names: The nodes of the skeleton.
        edges: Its edges as names of nodes.
        track_names: Names of the tracks of labelled instances.
        largest_box: Longer side in px of the largest box about the visible points of an instance; stray labels, far
            larger than the others, are left out.
        median_box: The same of the median instance.
        largest_share: Largest ratio of such a side to the longer side of its frame, also without stray labels.
        apparent_view: ``top`` if animals lie in all directions, ``side`` if along one axis, None if it cannot be told.
        labels: The labels themselves.
    """

    num_frames: int
    num_videos: int
    num_instances: int
    max_instances: int
    height: int
    width: int
    channels: int
    node_names: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    track_names: tuple[str, ...]
    largest_box: float
    median_box: float
    largest_share: float
    apparent_view: str | None
    labels: LabelSet = field(repr=False, compare=False)

    @property
    def num_nodes(self) -> int:
        """The number of nodes."""
        return len(self.node_names)

    @property
    def num_edges(self) -> int:
        """The number of edges."""
        return len(self.edges)

    @property
    def num_tracks(self) -> int:
        """The number of track names."""
        return len(self.track_names)

    @property
    def mean_instances(self) -> float:
        """Instances a frame, on average."""
        return self.num_instances / self.num_frames

    @property
    def longer_side(self) -> int:
        """The longer side of the largest frame in px."""
        return max(self.height, self.width)

    @property
    def frame_bytes(self) -> int:
        """Bytes of all labelled frames, decoded."""
        return self.num_frames * self.height * self.width * self.channels

    def lines(self) -> list[tuple[str, str]]:
        """Return the facts in words: pairs of a heading and a text."""
        tracks = ", ".join(self.track_names[:6]) + (", ..." if self.num_tracks > 6 else "")
        facts = [
            ("Frames", f"{self.num_frames} labelled, of {counted(self.num_videos, 'video')}"),
            (
                "Animals",
                f"{counted(self.num_instances, 'instance')}; at most {self.max_instances} in a frame, "
                f"{self.mean_instances:.1f} on average",
            ),
            ("Images", f"{self.width} x {self.height} px, {counted(self.channels, 'channel')}"),
            ("Skeleton", f"{counted(self.num_nodes, 'node')}, {counted(self.num_edges, 'edge')}"),
            (
                "Size of animals",
                f"largest {self.largest_box:.0f} px, median {self.median_box:.0f} px; the largest takes "
                f"{self.largest_share:.0%} of its image",
            ),
        ]
        return [*facts, ("Tracks", f"{self.num_tracks} ({tracks})")] if self.track_names else facts


def analyze_slp(path: str | Path) -> DatasetStats:
    """Look at a labels file; its videos need not be there if it says how large their frames are.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is no labels file, it has no skeleton, nothing is labelled, or the size of frames is not known.
    """
    return analyze_labels(load_labels(path, open_videos=False))


def analyze_labels(labels: Labels) -> DatasetStats:
    """Look at labels.

    Raises:
        DataError: There is no skeleton, nothing is labelled, or the size of frames is not known.
    """
    view = LabelSet.from_labels([labels])
    skeleton = view.skeleton
    used = sorted({frame.key.video for frame in view.frames})
    sizes = {index: frame_size(view.videos[index]) for index in used}
    sides = np.concatenate([_box_sides(frame) for frame in view.frames])
    owners = [frame for frame in view.frames for _ in frame.points]
    shares = sides / [max(sizes[frame.key.video]) for frame in owners]
    stray = _stray(shares)
    if stray.any():
        first = int(stray.argmax())
        logger.warning(
            "%d of %d instances span more than three times as much as usual (%.0f px in %s) and are left out of the "
            "size of the animals, as stray labels; sleap-nn check names such labels.",
            int(stray.sum()),
            len(sides),
            sides[first],
            view.where(owners[first]),
        )
    shape = view.videos[used[0]].shape
    return DatasetStats(
        num_frames=len(view),
        num_videos=len(used),
        num_instances=view.num_instances,
        max_instances=max(len(frame.points) for frame in view.frames),
        height=max(height for height, _ in sizes.values()),
        width=max(width for _, width in sizes.values()),
        channels=1 if shape is not None and shape[3] == 1 else 3,
        node_names=skeleton.node_names,
        edges=tuple((skeleton.node_names[a], skeleton.node_names[b]) for a, b in skeleton.edges),
        track_names=view.track_names,
        largest_box=float(sides[~stray].max()),
        median_box=float(np.median(sides)),
        largest_share=float(shares[~stray].max()),
        apparent_view=_apparent_view(np.concatenate([frame.points for frame in view.frames])),
        labels=view,
    )


def _box_sides(frame: LabeledFrame) -> Float[np.ndarray, " instances"]:
    """Return the longer side in px of the box about the visible points of every instance."""
    return (np.nanmax(frame.points, axis=1) - np.nanmin(frame.points, axis=1)).max(axis=1)


def _stray(shares: Float[np.ndarray, " instances"]) -> Bool[np.ndarray, " instances"]:
    """Tell which instances are so large, as parts of their frames, that a point of theirs is likely to be elsewhere."""
    usual = float(np.median(shares[shares > 0])) if (shares > 0).any() else np.inf
    return np.asarray(shares > STRAY_FACTOR * usual)


def _apparent_view(points: Float[np.ndarray, "instances nodes 2"]) -> str | None:
    """Tell from how animals lie whether the camera looks from above.

    The direction of an animal is that between the two nodes that are farthest apart in the median animal. Directions
    are doubled, so that left and right are one axis (Mardia and Jupp, "Directional Statistics", 2000, chapter 2).
    """
    some = points[:: -(-len(points) // _MOST_POSES)]
    lengths = np.linalg.norm(some[:, :, None] - some[:, None], axis=-1)
    known = np.isfinite(lengths).sum(axis=0) >= _FEWEST_POSES
    if points.shape[1] < 2 or not known[~np.eye(len(known), dtype=bool)].any():
        return None
    medians = np.where(known, np.median(np.where(np.isfinite(lengths), lengths, 0.0), axis=0), 0.0)
    first, second = np.unravel_index(int(medians.argmax()), medians.shape)
    directions = some[:, second] - some[:, first]
    directions = directions[np.isfinite(directions).all(axis=1) & directions.any(axis=1)]
    if len(directions) < _FEWEST_POSES:
        return None
    angles = np.arctan2(directions[:, 1], directions[:, 0])
    return "side" if np.abs(np.exp(2j * angles).mean()) > _ALIGNED else "top"
