"""`Pretrained`: an encoder of the timm library with a decoder like that of the UNet.

timm is an extra dependency, imported only when such a network is built.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sleap_nn.config.backbone_config import PretrainedConfig
from sleap_nn.errors import ConfigError, ModelError
from sleap_nn.networks.backbone import Backbone, Block, Features, check_size
from sleap_nn.networks.blocks import Stack, UpBlock
from sleap_nn.networks.pyramid import blocks_of

_WHERE = "model_config.backbone_config.pretrained"
_HUB_NAMES = (
    (re.compile(r"timm/(.+)"), r"\1"),
    (
        re.compile(r"facebook/convnextv2-(atto|femto|pico|nano|tiny|base|large|huge)-1k-224"),
        r"convnextv2_\1.fcmae_ft_in1k",
    ),
    (re.compile(r"facebook/convnextv2-(nano|tiny|base|large)-22k-224"), r"convnextv2_\1.fcmae_ft_in22k_in1k"),
    (re.compile(r"facebook/convnextv2-(nano|tiny|base|large|huge)-22k-384"), r"convnextv2_\1.fcmae_ft_in22k_in1k_384"),
    (re.compile(r"facebook/convnext-(tiny|small|base|large)-224"), r"convnext_\1.fb_in1k"),
    (re.compile(r"facebook/convnext-(tiny|small|base|large)-224-22k-1k"), r"convnext_\1.fb_in22k_ft_in1k"),
)
"""Names of the Hugging Face hub, and what timm calls the same weights."""


class Pretrained(Backbone):
    """A pyramid of another library's encoder, its coarsest map being the bottleneck."""

    def __init__(self, config: PretrainedConfig) -> None:
        """Make the layers; the weights of the encoder are loaded later, see `encoder_weights`.

        Raises:
            ConfigError: The encoder is unknown or no pyramid, or the strides do not fit it.
        """
        super().__init__()
        self.enc, channels, strides = _make_encoder(config)
        if config.max_stride != strides[-1]:
            raise ConfigError(
                f"{_WHERE}.max_stride is {config.max_stride}, but the coarsest map that is read of "
                f"{config.model_name} has stride {strides[-1]}; set max_stride to that."
            )
        if config.output_stride > config.max_stride:
            raise ConfigError(
                f"{_WHERE}.output_stride {config.output_stride} is larger than max_stride {config.max_stride}."
            )
        self.in_channels, self.max_stride = config.in_channels, config.max_stride
        self.bottleneck_channels = channels[-1]
        self.strides = strides
        skips = dict(zip(strides, channels, strict=True))
        check_size(lambda: _make_decoder(config, skips)[0], _WHERE)
        self.dec, self.channels = _make_decoder(config, skips)
        self.frozen = config.freeze
        self.mean: Tensor
        self.deviation: Tensor
        if self.frozen:
            self.enc.requires_grad_(False)
        mean, deviation = _statistics(config)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(1, -1, 1, 1), persistent=False)
        self.drawn = (self.enc,)

    def forward(self, image: Tensor) -> Features:
        """Map an image (B, C, H, W), floats 0..1, to features at the strides of `channels`."""
        image = (image - self.mean) / self.deviation
        if self.frozen:
            self.enc.eval()  # also the running averages of a frozen encoder stay as they are
            with torch.no_grad():
                maps = self.enc(image)
        else:
            maps = self.enc(image)
        skips = dict(zip(self.strides, maps, strict=True))
        x = skips[self.max_stride]
        by_stride = {self.max_stride: x}
        for stride, block in zip(list(self.channels)[1:], self.dec, strict=True):
            x = block(x, skips.get(stride))
            by_stride[stride] = x
        return Features(by_stride, by_stride[self.max_stride])

    def blocks(self) -> list[Block]:
        """Return the top-level parts of the encoder, then the decoder."""
        return blocks_of(self.enc.children(), (), self.dec)


def encoder_weights(config: PretrainedConfig) -> dict[str, Tensor]:
    """Return the trained weights of the encoder, from the cache or from the network.

    Raises:
        ModelError: They can be neither found nor downloaded.
    """
    name = timm_name(config)
    try:
        encoder = _timm().create_model(name, pretrained=True, **_encoder_options(config))
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"The weights of {config.model_name} cannot be loaded ({error}); connect the machine once, or set "
            f"{_WHERE}.weights=false."
        ) from error
    return encoder.state_dict()


def timm_name(config: PretrainedConfig) -> str:
    """Return what timm calls the encoder.

    Raises:
        ConfigError: timm has no encoder of that name.
    """
    known = [(pattern, name) for pattern, name in _HUB_NAMES if pattern.fullmatch(config.model_name)]
    name = config.model_name
    if config.source != "timm":
        name = known[0][0].sub(known[0][1], name) if known else ""
    if re.fullmatch(r"[\w.-]+", name):  # timm takes names of places as well, from which it would load anything
        return name
    raise ConfigError(
        f"{_WHERE}.model_name is {config.model_name!r}, which timm has no name for; give source=timm and a name that "
        "timm lists, or a hub name that starts with timm/."
    )


def _make_encoder(config: PretrainedConfig) -> tuple[nn.Module, list[int], list[int]]:
    """Return an encoder with random weights, and channels and strides of its maps, finest first.

    Raises:
        ConfigError: timm does not know it, or it is no pyramid.
    """
    name = timm_name(config)
    try:
        encoder = _timm().create_model(name, pretrained=False, **_encoder_options(config))
    except (RuntimeError, ValueError, AttributeError, AssertionError, IndexError, TypeError) as error:
        raise ConfigError(
            f"timm cannot make a pyramid of {name} ({error}); choose an encoder that it lists with features_only, such "
            "as convnextv2_nano or resnet18."
        ) from error
    strides = [int(stride) for stride in encoder.feature_info.reduction()]
    if sorted(set(strides)) != strides or any(stride & (stride - 1) for stride in strides):
        raise ConfigError(
            f"The maps of {name} have the strides {strides}; an encoder is needed whose strides grow by powers of two."
        )
    return encoder, [int(c) for c in encoder.feature_info.channels()], strides


def _encoder_options(config: PretrainedConfig) -> dict[str, Any]:
    """Return how timm makes the encoder."""
    options: dict[str, Any] = {"features_only": True, "in_chans": config.in_channels}
    return options if config.out_indices is None else {**options, "out_indices": tuple(config.out_indices)}


def _make_decoder(config: PretrainedConfig, skips: Mapping[int, int]) -> tuple[Stack, dict[int, int]]:
    """Return blocks from the coarsest map to `output_stride`, and the channels at each stride."""
    stride = config.max_stride
    incoming = skips[stride]
    channels = {stride: incoming}
    blocks = []
    while stride > config.output_stride:
        out = max(1, int(incoming / config.filters_rate))
        blocks.append(
            UpBlock(
                prefix=f"dec{len(blocks)}_s{stride}_to_s{stride // 2}",
                channels=(incoming, skips.get(stride // 2, 0), out),
                num_convs=config.convs_per_block,
                kernel_size=config.kernel_size,
                interpolate=config.up_interpolate,
            )
        )
        incoming, stride = out, stride // 2
        channels[stride] = out
    return Stack("decoder_stack", blocks), channels


def _statistics(config: PretrainedConfig) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel of what the encoder was trained on.

    Raises:
        ConfigError: Those given are not one a channel.
    """
    if not config.normalize:
        return [0.0] * config.in_channels, [1.0] * config.in_channels
    known = _timm().get_pretrained_cfg(timm_name(config), allow_unregistered=True)
    mean = _of_channels("image_mean", config.image_mean, (0.485, 0.456, 0.406) if known is None else known.mean, config)
    deviation = _of_channels(
        "image_std", config.image_std, (0.229, 0.224, 0.225) if known is None else known.std, config
    )
    return mean, deviation


def _of_channels(
    name: str, given: Sequence[float] | None, known: Sequence[float], config: PretrainedConfig
) -> list[float]:
    """Return one value a channel: those given, or the encoder's own, averaged for grey images."""
    if given is None:
        return list(known) if config.in_channels == 3 else [sum(known) / len(known)]
    if len(given) != config.in_channels:
        raise ConfigError(
            f"{_WHERE}.{name} has {len(given)} values, but the image has {config.in_channels} channel(s)."
        )
    return list(given)


def _timm() -> Any:
    """Return the library.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise ConfigError(
            'backbone_config.pretrained needs the library timm; install it with pip install "sleap-nn[backbones]".'
        ) from error
    return timm
