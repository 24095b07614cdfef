"""Values put together over the processes of a training; without a process group they are those of this process.

Whatever is put together here is called in all processes, in the same order.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


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
    """Return the largest of a number over all processes; of NaN and a number, either may come out."""
    if not is_shared():
        return value
    largest = torch.tensor(value, dtype=torch.float64, device=_group_device())
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return float(largest)


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


def share_buffers(network: nn.Module) -> None:
    """Give the buffers of the first process to all, so that they validate, and save, the same network."""
    if is_shared():
        for buffer in network.buffers():
            dist.broadcast(buffer, src=0)


def _group_device() -> torch.device:
    """Return where a tensor must be for the process group to send it."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
