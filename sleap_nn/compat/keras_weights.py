"""Weights of SLEAP up to 1.4 (Keras layers) -> tensors under today's names; names and axes only, no arrays.

Which Keras layer is which tensor, and how its axes are ordered, is the whole content of this module; the file is read
in `networks.keras_file`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """Where a tensor comes from.

    Attributes:
        layer: Name of the Keras layer.
        part: ``kernel`` or ``bias``.
        axes: Order in which the axes of the Keras array are taken.
    """

    layer: str
    part: str
    axes: Axes


@dataclass(frozen=True)
class WeightPlan:
    """How the weights of a file become those of a network.

    Attributes:
        tensors: Today's name -> where it comes from.
        ignored: Layers without a counterpart, whose outputs are not used any more.
    """

    tensors: dict[str, Source]
    ignored: tuple[str, ...]


_HEADS: dict[str, int] = {
    "SingleInstanceConfmapsHead": 0,
    "CentroidConfmapsHead": 0,
    "CenteredInstanceConfmapsHead": 0,
    "MultiInstanceConfmapsHead": 0,
    "PartAffinityFieldsHead": 1,
    "ClassMapsHead": 1,
}
"""Head that reads a map -> its place among the heads."""

_IGNORED = ("OffsetRefinementHead",)
_AXES: dict[int, Axes] = {2: (1, 0), 4: (3, 2, 0, 1)}
"""Number of axes of a kernel -> their order. Fully connected layers are (in, out) in Keras, convolutions
(h, w, in, out), transposed ones (h, w, out, in); these become (out, in), (out, in, h, w) and (in, out, h, w)."""
_VECTORS = "head_layers.1"


def _of_encoder(match: re.Match[str]) -> str:
    return f"backbone.encoders.{match[1]}.encoder_stack.{match[2]}.blocks.{match[0]}"


def _of_middle(match: re.Match[str]) -> str:
    place = 0 if match[2] == "expand" else 1
    return f"backbone.middle_blocks.{2 * int(match[1]) + place}.blocks.{match[0]}"


def _of_decoder(match: re.Match[str]) -> str:
    return f"backbone.decoders.{match[1]}.decoder_stack.{match[2]}.blocks.{match[0]}"


def _of_stem(match: re.Match[str]) -> str:
    return f"backbone.stem.stem_stack.{match[1]}.blocks.{match[0]}"


def _of_vectors(match: re.Match[str]) -> str:
    return f"{_VECTORS}.{match[1]}"


_PLACES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"stack(\d+)_enc\d+_middle_(expand|contract)_conv\d+"), _of_middle),
    (re.compile(r"stack(\d+)_enc(\d+)_conv\d+"), _of_encoder),
    (re.compile(r"stack(\d+)_dec(\d+)_s\d+_to_s\d+_(?:refine_conv\d+|trans_conv)"), _of_decoder),
    (re.compile(r"stem(\d+)_conv\d+"), _of_stem),
    (re.compile(r"(pre_classification\d+_fc|ClassVectorsHead)(?:_\d+)?"), _of_vectors),
)


def plan_weights(layers: Mapping[str, Mapping[str, int]]) -> WeightPlan:
    """Return where the tensors of a network come from.

    Args:
        layers: Every layer that has weights: name -> name of the array (``kernel``, ``bias``) -> number of its axes.

    Raises:
        ValueError: A layer is unknown, or has other weights than a kernel and a bias.
    """
    tensors: dict[str, Source] = {}
    ignored: list[str] = []
    for name, arrays in layers.items():
        if name.startswith(_IGNORED):
            ignored.append(name)
            continue
        place = _place(name)
        axes = _AXES.get(arrays.get("kernel", 0))
        if place is None or axes is None or dict(arrays) != {"kernel": len(axes), "bias": 1}:
            found = ", ".join(f"{array} of {num_axes} axes" for array, num_axes in arrays.items())
            raise ValueError(f"the layer {name!r} ({found or 'without weights'}) is none of a UNet of SLEAP")
        tensors[f"{place}.weight"] = Source(name, "kernel", axes)
        tensors[f"{place}.bias"] = Source(name, "bias", (0,))
    return WeightPlan(tensors, tuple(ignored))


def _place(name: str) -> str | None:
    """Return where a layer belongs, None if it is unknown."""
    for pattern, place in _PLACES:
        match = pattern.fullmatch(name)
        if match is not None:
            return place(match)
    head = re.sub(r"_\d+$", "", name)
    return f"head_layers.{_HEADS[head]}.{head}.0" if head in _HEADS else None
