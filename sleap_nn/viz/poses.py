"""Poses on an image: points, edges, names and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from sleap_nn.viz.images import DARK, FONT, PALETTE, Color, rimmed_text, upscale

FIXED_POINT_BITS = 4
FARTHEST = 20_000.0
_NEUTRAL: Color = (235, 235, 235)


@dataclass(frozen=True)
class DrawStyle:
    """How instances are drawn.

    Attributes:
        color_by: "instance" gives every instance (or track) one colour, "node" every node.
        hollow: Draw rings and thin lines, for the truth, instead of filled points, for predictions.
        upscale: Whole factor by which the image is enlarged first, so that small frames show detail.
        size: Radius of points in pixels of the result; None follows the image size.
    """

    color_by: Literal["instance", "node"] = "instance"
    hollow: bool = False
    upscale: int = 1
    size: float | None = None


FILLED = DrawStyle()
HOLLOW = DrawStyle(hollow=True)


def draw_instances(
    image: np.ndarray,
    points: np.ndarray,
    edges: Sequence[tuple[int, int]] = (),
    colors: Sequence[Color] | None = None,
    scores: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    style: DrawStyle = FILLED,
) -> np.ndarray:
    """Draw poses on an image.

    Args:
        image: (height, width[, channels]) uint8, gray or RGB.
        points: (I, N, 2) in pixels of the image; NaN where there is no point. Points may be off the image.
        edges: Pairs of node indices to join.
        colors: RGB colours, one an instance or one a node by `style.color_by`; repeated when too few. Give
            the colours of tracks here to keep them over time. None takes the palette.
        scores: (I,) numbers written beside the instances, NaN for none.
        names: Text written beside the instances, before the score.
        style: How to draw.

    Returns:
        RGB uint8, `style.upscale` times as large as the image.
    """
    canvas = upscale(image, style.upscale)
    placed = np.asarray(points, np.float64) * style.upscale + (style.upscale - 1) / 2
    palette = PALETTE if colors is None or len(colors) == 0 else colors
    radius = point_radius(canvas) if style.size is None else style.size
    for index, pose in enumerate(placed):
        numbers = range(len(pose)) if style.color_by == "node" else [index] * len(pose)
        shades = [palette[number % len(palette)] for number in numbers]
        _draw_edges(canvas, pose, edges, shades, radius * (0.35 if style.hollow else 0.6))
        _draw_points(canvas, pose, shades, radius, style.hollow)
    for index, pose in enumerate(placed):  # last, so that no neighbour hides it
        # Colours of nodes say nothing about an instance, and would change with its place in the frame.
        ink = _NEUTRAL if style.color_by == "node" else palette[index % len(palette)]
        _draw_text_beside(canvas, pose, _caption(index, names, scores), ink)
    return canvas


def draw_comparison(
    image: np.ndarray,
    truth: np.ndarray,
    predictions: np.ndarray,
    edges: Sequence[tuple[int, int]] = (),
    upscaling: int = 1,
) -> np.ndarray:
    """Draw the truth (I, N, 2) hollow and predictions (J, N, 2) filled on one image, nodes by colour."""
    base = upscale(image, upscaling)
    shift = (upscaling - 1) / 2
    found = np.asarray(predictions, np.float64) * upscaling + shift
    known = np.asarray(truth, np.float64) * upscaling + shift
    filled = draw_instances(base, found, edges, style=DrawStyle(color_by="node"))
    ring = 1.7 * point_radius(base)
    return draw_instances(filled, known, style=DrawStyle(color_by="node", hollow=True, size=ring))


def point_radius(image: np.ndarray) -> float:
    """Return the radius of points in pixels for an image of this size."""
    return float(np.clip(0.0065 * np.sqrt(image.shape[0] * image.shape[1]), 1.5, 9.0))


def is_drawable(point: np.ndarray) -> bool:
    """Return whether a point is finite and near enough for OpenCV's fixed-point coordinates."""
    x, y = point.tolist()
    return -FARTHEST < x < FARTHEST and -FARTHEST < y < FARTHEST


def fixed_point(point: np.ndarray) -> tuple[int, int]:
    """Return a point in the coordinates with fractional bits that OpenCV draws at."""
    x, y = np.rint(point * (1 << FIXED_POINT_BITS)).astype(int).tolist()
    return x, y


def _draw_edges(
    canvas: np.ndarray, pose: np.ndarray, edges: Sequence[tuple[int, int]], shades: list[Color], width: float
) -> None:
    """Join nodes in the colour of the edge's destination, on the canvas given."""
    thickness = max(1, round(width))
    for source, destination in edges:
        if is_drawable(pose[source]) and is_drawable(pose[destination]):
            ends = fixed_point(pose[source]), fixed_point(pose[destination])
            cv2.line(canvas, *ends, shades[destination], thickness, cv2.LINE_AA, FIXED_POINT_BITS)


def _draw_points(canvas: np.ndarray, pose: np.ndarray, shades: list[Color], radius: float, hollow: bool) -> None:
    """Draw rings or dark-rimmed discs, on the canvas given."""
    unit = 1 << FIXED_POINT_BITS
    rim = max(1, round(0.3 * radius))
    for point, color in zip(pose, shades, strict=True):
        if not is_drawable(point):
            continue
        center = fixed_point(point)
        discs = [(radius, color, rim)] if hollow else [(radius + 0.7 * rim, DARK, -1), (radius, color, -1)]
        for extent, ink, thickness in discs:
            cv2.circle(canvas, center, round(extent * unit), ink, thickness, cv2.LINE_AA, FIXED_POINT_BITS)


def _caption(index: int, names: Sequence[str] | None, scores: np.ndarray | None) -> str:
    name = "" if names is None else names[index]
    score = "" if scores is None or np.isnan(scores[index]) else f"{scores[index]:.2f}"
    return f"{name} {score}".strip()


def _draw_text_beside(canvas: np.ndarray, pose: np.ndarray, text: str, color: Color) -> None:
    """Write text above an instance, within the image, on the canvas given."""
    known = np.array([point for point in pose if is_drawable(point)])
    if not text or len(known) == 0:
        return
    scale = float(np.clip(0.12 * point_radius(canvas), 0.32, 1.0))
    (width, height), _ = cv2.getTextSize(text, FONT, scale, 1)
    corner = known.mean(axis=0)[0] - width / 2, known.min(axis=0)[1] - 2 * height * 0.6
    x = int(np.clip(corner[0], 0, max(0, canvas.shape[1] - width)))
    y = int(np.clip(corner[1], height + 1, max(height + 1, canvas.shape[0] - 3)))
    rimmed_text(canvas, text, (x, y), color, scale)
