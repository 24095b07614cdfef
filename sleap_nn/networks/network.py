"""`PoseNetwork`: normalise an image, run the backbone, read every head."""

from __future__ import annotations

import math
import pkgutil
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sleap_nn.config.model_config import BackboneConfig
from sleap_nn.errors import ConfigError
from sleap_nn.heads.base import Head
from sleap_nn.networks.backbone import Backbone, check_size
from sleap_nn.networks.unet import UNet


def _loaded_when_built(name: str) -> Callable[[], type[Backbone]]:
    """Return a function that imports ``module:Class`` when it is called: torchvision takes two seconds to load."""
    return partial(pkgutil.resolve_name, f"sleap_nn.networks.{name}")


BACKBONES: dict[str, Callable[[], type[Backbone]]] = {
    "unet": lambda: UNet,
    "convnext": _loaded_when_built("convnext:ConvNext"),
    "swint": _loaded_when_built("swint:SwinT"),
    "pretrained": _loaded_when_built("pretrained:Pretrained"),
}
"""Name of the section -> what returns the class; importing it must not happen while `check_size` looks."""


class PoseNetwork(nn.Module):
    """A backbone and the layers of its heads.

    Attributes:
        heads: The heads, in the order of `head_layers`.
    """

    def __init__(self, backbone: Backbone, heads: Sequence[Head]) -> None:
        """Make the head layers.

        Raises:
            ConfigError: A head asks for a stride that the backbone does not give.
        """
        super().__init__()
        self.backbone = backbone
        self.heads = tuple(heads)
        self.head_layers = nn.ModuleList([head.layer(_channels_for(head, backbone)) for head in self.heads])

    @classmethod
    def from_config(cls, config: BackboneConfig, heads: Sequence[Head]) -> PoseNetwork:
        """Build the network of the one backbone that is set.

        Raises:
            ConfigError: The backbone is impossible, or too large for any memory.
        """
        name, section = str(config.which_oneof_attrib_name()), config.which_oneof()
        backbone: Callable[[Any], Backbone] = BACKBONES[name]()
        if name != "pretrained":  # the library that knows its encoder computes with real numbers while it builds it
            check_size(lambda: cls(backbone(section), heads), f"model_config.backbone_config.{name}")
        return cls(backbone(section), heads)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map images (B, C, H, W), uint8 or floats 0..255, to raw outputs {head name: (B, C, h, w)}."""
        features = self.backbone(image.to(self.dtype) / 255)
        return {
            head.name: layer(
                features.bottleneck if head.reads == "bottleneck" else features.by_stride[head.output_stride]
            )
            for head, layer in zip(self.heads, self.head_layers, strict=True)
        }

    @property
    def dtype(self) -> torch.dtype:
        """The floating type of the weights."""
        return next(self.parameters()).dtype

    @property
    def num_parameters(self) -> int:
        """The number of trainable and frozen weights."""
        return sum(parameter.numel() for parameter in self.parameters())


def _channels_for(head: Head, backbone: Backbone) -> int:
    """Return the channels of what a head reads.

    Raises:
        ConfigError: The backbone does not give its stride.
    """
    if head.reads == "bottleneck":
        return backbone.bottleneck_channels
    if head.output_stride not in backbone.channels:
        raise ConfigError(
            f"The {head.name} head reads stride {head.output_stride}, but the backbone gives "
            f"{sorted(backbone.channels)}; set output_stride of the head to one of these."
        )
    return backbone.channels[head.output_stride]


def initialise(network: PoseNetwork, scheme: str) -> None:
    """Draw the weights of a new network.

    ``default`` keeps the spread of the signal from layer to layer (He et al., "Delving Deep into Rectifiers", ICCV
    2015), without which a deep network that has no normalisation layers starts blind. ``xavier`` draws all weights
    xavier-uniform (Glorot and Bengio, AISTATS 2010). Biases start at 0; with ``default`` the head layers, and the parts
    that the backbone has drawn itself, keep their own start.
    """
    layers = set(network.modules() if scheme == "xavier" else network.backbone.modules())
    if scheme == "default":
        layers -= {layer for part in network.backbone.drawn for layer in part.modules()}
    for layer in [layer for layer in network.modules() if layer in layers]:
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            continue
        if scheme == "xavier":
            nn.init.xavier_uniform_(layer.weight)
        elif isinstance(layer, nn.ConvTranspose2d):
            # A stride of s spreads the kernel over s x s outputs, so each sees only a part of it.
            kernel_cells = layer.weight[0, 0].numel() / (layer.stride[0] * layer.stride[1])
            nn.init.normal_(layer.weight, std=math.sqrt(2 / (layer.in_channels * kernel_cells)))
        else:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
