from weakref import ref

import numpy as np
import torch
from torch import Tensor, nn

from sleap_nn.networks.kernels import Kernels, kernels_of


class Maker:
    """Makes kernels, and counts how often."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self.conv = conv
        self.kept: list[bool] = []

    def __call__(self, keep: bool) -> Kernels:
        self.kept.append(keep)
        return Kernels((2 * self.conv.weight.detach(),), None)


def some_layer(trained: bool = False, bias: bool = True) -> tuple[nn.Conv2d, Tensor, Maker]:
    """Return a layer, a map that it reads, and a maker of kernels."""
    conv = nn.Conv2d(2, 3, 3, bias=bias).requires_grad_(trained)
    return conv, torch.zeros(1, 2, 8, 8), Maker(conv)


def test_kernels_of_a_layer_are_made_once() -> None:
    conv, x, make = some_layer()
    first = kernels_of(conv, "form", x, make)
    assert kernels_of(conv, "form", x.repeat(4, 1, 1, 1), make) is first
    assert make.kept == [True]


def test_each_form_and_layer_has_its_own() -> None:
    (conv, x, make), (other, _, make_other) = some_layer(), some_layer(bias=False)
    kernels = [kernels_of(conv, "form", x, make), kernels_of(conv, "other form", x, make)]
    kernels.append(kernels_of(other, "form", x, make_other))
    assert len({id(each) for each in kernels}) == 3
    assert kernels_of(conv, "form", x, make) is kernels[0]


def test_other_weights_or_maps_make_other_kernels() -> None:
    conv, x, make = some_layer()
    assert conv.bias is not None
    kernels_of(conv, "form", x, make)
    conv.weight.zero_()
    assert (kernels_of(conv, "form", x, make).weights[0] == 0).all()
    conv.bias.zero_()
    kernels_of(conv, "form", x, make)
    conv.load_state_dict(nn.Conv2d(2, 3, 3).state_dict())
    assert torch.equal(kernels_of(conv, "form", x, make).weights[0], 2 * conv.weight)
    conv.weight = nn.Parameter(conv.weight + 1, requires_grad=False)
    assert torch.equal(kernels_of(conv, "form", x, make).weights[0], 2 * conv.weight)
    kernels_of(conv, "form", x[..., :4], make)
    kernels_of(conv, "form", x.bfloat16(), make)
    assert len(make.kept) == 7


def test_nothing_is_kept_of_weights_that_are_trained() -> None:
    conv, x, make = some_layer(trained=True)
    assert kernels_of(conv, "form", x, make) is not kernels_of(conv, "form", x, make)
    assert make.kept == [False, False]


def test_weights_made_for_inference_do_not_tell_when_they_change() -> None:
    with torch.inference_mode():
        conv, x, make = some_layer()
        kernels_of(conv, "form", x, make)
        conv.weight.zero_()
        assert (kernels_of(conv, "form", x, make).weights[0] == 0).all()


def test_memory_of_weights_is_not_given_to_others_while_their_kernels_are_kept() -> None:
    conv, x, make = some_layer()
    values = np.ones(conv.weight.shape, np.float32)
    memory = ref(values)
    conv.weight = nn.Parameter(torch.from_numpy(values), requires_grad=False)
    kernels_of(conv, "form", x, make)
    del values
    conv.weight = nn.Parameter(torch.zeros(conv.weight.shape), requires_grad=False)
    assert memory() is not None
    assert (kernels_of(conv, "form", x, make).weights[0] == 0).all()
    assert memory() is None
