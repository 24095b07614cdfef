"""Following one animal with a part of the frame about its last pose, and with the whole frame where it is lost.

`RoiFollower` decides where to look; `follow_batches` is the loop, in place of `stream.predict_batches`. A part is cut
out of the input that the whole frame makes, along the network's own grid: the network sees the same pixels at the same
places, and answers the same but near the edges of the part, where it is not believed. What comes out depends on the
frames, their order and the batch size, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from sleap_nn.data.sources import FrameSource
from sleap_nn.errors import ConfigError
from sleap_nn.stages.stage import Prepared, Stage
from sleap_nn.stages.stream import DoneFrames, prepared_batches
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import Frame
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks.base import Task

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) of a part of an input, in px, the last two not included."""

_LARGEST_PART = 0.75
"""Share of a whole input above which a part is not worth its own shape."""
_ROOM = 0.2
"""Room on every side for the animal to stretch, as a share of its extent."""
_FIRST_SPEED = 0.1
"""Speed that is assumed before any was measured, as a share of the animal's extent in a frame."""
_SAFETY = 1.5
"""Factor on the measured speed, because an animal may start to run."""
_FASTER = 2.0
"""Factor by which the measured speed may rise in a frame, so that a leap does not count for long."""
_BORDER = 2
"""Room for the network on every side, in multiples of its stride; points in the outer half of it are not believed."""
_FORGETTING = 0.9
"""What is left of an earlier highest speed, and of an earlier score, after each frame."""
_SHRINKING = 0.99
"""What is left of the largest extent after each frame: hidden nodes come back where the animal was long."""
_LOW_SCORE = 0.6
"""Share of the usual score of points below which a pose is not trusted."""


@dataclass(frozen=True)
class RoiSettings:
    """How an animal is followed.

    Attributes:
        check_interval: Frames after which the whole frame is read though the animal was not lost, so that something
            that was followed by mistake is left again.

    Raises:
        ConfigError: The number is below 1.
    """

    check_interval: int = 100

    def __post_init__(self) -> None:
        """Check the number."""
        if self.check_interval < 1:
            raise ConfigError(f"roi_check_interval is {self.check_interval}; give at least 1 frame.")


class RoiFollower:
    """Where one animal is, how fast it has moved, and how surely it was found; one for each run through a video."""

    def __init__(self, stride: int, settings: RoiSettings) -> None:
        """Start without a pose.

        Args:
            stride: The coarsest of the network.
            settings: How the animal is followed.
        """
        self._stride = stride
        self._settings = settings
        self._last: Predictions | None = None
        self._size: tuple[int, ...] = ()
        self._unchecked = 0
        self._extent = self._speed = self._score = 0.0

    def part(self, batch: Sequence[Prepared]) -> Box | None:
        """Return the part of the next inputs that the animal can hardly leave, None for the whole.

        It holds the last pose, with room for stretching, for nodes that were hidden, for the network's own border, and
        for the way to the last of the frames at the highest speed of the recent past. Its edges lie on multiples of the
        stride.
        """
        last, end = self._last, batch[-1].frame.key
        if last is None or any(one.frame.key.video != last.key.video or one.frame.size != self._size for one in batch):
            return None
        if self._unchecked + len(batch) > self._settings.check_interval:
            return None
        points = _known(last)
        low, high = points.min(axis=0), points.max(axis=0)
        hidden = self._extent - float((high - low).max())
        way = _SAFETY * self._speed * max(1, end.frame - last.key.frame) + _ROOM * self._extent + hidden
        corners = batch[0].transforms[0](np.stack([low - way, high + way]).astype(np.float64))
        height, width = batch[0].images[0].shape[1:]
        limits = np.array([width, height]) // self._stride
        first = np.clip(np.floor(corners[0] / self._stride - _BORDER), 0, limits - 1).astype(int)
        stop = np.clip(np.ceil(corners[1] / self._stride + _BORDER), first + 1, limits).astype(int)
        left, top, right, bottom = (int(edge) * self._stride for edge in (*first, *stop))
        too_large = (right - left) * (bottom - top) > _LARGEST_PART * height * width
        return None if too_large else (left, top, right, bottom)

    def is_lost(self, whole: Prepared, part: Box, found: Predictions) -> bool:
        """Tell whether what was found in a part does not stand for what the whole frame would give.

        That is so if a node of the last pose is missing, if points are found with far less confidence than usual, or if
        one lies so near an edge of the part that the network may have wanted to look beyond.
        """
        if self._last is None or len(found) == 0:
            return True
        if (_visible(self._last) & ~_visible(found)).any() or _mean_score(found) < _LOW_SCORE * self._score:
            return True
        height, width = whole.images[0].shape[1:]
        points = whole.transforms[0](_known(found).astype(np.float64))
        low = [edge + self._stride if edge > 0 else -np.inf for edge in part[:2]]
        high = [
            edge - 1 - self._stride if edge < limit else np.inf
            for edge, limit in zip(part[2:], (width, height), strict=True)
        ]
        return bool(((points < low) | (points > high)).any())

    def learn(self, frame: Frame, found: Predictions, whole: bool) -> None:
        """Take note of the final answer for a frame; `whole` tells whether it comes from the whole frame."""
        self._unchecked = 0 if whole else self._unchecked + 1
        if len(found) == 0:
            self._last = None
            return
        points = _known(found)
        extent = float((points.max(axis=0) - points.min(axis=0)).max())
        last, number = self._last, found.key.frame
        if last is None or last.key.video != found.key.video or number <= last.key.frame:
            self._extent, self._score, self._speed = extent, _mean_score(found), _FIRST_SPEED * extent
        else:
            steps = number - last.key.frame
            kept = _FORGETTING**steps
            step = min(_step(last, found) / steps, _FASTER * self._speed + _FIRST_SPEED * extent)
            self._speed = max(step, kept * self._speed)
            self._extent = max(extent, _SHRINKING**steps * self._extent)
            self._score = kept * self._score + (1 - kept) * _mean_score(found)
        self._last, self._size = found, frame.size


def check_can_follow(tasks: Sequence[Task], keep: Collection[str] = ()) -> None:
    """Refuse what following cannot do.

    Args:
        tasks: The model types of a prediction.
        keep: Names of maps that raw results are to hold.

    Raises:
        ConfigError: They are not one model that finds at most one animal in whole frames, or maps are to be kept.
    """
    names = [task.name for task in tasks]
    if names != ["single_instance"]:
        given = " + ".join(names)
        raise ConfigError(f"roi follows the animal of a single_instance model, not of {given}; leave it out.")
    if keep:
        raise ConfigError(
            f"roi reads parts of frames, so there are no maps of whole frames to return ({', '.join(sorted(keep))}); "
            "leave out roi or what is to be returned."
        )


def follow_batches(
    stage: Stage, frames: FrameSource, batch_size: int, queue_size: int = 32, settings: RoiSettings | None = None
) -> Iterator[DoneFrames]:
    """Yield the instances of all frames batch by batch, see `stream.predict_batches`.

    A batch of frames is read in the part that the pose before it suggests. The frames of the batch in which the animal
    is lost are read again as a whole, at once, so every frame has the answer of its part or of the whole frame. Where
    the animal is looked for depends on all frames before, so there is no beginning in the middle.

    Args:
        stage: A model that finds one animal in whole frames.
        frames: What is read, in order, ahead of the network in another thread.
        batch_size: Frames in one pass of the network.
        queue_size: Frames decoded ahead of the network at most.
        settings: How the animal is followed.
    """
    follower = RoiFollower(stage.spec.stride, RoiSettings() if settings is None else settings)
    for batch, failures in prepared_batches(stage, frames, batch_size, queue_size):
        yield DoneFrames(tuple(_follow(stage, follower, batch)) if batch else (), tuple(failures))


def _follow(stage: Stage, follower: RoiFollower, batch: Sequence[Prepared]) -> list[Predictions]:
    """Return the instances of a batch of frames, and let the follower learn from them."""
    part = follower.part(batch)
    found = stage.finish([_cut(whole, part) for whole in batch])
    lost = [i for i, one in enumerate(found) if part is not None and follower.is_lost(batch[i], part, one)]
    for i, again in zip(lost, stage.finish([batch[i] for i in lost]), strict=True):
        found[i] = again
    for i, whole in enumerate(batch):
        follower.learn(whole.frame, found[i], part is None or i in lost)
    return found


def _cut(whole: Prepared, part: Box | None) -> Prepared:
    """Return a part of an input with the coordinates of its pixels."""
    if part is None:
        return whole
    left, top, right, bottom = part
    image = whole.images[0][:, top:bottom, left:right]
    return replace(whole, images=(image,), transforms=(whole.transforms[0].then(Transform.translation(-left, -top)),))


def _step(last: Predictions, found: Predictions) -> float:
    """Return by how many frame px the outline of the animal has moved at most."""
    before, after = _known(last), _known(found)
    low, high = before.min(axis=0) - after.min(axis=0), after.max(axis=0) - before.max(axis=0)
    return float(max(0.0, *low, *high))


def _visible(found: Predictions) -> np.ndarray:
    """Return which nodes of the only instance were found."""
    return np.isfinite(found.points[0]).all(axis=1)


def _known(found: Predictions) -> Float[np.ndarray, "points 2"]:
    """Return the points of the only instance that were found, frame px."""
    return found.points[0][_visible(found)]


def _mean_score(found: Predictions) -> float:
    """Return the mean confidence of the points that were found."""
    return float(found.point_scores[0][_visible(found)].mean())
