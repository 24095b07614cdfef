"""Random changes of training inputs: drawn once as an `Augmentation`, then applied by `InputSpec.read`.

Drawing and applying are separate, so that a seed gives the same sample in any worker and cache mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from sleap_nn.config.data_config import AugmentationConfig, GeometricConfig, IntensityConfig
from sleap_nn.ops.similarity import visible_nodes
from sleap_nn.structures.transform import Transform

Image = UInt8[np.ndarray, "height width channels"]

Kernel = Float[np.ndarray, "side side"]

_MID_GREY = 127.5
_NUM_QUANTILES = 2**16


@dataclass(frozen=True)
class Window:
    """The square that is cut out of an input, after all movements.

    Attributes:
        side: Its side in px.
        place: (x, y) from 0 to 1: where in the frame its middle lies; or where about a point of an animal, 0.5 on it
            and the ends a quarter of the side away.
        animal: Which animal it lies about, as a fraction of their number, below 1, and which of its points, by the
            rest of that fraction; None for anywhere.
    """

    side: int
    place: tuple[float, float]
    animal: float | None

    def focus(self, points: Float[np.ndarray, "instances nodes 2"]) -> tuple[float, float] | None:
        """Return which of the points it lies about, None if it can lie anywhere.

        Every visible animal is as likely as any other, and so is every visible point of it: about one point of an
        animal alone, others would never be seen where animals are longer than the square.
        """
        visible = visible_nodes(points)
        seen = np.flatnonzero(visible.any(axis=-1))
        if self.animal is None or not len(seen):
            return None
        which, rest = divmod(self.animal * len(seen), 1)
        chosen = seen[int(which)]
        own = points[chosen, visible[chosen]]
        x, y = own[int(rest * len(own))]
        return float(x), float(y)

    def corner(self, focus: tuple[float, float] | None, height: int, width: int) -> tuple[int, int]:
        """Return (left, top) in px of the input.

        It may reach beyond the frame, so that the borders and corners of frames are shown about as often as the rest:
        a network finds things where it has never looked.

        Args:
            focus: (x, y) in px of the input.
            height: Of the frame, in px of the input.
            width: As above.
        """
        if focus is None:
            middle = np.array(self.place) * (width, height)
        else:
            middle = focus + (np.array(self.place) - 0.5) * self.side / 2
        left, top = np.round(middle - self.side / 2).astype(int)
        return int(left), int(top)


@dataclass(frozen=True, eq=False)
class Augmentation:
    """The changes of one sample.

    Attributes:
        mirrored: Left and right change places, before the turn.
        degrees: Turn about the centre, positive clockwise on a screen.
        zoom: Factor about the centre.
        shift: (x, y) as fractions of width and height, applied before turn and zoom.
        motion_blur: (length in px, direction in degrees from the x axis) of the streak that a point becomes, or None.
        defocus: Radius in px of the disk that a point becomes.
        uniform_noise: (low, high) of the noise in grey levels, or None.
        gaussian_noise: (mean, standard deviation) in grey levels, or None.
        contrast: Factor about mid grey.
        brightness: Factor.
        erased: (area fraction, height/width ratio, x, y) of a box, positions as fractions, or None.
        erased_color: RGB of that box; a grey image takes the first.
        noise_seed: Seed of the noise itself.
        mixed: Share of a second sample that shines through, 0 for none.
        partner: Which row that is, as a fraction of their number, below 1.
        window: What is cut out of a whole frame after all movements, None for nothing.
    """

    mirrored: bool = False
    degrees: float = 0.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    motion_blur: tuple[float, float] | None = None
    defocus: float = 0.0
    uniform_noise: tuple[int, int] | None = None
    gaussian_noise: tuple[float, float] | None = None
    contrast: float = 1.0
    brightness: float = 1.0
    erased: tuple[float, float, float, float] | None = None
    erased_color: tuple[int, int, int] = (0, 0, 0)
    noise_seed: int = 0
    mixed: float = 0.0
    partner: float = 0.0
    window: Window | None = None

    def transform(self, height: int, width: int) -> Transform:
        """Return the map of pixel centres and points within an input of (height, width)."""
        centre = ((width - 1) / 2, (height - 1) / 2)
        moved = Transform.translation(self.shift[0] * width, self.shift[1] * height)
        moved = moved.then(Transform.scaling(self.zoom).then(Transform.rotation(self.degrees)).about(centre))
        if not self.mirrored:
            return moved
        return Transform.scaling(-1, 1).about(centre).then(moved)

    @property
    def moves(self) -> bool:
        """Whether `transform` does anything."""
        return self.mirrored or self.degrees != 0 or self.zoom != 1 or self.shift != (0, 0)

    @property
    def changes_intensity(self) -> bool:
        """Whether `intensity` does anything."""
        noise = self.uniform_noise is not None or self.gaussian_noise is not None
        blur = self.motion_blur is not None or self.defocus > 0
        return blur or noise or self.contrast != 1.0 or self.brightness != 1.0

    def intensity(self, image: Image) -> Image:
        """Return the image blurred, then with noise, contrast and brightness changed, in this order.

        Blur comes first because it arises in the optics, before the sensor adds its noise. It repeats the border of
        the image outwards.
        """
        if self.motion_blur is not None:
            image = _filter(image, motion_kernel(*self.motion_blur))
        if self.defocus > 0:
            image = _filter(image, disk_kernel(self.defocus))
        if self.uniform_noise is not None or self.gaussian_noise is not None:
            image = self._noisy(image)
        if self.contrast == self.brightness == 1.0:
            return image
        levels = _clipped((np.arange(256.0) - _MID_GREY) * self.contrast + _MID_GREY)
        levels = _clipped(levels * self.brightness)
        return cv2.LUT(image, levels.astype(np.uint8)).reshape(image.shape)

    def _noisy(self, image: Image) -> Image:
        """Add the noise."""
        rng = np.random.default_rng(self.noise_seed)
        if self.uniform_noise is not None:
            low, high = self.uniform_noise
            image = _add(image, rng.integers(low, high, image.shape, np.int16, endpoint=True))
        if self.gaussian_noise is not None:
            image = _add(image, _normal_levels(*self.gaussian_noise, image.shape, rng))
        return image

    def erase(self, image: Image) -> Image:
        """Return the image with a box filled by one colour, if one was drawn."""
        if self.erased is None:
            return image
        area, ratio, x, y = self.erased
        height, width = image.shape[:2]
        box_height = min(height, max(1, round(np.sqrt(area * height * width * ratio))))
        box_width = min(width, max(1, round(np.sqrt(area * height * width / ratio))))
        top, left = int(y * (height - box_height + 1)), int(x * (width - box_width + 1))
        image = image.copy()
        image[top : top + box_height, left : left + box_width] = self.erased_color[: image.shape[2]]
        return image


@dataclass(frozen=True)
class Augmenter:
    """Draws augmentations from a configuration."""

    intensity: IntensityConfig | None
    geometric: GeometricConfig | None

    @classmethod
    def from_config(cls, config: AugmentationConfig | None) -> Augmenter:
        """Return what the section asks for; None changes nothing."""
        return cls(None, None) if config is None else cls(config.intensity, config.geometric)

    def draw(self, rng: np.random.Generator) -> Augmentation:
        """Draw the changes of one sample."""
        fields: dict = {}
        if self.intensity is not None:
            fields |= _draw_intensity(self.intensity, rng)
        if self.geometric is not None:
            fields |= _draw_geometric(self.geometric, rng)
        # Last, so that a seed draws the same noise and movements as in versions without blur and mixing.
        if self.intensity is not None:
            fields |= _draw_blur(self.intensity, rng)
        if self.geometric is not None:
            fields |= _draw_mixture(self.geometric, rng)
            fields |= _draw_window(self.geometric, rng)
        return Augmentation(**fields)


def _between(low: float, high: float, share: float) -> float:
    """Return the value that lies a share of the way from one to another."""
    return low + (high - low) * share


def _draw_intensity(config: IntensityConfig, rng: np.random.Generator) -> dict:
    """Draw noise, contrast and brightness; configured noise is in fractions of 255."""
    drawn: dict = {"noise_seed": int(rng.integers(2**32))}
    uniform, gaussian, contrast, brightness, factor, light = rng.random(6).tolist()
    if uniform < config.uniform_noise_p:
        drawn["uniform_noise"] = (int(config.uniform_noise_min * 255), int(config.uniform_noise_max * 255))
    if gaussian < config.gaussian_noise_p:
        drawn["gaussian_noise"] = (config.gaussian_noise_mean * 255, config.gaussian_noise_std * 255)
    if contrast < config.contrast_p:
        drawn["contrast"] = _between(config.contrast_min, config.contrast_max, factor)
    if brightness < config.brightness_p:
        drawn["brightness"] = _between(config.brightness_min, config.brightness_max, light)
    return drawn


def _draw_geometric(config: GeometricConfig, rng: np.random.Generator) -> dict:
    """Draw flip, turn, zoom, shift and the erased box."""
    flip, rotate, scale, translate, affine, erase = rng.random(6).tolist()
    turn, size, right, down, part, shape, left, top = rng.random(8).tolist()
    degrees = _between(config.rotation_min, config.rotation_max, turn)
    zoom = _between(config.scale_min, config.scale_max, size)
    shift = (_between(-1, 1, right) * config.translate_width, _between(-1, 1, down) * config.translate_height)
    area = _between(config.erase_scale_min, config.erase_scale_max, part)
    ratio = _between(config.erase_ratio_min, config.erase_ratio_max, shape)
    box = {
        "erased": (area, ratio, left, top),
        "erased_color": tuple(rng.integers(256, size=3).tolist()),
    }
    own = (config.rotation_p, config.scale_p, config.translate_p)
    together = all(probability is None for probability in own) and affine < config.affine_p

    def chosen(value: float, probability: float | None) -> bool:
        return together or (probability is not None and value < probability)

    return {
        "mirrored": bool(flip < config.flip_p),
        "degrees": degrees if chosen(rotate, config.rotation_p) else 0.0,
        "zoom": zoom if chosen(scale, config.scale_p) else 1.0,
        "shift": shift if chosen(translate, config.translate_p) else (0.0, 0.0),
        **(box if erase < config.erase_p else {}),
    }


def _draw_blur(config: IntensityConfig, rng: np.random.Generator) -> dict:
    """Draw motion blur and defocus."""
    motion, defocus, reach, way, size = rng.random(5).tolist()
    length = _between(config.motion_blur_min, config.motion_blur_max, reach)
    direction = _between(0, 180, way)
    radius = _between(config.defocus_min, config.defocus_max, size)
    return {
        "motion_blur": (length, direction) if motion < config.motion_blur_p else None,
        "defocus": radius if defocus < config.defocus_p else 0.0,
    }


def _draw_mixture(config: GeometricConfig, rng: np.random.Generator) -> dict:
    """Draw whether a second sample shines through, which, and how much."""
    mixed, partner, share = rng.random(3).tolist()
    weight = _between(config.mixup_lambda_min, config.mixup_lambda_max, share)
    return {"mixed": weight, "partner": partner} if mixed < config.mixup_p else {}


def _draw_window(config: GeometricConfig, rng: np.random.Generator) -> dict:
    """Draw what is cut out."""
    if config.random_crop_size is None:
        return {}
    x, y, focused, animal = rng.random(4).tolist()
    chosen = animal if focused < config.random_crop_focus else None
    return {"window": Window(config.random_crop_size, (x, y), chosen)}


def blend(
    image: UInt8[np.ndarray, "*shape"], second: UInt8[np.ndarray, "*shape"], weight: float
) -> UInt8[np.ndarray, "*shape"]:
    """Return the weighted mean of two images of one shape, rounded; `weight` is the share of the second."""
    rows = (len(image), -1)  # an image of many channels is none for OpenCV
    return cv2.addWeighted(image.reshape(rows), 1 - weight, second.reshape(rows), weight, 0.0).reshape(image.shape)


def motion_kernel(length: float, degrees: float) -> Kernel:
    """Return the kernel of a point that moves evenly while its picture is taken.

    Its weights are symmetric about the middle, so that points stay where they are, and sum to 1.

    Args:
        length: Length of the streak in px, the width of the point included; up to 1 nothing changes.
        degrees: Direction of the streak from the x axis.
    """
    travel = max(0.0, length - 1)
    half = int(np.ceil(travel / 2))
    places = np.linspace(-travel / 2, travel / 2, 2 * int(np.ceil(travel)) + 1)[:, None]
    grid = np.arange(-half, half + 1)
    across = np.maximum(0, 1 - np.abs(grid - places * np.cos(np.deg2rad(degrees))))
    down = np.maximum(0, 1 - np.abs(grid - places * np.sin(np.deg2rad(degrees))))
    kernel = down.T @ across
    return (kernel / kernel.sum()).astype(np.float32)


def disk_kernel(radius: float) -> Kernel:
    """Return the kernel of a lens out of focus: an even disk whose rim is antialiased and whose weights sum to 1.

    Args:
        radius: Radius of the disk in px; up to 0.5, the size of a pixel, nothing changes.
    """
    half = max(0, int(np.ceil(radius + 0.5)) - 1)
    grid = np.arange(-half, half + 1)
    kernel = np.clip(radius + 0.5 - np.hypot(grid[:, None], grid), 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)


def _filter(image: Image, kernel: Kernel) -> Image:
    """Convolve the image with a symmetric kernel."""
    if kernel.size == 1:
        return image
    return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE).reshape(image.shape)


def _add(image: Image, noise: np.ndarray) -> Image:
    """Add int16 grey levels and clip."""
    return cv2.add(image, noise, dtype=cv2.CV_8U).reshape(image.shape)


def _normal_levels(mean: float, deviation: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw normally distributed numbers, truncated to whole grey levels (int16).

    Looking up evenly spaced quantiles takes a quarter of the time that drawing normal numbers does.
    """
    levels = np.clip(mean + deviation * _normal_quantiles(), -255, 255).astype(np.int16)
    return levels[rng.integers(_NUM_QUANTILES, size=shape, dtype=np.uint16)]


@cache
def _normal_quantiles() -> np.ndarray:
    """Return evenly spaced quantiles of the standard normal distribution, float32."""
    from scipy.special import ndtri  # Slow to load, and needed in training alone.

    return ndtri((np.arange(_NUM_QUANTILES) + 0.5) / _NUM_QUANTILES).astype(np.float32)


def _clipped(levels: np.ndarray) -> np.ndarray:
    """Return levels as whole grey levels, truncated and clipped."""
    return np.trunc(np.clip(levels, 0, 255))
