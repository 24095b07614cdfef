import math
from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch import nn

from sleap_nn.training import collectives


@pytest.fixture
def group() -> Iterator[None]:
    """Open a process group of one; what several do is tested in `test_team`."""
    store = dist.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def check() -> None:
    tensor = torch.tensor([1.0, 2.0])
    assert torch.equal(collectives.sum_over_devices(tensor), tensor)
    assert collectives.largest_over_devices(0.25) == 0.25
    assert math.isnan(collectives.largest_over_devices(math.nan))
    assert [collectives.on_any_device(wish) for wish in (True, False)] == [True, False]
    assert collectives.gathered({"a": 1}) == [{"a": 1}]
    network = nn.BatchNorm2d(2)
    collectives.share_buffers(network)
    collectives.share_weights(network)
    assert torch.equal(network.running_var, torch.ones(2))


def test_a_process_alone_has_only_its_own_values() -> None:
    assert not collectives.is_shared()
    check()


def test_a_group_of_one_has_them_too(group: None) -> None:
    assert collectives.is_shared()
    check()


def test_gradients_are_exchanged_in_groups_whatever_their_layout(group: None, monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)).to(memory_format=torch.channels_last)
    network(torch.rand(1, 3, 8, 8)).sum().backward()
    network[1].bias.grad = None  # frozen
    before = [None if weight.grad is None else weight.grad.clone() for weight in network.parameters()]
    sizes: list[int] = []
    monkeypatch.setattr(collectives, "_BUCKET", 100)
    monkeypatch.setattr(dist, "all_reduce", lambda flat: (sizes.append(len(flat)), flat.mul_(2)))
    collectives.sum_gradients(network.parameters())
    assert sizes == [108, 4 + 16]
    for weight, gradient in zip(network.parameters(), before, strict=True):
        assert (weight.grad is None) == (gradient is None)
        if weight.grad is not None and gradient is not None:
            assert torch.equal(weight.grad, 2 * gradient)


def test_a_sum_does_not_change_what_is_summed(group: None) -> None:
    tensor = torch.tensor([1.0])
    collectives.sum_over_devices(tensor).add_(1)
    assert tensor.item() == 1
