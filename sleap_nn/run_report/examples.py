"""Frames to look at: the worst, the middling and the best of a split, with labels and predictions drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sleap_nn.data.sources import VideoFrames
from sleap_nn.data.video_names import frame_name
from sleap_nn.run_report.scores import SplitScores
from sleap_nn.structures.sample import FrameKey
from sleap_nn.viz import downscale, draw_comparison, jpeg_bytes

NUM_WORST, NUM_MEDIAN, NUM_BEST = 6, 3, 3
"""How many frames are shown of each kind."""

SMALLEST_SIDE, LARGEST_SIDE = 440, 640
"""Smaller pictures are enlarged, larger ones reduced; px."""

MARGIN = 0.35
"""Space about the animals, as a part of their extent."""

SMALLEST_MARGIN = 24
LARGEST_UPSCALING = 6


@dataclass(frozen=True)
class Example:
    """A frame with its labels and predictions drawn.

    Attributes:
        kind: ``worst``, ``median`` or ``best``; ``any`` where all frames are equally good.
        place: Name of the video and index of the frame.
        facts: How far the two are apart, in words.
        image: JPEG file.
        size: (width, height) of the image.
    """

    kind: str
    place: str
    facts: str
    image: bytes
    size: tuple[int, int]


def choose(quality: Float[np.ndarray, " frames"]) -> list[tuple[str, int]]:
    """Choose frames by their quality; no frame is chosen twice, and few frames make fewer choices of each kind.

    Args:
        quality: Larger is better, NaN for frames that say nothing.

    Returns:
        (kind, frame): worst frames first, then those about the median, then the best, the best first. Frames that are
        all equally good are of the kind ``any``.
    """
    order = np.flatnonzero(~np.isnan(quality))
    order = order[np.argsort(quality[order], kind="stable")].tolist()
    if order and quality[order[0]] == quality[order[-1]]:
        return [("any", frame) for frame in order[:NUM_WORST]]
    worst = order[: min(NUM_WORST, -(-len(order) // 2))]
    best = order[len(worst) :][::-1][: min(NUM_BEST, len(order) // 4)]
    rest = order[len(worst) : len(order) - len(best)]
    start = min(max(len(order) // 2 - NUM_MEDIAN // 2 - len(worst), 0), max(len(rest) - NUM_MEDIAN, 0))
    kinds = (("worst", worst), ("median", rest[start : start + NUM_MEDIAN]), ("best", best))
    return [(kind, frame) for kind, frames in kinds for frame in frames]


def draw_example(scores: SplitScores, kind: str, frame: int) -> Example:
    """Read and draw one frame of a split.

    Raises:
        MissingFileError: The video is not there any more.
        DataError: The frame cannot be read.
    """
    labelled = scores.frames[frame][0]
    source = VideoFrames([labelled.video], [FrameKey(0, int(labelled.frame_idx))])
    image = source.read(source.keys[0]).image
    source.close()
    truth, predicted = scores.points_of(frame)
    drawn = draw_frame(image, truth, predicted, () if scores.one_point else scores.skeleton.edges)
    name = frame_name(labelled.video, int(labelled.frame_idx))
    return Example(kind, name, _facts(scores, frame), jpeg_bytes(drawn), (drawn.shape[1], drawn.shape[0]))


def draw_frame(
    image: np.ndarray,
    truth: Float[np.ndarray, "i n 2"],
    predicted: Float[np.ndarray, "j n 2"],
    edges: Sequence[tuple[int, int]],
) -> np.ndarray:
    """Draw labels as rings and predictions as points on the part of a frame where the animals are.

    Args:
        image: (height, width, channels) uint8.
        truth: Labels in frame px.
        predicted: Predictions in frame px.
        edges: Pairs of node indices to join.

    Returns:
        An RGB uint8 image of a size that is good to look at.
    """
    left, top, right, bottom = _window(np.concatenate([truth, predicted]), image.shape[1], image.shape[0])
    part = image[top:bottom, left:right]
    longest = max(part.shape[:2])
    upscaling = int(np.clip(SMALLEST_SIDE // longest, 1, LARGEST_UPSCALING))
    corner = np.array([left, top])
    drawn = draw_comparison(part, truth - corner, predicted - corner, edges, upscaling)
    return downscale(drawn, max(1, -(-longest // LARGEST_SIDE)))


def _window(points: Float[np.ndarray, "i n 2"], width: int, height: int) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom) of a part of a frame that holds all points; the frame if it shows none."""
    known = points[np.isfinite(points).all(axis=-1)]
    if not ((known >= 0) & (known < (width, height))).all(axis=-1).any():
        return 0, 0, width, height
    low, high = known.min(axis=0), known.max(axis=0)
    margin = max(SMALLEST_MARGIN, MARGIN * float((high - low).max()))
    middle, half = (low + high) / 2, (high - low) / 2 + margin
    half = np.maximum(half, half.max() / 2)
    left, top = np.clip(np.floor(middle - half), 0, (width - 1, height - 1)).astype(int).tolist()
    right, bottom = np.clip(np.ceil(middle + half), (left + 1, top + 1), (width, height)).astype(int).tolist()
    return left, top, right, bottom


def _facts(scores: SplitScores, frame: int) -> str:
    """Say how far labels and predictions of a frame are apart."""
    matches = scores.matches
    distances = matches.distances[matches.indices[:, 0] == frame]
    known = distances[~np.isnan(distances)]
    parts = [f"mean error {known.mean():.2f} px, largest {known.max():.2f} px"] if known.size else []
    if not scores.one_point:
        parts.insert(0, f"OKS {scores.quality[frame]:.2f}")
    for number, one, many in (
        (int((matches.missed[:, 0] == frame).sum()), "animal missed", "animals missed"),
        (int((matches.extra[:, 0] == frame).sum()), "prediction without animal", "predictions without animal"),
        (int(scores.missed_points[matches.indices[:, 0] == frame].sum()), "point missed", "points missed"),
    ):
        if number:
            parts.append(f"{number} {one if number == 1 else many}")
    return ", ".join(parts)
