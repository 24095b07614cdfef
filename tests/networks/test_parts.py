import pytest
from small_backbones import section

from sleap_nn.errors import ConfigError
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.networks.network import BACKBONES, PoseNetwork
from sleap_nn.networks.parts import depths, find_weights


def build(name: str) -> PoseNetwork:
    heads = [ConfidenceMapsHead("A", 3, output_stride=2), ConfidenceMapsHead("B", 1, output_stride=4)]
    return PoseNetwork.from_config(section(name, output_stride=2), heads)


@pytest.mark.parametrize("name", BACKBONES)
def test_parts_divide_the_network(name: str) -> None:
    network = build(name)
    names = [name for name, _ in network.named_parameters()]
    found = {part: find_weights(network, [part], "freeze") for part in ("encoder", "decoder", "backbone", "heads")}
    assert sorted(found["encoder"] + found["decoder"]) == sorted(found["backbone"])
    assert sorted(found["backbone"] + found["heads"]) == sorted(names)
    assert all(found.values())
    assert found["heads"] == [name for name in names if name.startswith("head_layers.")]
    assert find_weights(network, ["heads", "encoder"], "freeze") == found["encoder"] + found["heads"]


def test_the_encoder_of_a_unet_is_its_shrinking_half() -> None:
    assert all("enc" in name and "middle" not in name for name in find_weights(build("unet"), ["encoder"], "freeze"))
    assert not any("encoder" in name for name in find_weights(build("unet"), ["decoder"], "freeze"))


def test_patterns_are_names_with_stars() -> None:
    network = build("unet")
    assert find_weights(network, ["head_layers.1.*"], "freeze") == [
        "head_layers.1.B.0.weight",
        "head_layers.1.B.0.bias",
    ]
    assert find_weights(network, ["*.bias", "heads"], "freeze")[-1] == "head_layers.1.B.0.bias"
    assert find_weights(network, [], "freeze") == []


def test_what_stands_for_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"freeze holds 'stem', .* encoder, decoder, heads, .* like backbone\.enc"):
        find_weights(build("unet"), ["encoder", "stem"], "freeze")


@pytest.mark.parametrize("name", BACKBONES)
def test_depths_count_from_the_heads(name: str) -> None:
    network = build(name)
    steps = depths(network)
    assert list(steps) == [name for name, _ in network.named_parameters()]
    assert {value for key, value in steps.items() if key.startswith("head_layers.")} == {0}
    assert set(steps.values()) == set(range(len(network.backbone.blocks()) + 1))
