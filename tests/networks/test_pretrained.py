import builtins
from typing import Any

import pytest
import torch

from sleap_nn.config.backbone_config import PretrainedConfig
from sleap_nn.config.model_config import BackboneConfig
from sleap_nn.errors import ConfigError, ModelError
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.networks import pretrained
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.networks.pretrained import Pretrained, timm_name
from sleap_nn.networks.weights import load_encoder_weights

SMALL: dict[str, Any] = {"source": "timm", "model_name": "resnet10t", "weights": False}


def build(**options: Any) -> Pretrained:
    return Pretrained(PretrainedConfig(**{**SMALL, **options}))


@pytest.mark.parametrize(
    "options",
    [
        {"output_stride": 1},
        {"output_stride": 32},
        {"in_channels": 1},
        {"up_interpolate": False},
        {"out_indices": [1, 2, 3], "max_stride": 16},
        {"filters_rate": 1.5, "convs_per_block": 1, "kernel_size": 5},
        {"model_name": "convnextv2_atto"},
    ],
)
def test_every_option_computes(options: dict) -> None:
    backbone = build(**options).eval()
    with torch.inference_mode():
        features = backbone(torch.rand(1, backbone.in_channels, 64, 96))
    assert {s: f.shape[1] for s, f in features.by_stride.items()} == backbone.channels
    assert all(f.shape[2:] == (64 // s, 96 // s) for s, f in features.by_stride.items())


def test_a_frozen_encoder_does_not_change() -> None:
    backbone = build(freeze=True).train()
    before = {name: tensor.clone() for name, tensor in backbone.enc.state_dict().items()}
    features = backbone(torch.rand(2, 3, 64, 64))
    features.by_stride[2].mean().backward()
    assert all(parameter.grad is None for parameter in backbone.enc.parameters())
    assert all(parameter.grad is not None for parameter in backbone.dec.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.enc.state_dict().items())


def test_images_are_shifted_and_scaled_as_asked() -> None:
    assert build().mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert build(normalize=False).deviation.flatten().tolist() == [1, 1, 1]
    own = build(in_channels=1, image_mean=[0.3], image_std=[0.1])
    assert (float(own.mean), float(own.deviation)) == pytest.approx((0.3, 0.1))
    with pytest.raises(ConfigError, match="image_mean has 2 values"):
        build(image_mean=[0.1, 0.2])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("facebook/convnextv2-nano-22k-224", "convnextv2_nano.fcmae_ft_in22k_in1k"),
        ("facebook/convnext-tiny-224", "convnext_tiny.fb_in1k"),
        ("timm/resnet18.a1_in1k", "resnet18.a1_in1k"),
    ],
)
def test_names_of_the_hub(given: str, expected: str) -> None:
    assert timm_name(PretrainedConfig(model_name=given)) == expected


def test_impossible_sections_are_refused() -> None:
    with pytest.raises(ConfigError, match="source=timm"):
        timm_name(PretrainedConfig(model_name="somebody/something"))
    with pytest.raises(ConfigError, match="cannot make a pyramid of no_such_net"):
        build(model_name="no_such_net")
    with pytest.raises(ConfigError, match="has stride 16; set max_stride to that"):
        build(out_indices=[1, 2, 3])
    with pytest.raises(ConfigError, match="output_stride 64 is larger"):
        build(output_stride=64)


def test_weights_fill_the_encoder_or_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    config = BackboneConfig(pretrained=PretrainedConfig(**{**SMALL, "weights": True}))
    network = PoseNetwork.from_config(config, [ConfidenceMapsHead("SingleInstanceConfmapsHead", 2, 2)])
    state = {
        name: torch.full_like(tensor, 2) for name, tensor in network.backbone.get_submodule("enc").state_dict().items()
    }
    with monkeypatch.context() as patch:
        patch.setattr("sleap_nn.networks.weights.encoder_weights", lambda _config: state)
        load_encoder_weights(network, config)
    assert all(bool((tensor == 2).all()) for tensor in network.backbone.get_submodule("enc").state_dict().values())

    class Offline:
        @staticmethod
        def create_model(*_args: object, **_options: object) -> None:
            raise OSError("no network")

    monkeypatch.setattr(pretrained, "_timm", Offline)
    with pytest.raises(ModelError, match="weights=false"):
        load_encoder_weights(network, config)


def test_without_the_library_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_timm(name: str, *args: Any, **options: Any) -> Any:
        if name == "timm":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without_timm)
    with pytest.raises(ConfigError, match=r"sleap-nn\[backbones\]"):
        build()
