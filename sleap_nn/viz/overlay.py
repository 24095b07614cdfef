"""`Overlay`: everything that is drawn on one frame of a video: instances, truth, trails, names, numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.viz.images import PALETTE, Color, color_at, resize, rimmed_text, write_lines
from sleap_nn.viz.poses import DrawStyle, draw_instances, point_radius
from sleap_nn.viz.trails import draw_trails

WITHOUT_TRACK: Color = (190, 190, 190)
_TRUTH: Color = (255, 255, 255)
_RING = 1.7
_SMALLEST_RADIUS = 1.5
_SHARE_OF_ANIMAL = 0.03


@dataclass(frozen=True, kw_only=True)
class OverlayStyle:
    """How frames are drawn on.

    Attributes:
        colour_by: What has a colour of its own.
        scale: Factor by which frames are resized first.
        edges: Draw the edges of the skeleton.
        labels: Write the names of tracks; or numbers, where instances have a colour of their own.
        scores: Write the scores of instances that have one.
        legend: Write the names of what has a colour of its own, tracks or nodes.
        marker_size: Radius of points in pixels of the result; None follows its size and that of the animals.
        animal_size: Usual extent of an instance in px of the frame, so that points do not hide small ones.
    """

    colour_by: Literal["track", "instance", "node"] = "track"
    scale: float = 1.0
    edges: bool = True
    labels: bool = True
    scores: bool = False
    legend: bool = False
    marker_size: float | None = None
    animal_size: float = math.inf


@dataclass(frozen=True, eq=False)
class Overlay:
    """Draws the instances of frames.

    Attributes:
        skeleton: Nodes and edges of the instances.
        track_names: What `Predictions.tracks` counts.
        style: How to draw.
    """

    skeleton: Skeleton
    track_names: Sequence[str] = ()
    style: OverlayStyle = OverlayStyle()

    def draw(
        self,
        image: np.ndarray,
        found: Predictions,
        truth: Float[np.ndarray, "instances nodes 2"] | None = None,
        paths: Mapping[int, Float[np.ndarray, "frames 2"]] | None = None,
        note: str = "",
    ) -> np.ndarray:
        """Draw one frame.

        Args:
            image: (height, width[, channels]) uint8, gray or RGB.
            found: Points in px of the image; tracks below 0 are none; scores that are NaN are not written.
            truth: Points to compare with, drawn as rings.
            paths: Where each track was, see `Trails.paths`.
            note: Text in the lower left corner.

        Returns:
            RGB uint8, `style.scale` times as large as the image.
        """
        canvas = resize(image, self.style.scale)
        factors = np.array([canvas.shape[1] / image.shape[1], canvas.shape[0] / image.shape[0]])
        shift = (factors - 1) / 2
        size = self._radius(canvas)
        edges = self.skeleton.edges if self.style.edges else ()
        by_node = self.style.colour_by == "node"
        if paths:
            ways = [path * factors + shift for path in paths.values()]
            canvas = draw_trails(canvas, ways, [color_at(track) for track in paths])
        canvas = draw_instances(
            canvas,
            found.points * factors + shift,
            edges,
            [color_at(i) for i in range(len(self.skeleton.node_names))] if by_node else self._colors(found),
            found.scores if self.style.scores else None,
            self._names(found) if self.style.labels else None,
            DrawStyle(color_by="node" if by_node else "instance", size=size),
        )
        if truth is not None:
            ring = DrawStyle(color_by="node", hollow=True, size=_RING * size)
            canvas = draw_instances(canvas, truth * factors + shift, edges, None if by_node else [_TRUTH], style=ring)
        if self.style.legend:
            canvas = self._with_legend(canvas)
        if note:
            rimmed_text(canvas, note, (4, canvas.shape[0] - 6), _TRUTH, 0.48)
        return canvas

    def _radius(self, canvas: np.ndarray) -> float:
        """Return the radius of points on a resized frame."""
        if self.style.marker_size is not None:
            return self.style.marker_size
        return max(
            _SMALLEST_RADIUS, min(point_radius(canvas), _SHARE_OF_ANIMAL * self.style.animal_size * self.style.scale)
        )

    def _colors(self, found: Predictions) -> list[Color]:
        """Return the colour of every instance."""
        if self.style.colour_by == "instance" or found.tracks is None:
            return [color_at(i) for i in range(len(found))]
        return [color_at(track) if track >= 0 else WITHOUT_TRACK for track in found.tracks.tolist()]

    def _names(self, found: Predictions) -> list[str]:
        """Return what is written beside every instance."""
        tracks = [-1] * len(found) if found.tracks is None else found.tracks.tolist()
        numbered = self.style.colour_by == "instance"
        return [
            self.track_names[track] if track >= 0 else (str(i + 1) if numbered else "")
            for i, track in enumerate(tracks)
        ]

    def _with_legend(self, image: np.ndarray) -> np.ndarray:
        """Return the image with the names of the tracks, or of the nodes."""
        names = self.skeleton.node_names if self.style.colour_by == "node" else self.track_names
        return write_lines(image, names, [color_at(i) for i in range(len(names))] if names else PALETTE)
