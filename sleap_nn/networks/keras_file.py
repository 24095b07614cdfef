"""Weights of SLEAP up to 1.4: the Keras file ``best_model.h5``, read as the plain arrays that it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from sleap_nn.compat.keras_weights import WeightPlan, plan_weights
from sleap_nn.errors import ModelError

_WEIGHTS = "model_weights"
_MOST_NUMBERS = 2**30
"""Most numbers of one array: a header may claim any size."""
_LARGEST_EXPANSION = 8
"""Most bytes of arrays to a byte of the file: trained weights hardly compress."""


def read_keras(path: Path) -> tuple[dict[str, Tensor], WeightPlan]:
    """Read the weights of a Keras file, named as in `PoseNetwork`, and where each came from.

    Everything else in the file, such as the state of the optimizer, is left alone.

    Raises:
        ModelError: The file cannot be read, or is not of a UNet of SLEAP.
    """
    try:
        with h5py.File(path, "r") as file:
            layers = _layers(file)
            plan = plan_weights(
                {name: {part: len(a.shape) for part, a in arrays.items()} for name, arrays in layers.items()}
            )
            _refuse_expansion([layers[s.layer][s.part] for s in plan.tensors.values()], path.stat().st_size)
            tensors = {
                name: torch.from_numpy(_array(layers[source.layer][source.part], source.axes))
                for name, source in plan.tensors.items()
            }
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"{path} cannot be read as a UNet of SLEAP ({error}); give the best_model.h5 of a folder that SLEAP up to "
            "1.4 has trained."
        ) from error
    return tensors, plan


def _layers(file: h5py.File) -> dict[str, dict[str, h5py.Dataset]]:
    """Return the arrays of every layer that has some, by their names without Keras's number.

    Raises:
        ValueError: There are no weights, or one of them lies in another file.
    """
    group = file.get(_WEIGHTS)
    if not isinstance(group, h5py.Group):
        raise ValueError(f"it has no group {_WEIGHTS!r}")
    layers: dict[str, dict[str, h5py.Dataset]] = {}
    for name in map(str, group):
        inner = _inside(_inside(group, name), name)
        if isinstance(inner, h5py.Group):
            found = {array.partition(":")[0]: _inside(inner, array) for array in map(str, inner)}
            layers[name] = {part: array for part, array in found.items() if isinstance(array, h5py.Dataset)}
    return layers


def _inside(group: object, name: str) -> object:
    """Return a member that lies in the same file, None if there is none.

    Raises:
        ValueError: The member is a link into another file.
    """
    if not isinstance(group, h5py.Group) or name not in group:
        return None
    if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
        raise ValueError(f"{name!r} is a link into another file")
    return group[name]


def _refuse_expansion(arrays: Sequence[h5py.Dataset], num_bytes: int) -> None:
    """Refuse arrays that are far larger than the file they come from: compressed, never written, or one of many names.

    Raises:
        ValueError: They are.
    """
    claimed = sum((0 if data.size is None else data.size) * data.dtype.itemsize for data in arrays)
    if claimed > _LARGEST_EXPANSION * num_bytes:
        raise ValueError(f"its arrays would take {claimed} bytes, but it has {num_bytes}")


def _array(data: h5py.Dataset, axes: tuple[int, ...]) -> np.ndarray:
    """Return the values with their axes in another order.

    Raises:
        ValueError: They are too many, no floating-point numbers, or lie in another file.
    """
    if data.size is None or data.size > _MOST_NUMBERS or data.dtype.kind != "f" or data.external or data.is_virtual:
        raise ValueError(f"{data.name} holds no weights (shape {data.shape}, {data.dtype})")
    return np.ascontiguousarray(np.asarray(data, np.float32).transpose(axes))


def image_channels(weights: Mapping[str, Tensor]) -> int:
    """Return the channels of the images that a UNet reads."""
    stem = [
        name for name in weights if name.startswith("backbone.stem.stem_stack.0.") and name.endswith("conv0.weight")
    ]
    first = stem or [name for name in weights if name.endswith("stack0_enc0_conv0.weight")]
    return int(weights[first[0]].shape[1])
