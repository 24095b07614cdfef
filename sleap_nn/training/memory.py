"""How much memory training takes, before it takes it."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.data.memory import available_memory
from sleap_nn.errors import DeviceMemoryError
from sleap_nn.log import logger
from sleap_nn.training.microbatches import REMEDIES

MEGABYTE, GIGABYTE = 1e6, 1e9
SAFE_SHARE = 0.9
"""Share of the free memory that a need may take before it is doubted."""
HOPELESS_SHARE = 4
"""Share of the free memory beyond which a need is refused: the estimate is never so far off."""
_MAP_COPIES = 6
"""Float32 maps of the size of the output at once: output, target, their difference, and what the loss keeps."""


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that a training step takes.

    Attributes:
        weights: Weights, gradients, the state of the optimizer, and the running mean of the weights.
        sample: What the network and the loss keep of one sample until its gradient is there.
    """

    weights: int
    sample: int

    def of(self, batch_size: int) -> int:
        """Return the bytes of a step of so many samples."""
        return self.weights + batch_size * self.sample


def measure(network: nn.Module, image_shape: tuple[int, ...], settings: TrainerConfig) -> MemoryNeed:
    """Return what a step takes, without making one.

    The network runs on PyTorch's meta device, which knows shapes and computes nothing; what it would keep for the
    backward pass is added up. Workspaces of kernels are not seen, so this is an estimate, good to a fifth or so.

    Args:
        network: Not changed.
        image_shape: (C, H, W) of an input.
        settings: With accelerator and precision resolved.
    """
    # CPUs keep most of a network in float32 whatever the precision.
    half = settings.precision != "32" and settings.trainer_accelerator != "cpu"
    kept, maps = _kept_for_backward(network, image_shape, torch.bfloat16 if half else torch.float32)
    # While the gradient of the largest tensor is computed, it is there, and the one before it as well.
    sample = sum(kept) + 2 * max(kept, default=0) + _MAP_COPIES * 4 * maps
    trainable = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in network.parameters())
    moments = 3 if settings.optimizer.amsgrad else 2
    copies = 2 if settings.ema_decay > 0 else 1
    return MemoryNeed(weights=4 * (copies * total + (1 + moments) * trainable), sample=sample)


def free_memory(accelerator: str) -> int | None:
    """Return the bytes that are free on a device, None if that cannot be told."""
    if accelerator == "cuda":
        return torch.cuda.mem_get_info()[0]
    if accelerator == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return available_memory()


def announce(need: MemoryNeed, batch_size: int, accelerator: str, frames: int) -> None:
    """Log what training takes, and warn if it will hardly fit.

    Args:
        need: What a step takes.
        batch_size: Samples of a step.
        accelerator: The device.
        frames: Bytes of frames that will be kept in main memory.

    Raises:
        DeviceMemoryError: It cannot fit, even if the estimate is far off; a GPU splits a batch, a sample it cannot.
    """
    free, step = free_memory(accelerator), need.of(batch_size)
    beside = frames if accelerator == "cpu" else 0
    logger.info(
        "Memory: about %s for a step of %d samples (weights and optimizer %s, activations %s)%s%s.",
        _text(step),
        batch_size,
        _text(need.weights),
        _text(step - need.weights),
        f", frames kept in memory {_text(frames)}" if frames else "",
        "" if free is None else f"; {_text(free)} free on {accelerator}",
    )
    if free is None or step + beside <= SAFE_SHARE * free:
        return
    fitting = int((SAFE_SHARE * free - beside - need.weights) // need.sample)
    if need.of(batch_size if accelerator == "cpu" else 1) > HOPELESS_SHARE * free:
        hint = f" About {fitting} samples would fit." if fitting > 0 else ""
        raise DeviceMemoryError(
            f"A step of {batch_size} samples takes about {_text(step)}, but {_text(free)} are free on {accelerator}; "
            f"{REMEDIES}.{hint}"
        )
    logger.warning(
        "A step of %d samples will hardly fit into the memory of the %s: %s.%s",
        batch_size,
        accelerator,
        REMEDIES,
        f" About {fitting} samples would fit." if fitting > 0 else "",
    )


def _kept_for_backward(network: nn.Module, image_shape: tuple[int, ...], dtype: torch.dtype) -> tuple[list[int], int]:
    """Return the bytes of every tensor that is kept for the backward pass of one sample, and the size of its output."""
    model = copy.deepcopy(network).to("meta").to(dtype).train()
    own = [parameter.untyped_storage() for parameter in model.parameters()]
    seen = {id(storage) for storage in own}
    kept: list[torch.UntypedStorage] = []

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if id(storage) not in seen:
            seen.add(id(storage))
            kept.append(storage)
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        outputs = model(torch.empty((1, *image_shape), dtype=torch.uint8, device="meta"))
    return [storage.nbytes() for storage in kept], sum(output.numel() for output in outputs.values())


def _text(num_bytes: int) -> str:
    """Return a number of bytes as megabytes or gigabytes."""
    if num_bytes < GIGABYTE:
        return f"{num_bytes / MEGABYTE:.0f} MB"
    return f"{num_bytes / GIGABYTE:.1f} GB"
