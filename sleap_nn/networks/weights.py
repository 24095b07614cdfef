"""Weights that an encoder starts from: ImageNet's, by torchvision or timm. Those of earlier models are in `reuse`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor, nn

from sleap_nn.config.backbone_config import ConvNextConfig, PretrainedConfig, SwinTConfig
from sleap_nn.config.model_config import BackboneConfig
from sleap_nn.errors import ConfigError, ModelError
from sleap_nn.log import logger
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.networks.pretrained import encoder_weights


def load_encoder_weights(network: PoseNetwork, config: BackboneConfig) -> None:
    """Fill the encoder with weights of torchvision or timm, if the configuration asks for some.

    Entries of other names or shapes are passed over: torchvision's classifier, and stems of another kernel.

    Raises:
        ConfigError: The network does not read three channels.
        ModelError: The file can be neither found nor downloaded.
    """
    section = config.which_oneof()
    if isinstance(section, PretrainedConfig) and section.weights:
        _copy_matching(network.backbone.get_submodule("enc"), encoder_weights(section))
        logger.info("The encoder starts from the weights of %s.", section.model_name)
    if not isinstance(section, ConvNextConfig | SwinTConfig) or section.pre_trained_weights is None:
        return
    if network.backbone.in_channels != 3:
        raise ConfigError(
            f"{section.pre_trained_weights} were learned on colour images, but the network reads "
            f"{network.backbone.in_channels} channel; set data_config.preprocessing.ensure_rgb=true."
        )
    encoder = network.backbone.get_submodule("enc")
    state = _download(section.pre_trained_weights)
    taken = _copy_matching(encoder, state)
    logger.info(
        "%d of %d tensors of the encoder start from %s.",
        len(taken),
        len(encoder.state_dict()),
        section.pre_trained_weights,
    )


def _copy_matching(module: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Copy the tensors whose names and shapes fit, and name those of other shapes in the log."""
    own = module.state_dict()
    fitting = {}
    for name, tensor in state.items():
        if name not in own:
            continue
        if own[name].shape == tensor.shape:
            fitting[name] = tensor
        else:
            logger.warning(
                "%s has the shape %s in the checkpoint and %s in the network; it keeps its own start.",
                name,
                tuple(tensor.shape),
                tuple(own[name].shape),
            )
    module.load_state_dict(fitting, strict=False)
    return list(fitting)


def _download(name: str) -> dict[str, Tensor]:
    """Return ImageNet weights by torchvision's name, from the cache or from the network.

    Raises:
        ModelError: The message says where to put the file by hand.
    """
    from torchvision import models  # Slow to load, and needed by nothing else.

    url: str = models.get_weight(f"{name}.DEFAULT").url
    try:
        return torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except (URLError, OSError, RuntimeError) as error:
        place = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
        raise ModelError(
            f"The weights {name} cannot be downloaded from {url} ({error}); put the file at {place} by hand, or leave "
            "pre_trained_weights out."
        ) from error
