"""Parts of a network by name, and how far each weight is from the heads: what freezing and learning rates ask for."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from sleap_nn.errors import ConfigError
from sleap_nn.networks.network import PoseNetwork

HEADS = "head_layers."


def find_weights(network: PoseNetwork, given: Sequence[str], where: str) -> list[str]:
    """Return the names of the weights that parts or patterns stand for, in the order of the network.

    Args:
        network: The network.
        given: ``backbone``, ``encoder``, ``decoder``, ``heads``, or patterns of names such as
            ``backbone.enc.features.0.*``, in which ``*`` stands for anything.
        where: The option that holds them, for the message.

    Raises:
        ConfigError: One of them stands for no weight.
    """
    parts, weights = _parts(network), [name for name, _ in network.named_parameters()]
    found: set[str] = set()
    for item in given:
        matching = parts[item] if item in parts else {name for name in weights if fnmatchcase(name, item)}
        if not matching:
            example = next(iter(network.state_dict()))
            raise ConfigError(
                f"{where} holds {item!r}, which is no part of this network; give backbone, encoder, decoder, heads, or "
                f"a pattern of weight names, which are like {example}."
            )
        found |= matching
    return [name for name in weights if name in found]


def depths(network: PoseNetwork) -> dict[str, int]:
    """Return how many steps each weight is away from the heads: 0 for theirs, 1 for the last block of the backbone."""
    blocks = network.backbone.blocks()
    steps = {
        id(parameter): len(blocks) - index
        for index, block in enumerate(blocks)
        for parameter in block.module.parameters()
    }
    return {
        name: 0 if name.startswith(HEADS) else steps.get(id(parameter), len(blocks))
        for name, parameter in network.named_parameters()
    }


def _parts(network: PoseNetwork) -> dict[str, set[str]]:
    """Return the names of the weights of each part."""
    encoder = {id(p) for block in network.backbone.blocks() if block.encoder for p in block.module.parameters()}
    weights = dict(network.named_parameters())
    heads = {name for name in weights if name.startswith(HEADS)}
    shrinking = {name for name, parameter in weights.items() if id(parameter) in encoder}
    backbone = set(weights) - heads
    return {
        "backbone": backbone,
        "encoder": shrinking,
        "decoder": backbone - shrinking,
        "heads": heads,
    }
