"""The gallery: which frames it shows, and the sheet of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from sleap_io.model.instance import PredictedInstance

from sleap_nn.config.render_config import RenderConfig
from sleap_nn.data.sources import VideoFrames
from sleap_nn.errors import ConfigError, DataError
from sleap_nn.rendering.scene import Box, Scene, has_point
from sleap_nn.rendering.unreadable import BlackFrames, read_or_error
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.viz import contact_sheet

_CELL_SIDE = 512
_LARGEST_CELL_SCALE = 4.0
_SHEET_COLUMNS = 4
_CROWDING = 2
_ROOM = 1.5


def gallery_keys(scene: Scene, config: RenderConfig) -> list[FrameKey]:
    """Return the frames of the gallery.

    Raises:
        DataError: None of the chosen frames has an instance.
        ConfigError: Scores are asked for, and there are none.
    """
    wanted = None if config.frames is None else set(config.frames)
    keys = [
        key
        for key in scene.drawable()
        if (config.video_index is None or key.video == config.video_index) and (wanted is None or key.frame in wanted)
    ]
    if not keys:
        raise DataError("None of the chosen frames has an instance; choose others with frames or video_index.")
    if config.gallery_by == "spread":
        places = np.linspace(0, len(keys) - 1, min(config.gallery_frames, len(keys)))
        return [keys[i] for i in np.rint(places).astype(int)]
    scores = {
        key: min((i.score for i in scene.listed.get(key, ()) if isinstance(i, PredictedInstance)), default=np.inf)
        for key in keys
    }
    scored = [key for key in keys if np.isfinite(scores[key])]
    if not scored:
        raise ConfigError("gallery_by=lowest_score needs predicted instances, but these labels hold no scores.")
    return _apart(sorted(scored, key=lambda key: (scores[key], key)), config.gallery_frames)


def _apart(ranked: Sequence[FrameKey], number: int) -> list[FrameKey]:
    """Return the first frames of a ranking, of each moment only one: neighbours show the same.

    A moment is half of the way between as many frames spread evenly, so that there is always room for all of them.
    """
    span = max(key.frame for key in ranked) - min(key.frame for key in ranked) + 1
    distance = span / number / _CROWDING
    chosen: list[FrameKey] = []
    for key in ranked:
        if len(chosen) < number and all(
            key.video != other.video or abs(key.frame - other.frame) >= distance for other in chosen
        ):
            chosen.append(key)
    return chosen


def gallery_sheet(scene: Scene, keys: Sequence[FrameKey]) -> np.ndarray:
    """Draw frames side by side, with trails as in the video; several videos are named.

    Raises:
        DataError: None of the frames can be read.
    """
    frames, black = VideoFrames(scene.labels.videos, keys), BlackFrames(scene.labels.videos)
    side = _common_side(scene, keys) if scene.config.gallery_crop else math.inf
    several = len({key.video for key in keys}) > 1
    cells, captions = [], []
    for key in keys:
        image, found = black.image(key, read_or_error(frames, key)), scene.found(key)
        box = _box_about(found, side, image.shape)
        longest = max(box[2] - box[0], box[3] - box[1])
        fitting = min(_CELL_SIDE / longest, _LARGEST_CELL_SCALE)
        scale = fitting if scene.config.scale is None else scene.config.scale
        cells.append(scene.draw(image, found, scene.trails(key), scale, box))
        score = f"  score {np.nanmin(found.scores):.2f}" if np.isfinite(found.scores).any() else ""
        captions.append(f"{f'video {key.video} ' if several else ''}frame {key.frame}{score}")
    black.report(len(keys), "gallery")
    return contact_sheet(cells, _SHEET_COLUMNS, captions)


def _common_side(scene: Scene, keys: Sequence[FrameKey]) -> float:
    """Return the side in px of squares that hold all instances of any of the frames, with some room."""
    boxes = [scene.found(key).points.reshape(-1, 2) for key in keys]
    extents = [(np.nanmax(points, axis=0) - np.nanmin(points, axis=0)).max() for points in boxes if has_point(points)]
    return float(_ROOM * max(extents)) if extents and max(extents) > 0 else math.inf


def _box_about(found: Predictions, side: float, shape: tuple[int, ...]) -> Box:
    """Return the square (left, top, right, bottom) about the instances, moved into the frame of this shape."""
    height, width = shape[:2]
    if not has_point(found.points.reshape(-1, 2)) or side >= max(height, width):
        return 0, 0, width, height
    points = found.points.reshape(-1, 2)
    middle = (np.nanmin(points, axis=0) + np.nanmax(points, axis=0)) / 2
    sides = [min(math.ceil(side), length) for length in (width, height)]
    low = [
        round(min(max(float(at) - part / 2, 0), length - part))
        for at, part, length in zip(middle, sides, (width, height), strict=True)
    ]
    return low[0], low[1], low[0] + sides[0], low[1] + sides[1]
