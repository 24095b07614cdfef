"""Which device computes, and in which precision."""

from __future__ import annotations

import os

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
