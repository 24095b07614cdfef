"""Weights of a convolution in the form in which a processor reads them, made once where they do not change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn


class Kernels(NamedTuple):
    """What a way to compute a layer reads in place of its weights.

    Attributes:
        weights: In the order in which they are used.
        bias: None without.
    """

    weights: tuple[Tensor, ...]
    bias: Tensor | None


class _Kept(NamedTuple):
    """Kernels, and what they were made of and for.

    Attributes:
        made_for: Type and size of the map, and address and version of each weight.
        weights: The weights, which keep their addresses from being given to others.
        kernels: What was made.
    """

    made_for: tuple[object, ...]
    weights: tuple[Tensor, ...]
    kernels: Kernels


_KEPT: WeakKeyDictionary[nn.Conv2d, dict[str, _Kept]] = WeakKeyDictionary()


def kernels_of(conv: nn.Conv2d, form: str, x: Tensor, make: Callable[[bool], Kernels]) -> Kernels:
    """Return kernels for a layer; those of weights that are not trained are kept until weights or maps are others.

    Args:
        conv: The layer.
        form: Name of what `make` makes.
        x: The map that the layer reads.
        make: Called with whether the kernels will be kept.
    """
    if conv.weight.requires_grad or conv.weight.is_inference():
        return make(False)
    given = [conv.weight] if conv.bias is None else [conv.weight, conv.bias]
    made_for = (x.dtype, x.shape[1:], *((part.data_ptr(), part._version) for part in given))
    forms = _KEPT.setdefault(conv, {})
    kept = forms.get(form)
    if kept is None or kept.made_for != made_for:
        kept = forms[form] = _Kept(made_for, tuple(part.detach() for part in given), make(True))
    return kept.kernels


def packed(weight: Tensor, x: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    """Return a weight in bfloat16 in the order in which convolutions of maps like `x` read it; others as they are."""
    if weight.dtype != torch.bfloat16:
        return weight
    return torch.ops.mkldnn._reorder_convolution_weight.default(weight, padding, stride, (1, 1), 1, x.shape)
