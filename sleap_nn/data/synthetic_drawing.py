"""The pixels of a synthetic scene: floor, illumination, objects, and animals in their coats.

Every painted thing is a `Stamp`; `paint` puts stamps on a floor. Shapes and motion of animals are in
`synthetic_animal.py`. Contours are filled on a grid four times finer than the frame and averaged down, so a
drawn point lies within a tenth of a pixel of its coordinates: frame x is x' = 4 x + 1.5 on the fine grid.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from sleap_nn.data.synthetic_animal import Body

SUPERSAMPLING = 4
_FIXED_POINT_BITS = 4
_COAT_SIZE = (48, 96)
_SHADOW_OFFSET = (0.05, 0.09)
_SHADOW_BLUR = 0.035
_SHADOW_MARGIN = 0.18

Color = tuple[float, float, float]

# Base colour, marking colour, pattern. The first few individuals differ in grey level as well as in hue.
_COATS: tuple[tuple[Color, Color, str], ...] = (
    ((74, 64, 58), (128, 110, 96), "muzzle"),
    ((222, 214, 200), (92, 80, 74), "hood"),
    ((184, 132, 80), (92, 56, 34), "patches"),
    ((122, 120, 122), (48, 46, 50), "stripe"),
    ((236, 232, 226), (44, 40, 40), "patches"),
    ((104, 72, 50), (168, 128, 88), "bands"),
)
_SKIN = (206.0, 150.0, 140.0)


@dataclass(frozen=True, eq=False)
class Coat:
    """How one individual looks.

    Attributes:
        texture: (across, along, 3) float32 RGB in 0-255; rows run from the left flank to the right.
        limb: Colour of the legs.
        ear: Colour of ears, paws and tail.
    """

    texture: np.ndarray
    limb: Color
    ear: Color


@dataclass(frozen=True, eq=False)
class Obstacle:
    """An object that lies above the animals: a closed contour (P, 2) in frame pixels and its colour."""

    outline: np.ndarray
    color: Color


@dataclass(frozen=True, eq=False)
class Stamp:
    """A change of one box of the frame: pixels * `gain` + light * `add`, both (h, w, 3) float32."""

    window: tuple[slice, slice]
    gain: np.ndarray
    add: np.ndarray


class Layer:
    """Opaque shapes filled on a fine grid over one box of the frame, then averaged down."""

    def __init__(self, points: np.ndarray, margin: float, size: tuple[int, int]):
        """Open the box around points (P, 2) and a margin, cut at a frame of (height, width)."""
        limit = np.array((size[1], size[0]))
        low = np.clip(np.floor(points.min(axis=0) - margin), 0, limit - 1).astype(int)
        high = np.clip(np.ceil(points.max(axis=0) + margin) + 1, low + 1, limit).astype(int)
        width, height = (high - low).tolist()
        self.window = (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
        self._origin = low
        self._pixels = np.zeros((height * SUPERSAMPLING, width * SUPERSAMPLING, 4), np.uint8)

    def fill(self, outline: np.ndarray, color: Color) -> None:
        """Fill a closed contour (P, 2), in frame pixels, with an RGB colour."""
        fine = (outline - self._origin) * SUPERSAMPLING + (SUPERSAMPLING - 1) / 2
        contour = np.round(fine * (1 << _FIXED_POINT_BITS)).astype(np.int32)
        cv2.fillPoly(self._pixels, [contour], (*color, 255), cv2.LINE_8, _FIXED_POINT_BITS)

    def coverage(self) -> np.ndarray:
        """Return how much of each pixel is covered, (h, w) float32 in 0-1."""
        return self._average(cv2.extractChannel(self._pixels, 3)) / 255

    def stamp(self) -> Stamp:
        """Return the stamp that puts the shapes over what is there."""
        coarse = self._average(self._pixels)
        return Stamp(self.window, _three_channels(1 - coarse[..., 3] / 255), coarse[..., :3])

    def _average(self, fine: np.ndarray) -> np.ndarray:
        height, width = (count // SUPERSAMPLING for count in fine.shape[:2])
        return cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)


def paint(floor: np.ndarray, light: np.ndarray, stamps: Iterable[Stamp]) -> np.ndarray:
    """Return a copy of a floor with stamps applied in order.

    Args:
        floor: (height, width, 3) float32, already illuminated.
        light: (height, width, 3) float32, the illumination of what is put on it.
        stamps: What to put on it.
    """
    pixels = floor.copy()
    for stamp in stamps:
        box = pixels[stamp.window]
        box *= stamp.gain
        box += stamp.add * light[stamp.window]
    return pixels


def animal_stamps(body: Body, coat: Coat, size: tuple[int, int]) -> list[Stamp]:
    """Return shadow, limbs, furred trunk and head of an animal for a frame of (height, width)."""
    trunk = Layer(body.outline, _SHADOW_MARGIN * body.pose.length, size)
    trunk.fill(body.outline, (0, 0, 0))
    coverage = trunk.coverage()
    shadow = _shadow(trunk.window, coverage, body.pose.length)
    fur = _fur(body, coat, trunk.window, coverage)
    return [shadow, _limbs(body, coat, size), fur, _head(body, coat, size)]


def obstacle_stamps(obstacle: Obstacle, length: float, size: tuple[int, int]) -> list[Stamp]:
    """Return shadow and body of an object; the middle of its upper side catches more light."""
    layer = Layer(obstacle.outline, _SHADOW_MARGIN * length, size)
    layer.fill(obstacle.outline, obstacle.color)
    middle = obstacle.outline.mean(axis=0)
    layer.fill(middle + 0.78 * (obstacle.outline - middle), _shade(obstacle.color, 1.2))
    return [_shadow(layer.window, layer.coverage(), length), layer.stamp()]


def make_coat(index: int) -> Coat:
    """Return the coat of one individual; the same index gives the same coat in every scene."""
    base, marking, _ = _COATS[index % len(_COATS)]
    # Later individuals wear the same colours in another pattern.
    pattern = _COATS[(index + index // len(_COATS)) % len(_COATS)][2]
    rng = np.random.default_rng([7, index])
    across = np.linspace(-1.0, 1.0, _COAT_SIZE[0])[:, None]
    along = np.linspace(0.0, 1.0, _COAT_SIZE[1])[None, :]
    amount = _marking(pattern, across, along, rng)[..., None]
    colors = (1 - amount) * np.array(base) + amount * np.array(marking)
    fur = 1 + 0.10 * _smooth_noise(rng, _COAT_SIZE, (1.0, 2.5))
    rounding = 1.08 - 0.42 * across**2
    texture = (colors * (fur * rounding)[..., None]).astype(np.float32)
    ear = ((base[0] + _SKIN[0]) / 2, (base[1] + _SKIN[1]) / 2, (base[2] + _SKIN[2]) / 2)
    return Coat(texture, limb=_shade(base, 0.75), ear=ear)


def make_floor(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return an arena floor (height, width, 3) float32 in 0-255: coarse stains, fine grain, a darker rim."""
    tone = 7 * _smooth_noise(rng, size, (0.09 * size[1], 0.09 * size[1]))
    tone += 4 * _smooth_noise(rng, size, (2.5, 2.5)) + 2.5 * rng.standard_normal(size)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    edge = np.minimum.reduce([rows, columns, size[0] - 1 - rows, size[1] - 1 - columns]) / min(size)
    rim = 0.82 + 0.18 * np.clip(edge / 0.025, 0, 1)
    color = np.array((172.0, 163.0, 148.0)) + rng.uniform(-8, 8)
    return ((color + tone[..., None]) * rim[..., None]).astype(np.float32)


def make_light(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return the illumination (height, width, 3) float32 around 1: a slope and darker corners."""
    direction, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.10, 0.18)
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    slope = strength * (x * np.cos(direction) + y * np.sin(direction))
    return _three_channels((1.03 + slope - 0.09 * (x**2 + y**2)).astype(np.float32))


def make_obstacle(size: tuple[int, int], length: float, rng: np.random.Generator) -> Obstacle:
    """Place a bar or a stone somewhere in a frame of (height, width) with animals of the given length."""
    center = rng.uniform(0.2, 0.8, 2) * (size[1], size[0])
    angle = rng.uniform(0, np.pi)
    if rng.random() < 0.5:
        half = np.array((np.cos(angle), np.sin(angle))) * length * rng.uniform(0.35, 0.6)
        bar = _ribbon(np.stack([center - half, center + half]), np.full(2, 0.065 * length))
        return Obstacle(bar, (92.0, 108.0, 122.0))
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)[:, None]
    bumps = 1 + 0.05 * np.sin(3 * turn + angle) + 0.03 * np.sin(5 * turn - 2 * angle)
    axes = (length * rng.uniform(0.16, 0.24), length * rng.uniform(0.12, 0.17))
    return Obstacle(center + (_ellipse(center, axes, angle) - center) * bumps, (104.0, 102.0, 100.0))


def _limbs(body: Body, coat: Coat, size: tuple[int, int]) -> Stamp:
    length = body.pose.length
    layer = Layer(np.concatenate([body.tail, body.paws]), 0.1 * length, size)
    layer.fill(_ribbon(body.tail, 0.024 * length * np.linspace(1.0, 0.25, len(body.tail))), coat.ear)
    hips = body.at((0.4, 0.4, 0.74, 0.74), (0.06, -0.06, 0.1, -0.1))
    toward = body.spine[8] - body.spine[-8]
    angle = float(np.arctan2(toward[1], toward[0]))
    for hip, paw in zip(hips, body.paws, strict=True):
        layer.fill(_ribbon(np.stack([hip, paw]), np.array((0.05, 0.03)) * length), coat.limb)
        layer.fill(_ellipse(paw, (0.05 * length, 0.028 * length), angle), coat.ear)
    return layer.stamp()


def _head(body: Body, coat: Coat, size: tuple[int, int]) -> Stamp:
    length = body.pose.length
    layer = Layer(body.spine[:12], 0.18 * length, size)
    toward = body.spine[0] - body.spine[8]
    angle = float(np.arctan2(toward[1], toward[0]))
    eyes = body.at((0.115, 0.115), (0.045, -0.045))
    for ear, eye, tilt in zip(body.ears, eyes, (angle - 0.5, angle + 0.5), strict=True):
        layer.fill(_ellipse(ear, (0.05 * length, 0.058 * length), tilt), _shade(coat.limb, 0.8))
        layer.fill(_ellipse(ear, (0.033 * length, 0.041 * length), tilt), coat.ear)
        layer.fill(_ellipse(eye, (0.016 * length, 0.016 * length), 0.0), (18, 16, 18))
    layer.fill(_ellipse(body.spine[0], (0.018 * length, 0.016 * length), angle), (214, 150, 146))
    return layer.stamp()


def _shadow(window: tuple[slice, slice], coverage: np.ndarray, length: float) -> Stamp:
    shift = np.array([[1, 0, _SHADOW_OFFSET[0] * length], [0, 1, _SHADOW_OFFSET[1] * length]])
    moved = cv2.warpAffine(coverage, shift, (coverage.shape[1], coverage.shape[0]))
    blurred = cv2.GaussianBlur(moved, (0, 0), max(0.4, _SHADOW_BLUR * length))
    return Stamp(window, _three_channels(1 - 0.42 * blurred), np.zeros((*coverage.shape, 3), np.float32))


def _fur(body: Body, coat: Coat, window: tuple[slice, slice], coverage: np.ndarray) -> Stamp:
    """Take the colour of every covered pixel from the coat, by its place along and across the body."""
    y, x = np.nonzero(coverage)
    pixels = np.stack([x + window[1].start, y + window[0].start], axis=1).astype(np.float32)
    spine, normals = body.spine.astype(np.float32), body.normals.astype(np.float32)
    nearest = np.argmin((spine**2).sum(axis=1) - 2 * pixels @ spine.T, axis=1)
    offset, left = pixels - spine[nearest], normals[nearest]
    forward = offset[:, 1] * left[:, 0] - offset[:, 0] * left[:, 1]
    along = nearest / (len(spine) - 1) - forward / body.pose.length
    across = (offset * left).sum(axis=1) / body.half_width(along)
    column = (along * (_COAT_SIZE[1] - 1)).astype(np.float32)
    row = ((1 - across) / 2 * (_COAT_SIZE[0] - 1)).astype(np.float32)
    add = np.zeros((*coverage.shape, 3), np.float32)
    add[y, x] = _sample(coat.texture, column, row) * coverage[y, x, None]
    return Stamp(window, _three_channels(1 - coverage), add)


def _sample(texture: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return the bilinear colours (P, 3) of a texture at places (P,), clamped to its edge."""
    if len(column) == 0:
        return np.zeros((0, 3), np.float32)
    # OpenCV limits each side of a remapped image to 32767, so the list of places is folded into rows.
    width = 1024
    padding = -len(column) % width
    maps = [np.pad(places, (0, padding)).reshape(-1, width) for places in (column, row)]
    sampled = cv2.remap(texture, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return sampled.reshape(-1, 3)[: len(column)]


def _marking(pattern: str, across: np.ndarray, along: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return how much of the marking colour each place of the coat has, (across, along) in 0-1."""
    if pattern == "hood":
        return _step(0.40 + 0.06 * np.cos(3 * across) - along, 0.03)
    if pattern == "stripe":
        return _step(0.30 - np.abs(across), 0.08) * _step(along - 0.22, 0.05)
    if pattern == "bands":
        return _step(np.sin(2 * np.pi * 5 * along + 1.2 * across**2) - 0.2, 0.6) * _step(along - 0.32, 0.05)
    if pattern == "patches":
        return _step(_smooth_noise(rng, _COAT_SIZE, (9.0, 11.0)) - 0.45, 0.12)
    return _step(0.12 - along, 0.05) + 0 * across


def _three_channels(image: np.ndarray) -> np.ndarray:
    """Repeat an image (h, w) to (h, w, 3): NumPy is several times slower where it broadcasts channels."""
    return cv2.merge([image] * 3)


def _step(value: np.ndarray, softness: float) -> np.ndarray:
    return np.clip(value / softness + 0.5, 0.0, 1.0)


def _smooth_noise(rng: np.random.Generator, size: tuple[int, int], sigma: tuple[float, float]) -> np.ndarray:
    """Return Gaussian noise of unit variance, blurred by sigma (down, across) in cells."""
    noise = rng.standard_normal(size).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), sigmaX=sigma[1], sigmaY=sigma[0], borderType=cv2.BORDER_REFLECT)
    return blurred / max(float(blurred.std()), 1e-6)


def _ribbon(path: np.ndarray, half_widths: np.ndarray) -> np.ndarray:
    """Return the closed contour (2 S, 2) around a path (S, 2) with the given half widths (S,)."""
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    offset = along[:, ::-1] * (-1, 1) * half_widths[:, None]
    return np.concatenate([path + offset, (path - offset)[::-1]])


_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 24, endpoint=False)) for f in (np.cos, np.sin)], axis=1)


def _ellipse(center: np.ndarray, axes: tuple[float, float], angle: float) -> np.ndarray:
    """Return an ellipse as a contour (24, 2): semi-axes along and across `angle`, in radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return center + (_CIRCLE * axes) @ np.array([[cosine, sine], [-sine, cosine]])


def _shade(color: Color, factor: float) -> Color:
    return min(255.0, factor * color[0]), min(255.0, factor * color[1]), min(255.0, factor * color[2])
