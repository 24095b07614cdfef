from typing import Any

import pytest
import torch
from small_backbones import section
from torch import nn

from sleap_nn.errors import ConfigError
from sleap_nn.heads.class_vectors import ClassVectorsHead
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.networks.backbone import MOST_WEIGHTS, check_size
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.networks.pretrained import timm_name

HEAD = ConfidenceMapsHead("A", 3, output_stride=4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unet", {"filters": 65536, "max_stride": 4096}),
        ("unet", {"filters_rate": 64.0, "max_stride": 4096}),
        ("unet", {"kernel_size": 1023, "filters": 1000}),
        ("convnext", {"arch": {"depths": [1, 1, 1, 1], "channels": [65536] * 4}}),
        ("swint", {"window_size": 1023}),
        ("pretrained", {"filters_rate": 1e-9}),
    ],
)
def test_networks_that_no_memory_holds_are_never_built(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"backbone_config\.{name} would have .* weights, more than") as caught:
        PoseNetwork.from_config(section(name, output_stride=4, **options), [HEAD])
    assert "\n" not in str(caught.value)


def test_layers_of_heads_count_too() -> None:
    head = ClassVectorsHead("A", 2, 16, num_fc_layers=64, num_fc_units=65536)
    with pytest.raises(ConfigError, match="or the layers of its heads"):
        PoseNetwork.from_config(section("unet"), [head])


def test_the_limit_is_in_weights_and_nothing_is_allocated() -> None:
    side = int(MOST_WEIGHTS**0.5)
    check_size(lambda: nn.Linear(side, side, bias=False), "here")
    with pytest.raises(ConfigError, match="here would have 2,147,488,281 weights"):
        check_size(lambda: nn.Linear(side + 1, side + 1, bias=False), "here")


@pytest.mark.parametrize("name", ["unet", "convnext", "swint"])
def test_looking_at_the_size_changes_no_weight(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def weights() -> dict[str, torch.Tensor]:
        torch.manual_seed(5)
        return PoseNetwork.from_config(section(name, output_stride=4), [HEAD]).state_dict()

    looked = weights()
    monkeypatch.setattr("sleap_nn.networks.network.check_size", lambda *_: None)
    assert all(torch.equal(tensor, looked[key]) for key, tensor in weights().items())


@pytest.mark.parametrize(
    ("name", "arch", "entry"),
    [
        ("convnext", {"depths": [10**9, 1, 1, 1], "channels": [4, 4, 4, 4]}, "depths"),
        ("convnext", {"depths": [200, 200, 1, 1], "channels": [4, 4, 4, 4]}, "depths"),
        ("convnext", {"depths": [1, 1, 1], "channels": [4, 4, 4, 4]}, "depths"),
        ("convnext", {"depths": "many", "channels": [4, 4, 4, 4]}, "depths"),
        ("convnext", {"depths": [1, 1, 1, 1], "channels": [0.5, 4, 4, 4]}, "channels"),
        ("swint", {"embed": [8], "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1]}, "embed"),
        ("swint", {"embed": 8, "depths": [1, 1, 1, 1], "num_heads": [3, 1, 1, 1]}, "num_heads"),
    ],
)
def test_sizes_of_stages_are_whole_numbers(name: str, arch: dict[str, Any], entry: str) -> None:
    with pytest.raises(ConfigError, match=rf"arch\.{entry} is "):
        PoseNetwork.from_config(section(name, output_stride=4, arch=arch, model_type="tiny"), [HEAD])


@pytest.mark.parametrize("given", ["hf-hub:me/net", "local-dir:/tmp/net", "../net"])
def test_an_encoder_is_a_name_and_no_place(given: str) -> None:
    for options in ({"source": "timm", "model_name": given}, {"source": "hf", "model_name": f"timm/{given}"}):
        config = section("pretrained", **options).pretrained
        assert config is not None
        with pytest.raises(ConfigError, match="timm has no name for"):
            timm_name(config)
