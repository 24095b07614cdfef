"""Which device computes, and in which precision."""

from __future__ import annotations

import os
import subprocess

import torch

from sleap_nn.errors import ConfigError
from sleap_nn.log import logger

PRECISIONS = ("auto", "32", "bf16-mixed", "16-mixed")


def resolve_accelerator(name: str) -> str:
    """Return the accelerator that runs: what was asked for, if it is here, else the best that is.

    ``SLEAP_NN_DISABLE_MPS=1`` hides MPS.
    """
    available = {"cpu"}
    if torch.cuda.is_available():
        available |= {"gpu", "cuda"}
    if torch.backends.mps.is_available() and os.environ.get("SLEAP_NN_DISABLE_MPS") != "1":
        available |= {"gpu", "mps"}
    if name in available and name != "gpu":
        return name
    return next(device for device in ("cuda", "mps", "cpu") if device in available)


def num_devices(accelerator: str) -> int:
    """Return how many devices of a kind this machine has; the processor counts as one."""
    return torch.cuda.device_count() if accelerator == "cuda" else 1


def freest_gpus(count: int) -> tuple[int, ...]:
    """Return the indices of the GPUs with the most free memory, ascending; where that is unknown, of the first ones."""
    free = _free_memory()
    indices = range(torch.cuda.device_count())
    if any(_uuid(index) not in free for index in indices):
        return tuple(indices[:count])
    return tuple(sorted(sorted(indices, key=lambda index: -free[_uuid(index)])[:count]))


def _free_memory() -> dict[str, int]:
    """Return free MiB by the id of the GPU, as the driver's program tells, which takes no memory of the GPUs itself."""
    query = ["nvidia-smi", "--query-gpu=uuid,memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
        rows = [line.split(",") for line in answer.splitlines()]
        return {uuid.strip().removeprefix("GPU-"): int(free) for uuid, free in rows}
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}


def _uuid(index: int) -> str:
    """Return the id of a GPU without its prefix."""
    return str(torch.cuda.get_device_properties(index).uuid).removeprefix("GPU-")


def native_bfloat16(accelerator: str) -> bool:
    """Tell whether bfloat16 is computed by the hardware; emulated, it is slower than float32."""
    if accelerator == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if accelerator == "cpu":
        capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return False


def resolve_precision(name: str, accelerator: str) -> str:
    """Return the precision that ``auto`` stands for on an accelerator.

    Raises:
        ConfigError: The name is unknown.
    """
    if name not in PRECISIONS:
        raise ConfigError(f"trainer_config.precision is {name!r}; choose one of {', '.join(PRECISIONS)}.")
    if name == "16-mixed" and accelerator == "cpu":
        logger.warning("CPUs do not compute in float16; training runs with precision 32 in place of 16-mixed.")
        return "32"
    if name != "auto":
        return name
    if native_bfloat16(accelerator):
        return "bf16-mixed"
    return "16-mixed" if accelerator == "cuda" else "32"
