"""`InputSpec`: a frame and a region become network input; training and prediction both read through it.

Size match, scale, crop, padding and augmentation are folded into one resampling of the uint8 frame. Whole frames that
are shrunk are resized before, which is the same for every reading and can be kept, see `InputSpec.reduced`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
from jaxtyping import UInt8

from sleap_nn.config.data_config import PreprocessingConfig
from sleap_nn.data.augment import Augmentation, Window
from sleap_nn.errors import ConfigError
from sleap_nn.ops import resample
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame
from sleap_nn.structures.transform import Transform

MOST_INPUT_PX = 2**28
"""Most px of an input, 16384 x 16384."""


@dataclass(frozen=True)
class _Mapping:
    """Where a chain of steps moves pixel centres and where it moves labelled points.

    Both are the same but for resizing: pixels keep their areas (centres at halves), points are multiplied.
    """

    pixels: Transform
    points: Transform

    def then(self, other: _Mapping) -> _Mapping:
        """Append a step."""
        return _Mapping(self.pixels.then(other.pixels), self.points.then(other.points))

    def moved(self, step: Transform, ahead: float = 0.0) -> _Mapping:
        """Append a step in which points follow the pixels.

        Args:
            step: Of pixels.
            ahead: How far points lie beyond pixels in x and y, px, before the step and after it.
        """
        return _Mapping(self.pixels.then(step), self.points.then(step.about((ahead, ahead))))


@dataclass(frozen=True)
class _Layout:
    """How frames of one size become inputs.

    Attributes:
        match: Factor of the size match.
        matched: Frame px to px of the size-matched frame.
        scaled: From there, or from the crop, to input px.
        reduced: (height, width) of the copy that whole frames are read from, None for the frame itself.
        whole: Whole frames: px of the copy to input px; points as always from frame px.
        drawn: (height, width) of the part that pixels are resampled to; the rest is black.
        content: (height, width) of the part in which points can lie.
        padded: (height, width) of the whole input.
        ahead: How far a point lies beyond what it names, in x and y, px of the input: resizing moves pixel centres by
            their halves, and points not. A network learns it, so it must be the same in every sample.
    """

    match: float
    matched: _Mapping
    scaled: _Mapping
    reduced: tuple[int, int] | None
    whole: _Mapping
    drawn: tuple[int, int]
    content: tuple[int, int]
    padded: tuple[int, int]
    ahead: float

    def mapping(self, region: Region, crop_size: int | None) -> _Mapping:
        """Return the way from frame px to input px for a region, cut out as a square of this side or not at all."""
        if crop_size is None:
            return self.whole
        return self.matched.moved(_crop_map(region, self.match, crop_size)).then(self.scaled)


@dataclass(frozen=True)
class InputSpec:
    """What a network reads: a whole frame, or the square about an anchor.

    Attributes:
        channels: 1 (grey) or 3 (RGB).
        max_height: Height in px that frames are matched to, None for the frame's own.
        max_width: Width in px, likewise.
        scale: Resize factor after the size match, of the frame or of the crop.
        stride: The sides of the input are padded to multiples of this.
        crop_size: Side of the square in px of the size-matched frame, None for whole frames.
    """

    channels: int
    max_height: int | None = None
    max_width: int | None = None
    scale: float = 1.0
    stride: int = 1
    crop_size: int | None = None

    @classmethod
    def from_config(cls, preprocessing: PreprocessingConfig, channels: int, stride: int) -> InputSpec:
        """Return the input of a resolved configuration for a network of `channels` and coarsest `stride`."""
        return cls(
            channels=channels,
            max_height=preprocessing.max_height,
            max_width=preprocessing.max_width,
            scale=preprocessing.scale,
            stride=stride,
            crop_size=preprocessing.crop_size,
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
        sides = (self.max_height, self.max_width) if self.crop_size is None else (self.crop_size, self.crop_size)
        self.check_size(*(1 if side is None else side for side in sides))

    def check_size(self, height: int, width: int) -> None:
        """Refuse an input that no memory holds.

        Args:
            height: Of the frame or the crop before `scale`.
            width: As above.

        Raises:
            ConfigError: The message says how large it would be.
        """
        padded = [self.stride * math.ceil(max(1.0, side * self.scale) / self.stride) for side in (height, width)]
        if padded[0] * padded[1] > MOST_INPUT_PX:
            raise ConfigError(
                f"The network input would be {padded[0]} x {padded[1]} px; lower max_height and max_width or "
                f"crop_size, scale, or max_stride of the backbone, until it has at most {MOST_INPUT_PX} px."
            )

    def regions(self, frame: Frame, anchors: Sequence[Region] | None = None) -> list[Region]:
        """Return the regions of a frame: the whole of it, or those found before."""
        return [Region()] if anchors is None else list(anchors)

    def read(
        self,
        frame: Frame,
        region: Region,
        augmentation: Augmentation | None = None,
        focus: tuple[float, float] | None = None,
    ) -> tuple[UInt8[np.ndarray, "channels height width"], Transform]:
        """Return network input and the map of points from frame px to input px.

        The channels of the input lie side by side in memory, as networks that run with channels last want them, and as
        the frame has them: an input that needs no resampling is a view of the frame.

        Args:
            frame: Decoded frame.
            region: A region of `regions`.
            augmentation: Random changes, already drawn.
            focus: (x, y) frame px that the window of the augmentation lies about, None for anywhere.
        """
        source = self.reduced(frame).image
        layout = _layout(self, *frame.size)
        mapping, size, padded = layout.mapping(region, self.crop_size), layout.drawn, layout.padded
        if augmentation is not None:
            mapping = mapping.moved(augmentation.transform(*size), layout.ahead)
            if augmentation.window is not None:
                mapping = mapping.moved(_window_map(augmentation.window, mapping.points, focus, layout.content))
                size = padded = (augmentation.window.side, augmentation.window.side)
        image = resample.to_channels(resample.warp(source, mapping.pixels, *size), self.channels)
        if augmentation is not None:
            if augmentation.changes_intensity:
                inside = resample.coverage(source.shape[:2], mapping.pixels, *size)
                image = resample.choose(inside, augmentation.intensity(image), image)
            image = augmentation.erase(image)
        image = resample.place(image, *padded)
        return image.transpose(2, 0, 1), mapping.points

    def read_whole(self, frames: Sequence[Frame]) -> list[tuple[UInt8[np.ndarray, "channels height width"], Transform]]:
        """Return what `read` gives for each whole frame; of successive frames of one size it is faster."""
        results: list[tuple[np.ndarray, Transform]] = []
        for (size, _), same in groupby(frames, lambda frame: (frame.size, frame.image.shape)):
            layout = _layout(self, *size)
            sources = self._sources(list(same), layout)
            warped = resample.warp_together(sources, layout.whole.pixels, *layout.drawn)
            images = [resample.place(resample.to_channels(image, self.channels), *layout.padded) for image in warped]
            results.extend((image.transpose(2, 0, 1), layout.whole.points) for image in images)
        return results

    def reduced(self, frame: Frame) -> Frame:
        """Return the smallest copy of a frame of which everything is read just as of the frame itself.

        It has the channels that the network needs and, where whole frames are read at a smaller scale, that scale.

        Raises:
            ValueError: The frame is a smaller copy that another input was read from.
        """
        (image,) = self._sources([frame], _layout(self, *frame.size))
        return Frame(frame.key, image, frame.size)

    def reduced_shape(self, height: int, width: int, channels: int) -> tuple[int, int, int]:
        """Return the shape of what `reduced` makes of a frame of a shape."""
        size = _layout(self, height, width).reduced
        return (*((height, width) if size is None else size), min(self.channels, channels))

    def _sources(self, frames: Sequence[Frame], layout: _Layout) -> list[resample.Image]:
        """Return the copies of frames of one size that are read, which their images may be already.

        Colour is dropped before pixels are moved, and grey repeated after, so that the fewest channels are moved.

        Raises:
            ValueError: The images are smaller copies that another input was read from.
        """
        size, given = frames[0].size, frames[0].image.shape[:2]
        if given not in (size, layout.reduced):
            raise ValueError(f"A copy of {given} of a frame of {size} (height, width) is not what {self} is read from.")
        plain = [resample.to_channels(frame.image, min(self.channels, frame.image.shape[2])) for frame in frames]
        return plain if layout.reduced is None else resample.resize_together(plain, *layout.reduced)

    def content_size(self, frame: Frame, augmentation: Augmentation | None = None) -> tuple[int, int]:
        """Return the (height, width) of the part of an input in which points can lie; the rest is black.

        What moves in a whole frame may also move to where there was padding.
        """
        layout = _layout(self, *frame.size)
        if augmentation is None:
            return layout.content
        if augmentation.window is not None:
            return augmentation.window.side, augmentation.window.side
        return layout.drawn if augmentation.moves else layout.content

    def sizes(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return (height, width) of the part in which points can lie, and of the whole input, of a frame of a size."""
        layout = _layout(self, height, width)
        return layout.content, layout.padded


@lru_cache(maxsize=256)
def _layout(spec: InputSpec, height: int, width: int) -> _Layout:
    """Return how frames of (height, width) are read."""
    canvas = (
        height if spec.max_height is None else spec.max_height,
        width if spec.max_width is None else spec.max_width,
    )
    if spec.crop_size is None:
        spec.check_size(*canvas)
    match = min(canvas[0] / height, canvas[1] / width)
    matched = _Mapping(
        resample.resize_map((height, width), (max(1, round(height * match)), max(1, round(width * match)))),
        Transform.scaling(match),
    )
    area = canvas if spec.crop_size is None else (spec.crop_size, spec.crop_size)
    content = (max(1, int(area[0] * spec.scale)), max(1, int(area[1] * spec.scale)))
    scaled = _Mapping(resample.resize_map(area, content), Transform.scaling(spec.scale))
    padded = (-(-content[0] // spec.stride) * spec.stride, -(-content[1] // spec.stride) * spec.stride)
    drawn = padded if spec.crop_size is None else content
    whole, reduced = matched.then(scaled), None
    factors = whole.pixels.matrix[[1, 0], [1, 0]].tolist()
    if spec.crop_size is None and max(factors) < 1:
        reduced = max(1, round(height * factors[0])), max(1, round(width * factors[1]))
        back = resample.resize_map((height, width), reduced).inverse()
        whole = _Mapping(back.then(whole.pixels), whole.points)
    return _Layout(match, matched, scaled, reduced, whole, drawn, content, padded, (1 - match * spec.scale) / 2)


def _window_map(
    window: Window, points: Transform, focus: tuple[float, float] | None, size: tuple[int, int]
) -> Transform:
    """Return the map from an input to the window in it.

    Args:
        window: What is cut out.
        points: Frame px to px of the whole input.
        focus: (x, y) frame px it lies about, None for anywhere.
        size: (height, width) of the whole input without padding.
    """
    moved = None if focus is None else tuple(points(np.array(focus)).tolist())
    left, top = window.corner(moved, *size)
    return Transform.translation(-left, -top)


def _crop_map(region: Region, match: float, crop_size: int) -> Transform:
    """Return the map from the size-matched frame to the square about the anchor of a region (frame px).

    Pixel centres are integers, so the square of side s about c starts at ``c - s / 2 + 0.5``.
    """
    if region.centre is None:
        raise ValueError("A crop needs a region with a centre.")
    x, y = region.centre
    return Transform.translation(crop_size / 2 - 0.5 - x * match, crop_size / 2 - 0.5 - y * match)
