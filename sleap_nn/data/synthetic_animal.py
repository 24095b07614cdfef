"""The synthetic animal: its nodes, its body bent into a pose, and how it moves through an arena.

A mouse-like body seen from above, as curves in frame pixels. Pixels are in `synthetic_drawing.py`, scenes and
labels in `synthetic.py`. Points are (x, y) in frame pixels, y down; an integer is a pixel centre.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

NODE_NAMES = (
    "snout",
    "left_ear",
    "right_ear",
    "neck",
    "body",
    "left_hindpaw",
    "right_hindpaw",
    "tail_base",
    "tail_tip",
)
EDGES = (
    ("body", "neck"),
    ("neck", "snout"),
    ("neck", "left_ear"),
    ("neck", "right_ear"),
    ("body", "left_hindpaw"),
    ("body", "right_hindpaw"),
    ("body", "tail_base"),
    ("tail_base", "tail_tip"),
)
SYMMETRIES = (("left_ear", "right_ear"), ("left_hindpaw", "right_hindpaw"))

_TAIL_LENGTH = 0.75
_ALONG_BODY = np.linspace(0.0, 1.0, 33)
_ALONG_TAIL = np.linspace(0.0, 1.0, 17)

# Half width of the trunk along the body (0 is the snout, 1 the tail base), in body lengths.
_PROFILE_POSITIONS = (0.0, 0.02, 0.07, 0.14, 0.21, 0.29, 0.38, 0.52, 0.68, 0.82, 0.92, 0.97, 1.0)
_PROFILE_HALF_WIDTHS = (0.008, 0.02, 0.045, 0.075, 0.09, 0.088, 0.105, 0.145, 0.168, 0.15, 0.095, 0.05, 0.022)
_HALF_WIDTHS = np.interp(_ALONG_BODY, _PROFILE_POSITIONS, _PROFILE_HALF_WIDTHS)

# Steps are 0.32 body lengths; an animal walks 0.035 body lengths a frame, about one body length a second.
_SPEED = 0.035
_STEP_LENGTH = 0.32
# Frames before the first one: animals start straight.
_WARM_UP = 20
# How many frames turning, speed, head and tail keep a mood.
_MEMORY = np.array((18.0, 25.0, 14.0, 20.0))


@dataclass(frozen=True)
class Pose:
    """Where one animal is and how it is bent; angles in radians, lengths in frame pixels.

    Attributes:
        center: (x, y) of the middle of the trunk.
        heading: Direction of the trunk at its middle; 0 is right, positive turns clockwise on the screen.
        bend: Change of direction from the tail base to the snout.
        look: Direction of the head relative to the trunk.
        tail: Change of direction from the tail tip to the tail base.
        gait: Phase of the steps.
        length: Distance from snout to tail base along the body.
    """

    center: tuple[float, float]
    heading: float
    bend: float
    look: float
    tail: float
    gait: float
    length: float


@dataclass(frozen=True, eq=False)
class Body:
    """One animal in one pose, as curves in frame pixels.

    Attributes:
        pose: The pose it was bent into.
        spine: (S, 2) points, evenly spaced from the snout to the tail base.
        normals: (S, 2) unit vectors to the animal's left at the spine points.
        tail: (T, 2) points from the tail base to the tail tip.
    """

    pose: Pose
    spine: np.ndarray
    normals: np.ndarray
    tail: np.ndarray

    @cached_property
    def outline(self) -> np.ndarray:
        """Head and trunk as a closed contour (2 S, 2)."""
        offset = self.normals * (_HALF_WIDTHS * self.pose.length)[:, None]
        return np.concatenate([self.spine + offset, (self.spine - offset)[::-1]])

    @cached_property
    def paws(self) -> np.ndarray:
        """Left fore, right fore, left hind, right hind paw (4, 2); diagonal pairs step together."""
        swing = 0.045 * np.sin(self.pose.gait)
        return self.at((0.36 - swing, 0.36 + swing, 0.78 + swing, 0.78 - swing), (0.135, -0.135, 0.2, -0.2))

    @cached_property
    def ears(self) -> np.ndarray:
        """Left and right ear (2, 2)."""
        return self.at((0.235, 0.235), (0.095, -0.095))

    @cached_property
    def nodes(self) -> np.ndarray:
        """The points (N, 2) of `NODE_NAMES`."""
        snout, neck, trunk, tail_base = self.at((0.0, 0.31, 0.58, 1.0), (0.0,) * 4)
        return np.stack([snout, *self.ears, neck, trunk, *self.paws[2:], tail_base, self.tail[-1]])

    def at(self, positions: tuple[float, ...], sides: tuple[float, ...]) -> np.ndarray:
        """Return points (P, 2) beside the spine.

        Args:
            positions: Where along the body: 0 is the snout, 1 the tail base.
            sides: Distances to the animal's left, in body lengths; negative is right.
        """
        beside = np.array(sides) * self.pose.length
        columns = [
            np.interp(positions, _ALONG_BODY, self.spine[:, axis])
            + np.interp(positions, _ALONG_BODY, self.normals[:, axis]) * beside
            for axis in (0, 1)
        ]
        return np.stack(columns, axis=1)

    def half_width(self, positions: np.ndarray) -> np.ndarray:
        """Return the distance from spine to outline, in pixels, at positions along the body."""
        return np.interp(positions, _ALONG_BODY, _HALF_WIDTHS * self.pose.length)


def contains(outline: np.ndarray, point: np.ndarray) -> bool:
    """Return whether a closed contour (P, 2) contains a point (2,)."""
    return cv2.pointPolygonTest(outline.astype(np.float32), (float(point[0]), float(point[1])), False) >= 0


@lru_cache(maxsize=256)
def shape_body(pose: Pose) -> Body:
    """Bend a body into a pose: directions along the spine are integrated from the middle of the trunk."""
    head = np.clip((0.36 - _ALONG_BODY) / 0.2, 0.0, 1.0)
    turned = pose.look * head * head * (3 - 2 * head)
    angles = pose.heading + pose.bend * (0.5 - _ALONG_BODY) + turned
    spine = _integrate(angles, pose.length / (len(_ALONG_BODY) - 1))
    spine = spine - spine[len(spine) // 2] + np.array(pose.center)
    swing = 0.35 * np.sin(2.5 * np.pi * _ALONG_TAIL - 0.5 * pose.gait) * _ALONG_TAIL
    tail_angles = angles[-1] - pose.tail * _ALONG_TAIL + swing
    tail = spine[-1] + _integrate(tail_angles, _TAIL_LENGTH * pose.length / (len(_ALONG_TAIL) - 1))
    return Body(pose, spine, np.stack([np.sin(angles), -np.cos(angles)], axis=1), tail)


class Motion:
    """Smooth random walks of several animals, simulated frame by frame and remembered.

    Turning, speed, head and tail follow low-pass filtered Ornstein-Uhlenbeck processes. Animals turn inwards
    at walls and ignore each other, so that they cross.
    """

    def __init__(self, num_animals: int, size: tuple[int, int], length: float, seed: int):
        """Place animals of a body length in a frame of (height, width)."""
        self._rng = np.random.default_rng([seed, 1])
        self._length = length
        self._limits = np.array((size[1] - 1.0, size[0] - 1.0))
        self._margin = np.minimum(0.5 * length, 0.35 * self._limits)
        self._drive = self._rng.standard_normal((num_animals, len(_MEMORY)))
        self._smooth = self._drive.copy()
        heading, gait = self._rng.uniform(-np.pi, np.pi, (2, num_animals))
        straight = np.zeros((num_animals, 3))
        state = np.column_stack([self._start(num_animals), heading, straight, gait])
        for _ in range(_WARM_UP):
            state = self._step(state)
        self._history = [state]

    def poses(self, t: int) -> list[Pose]:
        """Return the poses of all animals in frame `t`, simulating up to it where needed."""
        while len(self._history) <= t:
            self._history.append(self._step(self._history[-1]))
        rows = self._history[t].tolist()
        return [Pose((x, y), *values, length=self._length) for x, y, *values in rows]

    def _start(self, num_animals: int) -> np.ndarray:
        """Return places (I, 2) apart from each other: each is the best of a dozen random ones."""
        centers = np.zeros((0, 2))
        for _ in range(num_animals):
            places = self._rng.uniform(self._margin, self._limits - self._margin, (12, 2))
            gaps = np.linalg.norm(places[:, None] - centers[None], axis=2).min(axis=1, initial=np.inf)
            centers = np.concatenate([centers, places[[int(np.argmax(gaps))]]])
        return centers

    def _step(self, state: np.ndarray) -> np.ndarray:
        """Return the next state (I, 7) from the last: x, y, heading, bend, look, tail, gait."""
        center, heading, bend, gait = state[:, :2], state[:, 2], state[:, 3], state[:, 6]
        noise = self._rng.standard_normal(self._drive.shape)
        self._drive = self._drive * (1 - 1 / _MEMORY) + np.sqrt(2 / _MEMORY) * noise
        self._smooth = self._smooth + (self._drive - self._smooth) / 6
        forward = np.column_stack([np.cos(heading), np.sin(heading)])
        turn = np.clip(0.045 * self._smooth[:, 0] + self._avoid_walls(center, forward), -0.11, 0.11)
        speed = _SPEED * self._length * np.clip(1.0 + 0.9 * self._smooth[:, 1], 0.0, 2.2)
        center = np.clip(center + forward * speed[:, None], self._margin, self._limits - self._margin)
        bend = bend + (np.clip(14 * turn, -1.3, 1.3) - bend) / 6
        look = np.clip(0.35 * self._smooth[:, 2] + bend / 4, -0.8, 0.8)
        gait = gait + 2 * np.pi * speed / (_STEP_LENGTH * self._length)
        return np.column_stack([center, heading + turn, bend, look, 0.9 * self._smooth[:, 3], gait])

    def _avoid_walls(self, center: np.ndarray, forward: np.ndarray) -> np.ndarray:
        """Return the turn (I,) towards the inside for animals whose nose comes close to a wall."""
        nose = center + 0.75 * self._length * forward
        inward = np.maximum(self._margin - nose, 0) - np.maximum(nose - self._limits + self._margin, 0)
        side = forward[:, 0] * inward[:, 1] - forward[:, 1] * inward[:, 0]
        depth = np.minimum(np.linalg.norm(inward, axis=1) / (0.4 * self._length), 1.0)
        return 0.1 * np.where(side >= 0, 1.0, -1.0) * depth


def _integrate(angles: np.ndarray, step: float) -> np.ndarray:
    """Return the path (S, 2) that starts at 0 and goes backwards along directions (S,)."""
    middle = (angles[1:] + angles[:-1]) / 2
    steps = -step * np.stack([np.cos(middle), np.sin(middle)], axis=1)
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
