"""Translation of a network for its device, where there is a compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sleap_nn.log import logger

BACKEND = "inductor"


def compile_network(network: nn.Module) -> None:
    """Let the network be translated when it is called; names of weights and copies of the network stay as they are."""
    network.compile(backend=_Translator())


def compiled(network: nn.Module) -> Callable[..., Any]:
    """Return what computes the same as a network, translated when it is called; the network itself stays as it is."""
    return torch.compile(network, backend=_Translator())


class _Translator:
    """Translates parts of a network; without a working compiler they run as they are."""

    def __init__(self) -> None:
        self._works = True

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        if self._works:
            try:
                return torch._dynamo.lookup_backend(BACKEND)(graph, inputs)
            except (RuntimeError, OSError, ImportError) as error:
                self._works = False
                reason = next(line for line in (*str(error).splitlines(), type(error).__name__) if line.strip())
                logger.warning("The network is not compiled, and runs as it is: %s", reason)
        return graph.forward
