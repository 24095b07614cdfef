"""`InputSpec`: a frame and a region become network input; training and prediction both read through it.

Size match, scale, crop, padding and augmentation are folded into one resampling of the uint8 frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from sleap_nn.config.data_config import PreprocessingConfig
from sleap_nn.data.augment import Augmentation
from sleap_nn.errors import ConfigError
from sleap_nn.ops import resample
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame
from sleap_nn.structures.transform import Transform


@dataclass(frozen=True)
class _Mapping:
    """Where a chain of steps moves pixel centres and where it moves labelled points.

    Both are the same but for resizing: pixels keep their areas (centres at halves), points are multiplied.
    """

    pixels: Transform
    points: Transform

    def then(self, pixels: Transform, points: Transform | None = None) -> _Mapping:
        """Append a step; points follow the pixels unless given."""
        return _Mapping(self.pixels.then(pixels), self.points.then(pixels if points is None else points))


@dataclass(frozen=True)
class InputSpec:
    """What a network reads.

    Attributes:
        channels: 1 (grey) or 3 (RGB).
        max_height: Height in px that frames are matched to, None for the frame's own.
        max_width: Width in px, likewise.
        scale: Resize factor after the size match.
        stride: The sides of the input are padded to multiples of this.
    """

    channels: int
    max_height: int | None = None
    max_width: int | None = None
    scale: float = 1.0
    stride: int = 1

    @classmethod
    def from_config(cls, preprocessing: PreprocessingConfig, channels: int, stride: int) -> InputSpec:
        """Return the input of a resolved configuration for a network of `channels` and coarsest `stride`."""
        return cls(
            channels=channels,
            max_height=preprocessing.max_height,
            max_width=preprocessing.max_width,
            scale=preprocessing.scale,
            stride=stride,
        )

    def __post_init__(self) -> None:
        """Refuse values that make no image.

        Raises:
            ConfigError: The message names the value.
        """
        if self.channels not in (1, 3):
            raise ConfigError(f"The network input has {self.channels} channels; 1 (grey) and 3 (RGB) are known.")
        if self.scale <= 0:
            raise ConfigError(f"preprocessing.scale is {self.scale}; it must be larger than 0.")

    def regions(self, frame: Frame, anchors: Sequence[Region] | None = None) -> list[Region]:
        """Return the regions of a frame: the whole of it, or those found before."""
        return [Region()] if anchors is None else list(anchors)

    def read(
        self, frame: Frame, region: Region, augmentation: Augmentation | None = None
    ) -> tuple[UInt8[np.ndarray, "channels height width"], Transform]:
        """Return network input and the map of points from frame px to input px.

        Args:
            frame: Decoded frame.
            region: A region of `regions`.
            augmentation: Random changes, already drawn.
        """
        source = resample.to_channels(frame.image, self.channels)
        mapping, height, width = self._layout(source.shape[0], source.shape[1])
        if augmentation is not None:
            mapping = mapping.then(augmentation.transform(height, width))
        image = resample.warp(source, mapping.pixels, height, width)
        if augmentation is not None and augmentation.changes_intensity:
            inside = resample.warp(np.full((*source.shape[:2], 1), 255, np.uint8), mapping.pixels, height, width) > 0
            image = np.where(inside, augmentation.intensity(image), image)
        if augmentation is not None:
            image = augmentation.erase(image)
        return np.ascontiguousarray(image.transpose(2, 0, 1)), mapping.points

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) of the input made of a frame of (height, width)."""
        _, input_height, input_width = self._layout(height, width)
        return input_height, input_width

    def _layout(self, height: int, width: int) -> tuple[_Mapping, int, int]:
        """Return the mapping of a whole frame, and the height and width of its input."""
        canvas_height = height if self.max_height is None else self.max_height
        canvas_width = width if self.max_width is None else self.max_width
        match = min(canvas_height / height, canvas_width / width)
        matched = (max(1, round(height * match)), max(1, round(width * match)))
        scaled = (max(1, int(canvas_height * self.scale)), max(1, int(canvas_width * self.scale)))
        mapping = _Mapping(resample.resize_map((height, width), matched), Transform.scaling(match))
        mapping = mapping.then(
            resample.resize_map((canvas_height, canvas_width), scaled), Transform.scaling(self.scale)
        )
        padded_height, padded_width = (-(-side // self.stride) * self.stride for side in scaled)
        return mapping, padded_height, padded_width
