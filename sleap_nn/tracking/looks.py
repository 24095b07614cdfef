"""How the animals of a frame look: the brightness, or colour, about each of their nodes.

The nodes carry the description along when an animal turns or bends, so that it need not be aligned.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from sleap_nn.ops.similarity import bounding_boxes, visible_nodes

PATCH = 0.08
"""Side of the square about a node whose mean is taken, in lengths of an animal."""
SMALLEST_PATCH, LARGEST_PATCH = 3, 31


def describe(
    image: UInt8[np.ndarray, "height width channels"], points: Float[np.ndarray, "instances nodes 2"]
) -> Float[np.ndarray, "instances nodes channels"]:
    """Return the mean brightness about every node, from -1 (black) to 1; NaN for hidden nodes.

    Args:
        image: The frame.
        points: Its instances, frame px.
    """
    channels = image.shape[2]
    if not len(points):
        return np.zeros((0, points.shape[1], channels))
    smooth = cv2.blur(image, (_side(points),) * 2, borderType=cv2.BORDER_REPLICATE).reshape(image.shape)
    there = visible_nodes(points)
    places = np.rint(np.where(there[..., None], points, 0.0)).astype(np.int64)
    columns = np.clip(places[..., 0], 0, image.shape[1] - 1)
    rows = np.clip(places[..., 1], 0, image.shape[0] - 1)
    return np.where(there[..., None], smooth[rows, columns] / 127.5 - 1.0, np.nan)


def _side(points: np.ndarray) -> int:
    """Return the side of the squares, px, an odd number."""
    boxes = bounding_boxes(np.asarray(points, np.float64))
    lengths = np.hypot(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    known = lengths[~np.isnan(lengths)]
    side = PATCH * float(np.median(known)) if len(known) else 0.0
    return int(np.clip(2 * int(side / 2) + 1, SMALLEST_PATCH, LARGEST_PATCH))
