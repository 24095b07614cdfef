"""Random changes of training inputs: drawn once as an `Augmentation`, then applied by `InputSpec.read`.

Drawing and applying are separate, so that a seed gives the same sample in any worker and cache mode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from sleap_nn.config.data_config import AugmentationConfig, GeometricConfig, IntensityConfig
from sleap_nn.structures.transform import Transform

Image = UInt8[np.ndarray, "height width channels"]

_MID_GREY = 127.5


@dataclass(frozen=True, eq=False)
class Augmentation:
    """The changes of one sample.

    Attributes:
        mirrored: Left and right change places, before the turn.
        degrees: Turn about the centre, positive clockwise on a screen.
        zoom: Factor about the centre.
        shift: (x, y) as fractions of width and height, applied before turn and zoom.
        uniform_noise: (low, high) of the noise in grey levels, or None.
        gaussian_noise: (mean, standard deviation) in grey levels, or None.
        contrast: Factor about mid grey.
        brightness: Factor.
        erased: (area fraction, height/width ratio, x, y) of a box, positions as fractions, or None.
        erased_color: RGB of that box; a grey image takes the first.
        noise_seed: Seed of the noise itself.
    """

    mirrored: bool = False
    degrees: float = 0.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    uniform_noise: tuple[int, int] | None = None
    gaussian_noise: tuple[float, float] | None = None
    contrast: float = 1.0
    brightness: float = 1.0
    erased: tuple[float, float, float, float] | None = None
    erased_color: tuple[int, int, int] = (0, 0, 0)
    noise_seed: int = 0

    def transform(self, height: int, width: int) -> Transform:
        """Return the map of pixel centres and points within an input of (height, width)."""
        centre = ((width - 1) / 2, (height - 1) / 2)
        moved = Transform.translation(self.shift[0] * width, self.shift[1] * height)
        moved = moved.then(Transform.scaling(self.zoom).then(Transform.rotation(self.degrees)).about(centre))
        if not self.mirrored:
            return moved
        return Transform.scaling(-1, 1).about(centre).then(moved)

    @property
    def changes_intensity(self) -> bool:
        """Whether `intensity` does anything."""
        noise = self.uniform_noise is not None or self.gaussian_noise is not None
        return noise or self.contrast != 1.0 or self.brightness != 1.0

    def intensity(self, image: Image) -> Image:
        """Return the image with noise, contrast and brightness changed, in this order."""
        rng = np.random.default_rng(self.noise_seed)
        if self.uniform_noise is not None:
            low, high = self.uniform_noise
            noise = rng.integers(low, high, size=image.shape, endpoint=True)
            image = np.clip(image.astype(np.int32) + noise, 0, 255).astype(np.uint8)
        if self.gaussian_noise is not None:
            mean, deviation = self.gaussian_noise
            noise = (mean + deviation * rng.standard_normal(image.shape, np.float32)).astype(np.int32)
            image = np.clip(image.astype(np.int32) + noise, 0, 255).astype(np.uint8)
        levels = np.arange(256, dtype=np.float64)
        if self.contrast != 1.0:
            image = _look_up(image, (levels - _MID_GREY) * self.contrast + _MID_GREY)
        if self.brightness != 1.0:
            image = _look_up(image, levels * self.brightness)
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
        return Augmentation(**fields)


def _draw_intensity(config: IntensityConfig, rng: np.random.Generator) -> dict:
    """Draw noise, contrast and brightness; configured noise is in fractions of 255."""
    drawn: dict = {"noise_seed": int(rng.integers(2**32))}
    uniform, gaussian, contrast, brightness = rng.random(4)
    if uniform < config.uniform_noise_p:
        drawn["uniform_noise"] = (int(config.uniform_noise_min * 255), int(config.uniform_noise_max * 255))
    if gaussian < config.gaussian_noise_p:
        drawn["gaussian_noise"] = (config.gaussian_noise_mean * 255, config.gaussian_noise_std * 255)
    factors = rng.uniform((config.contrast_min, config.brightness_min), (config.contrast_max, config.brightness_max))
    if contrast < config.contrast_p:
        drawn["contrast"] = float(factors[0])
    if brightness < config.brightness_p:
        drawn["brightness"] = float(factors[1])
    return drawn


def _draw_geometric(config: GeometricConfig, rng: np.random.Generator) -> dict:
    """Draw flip, turn, zoom, shift and the erased box."""
    flip, rotate, scale, translate, affine, erase = rng.random(6)
    degrees = float(rng.uniform(config.rotation_min, config.rotation_max))
    zoom = float(rng.uniform(config.scale_min, config.scale_max))
    x, y = rng.uniform(-1, 1, size=2) * (config.translate_width, config.translate_height)
    area = rng.uniform(config.erase_scale_min, config.erase_scale_max)
    ratio = rng.uniform(config.erase_ratio_min, config.erase_ratio_max)
    box = {
        "erased": (float(area), float(ratio), *(float(v) for v in rng.random(2))),
        "erased_color": tuple(int(level) for level in rng.integers(256, size=3)),
    }
    own = (config.rotation_p, config.scale_p, config.translate_p)
    together = all(probability is None for probability in own) and affine < config.affine_p

    def chosen(value: float, probability: float | None) -> bool:
        return together or (probability is not None and value < probability)

    return {
        "mirrored": bool(flip < config.flip_p),
        "degrees": degrees if chosen(rotate, config.rotation_p) else 0.0,
        "zoom": zoom if chosen(scale, config.scale_p) else 1.0,
        "shift": (float(x), float(y)) if chosen(translate, config.translate_p) else (0.0, 0.0),
        **(box if erase < config.erase_p else {}),
    }


def _look_up(image: Image, levels: np.ndarray) -> Image:
    """Replace every grey level by a truncated and clipped new one."""
    return np.clip(levels, 0, 255).astype(np.uint8)[image]
