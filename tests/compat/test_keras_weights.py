import pytest

from sleap_nn.compat.keras_weights import Source, plan_weights

CONV = {"kernel": 4, "bias": 1}
DENSE = {"kernel": 2, "bias": 1}


@pytest.mark.parametrize(
    ("layer", "place"),
    [
        ("stack0_enc3_conv1", "backbone.encoders.0.encoder_stack.3.blocks.stack0_enc3_conv1"),
        ("stack0_enc5_middle_expand_conv0", "backbone.middle_blocks.0.blocks.stack0_enc5_middle_expand_conv0"),
        ("stack0_enc6_middle_contract_conv0", "backbone.middle_blocks.1.blocks.stack0_enc6_middle_contract_conv0"),
        (
            "stack0_dec1_s8_to_s4_refine_conv0",
            "backbone.decoders.0.decoder_stack.1.blocks.stack0_dec1_s8_to_s4_refine_conv0",
        ),
        (
            "stack0_dec0_s16_to_s8_trans_conv",
            "backbone.decoders.0.decoder_stack.0.blocks.stack0_dec0_s16_to_s8_trans_conv",
        ),
        ("stem1_conv0", "backbone.stem.stem_stack.1.blocks.stem1_conv0"),
        ("CentroidConfmapsHead_0", "head_layers.0.CentroidConfmapsHead.0"),
        ("PartAffinityFieldsHead", "head_layers.1.PartAffinityFieldsHead.0"),
    ],
)
def test_places_of_convolutions(layer: str, place: str) -> None:
    plan = plan_weights({layer: CONV})
    assert plan.tensors == {
        f"{place}.weight": Source(layer, "kernel", (3, 2, 0, 1)),
        f"{place}.bias": Source(layer, "bias", (0,)),
    }


@pytest.mark.parametrize(
    ("layer", "place"),
    [
        ("pre_classification2_fc", "head_layers.1.pre_classification2_fc"),
        ("ClassVectorsHead", "head_layers.1.ClassVectorsHead"),
        ("ClassVectorsHead_0", "head_layers.1.ClassVectorsHead"),
    ],
)
def test_places_of_fully_connected_layers(layer: str, place: str) -> None:
    assert plan_weights({layer: DENSE}).tensors[f"{place}.weight"] == Source(layer, "kernel", (1, 0))


def test_heads_that_are_not_used_any_more_are_named() -> None:
    assert plan_weights({"OffsetRefinementHead_0": CONV}).ignored == ("OffsetRefinementHead_0",)


@pytest.mark.parametrize(
    ("layer", "arrays"),
    [
        ("conv2d_7", CONV),
        ("stem0_conv0", {"kernel": 4}),
        ("stem0_conv0", {"kernel": 3, "bias": 1}),
        ("stem0_conv0", {}),
    ],
)
def test_other_layers_are_refused(layer: str, arrays: dict) -> None:
    with pytest.raises(ValueError, match=layer):
        plan_weights({layer: arrays})
