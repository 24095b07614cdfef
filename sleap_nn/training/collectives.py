"""Values put together over the processes of a training; without a process group they are those of this process.

Whatever is put together here is called in all processes, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

_BUCKET = 2**24
"""Values of gradients that are exchanged at once."""


def is_shared() -> bool:
    """Tell whether a process group is open."""
    return dist.is_available() and dist.is_initialized()


def sum_over_devices(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes."""
    if is_shared():
        tensor = tensor.clone()
        dist.all_reduce(tensor)
    return tensor


def largest_over_devices(value: float) -> float:
    """Return the largest of a number over all processes; NaN if any of them is."""
    if not is_shared():
        return value
    values = [torch.zeros((), dtype=torch.float64) for _ in range(dist.get_world_size())]
    dist.all_gather(values, torch.tensor(value, dtype=torch.float64))
    return float(torch.stack(values).max())


def on_any_device(wish: bool) -> bool:
    """Tell whether any process has a wish, for example to stop."""
    return wish if not is_shared() else largest_over_devices(float(wish)) > 0


def gathered(value: Any) -> list[Any]:
    """Return a plain value of every process, in their order."""
    if not is_shared():
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


@torch.no_grad()
def sum_gradients(weights: Iterable[nn.Parameter]) -> None:
    """Replace the gradients of weights by their sums over all processes, many in one exchange."""
    if not is_shared():
        return
    for bucket in _buckets([weight.grad for weight in weights if weight.grad is not None]):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        dist.all_reduce(flat)
        for gradient, total in zip(bucket, flat.split([gradient.numel() for gradient in bucket]), strict=True):
            gradient.copy_(total.view_as(gradient))


@torch.no_grad()
def share_weights(network: nn.Module) -> None:
    """Give the weights and buffers of the first process to all, so that they begin with the same network."""
    _share([*network.parameters(), *network.buffers()])


@torch.no_grad()
def share_buffers(network: nn.Module) -> None:
    """Give the buffers of the first process to all, so that they validate, and save, the same network."""
    _share(list(network.buffers()))


def _share(tensors: Sequence[Tensor]) -> None:
    """Overwrite tensors with those of the first process."""
    if not is_shared():
        return
    for tensor in tensors:
        sent = tensor.contiguous()
        dist.broadcast(sent, src=0)
        tensor.copy_(sent)


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield tensors in groups of about `_BUCKET` values, in their order."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        bucket.append(tensor)
        size += tensor.numel()
        if size >= _BUCKET:
            yield bucket
            bucket, size = [], 0
    if bucket:
        yield bucket
