"""The only code that touches pixels: colour, affine warps with antialiasing, padding.

Images are (H, W, C) uint8 numpy arrays. Pixel maps are `Transform` from source pixel centres to output pixel
centres; how labels move is decided by the caller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from sleap_nn.structures.transform import Transform

Image = UInt8[np.ndarray, "height width channels"]

_TOLERANCE_PX = 1e-4
_CHANNELS_AT_ONCE = 4
_MILDEST_SHRINK = 0.8
"""How far a bilinear warp shrinks by itself: every source pixel still shows, and nothing is blurred a second time."""
_FRACTION_BITS = 8
_RGB = 3


def to_channels(image: Image, channels: int) -> Image:
    """Return the image with 1 (ITU-R BT.601 luma) or 3 (repeated) channels.

    Raises:
        ValueError: The image has neither 1 nor 3 channels, or another number is asked for.
    """
    given = image.shape[2]
    if given == channels:
        return image
    if (given, channels) == (3, 1):
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    if (given, channels) == (1, 3):
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    raise ValueError(f"An image of {given} channels cannot be turned into one of {channels}; 1 and 3 are known.")


def resize(image: Image, height: int, width: int) -> Image:
    """Resize with a triangle filter that widens when shrinking (antialiased bilinear), pixel centres at halves."""
    if image.shape[:2] == (height, width):
        return image
    return np.ascontiguousarray(_resized_planes(image, height, width).transpose(1, 2, 0))


def resize_together(images: Sequence[Image], height: int, width: int) -> list[Image]:
    """Return what `resize` gives for each of several images of one size.

    Grey images are resized as the channels of one picture: a picture of four takes less time than one of one.
    """
    if images[0].shape[2] > 1 or images[0].shape[:2] == (height, width):
        return [resize(image, height, width) for image in images]
    resized: list[Image] = []
    for start in range(0, len(images), _CHANNELS_AT_ONCE):
        several = [image[..., 0] for image in images[start : start + _CHANNELS_AT_ONCE]]
        picture = cv2.merge(several).reshape(*several[0].shape, len(several))
        resized.extend(plane[..., None] for plane in _resized_planes(picture, height, width))
    return resized


def _resized_planes(image: Image, height: int, width: int) -> UInt8[np.ndarray, "channels height width"]:
    """Resize all channels."""
    planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    size = (height, width)
    return torch.nn.functional.interpolate(planes, size=size, mode="bilinear", antialias=True)[0].contiguous().numpy()


def resize_map(source: tuple[int, int], target: tuple[int, int]) -> Transform:
    """Return where `resize` moves pixel centres, for sizes (height, width)."""
    y, x = target[0] / source[0], target[1] / source[1]
    return Transform(np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]]))


def place(image: Image, height: int, width: int) -> Image:
    """Put the image at the top left of a black canvas of (height, width), cutting off what does not fit."""
    if image.shape[:2] == (height, width):
        return image
    canvas = np.zeros((height, width, image.shape[2]), np.uint8)
    part = image[:height, :width]
    canvas[: part.shape[0], : part.shape[1]] = part
    return canvas


def warp(image: Image, pixels: Transform, height: int, width: int) -> Image:
    """Resample an image in one go; outside is black.

    Shrinking far first resizes with antialiasing, so that no source pixel is skipped, and leaves the rest (turn, shift,
    flip, and a mild shrink) to one bilinear warp; a plain resize or copy never passes the warp, which would blend its
    border with black.

    Args:
        image: Source pixels.
        pixels: Source pixel centres to output pixel centres.
        height: Output height in px.
        width: Output width in px.
    """
    return warp_together([image], pixels, height, width)[0]


def warp_together(images: Sequence[Image], pixels: Transform, height: int, width: int) -> list[Image]:
    """Return what `warp` gives for each of several images of one size, sooner."""
    scaled, rest = _steps(pixels, *images[0].shape[:2])
    if rest is not None and (scaled is not None or images[0].shape[2] == _RGB):
        part = _seen(images[0].shape[:2], pixels, height, width)
        images = [image[part.top : part.bottom, part.left : part.right] for image in images]
        pixels = Transform.translation(part.left, part.top).then(pixels)
        scaled, rest = _steps(pixels, *images[0].shape[:2])
    if scaled is not None:
        images = resize_together(images, *scaled)
    return [place(image, height, width) if rest is None else _moved(image, rest, height, width) for image in images]


def _moved(image: Image, pixels: Transform, height: int, width: int) -> Image:
    """Resample by one bilinear warp; OpenCV moves four channels in half the time of three, to the same pixels."""
    rgb = image.shape[2] == _RGB
    if rgb:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    warped = cv2.warpAffine(image, pixels.matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0))
    if rgb:
        return cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB)
    return warped if warped.ndim == 3 else warped[..., None]


@lru_cache(maxsize=256)
def _steps(pixels: Transform, height: int, width: int) -> tuple[tuple[int, int] | None, Transform | None]:
    """Return the (height, width) to which `warp` resizes first, and what is left to warp; None where there is nothing.

    Frames that are read as a whole share one map, so that this is worked out once.
    """
    (a, b, _), (d, e, _) = pixels.matrix.tolist()
    x_scale, y_scale = math.hypot(a, d), math.hypot(b, e)
    mild = min(x_scale, y_scale) >= _MILDEST_SHRINK
    if mild and max(abs(b), abs(d)) > _TOLERANCE_PX:  # turned, so that the far corner moves by more than that
        return None, pixels
    scaled = max(1, round(height * y_scale)), max(1, round(width * x_scale))
    rest = resize_map((height, width), scaled).inverse().then(pixels)
    if _is_identity(rest, *scaled):
        return scaled, None
    if mild:
        return None, pixels
    x_first, y_first = min(1.0, x_scale / _MILDEST_SHRINK), min(1.0, y_scale / _MILDEST_SHRINK)
    first = max(1, round(height * y_first)), max(1, round(width * x_first))
    return first, resize_map((height, width), first).inverse().then(pixels)


class _Part(NamedTuple):
    """A rectangle of an image; the first row and column belong to it, the last are the first after it."""

    top: int
    bottom: int
    left: int
    right: int


def _seen(source: tuple[int, int], pixels: Transform, height: int, width: int) -> _Part:
    """Return the part of a source (height, width) that `warp` needs, which for a crop is not much; never nothing."""
    corners = _corners(height, width)
    seen = pixels.inverse()(corners)
    # A pixel of the output mixes four of the resized ones, and each of these two of its own size to all sides.
    margin = 3 * max(1.0, 1 / np.linalg.norm(pixels.matrix[:, :2], axis=0).min()) + 1
    left, top = np.clip(np.floor(seen.min(axis=0) - margin), 0, (source[1] - 1, source[0] - 1)).astype(int).tolist()
    right, bottom = np.ceil(seen.max(axis=0) + margin + 1).astype(int).tolist()
    return _Part(top, min(max(bottom, top + 1), source[0]), left, min(max(right, left + 1), source[1]))


def coverage(
    source: tuple[int, int], pixels: Transform, height: int, width: int
) -> Bool[np.ndarray, "height width 1"] | None:
    """Tell which output pixels of `warp` show the source, if only in part; None when all of them do.

    Args:
        source: (height, width) of the source.
        pixels: Source pixel centres to output pixel centres.
        height: Output height in px.
        width: Output width in px.
    """
    # Single numbers: this is done for every sample, and an array operation takes as long as all of these.
    (a, b, c), (d, e, f) = pixels.inverse().matrix.tolist()
    right, bottom = source[1] - 1, source[0] - 1
    corners = [(x, y) for x in (0, width - 1) for y in (0, height - 1)]
    if all(0 <= a * x + b * y + c <= right and 0 <= d * x + e * y + f <= bottom for x, y in corners):
        return None
    # Bilinear weights reach less than one pixel far, of the source or the output, whichever is larger; the shape is
    # filled up to half a pixel of the output beyond its outline.
    x_step, y_step = math.hypot(a, b), math.hypot(d, e)
    x_reach, y_reach = max(1.0, x_step) - 0.52 * x_step, max(1.0, y_step) - 0.52 * y_step
    left, right, top, bottom = -x_reach, right + x_reach, -y_reach, bottom + y_reach
    (a, b, c), (d, e, f) = pixels.matrix.tolist()
    outline = [
        [_fixed(a * x + b * y + c), _fixed(d * x + e * y + f)]
        for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))
    ]
    filled = np.zeros((height, width), np.uint8)
    shape = np.array(outline, np.int32)
    return cv2.fillConvexPoly(filled, shape, 1, shift=_FRACTION_BITS).view(np.bool_)[..., None]


def _fixed(value: float) -> int:
    """Return a number as OpenCV draws with it, in parts of a pixel."""
    return round(min(max(value * 2**_FRACTION_BITS, -(2.0**30)), 2.0**30))


def choose(where: Bool[np.ndarray, "height width 1"] | None, image: Image, other: Image) -> Image:
    """Return an image where a mask says so, and another one elsewhere; None is everywhere."""
    if where is None:
        return image
    return cv2.copyTo(image, where.view(np.uint8), other.copy()).reshape(image.shape)


def _corners(height: int, width: int) -> Float[np.ndarray, "4 2"]:
    """Return the pixel centres (x, y) in the corners of an image."""
    return np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], np.float64)


def _is_identity(pixels: Transform, height: int, width: int) -> bool:
    """Tell whether no pixel of an image of (height, width) moves by more than the tolerance."""
    (a, b, c), (d, e, f) = pixels.matrix.tolist()
    return all(
        abs((a - 1) * x + b * y + c) < _TOLERANCE_PX and abs(d * x + (e - 1) * y + f) < _TOLERANCE_PX
        for x, y in ((0, 0), (width, 0), (0, height), (width, height))
    )
