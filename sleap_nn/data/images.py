"""Shapes of images in memory: which axis is which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from torch import Tensor

_MOST_CHANNELS = 4


def one_by_one(images: np.ndarray | Tensor | Iterable) -> Iterable:
    """Return images one after another; a single one is recognised by its shape."""
    if not isinstance(images, np.ndarray | Tensor):
        return images
    array = np.asarray(images)
    return [array] if array.ndim == 2 or (array.ndim == 3 and _is_image(array.shape)) else array


def _is_image(shape: Sequence[int]) -> bool:
    """Tell whether three axes are those of one image in colour, not of many grey ones."""
    return shape[-1] <= _MOST_CHANNELS < shape[0]


def channels_last(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W) or (H, W, C)."""
    is_first = image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[2] > _MOST_CHANNELS
    return np.moveaxis(image, 0, -1) if is_first else image
