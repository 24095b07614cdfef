"""`ConstantVelocity`: where tracks are expected after their usual motion, by a Kalman filter fitted to each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from sleap_nn.ops.similarity import visible_nodes
from sleap_nn.tracking.memory import Gray, Moment
from sleap_nn.tracking.motion import Candidates, Motion, Still

BLEND = 0.5
"""Share of the predicted displacement by which the last pose is moved."""
MIN_FIT, MAX_FIT = 3, 10
"""Fewest and most successive observations that a filter is fitted to."""
EM_ITERATIONS = 20
SMALLEST_GATE, GATE_STEPS = 40.0, 8.0
"""An observation farther than max(px, mean steps) from its prediction is not learnt from."""
SMALLEST_SPEED, SPEED_STEPS = 15.0, 3.0
"""Speeds are limited to max(px a frame, mean steps)."""

_TRANSITION = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
_OBSERVATION = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
_FLOOR = 1e-6

State = Float[np.ndarray, "*tracks points 4"]
Positions = Float[np.ndarray, "*tracks points 2"]
_Belief = tuple[np.ndarray, np.ndarray]
"""Means (..., 4) and covariances (..., 4, 4)."""


@dataclass(frozen=True, eq=False)
class Filters:
    """The fitted filters of K tracks, P followed points each; state (x, vx, y, vy) in px and px a frame.

    Attributes:
        mean: (K, P, 4) of the present state.
        covariance: (K, P, 4, 4) of it.
        process: (K, P, 4, 4) noise of the motion.
        measurement: (K, P, 2, 2) noise of an observation.
        gate: (K,) largest distance in px of an observation that is learnt from.
        max_speed: (K,) largest speed in px a frame.
        accepted: (K,) frame of the last observation that was learnt from.
        sighted: (K, P, 2) the points as they were believed when the track was last seen, px.
    """

    mean: State
    covariance: Float[np.ndarray, "tracks points 4 4"]
    process: Float[np.ndarray, "tracks points 4 4"]
    measurement: Float[np.ndarray, "tracks points 2 2"]
    gate: Float[np.ndarray, " tracks"]
    max_speed: Float[np.ndarray, " tracks"]
    accepted: Int[np.ndarray, " tracks"]
    sighted: Positions

    @property
    def position(self) -> Positions:
        """The expected points."""
        return self.mean[..., [0, 2]]

    def advance(self, num_frames: int) -> Filters:
        """Return the filters so many frames later."""
        mean, covariance = self.mean, self.covariance
        for _ in range(num_frames):
            mean = mean @ _TRANSITION.T
            covariance = _TRANSITION @ covariance @ _TRANSITION.T + self.process
        return replace(self, mean=mean, covariance=covariance)

    def correct(self, observed: Positions, frame: int) -> Filters:
        """Return the filters after an observation; points that are missing, or beyond the gate, teach nothing."""
        distance = np.sqrt(((observed - self.position) ** 2).sum(axis=-1))
        near = distance <= self.gate[:, None]  # NaN is not near
        mean, covariance = _update(self.mean, self.covariance, self.measurement, np.nan_to_num(observed))
        mean = _limit_speed(mean, self.max_speed[:, None])
        return replace(
            self,
            mean=np.where(near[..., None], mean, self.mean),
            covariance=np.where(near[..., None, None], covariance, self.covariance),
            accepted=np.where(near.any(axis=1), frame, self.accepted),
        )

    def sight(self, seen: Bool[np.ndarray, " tracks"]) -> Filters:
        """Return the filters after the tracks that are marked have been seen."""
        return replace(self, sighted=np.where(seen[:, None, None], self.position, self.sighted))

    def take(self, rows: np.ndarray) -> Filters:
        """Return the filters of some tracks."""
        return Filters(**{name: values[rows] for name, values in vars(self).items()})

    def join(self, other: Filters) -> Filters:
        """Return these filters and others."""
        return Filters(**{name: np.concatenate([values, vars(other)[name]]) for name, values in vars(self).items()})


class ConstantVelocity(Motion):
    """Expects tracks to go on as they went; before a track has been seen often enough, where it was."""

    def __init__(
        self, num_start: int = 10, max_gap: int = 5, keypoints: bool = False, nodes: Sequence[int] | None = None
    ) -> None:
        """Set how filters live.

        Args:
            num_start: Frames of a video, and of a track, before its filter is fitted.
            max_gap: Frames without an accepted observation after which a filter is dropped.
            keypoints: Follow every node; else the mean of the nodes.
            nodes: The nodes that are followed, None for all.
        """
        self._num_start = num_start
        self._max_gap = max_gap
        self._keypoints = keypoints
        self._nodes = None if nodes is None else list(nodes)
        self.clear()

    def clear(self) -> None:
        """Forget all tracks."""
        self._filters: Filters | None = None
        self._tracks = np.zeros(0, np.int64)  # of the filters
        self._poses = np.zeros((0, 0, 2))  # their last ones
        self._history: dict[int, list[tuple[int, Positions]]] = {}
        self._num_frames = 0
        self._frame = 0

    def candidates(self, moments: Sequence[Moment], frame: int, image: Gray | None) -> Candidates:
        """Return one expected pose for a track with a filter, and the remembered ones of the others."""
        known = Still().candidates(moments, frame, image)
        if self._filters is None:
            return known
        shift = BLEND * (self._filters.advance(frame - self._frame).position - self._filters.sighted)
        expected = self._poses + self._spread(shift, self._poses)
        rest = ~np.isin(known.tracks, self._tracks)
        return Candidates(
            np.concatenate([known.points[rest], expected]), np.concatenate([known.tracks[rest], self._tracks])
        )

    def observe(self, moment: Moment) -> None:
        """Correct the filters with what was found, fit those that are due, drop those that have lost their track."""
        self._num_frames += 1
        followed = self._follow(moment.points)
        row_of = {track: row for row, track in enumerate(moment.tracks.tolist())}
        if self._filters is not None:
            rows = np.array([row_of.pop(track, -1) for track in self._tracks.tolist()])
            seen = np.asarray(rows >= 0)
            observed = np.full((len(rows), *followed.shape[1:]), np.nan)
            observed[seen] = followed[rows[seen]]
            poses = self._poses.copy()
            poses[seen] = moment.points[rows[seen]]
            self._poses = poses
            filters = self._filters.advance(moment.frame - self._frame).correct(observed, moment.frame)
            self._filters = filters.sight(seen)
            self._keep(moment.frame - self._filters.accepted <= self._max_gap)
        self._frame = moment.frame
        due = [
            (track, row)
            for track, row in row_of.items()
            if self._collect(track, moment.frame, followed[row]) and self._num_frames >= self._num_start
        ]
        if due:
            self._fit(moment, due)

    def _keep(self, rows: np.ndarray) -> None:
        """Drop the filters of the other tracks."""
        if self._filters is not None and not rows.all():
            self._filters = self._filters.take(rows) if rows.any() else None
            self._tracks, self._poses = self._tracks[rows], self._poses[rows]

    def _collect(self, track: int, frame: int, followed: np.ndarray) -> bool:
        """Keep an observation of a track without a filter; tell whether there are enough to fit one."""
        history = self._history.setdefault(track, [])
        missing = np.isnan(followed).all()
        if missing or (history and frame != history[-1][0] + 1):
            history.clear()
        if missing:
            return False
        history.append((frame, followed))
        return len(history) >= max(MIN_FIT, self._num_start)

    def _fit(self, moment: Moment, due: Sequence[tuple[int, int]]) -> None:
        """Fit the filters of tracks that have been seen often enough."""
        tracks, rows = (np.array(values) for values in zip(*due, strict=True))
        length = min(MAX_FIT, *(len(self._history[track]) for track in tracks.tolist()))
        observed = [[points for _, points in self._history.pop(track)[-length:]] for track in tracks.tolist()]
        fitted = fit(moment.frame, np.swapaxes(np.array(observed), 0, 1))
        poses = moment.points[rows]
        self._tracks = np.append(self._tracks, tracks)
        self._poses = poses if self._filters is None else np.concatenate([self._poses, poses])
        self._filters = fitted if self._filters is None else self._filters.join(fitted)

    def _follow(self, points: Float[np.ndarray, "instances nodes 2"]) -> Float[np.ndarray, "instances points 2"]:
        """Return the points that filters follow: the nodes, or their mean where at least half are visible."""
        chosen = points if self._nodes is None else points[:, self._nodes]
        if self._keypoints:
            return chosen
        seen = visible_nodes(chosen)
        counts = seen.sum(axis=1)
        means = np.where(seen[..., None], chosen, 0.0).sum(axis=1) / np.maximum(counts, 1)[:, None]
        return np.where((2 * counts >= chosen.shape[1])[:, None], means, np.nan)[:, None]

    def _spread(self, shift: Positions, poses: np.ndarray) -> np.ndarray:
        """Return the shift of every node; nodes that are not followed move with the mean of those that are."""
        everywhere = np.broadcast_to(shift.mean(axis=1, keepdims=True), poses.shape).copy()
        if self._keypoints:
            everywhere[:, slice(None) if self._nodes is None else self._nodes] = shift
        return everywhere


def fit(frame: int, observed: Float[np.ndarray, "frames tracks points 2"]) -> Filters:
    """Return the filters of tracks, fitted to successive observations.

    Expectation maximisation of both covariances: Shumway and Stoffer, "An Approach to Time Series Smoothing and
    Forecasting Using the EM Algorithm", 1982; the motion itself (constant velocity) is given.

    Args:
        frame: Frame of the last observation.
        observed: Positions, px, one row a frame; NaN where a point was not visible.
    """
    num_frames, num_tracks, num_points = observed.shape[:3]
    steps = np.sqrt((np.diff(observed, axis=0) ** 2).sum(axis=-1))
    known = ~np.isnan(steps)
    mean_step = np.where(known, steps, 0.0).sum(axis=(0, 2)) / np.maximum(known.sum(axis=(0, 2)), 1)
    max_speed = np.maximum(SMALLEST_SPEED, SPEED_STEPS * mean_step)
    limit = np.repeat(max_speed, num_points)
    filled = _filled(observed.reshape(num_frames, -1, 2))
    first = np.zeros((filled.shape[1], 4))
    first[:, [0, 2]] = filled[0]
    first[:, [1, 3]] = filled[1] - filled[0]
    first = _limit_speed(first, limit)
    process, measurement = np.tile(np.eye(4), (len(first), 1, 1)), np.tile(np.eye(2), (len(first), 1, 1))
    for _ in range(EM_ITERATIONS):
        process, measurement = _maximise(filled, *_smooth(filled, first, process, measurement))
    (means, covariances), _ = _run(filled, first, process, measurement)

    def by_track(values: np.ndarray) -> np.ndarray:
        return values.reshape(num_tracks, num_points, *values.shape[1:])

    mean = by_track(_limit_speed(means[-1], limit))
    return Filters(
        mean=mean,
        covariance=by_track(covariances[-1]),
        process=by_track(process),
        measurement=by_track(measurement),
        gate=np.maximum(SMALLEST_GATE, GATE_STEPS * mean_step),
        max_speed=max_speed,
        accepted=np.full(num_tracks, frame),
        sighted=mean[..., [0, 2]],
    )


def _filled(observed: Float[np.ndarray, "frames points 2"]) -> Float[np.ndarray, "frames points 2"]:
    """Return the observations with gaps filled linearly; a point that was never visible stays at 0."""
    frames, filled = np.arange(len(observed)), np.zeros(observed.shape)
    for point in range(observed.shape[1]):
        there = ~np.isnan(observed[:, point]).any(axis=1)
        for axis in range(2) if there.any() else ():
            filled[:, point, axis] = np.interp(frames, frames[there], observed[there, point, axis])
    return filled


def _limit_speed(mean: np.ndarray, max_speed: float | np.ndarray) -> np.ndarray:
    """Return states whose velocities do not exceed the limit in either direction."""
    limited = mean.copy()
    for velocity in (1, 3):
        limited[..., velocity] = np.clip(mean[..., velocity], -max_speed, max_speed)
    return limited


def _update(mean: np.ndarray, covariance: np.ndarray, noise: np.ndarray, observed: np.ndarray) -> _Belief:
    """Return mean and covariance after an observation."""
    innovation = observed - mean @ _OBSERVATION.T
    spread = _OBSERVATION @ covariance @ _OBSERVATION.T + noise
    gain = covariance @ _OBSERVATION.T @ np.linalg.inv(spread)
    corrected = mean + (gain @ innovation[..., None])[..., 0]
    return corrected, covariance - gain @ _OBSERVATION @ covariance


def _run(
    observed: Float[np.ndarray, "frames points 2"], first: State, process: np.ndarray, measurement: np.ndarray
) -> tuple[_Belief, _Belief]:
    """Return the beliefs of every frame after its observation, and before it."""
    mean, covariance = first, np.tile(np.eye(4), (len(first), 1, 1))
    before, after = [(mean, covariance)], []
    for row, position in enumerate(observed):
        if row:
            mean, covariance = mean @ _TRANSITION.T, _TRANSITION @ covariance @ _TRANSITION.T + process
            before.append((mean, covariance))
        mean, covariance = _update(mean, covariance, measurement, position)
        after.append((mean, covariance))
    return _stacked(after), _stacked(before)


def _smooth(
    observed: Float[np.ndarray, "frames points 2"], first: State, process: np.ndarray, measurement: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means, covariances and lag-one covariances of every frame, given all observations.

    Rauch, Tung and Striebel, "Maximum Likelihood Estimates of Linear Dynamic Systems", 1965.
    """
    (means, covariances), (before_means, before_covariances) = _run(observed, first, process, measurement)
    lagged = np.zeros_like(covariances)
    for row in range(len(observed) - 2, -1, -1):
        gain = covariances[row] @ _TRANSITION.T @ np.linalg.inv(before_covariances[row + 1])
        lagged[row + 1] = covariances[row + 1] @ _transposed(gain)
        correction = means[row + 1] - before_means[row + 1]
        means[row] += (gain @ correction[..., None])[..., 0]
        covariances[row] += gain @ (covariances[row + 1] - before_covariances[row + 1]) @ _transposed(gain)
    return means, covariances, lagged


def _maximise(
    observed: Float[np.ndarray, "frames points 2"], means: np.ndarray, covariances: np.ndarray, lagged: np.ndarray
) -> _Belief:
    """Return the covariances of motion and measurement under which the smoothed states are most likely."""
    errors = observed - means @ _OBSERVATION.T
    seen = _OBSERVATION @ covariances @ _OBSERVATION.T
    measurement = (errors[..., None] * errors[..., None, :] + seen).mean(axis=0)
    jumps = means[1:] - means[:-1] @ _TRANSITION.T
    crossed = lagged[1:] @ _TRANSITION.T
    spread = covariances[1:] - crossed - _transposed(crossed) + _TRANSITION @ covariances[:-1] @ _TRANSITION.T
    process = (jumps[..., None] * jumps[..., None, :] + spread).mean(axis=0)
    return _symmetric(process), _symmetric(measurement)


def _stacked(beliefs: Sequence[_Belief]) -> _Belief:
    """Return the beliefs of several frames as two arrays."""
    return np.stack([mean for mean, _ in beliefs]), np.stack([covariance for _, covariance in beliefs])


def _transposed(matrices: np.ndarray) -> np.ndarray:
    """Return the transpose of every matrix."""
    return np.swapaxes(matrices, -1, -2)


def _symmetric(matrices: np.ndarray) -> np.ndarray:
    """Return symmetric matrices that stay invertible."""
    return (matrices + _transposed(matrices)) / 2 + _FLOOR * np.eye(matrices.shape[-1])
