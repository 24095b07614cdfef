"""Maps of a network, or their targets, laid over the image that they belong to.

Maps are (channels, h, w) arrays; cell j lies at pixel ``j * output_stride`` of the image. With `upscaling` the image is
enlarged first, and the maps are drawn at the larger size.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from sleap_nn.viz.images import DARK, PALETTE, Color, upscale, write_lines

_ARROW_SPACING = 13
_SHORTEST_ARROW = 0.35


def draw_confidence_maps(
    image: np.ndarray,
    maps: np.ndarray,
    output_stride: float,
    colors: Sequence[Color] = PALETTE,
    opacity: float = 0.7,
    upscaling: int = 1,
) -> np.ndarray:
    """Lay confidence maps over an image, each in its own colour.

    Args:
        image: (height, width[, channels]) uint8; the network's input, or a frame of the same pixels.
        maps: (C, h, w); values are clipped to 0-1 and NaN counts as 0.
        output_stride: Map cell j lies at pixel j * output_stride of the image.
        colors: RGB colour of each map, repeated when too few.
        opacity: Opacity of a map at its maximum value 1.
        upscaling: Whole factor by which the image is enlarged.

    Returns:
        RGB uint8, `upscaling` times as large as the image.
    """
    base = upscale(image, upscaling)
    total, peak = np.zeros(base.shape[:2], np.float32), np.zeros(base.shape[:2], np.float32)
    tint = np.zeros(base.shape, np.float32)
    for index, cells in enumerate(np.clip(np.nan_to_num(maps), 0, 1)):
        value = _at_pixels(cells, output_stride, upscaling, base)
        tint += value[..., None] * np.array(colors[index % len(colors)], np.float32)
        total, peak = total + value, np.maximum(peak, value)
    tint /= np.maximum(total, 1e-6)[..., None]
    return _covered(base, tint, opacity * peak)


def draw_class_maps(
    image: np.ndarray,
    maps: np.ndarray,
    output_stride: float,
    names: Sequence[str] = (),
    colors: Sequence[Color] = PALETTE,
    upscaling: int = 1,
) -> np.ndarray:
    """Lay class maps over an image, each in its own colour, and write the names of the classes in these colours.

    Args:
        image: As in `draw_confidence_maps`.
        maps: (classes, h, w); values are clipped to 0-1 and NaN counts as 0.
        output_stride: As in `draw_confidence_maps`.
        names: Names of the classes; empty writes nothing.
        colors: RGB colour of each class, repeated when too few.
        upscaling: Whole factor by which the image is enlarged.
    """
    drawn = draw_confidence_maps(image, maps, output_stride, colors, upscaling=upscaling)
    return write_lines(drawn, names, colors)


def draw_fields(
    image: np.ndarray, fields: np.ndarray, output_stride: float, opacity: float = 0.75, upscaling: int = 1
) -> np.ndarray:
    """Lay part affinity fields over an image: direction as hue and arrows, length of the vector as opacity.

    Where several fields overlap, the longest vector is shown. Red points right, and the hue turns with the direction
    as on a colour wheel: yellow-green down, cyan left, violet up.

    Args:
        image: As in `draw_confidence_maps`.
        fields: (2 * edges, h, w), the x and the y component of every edge in turn; NaN counts as 0.
        output_stride: As in `draw_confidence_maps`.
        opacity: Opacity where a vector has length 1 or more.
        upscaling: Whole factor by which the image is enlarged.
    """
    base = upscale(image, upscaling)
    longest = np.zeros((*base.shape[:2], 2), np.float32)
    for cells in np.nan_to_num(fields).reshape(-1, 2, *fields.shape[-2:]):
        field = np.stack([_at_pixels(part, output_stride, upscaling, base) for part in cells], axis=-1)
        longer = np.linalg.norm(field, axis=-1) > np.linalg.norm(longest, axis=-1)
        longest[longer] = field[longer]
    length = np.minimum(np.linalg.norm(longest, axis=-1), 1)
    hue = np.rad2deg(np.arctan2(longest[..., 1], longest[..., 0])) % 360
    wheel = np.stack([hue, np.ones_like(hue), np.ones_like(hue)], axis=-1).astype(np.float32)
    drawn = _covered(base, cv2.cvtColor(wheel, cv2.COLOR_HSV2RGB) * 255, opacity * length)
    _draw_arrows(drawn, longest)
    return drawn


def _at_pixels(cells: np.ndarray, output_stride: float, upscaling: int, base: np.ndarray) -> np.ndarray:
    """Interpolate a map at the pixels of an image that was enlarged by `upscaling`."""
    cells_per_pixel = 1 / (output_stride * upscaling)
    offset = -(upscaling - 1) / 2 * cells_per_pixel
    grid = np.array([[cells_per_pixel, 0, offset], [0, cells_per_pixel, offset]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(cells.astype(np.float32), grid, (base.shape[1], base.shape[0]), flags=flags)


def _covered(base: np.ndarray, tint: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Mix an RGB image with colours; `cover` (height, width) is the share of the colours."""
    share = cover[..., None]
    return np.rint(base * (1 - share) + tint * share).astype(np.uint8)


def _draw_arrows(canvas: np.ndarray, vectors: np.ndarray) -> None:
    """Draw the vectors (height, width, 2) as white arrows on a grid, on the canvas given."""
    half = _ARROW_SPACING // 2
    for y in range(half, canvas.shape[0], _ARROW_SPACING):
        for x in range(half, canvas.shape[1], _ARROW_SPACING):
            step = vectors[y, x] * half
            if np.hypot(*step) < _SHORTEST_ARROW * half:
                continue
            tail, tip = (int(x - step[0]), int(y - step[1])), (int(x + step[0]), int(y + step[1]))
            for ink, thickness in ((DARK, 3), ((255, 255, 255), 1)):
                cv2.arrowedLine(canvas, tail, tip, ink, thickness, cv2.LINE_AA, tipLength=0.4)
