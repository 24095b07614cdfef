"""`MicroBatches`: when memory runs out in a step, its batch goes through the network in parts."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

from sleap_nn.errors import DeviceMemoryError
from sleap_nn.log import logger
from sleap_nn.structures.sample import Batch

Result = TypeVar("Result")

REMEDIES = (
    "lower trainer_config.train_data_loader.batch_size, data_config.preprocessing.scale or crop_size, or the filters "
    "of the backbone, or set trainer_config.precision=bf16-mixed"
)
_MESSAGES = ("out of memory", "DefaultCPUAllocator", "ALLOC_FAILED")


class MicroBatches:
    """How many samples go through the network at once.

    The size is halved whenever memory runs out, and stays: what failed once would fail again.

    Attributes:
        size: Samples of a part; None: a batch is never split.
    """

    def __init__(self) -> None:
        """Start with whole batches."""
        self.size: int | None = None

    def run(self, batch: Batch, work: Callable[[Sequence[Batch]], Result]) -> Result:
        """Work on the parts of a batch, anew in smaller ones when memory runs out.

        Args:
            batch: The batch.
            work: Gets the parts; it may be called again, so it must not leave anything behind when it fails.

        Raises:
            DeviceMemoryError: There is not even memory for a single sample.
        """
        while True:
            parts = batch.split(self.size)
            try:
                return work(parts)
            except RuntimeError as error:
                if not ran_out_of_memory(error):
                    raise
                reason = str(error).splitlines()[0]
            # Only here, when the error and all that it held are gone, memory can be given back.
            release_memory()
            self._halve(max(map(len, parts)), reason)

    def state_dict(self) -> dict[str, Any]:
        """Return the size."""
        return {"size": self.size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with a saved size."""
        self.size = state["size"]

    def _halve(self, largest: int, reason: str) -> None:
        """Choose smaller parts.

        Raises:
            DeviceMemoryError: A part is a single sample already.
        """
        if largest == 1:
            raise DeviceMemoryError(f"There is not enough memory for a single sample ({reason}); {REMEDIES}.")
        self.size = (largest + 1) // 2
        logger.warning(
            "Memory ran out with %d samples at once; batches go through the network in parts of %d from now on, and "
            "their gradients are added up to the same step.",
            largest,
            self.size,
        )


def ran_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether a device, or the CPU, had no memory left for a tensor."""
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in _MESSAGES)


def release_memory() -> None:
    """Give back what tensors that are gone have left in the caches of their device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
