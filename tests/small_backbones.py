"""A small configuration of every backbone, for tests that run over all of them."""

from typing import Any

from sleap_nn.config.model_config import BackboneConfig

SMALL: dict[str, dict[str, Any]] = {
    "unet": {"filters": 4, "max_stride": 16},
    "convnext": {"model_type": "small one", "arch": {"depths": [1, 1, 2, 1], "channels": [4, 8, 12, 16]}},
    "swint": {"arch": {"embed": 8, "depths": [2, 1, 1, 1], "num_heads": [1, 2, 2, 4]}, "window_size": 4},
    "pretrained": {"source": "timm", "model_name": "resnet10t", "weights": False},
}


def section(name: str, **options: object) -> BackboneConfig:
    """Return the configuration of a small backbone, with those `options` that it knows."""
    defaults: dict[str, Any] = {name: {}}
    known = vars(BackboneConfig(**defaults).which_oneof())
    chosen: dict[str, Any] = {name: {key: value for key, value in (SMALL[name] | options).items() if key in known}}
    return BackboneConfig(**chosen)
