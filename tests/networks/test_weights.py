from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import models

from sleap_nn.config.model_config import BackboneConfig
from sleap_nn.errors import ConfigError, ModelError
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.networks.weights import load_encoder_weights

SMALL: dict[str, Any] = {"model_type": "own", "arch": {"depths": [1, 1, 1, 1], "channels": [4, 8, 12, 16]}}


def network(channels: int = 3, num_nodes: int = 2, **options: Any) -> tuple[PoseNetwork, BackboneConfig]:
    config = BackboneConfig(convnext={**SMALL, "in_channels": channels, **options})
    torch.manual_seed(num_nodes)
    head = ConfidenceMapsHead("SingleInstanceConfmapsHead", num_nodes, output_stride=2)
    return PoseNetwork.from_config(config, [head]), config


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the folder of downloads an empty one, and the network unreachable."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def unreachable(*_args: object, **_options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def test_imagenet_weights_fill_what_fits(downloads: Path) -> None:
    built, config = network(pre_trained_weights="ConvNeXt_Tiny_Weights")
    own = built.backbone.get_submodule("enc").state_dict()
    state = {name: torch.full_like(tensor, 0.25) for name, tensor in own.items()}
    state["features.0.0.weight"] = torch.zeros(1, 1)
    state["classifier.2.weight"] = torch.zeros(1000, 16)
    torch.save(state, downloads / models.ConvNeXt_Tiny_Weights.DEFAULT.url.rpartition("/")[2])
    stem = own["features.0.0.weight"].clone()
    load_encoder_weights(built, config)
    filled = built.backbone.get_submodule("enc").state_dict()
    assert torch.equal(filled["features.0.0.weight"], stem)
    assert all(bool((tensor == 0.25).all()) for name, tensor in filled.items() if name != "features.0.0.weight")


def test_a_failed_download_says_where_the_file_goes(downloads: Path) -> None:
    built, config = network(pre_trained_weights="ConvNeXt_Tiny_Weights")
    with pytest.raises(ModelError, match=r"put the file at .*convnext_tiny-983f1562\.pth by hand"):
        load_encoder_weights(built, config)


def test_imagenet_weights_need_colour_images() -> None:
    built, config = network(channels=1, pre_trained_weights="ConvNeXt_Tiny_Weights")
    with pytest.raises(ConfigError, match="ensure_rgb=true"):
        load_encoder_weights(built, config)


def test_nothing_is_loaded_unless_asked_for(downloads: Path) -> None:
    built, config = network()
    load_encoder_weights(built, config)
