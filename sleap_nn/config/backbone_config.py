"""Options of the networks: UNet, ConvNeXt, Swin transformer and encoders of timm, with their presets.

What the numbers build is in `networks`; which preset has which name is in `presets`.
"""

from typing import Annotated, Any

from sleap_nn.config.checks import power_of_two
from sleap_nn.config.fields import Option
from sleap_nn.config.limits import LARGEST_STRIDE, MOST_CELLS, MOST_FILTERS, MOST_LAYERS, MOST_STACKS
from sleap_nn.config.oneof import OneOf
from sleap_nn.config.schema import config_class

InChannels = Annotated[int, Option("Channels of the input image; filled in from the images.", gt=0, le=MOST_CELLS)]
KernelSize = Annotated[
    int, Option("Side of the convolution kernels in cells, except in the stem.", gt=0, le=MOST_CELLS)
]
Filters = Annotated[int, Option("Filters of the first block.", gt=0, le=MOST_FILTERS)]
FiltersRate = Annotated[
    float,
    Option("Growth of the number of filters from block to block; the result is cut to a whole number.", gt=0, le=64),
]
UNetMaxStride = Annotated[
    int,
    Option(
        "Input px per cell at the bottleneck, a power of two; raised to the largest output_stride of the heads.",
        check=power_of_two,
    ),
]
StemMaxStride = Annotated[
    int,
    Option("Input px per cell at the bottleneck; filled in as 16 x stem_patch_stride.", check=power_of_two),
]
UpInterpolate = Annotated[
    bool, Option("Enlarge by bilinear interpolation in the decoder; false: by transposed convolution.")
]
ConvsPerBlock = Annotated[int, Option("Convolutions in every block.", gt=0, le=MOST_LAYERS)]
OutputStride = Annotated[
    int,
    Option(
        "Input px per cell of the last decoder block; filled in with the smallest output_stride of the heads.",
        check=power_of_two,
    ),
]
StemPatchStride = Annotated[
    int, Option("Stride in px of the stem that cuts the image into patches.", gt=0, le=LARGEST_STRIDE // 16)
]
ConvNextModelType = Annotated[
    str, Option("Size of the encoder: tiny, small, base or large; any other name: the sizes in arch.")
]
SwinTModelType = Annotated[
    str, Option("Size of the encoder.", choices=("tiny", "small", "base"), invalid="Invalid model_type")
]


@config_class
class UNetConfig:
    """An encoder of convolutions and poolings and a decoder with skip connections."""

    in_channels: InChannels = 1
    kernel_size: KernelSize = 3
    filters: Filters = 32
    filters_rate: FiltersRate = 1.5
    max_stride: UNetMaxStride = 16
    stem_stride: Annotated[
        int | None,
        Option(
            "Stride of an initial stem of 7 x 7 convolutions, a power of two; null: no stem.",
            check=power_of_two,
        ),
    ] = None
    middle_block: Annotated[bool, Option("Put an extra block at the bottleneck.")] = True
    up_interpolate: UpInterpolate = True
    stacks: Annotated[int, Option("Number of networks stacked one after another.", gt=0, le=MOST_STACKS)] = 1
    convs_per_block: ConvsPerBlock = 2
    output_stride: OutputStride = 1
    keras_layers: Annotated[
        bool,
        Option(
            "Compute as SLEAP up to 1.4 did with the same weights: transposed convolutions keep their first cells, and "
            "no pooling follows the stem. Filled in for models that were converted.",
            extension=True,
        ),
    ] = False


@config_class
class UNetMediumRFConfig(UNetConfig):
    """UNet with faster growing filters: preset ``unet_medium_rf``."""

    filters_rate: FiltersRate = 2.0


@config_class
class UNetLargeRFConfig(UNetConfig):
    """UNet with one more pooling, hence a larger receptive field: preset ``unet_large_rf``."""

    filters: Filters = 24
    max_stride: UNetMaxStride = 32


@config_class
class ConvNextConfig:
    """A ConvNeXt encoder with a UNet-like decoder; preset ``convnext``, the tiny size."""

    pre_trained_weights: Annotated[
        str | None,
        Option(
            "ImageNet weights to start from, which need three-channel images; null: random weights.",
            choices=(
                "ConvNeXt_Tiny_Weights",
                "ConvNeXt_Small_Weights",
                "ConvNeXt_Base_Weights",
                "ConvNeXt_Large_Weights",
            ),
            invalid="Invalid pre-trained weights",
        ),
    ] = None
    model_type: ConvNextModelType = "tiny"
    arch: Annotated[
        dict[str, Any] | None,
        Option("Sizes `depths` and `channels` (four numbers each) for another model_type; null: by model_type."),
    ] = None
    stem_patch_kernel: Annotated[int, Option("Side in px of the kernel of the stem.", gt=0, le=MOST_CELLS)] = 4
    stem_patch_stride: StemPatchStride = 2
    in_channels: InChannels = 1
    kernel_size: KernelSize = 3
    filters_rate: FiltersRate = 2.0
    convs_per_block: ConvsPerBlock = 2
    up_interpolate: UpInterpolate = True
    output_stride: OutputStride = 1
    max_stride: StemMaxStride = 32


@config_class
class ConvNextSmallConfig(ConvNextConfig):
    """ConvNeXt of the small size: preset ``convnext_small``."""

    model_type: ConvNextModelType = "small"


@config_class
class ConvNextBaseConfig(ConvNextConfig):
    """ConvNeXt of the base size: preset ``convnext_base``."""

    model_type: ConvNextModelType = "base"


@config_class
class ConvNextLargeConfig(ConvNextConfig):
    """ConvNeXt of the large size: preset ``convnext_large``."""

    model_type: ConvNextModelType = "large"


@config_class
class SwinTConfig:
    """A Swin transformer encoder with a UNet-like decoder; preset ``swint``, the tiny size."""

    pre_trained_weights: Annotated[
        str | None,
        Option(
            "ImageNet weights to start from, which need three-channel images; null: random weights.",
            choices=("Swin_T_Weights", "Swin_S_Weights", "Swin_B_Weights"),
            invalid="Invalid pre-trained weights",
        ),
    ] = None
    model_type: SwinTModelType = "tiny"
    arch: Annotated[dict[str, Any] | None, Option("Sizes `embed`, `depths` and `num_heads`; null: by model_type.")] = (
        None
    )
    max_stride: StemMaxStride = 32
    patch_size: Annotated[int, Option("Side in px of the kernel of the stem.", gt=0, le=MOST_CELLS)] = 4
    stem_patch_stride: StemPatchStride = 2
    window_size: Annotated[
        int, Option("Side in cells of the window in which attention is computed.", gt=0, le=MOST_CELLS)
    ] = 7
    in_channels: InChannels = 1
    kernel_size: KernelSize = 3
    filters_rate: FiltersRate = 2.0
    convs_per_block: ConvsPerBlock = 2
    up_interpolate: UpInterpolate = True
    output_stride: OutputStride = 1


@config_class
class SwinTSmallConfig(SwinTConfig):
    """Swin transformer of the small size: preset ``swint_small``."""

    model_type: SwinTModelType = "small"


@config_class
class SwinTBaseConfig(SwinTConfig):
    """Swin transformer of the base size: preset ``swint_base``."""

    model_type: SwinTModelType = "base"


@config_class
class PretrainedConfig:
    """An encoder of the timm library with a UNet-like decoder."""

    source: Annotated[
        str, Option("Whose name model_name is: of the Hugging Face hub, or of timm.", choices=("hf", "timm"))
    ] = "hf"
    model_name: Annotated[str, Option("Name of the encoder at its source.")] = "facebook/convnextv2-nano-22k-224"
    weights: Annotated[bool, Option("Start from the trained weights; false: from random ones.")] = True
    mode: Annotated[
        str, Option("Which part the name describes.", choices=("auto", "decoder", "encoder"), available=False)
    ] = "auto"
    freeze: Annotated[bool, Option("Keep the weights of the encoder as they are.")] = False
    revision: Annotated[
        str | None, Option("Version of the encoder at its source; null: the newest.", available=False)
    ] = None
    normalize: Annotated[bool, Option("Shift and scale images as the encoder was trained with.")] = True
    image_mean: Annotated[
        list[float] | None, Option("Mean of every channel (0 to 1) for normalize; null: the encoder's.")
    ] = None
    image_std: Annotated[
        list[float] | None, Option("Standard deviation of every channel for normalize; null: the encoder's.")
    ] = None
    in_channels: InChannels = 3
    filters_rate: FiltersRate = 2.0
    convs_per_block: ConvsPerBlock = 2
    kernel_size: KernelSize = 3
    up_interpolate: UpInterpolate = True
    output_stride: OutputStride = 2
    max_stride: UNetMaxStride = 32
    out_indices: Annotated[list[int] | None, Option("Stages of the encoder that feed the decoder; null: all.")] = None
    layers: Annotated[
        list[int] | None,
        Option(
            "Layers of a transformer encoder that feed the decoder; null: automatic.", available=False, extension=True
        ),
    ] = None
    vit_neck: Annotated[
        str | None,
        Option(
            "Adapter behind a plain transformer; null: automatic.",
            choices=("dpt", "sfp"),
            available=False,
            extension=True,
        ),
    ] = None
    neck_channels: Annotated[
        int | None, Option("Channels of that adapter; null: automatic.", gt=0, available=False, extension=True)
    ] = None
    token_stride: Annotated[
        int | None,
        Option(
            "Pixels per token of a transformer encoder; null: the encoder's.", gt=0, available=False, extension=True
        ),
    ] = None
    gradient_checkpointing: Annotated[
        bool, Option("Save memory by computing parts of the encoder twice.", available=False, extension=True)
    ] = False
    encoder_lr_scale: Annotated[
        float, Option("Factor on the learning rate of the encoder's weights.", ge=0, available=False, extension=True)
    ] = 1.0
    layer_decay: Annotated[
        float | None,
        Option(
            "Factor on the learning rate from layer to layer towards the input; null: none.",
            gt=0,
            le=1,
            available=False,
            extension=True,
        ),
    ] = None
    detail_stem: Annotated[
        bool, Option("Add a small branch that reads the image at full detail.", available=False, extension=True)
    ] = False
    detail_channels: Annotated[
        int | None, Option("Channels of that branch; null: automatic.", gt=0, available=False, extension=True)
    ] = None


@config_class
class BackboneConfig(OneOf):
    """The network between the image and the heads: exactly one entry is not null."""

    unet: Annotated[UNetConfig | None, Option("UNet; null: not used.")] = None
    convnext: Annotated[ConvNextConfig | None, Option("ConvNeXt encoder with a decoder; null: not used.")] = None
    swint: Annotated[
        SwinTConfig | None,
        Option("Swin transformer encoder with a decoder; null: not used."),
    ] = None
    pretrained: Annotated[
        PretrainedConfig | None,
        Option("Encoder of the timm library with a decoder; null: not used."),
    ] = None


Section = UNetConfig | ConvNextConfig | SwinTConfig | PretrainedConfig


def bottleneck_stride(backbone: Section) -> int:
    """Return the stride in input px of the coarsest map, of which the sides of an input are multiples.

    A stem of a UNet pools once more than ``max_stride`` says.
    """
    if isinstance(backbone, UNetConfig):
        return backbone.max_stride if backbone.stem_stride is None else 2 * backbone.max_stride
    if isinstance(backbone, PretrainedConfig):
        return backbone.max_stride
    return 16 * backbone.stem_patch_stride


def needs_rgb(backbone: Section) -> bool:
    """Tell whether the weights that training starts from need images of three channels."""
    return isinstance(backbone, ConvNextConfig | SwinTConfig) and backbone.pre_trained_weights is not None
