"""`Scene`: the labels of a video, sorted by frame, and how each frame is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from sleap_io.model.instance import Instance, PredictedInstance
from sleap_io.model.labels import Labels

from sleap_nn.config.render_config import RenderConfig
from sleap_nn.data.corrections import animals
from sleap_nn.data.labels import load_labels, skeleton_of
from sleap_nn.data.sources import stored_indices
from sleap_nn.errors import ConfigError, DataError
from sleap_nn.evaluation.pairs import instance_points, pair_frames
from sleap_nn.ops.centroids import centroids
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.viz import Overlay, OverlayStyle, Trails
from sleap_nn.viz.trails import Place

Listed = Mapping[FrameKey, Sequence[Instance]]
Box = tuple[int, int, int, int]

_SIZE_SAMPLE = 200


@dataclass(frozen=True, eq=False)
class Scene:
    """The labels that are drawn, and how.

    Attributes:
        labels: Videos and tracks.
        listed: Instances of every frame that the labels list.
        truth: Instances to compare with.
        overlay: Draws a frame.
        config: The options.
        tracks: Position of a track, by its `id`.
        one_animal: Whether the labels have no tracks and never more than one instance in a frame.
        sparse: Videos of which only some frames are there.
    """

    labels: Labels
    listed: Listed
    truth: Listed
    overlay: Overlay
    config: RenderConfig
    tracks: Mapping[int, int]
    one_animal: bool
    sparse: frozenset[int]

    @classmethod
    def of(cls, labels: Labels, config: RenderConfig) -> Scene:
        """Sort the instances of labels by frame.

        Raises:
            DataError: The labels have no instance at all.
            ConfigError: Tracks are asked for, and there are none.
        """
        listed = _listed(labels)
        truth = {} if config.truth is None else _truth(labels, load_labels(config.truth, open_videos=False))
        if not any(listed.values()) and not any(truth.values()):
            name = labels.provenance.get("filename", "in memory")
            raise DataError(f"The labels {name} hold no instance on any frame; there is nothing to draw.")
        tracked = any(instance.track is not None for instances in listed.values() for instance in instances)
        one_animal = not tracked and max(map(len, listed.values())) <= 1
        for name, needed in (
            ("colour_by", config.colour_by == "track"),
            ("trail", config.trail > 0 and not one_animal),
        ):
            if needed and not tracked:
                raise ConfigError(
                    f"{name} follows tracks, but no instance has one; track the animals, or leave it out."
                )
        skeleton = skeleton_of(labels)
        names = skeleton.node_names
        style = OverlayStyle(
            colour_by=config.colour_by or ("track" if tracked else "node"),  # pyright: ignore[reportArgumentType]
            scale=1.0 if config.scale is None else config.scale,
            edges=config.edges,
            labels=config.labels,
            scores=config.scores,
            legend=config.legend,
            marker_size=config.marker_size,
            animal_size=_usual_size(listed, names),
        )
        overlay = Overlay(skeleton, [track.name for track in labels.tracks], style)
        tracks = {id(track): i for i, track in enumerate(labels.tracks)}
        sparse = frozenset(i for i, video in enumerate(labels.videos) if stored_indices(video) is not None)
        return cls(labels, listed, truth, overlay, config, tracks, one_animal, sparse)

    def drawable(self) -> list[FrameKey]:
        """Return the frames with an instance, found or true, in order."""
        return sorted(key for key in {*self.listed, *self.truth} if self.listed.get(key) or self.truth.get(key))

    def found(self, key: FrameKey) -> Predictions:
        """Return the instances of a frame; scores of those that a user drew are NaN."""
        instances = self.listed.get(key, ())
        names = self.overlay.skeleton.node_names
        scores = [i.score if isinstance(i, PredictedInstance) else np.nan for i in instances]
        return Predictions(
            key=key,
            points=instance_points(instances, names).astype(np.float32),
            point_scores=np.zeros((len(instances), len(names)), np.float32),
            scores=np.array(scores, np.float32),
            tracks=np.array([self.tracks.get(id(i.track), -1) for i in instances], np.int64),
        )

    def places(self, found: Predictions) -> dict[int, Place]:
        """Return the middle of every track in a frame."""
        tracks = [0] * len(found) if self.one_animal or found.tracks is None else found.tracks.tolist()
        middles = centroids(found.points, None).tolist()
        return {track: (x, y) for track, (x, y) in zip(tracks, middles, strict=True) if track >= 0}

    def trails(self, key: FrameKey) -> Trails:
        """Return the trails that end in a frame."""
        trails = Trails(self.config.trail)
        self.lengthen(trails, key)
        return trails

    def lengthen(self, trails: Trails, key: FrameKey) -> None:
        """Let the trails of earlier frames reach a frame, over all frames between, whether these are drawn or not.

        Where only some frames of a video count, as of a package, the others are no gaps.
        """
        all_count = not self.config.only_listed_frames and key.video not in self.sparse
        for number in trails.missing(key.frame):
            passed = FrameKey(key.video, number)
            if all_count or passed in self.listed:
                trails.add(number, self.places(self.found(passed)))

    def draw(
        self, image: np.ndarray, found: Predictions, trails: Trails, scale: float | None = None, box: Box | None = None
    ) -> np.ndarray:
        """Draw one frame.

        Args:
            image: The frame.
            found: Its instances.
            trails: Where they come from.
            scale: Factor by which it is resized, None for that of the options.
            box: Part of the frame that is drawn, None for all of it.
        """
        key, names = found.key, self.overlay.skeleton.node_names
        corner = (0, 0) if box is None else (box[0], box[1])
        if box is not None:
            image = image[box[1] : box[3], box[0] : box[2]]
        truth = instance_points(self.truth[key], names) - corner if key in self.truth else None
        paths = {track: path - corner for track, path in trails.paths().items()} if self.config.trail else None
        overlay = self.overlay
        if scale is not None:
            overlay = replace(overlay, style=replace(overlay.style, scale=scale))
        note = f"{key.frame}" if self.config.frame_numbers else ""
        return overlay.draw(
            image, replace(found, points=found.points - np.array(corner, np.float32)), truth, paths, note
        )


def has_point(points: Float[np.ndarray, "points 2"]) -> bool:
    """Tell whether any of the points is there."""
    return bool(np.isfinite(points).all(axis=1).any())


def _usual_size(listed: Listed, names: Sequence[str]) -> float:
    """Return the median extent of instances in px, from a sample of frames; infinite if they are single points."""
    sample = [instances for instances in listed.values() if instances]
    sample = sample[:: max(1, len(sample) // _SIZE_SAMPLE)]
    points = [pose for instances in sample for pose in instance_points(instances, names) if has_point(pose)]
    extents = [(np.nanmax(pose, axis=0) - np.nanmin(pose, axis=0)).max() for pose in points]
    size = float(np.median(extents)) if extents else 0.0
    return size if size > 0 else math.inf


def _listed(labels: Labels) -> dict[FrameKey, list[Instance]]:
    """Return the instances of every frame that labels list."""
    position = {id(video): i for i, video in enumerate(labels.videos)}
    listed: dict[FrameKey, list[Instance]] = {}
    for frame in labels.labeled_frames:
        key = FrameKey(position[id(frame.video)], int(frame.frame_idx))
        listed.setdefault(key, []).extend(animals(frame))
    return listed


def _truth(labels: Labels, truth: Labels) -> dict[FrameKey, list[Instance]]:
    """Return the instances of the truth by the frames of the predictions."""
    position = {id(video): i for i, video in enumerate(labels.videos)}
    pairs = pair_frames(truth, labels, user_labels_only=False).pairs
    return {FrameKey(position[id(found.video)], int(found.frame_idx)): list(true.instances) for true, found in pairs}
