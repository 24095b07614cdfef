"""Options of augmentation: random changes of training images and of the points in them.

The short names of `train()` for these effects are in `presets`; the changes themselves are made in
`data.augment`.
"""

from typing import Annotated

from sleap_nn.config.checks import ordered
from sleap_nn.config.fields import Option
from sleap_nn.config.schema import config_class


@config_class
class IntensityConfig:
    """Random changes of pixel values: blur, then noise, contrast and brightness."""

    uniform_noise_min: Annotated[
        float,
        Option("Lower end of the uniform noise that is added to every pixel, as a fraction of 255.", ge=0),
    ] = 0.0
    uniform_noise_max: Annotated[
        float,
        Option("Upper end of the uniform noise that is added to every pixel, as a fraction of 255.", le=1),
    ] = 0.04
    uniform_noise_p: Annotated[float, Option("Probability of uniform noise in an image.", ge=0, le=1)] = 0.0
    gaussian_noise_mean: Annotated[
        float, Option("Mean of the gaussian noise that is added to every pixel, as a fraction of 255.")
    ] = 0.0
    gaussian_noise_std: Annotated[
        float, Option("Standard deviation of the gaussian noise, as a fraction of 255.", ge=0)
    ] = 0.02
    gaussian_noise_p: Annotated[float, Option("Probability of gaussian noise in an image.", ge=0, le=1)] = 0.0
    contrast_min: Annotated[
        float, Option("Smallest factor by which contrast about mid grey is changed; 1 changes nothing.", ge=0)
    ] = 0.9
    contrast_max: Annotated[
        float, Option("Largest factor by which contrast about mid grey is changed; 1 changes nothing.", ge=0)
    ] = 1.1
    contrast_p: Annotated[float, Option("Probability of a contrast change in an image.", ge=0, le=1)] = 0.0
    brightness_min: Annotated[
        float, Option("Smallest factor by which pixel values are multiplied; 1 changes nothing.", ge=0)
    ] = 0.9
    brightness_max: Annotated[
        float, Option("Largest factor by which pixel values are multiplied; 1 changes nothing.", le=2)
    ] = 1.1
    brightness_p: Annotated[float, Option("Probability of a brightness change in an image.", ge=0, le=1)] = 0.0
    motion_blur_min: Annotated[
        float,
        Option("Shortest streak that motion makes of a point, in px of the network input.", ge=0, extension=True),
    ] = 2.0
    motion_blur_max: Annotated[
        float,
        Option(
            "Longest streak that motion makes of a point, in px of the network input; 1 changes nothing.",
            ge=0,
            extension=True,
        ),
    ] = 7.0
    motion_blur_p: Annotated[
        float,
        Option("Probability of motion blur in an image, in a random direction.", ge=0, le=1, extension=True),
    ] = 0.0
    defocus_min: Annotated[
        float,
        Option("Smallest radius of the disk that a point out of focus becomes, in px.", ge=0, extension=True),
    ] = 0.5
    defocus_max: Annotated[
        float,
        Option(
            "Largest radius of the disk that a point out of focus becomes, in px of the network input; 0 changes "
            "nothing.",
            ge=0,
            extension=True,
        ),
    ] = 2.0
    defocus_p: Annotated[float, Option("Probability of defocus in an image.", ge=0, le=1, extension=True)] = 0.0

    def __post_init__(self) -> None:
        """Check that every range has its smaller end first."""
        ordered(vars(self), "uniform_noise", "contrast", "brightness", "motion_blur", "defocus")


@config_class
class GeometricConfig:
    """Random movements of the image and its points together, erasing, and mixing of images."""

    rotation_min: Annotated[
        float, Option("Smallest rotation in degrees; positive angles turn clockwise on screen.", ge=-180)
    ] = -15.0
    rotation_max: Annotated[
        float, Option("Largest rotation in degrees; positive angles turn clockwise on screen.", le=180)
    ] = 15.0
    rotation_p: Annotated[
        float | None, Option("Probability of a rotation; null leaves it to affine_p.", ge=0, le=1)
    ] = 1.0
    scale_min: Annotated[float, Option("Smallest zoom factor; 1 changes nothing.", gt=0)] = 0.9
    scale_max: Annotated[float, Option("Largest zoom factor; 1 changes nothing.", gt=0)] = 1.1
    scale_p: Annotated[float | None, Option("Probability of a zoom; null leaves it to affine_p.", ge=0, le=1)] = 1.0
    translate_width: Annotated[
        float, Option("Largest shift to either side, as a fraction of the image width.", ge=0)
    ] = 0.0
    translate_height: Annotated[float, Option("Largest shift up or down, as a fraction of the image height.", ge=0)] = (
        0.0
    )
    translate_p: Annotated[float | None, Option("Probability of a shift; null leaves it to affine_p.", ge=0, le=1)] = (
        None
    )
    affine_p: Annotated[
        float,
        Option(
            "Probability of rotation, zoom and shift together; only used when rotation_p, scale_p and "
            "translate_p are all null.",
            ge=0,
            le=1,
        ),
    ] = 0.0
    erase_scale_min: Annotated[
        float, Option("Smallest area of the erased box, as a fraction of the image area.", ge=0, le=1)
    ] = 0.0001
    erase_scale_max: Annotated[
        float, Option("Largest area of the erased box, as a fraction of the image area.", ge=0, le=1)
    ] = 0.01
    erase_ratio_min: Annotated[float, Option("Smallest height / width ratio of the erased box.", gt=0)] = 1.0
    erase_ratio_max: Annotated[float, Option("Largest height / width ratio of the erased box.", gt=0)] = 1.0
    erase_p: Annotated[
        float, Option("Probability that one box of the image is filled with a random colour.", ge=0, le=1)
    ] = 0.0
    mixup_lambda_min: Annotated[float, Option("Smallest weight of the second image in a mixture.", ge=0, le=1)] = 0.01
    mixup_lambda_max: Annotated[float, Option("Largest weight of the second image in a mixture.", ge=0, le=1)] = 0.05
    mixup_p: Annotated[
        float, Option("Probability that a second image, and its targets, shine through an image.", ge=0, le=1)
    ] = 0.0
    flip_p: Annotated[
        float,
        Option(
            "Probability of a left-right flip; the two nodes of every symmetry change places.",
            ge=0,
            le=1,
        ),
    ] = 0.0
    random_crop_size: Annotated[
        int | None,
        Option(
            "Side of the square that is cut out of every training frame, in px of the network input; for models that "
            "read whole frames, which so learn small animals in large frames in a fraction of the time. Validation and "
            "prediction see whole frames; null: so does training.",
            gt=0,
            extension=True,
        ),
    ] = None
    random_crop_focus: Annotated[
        float,
        Option(
            "Share of those squares that lie about a labelled point; the others lie anywhere in the frame.",
            ge=0,
            le=1,
            extension=True,
        ),
    ] = 0.75

    def __post_init__(self) -> None:
        """Check that every range has its smaller end first."""
        ordered(vars(self), "rotation", "scale", "erase_scale", "erase_ratio", "mixup_lambda")


@config_class
class AugmentationConfig:
    """The two groups of random changes; either may be off."""

    intensity: Annotated[IntensityConfig | None, Option("Random changes of pixel values; null: none.")] = None
    geometric: Annotated[GeometricConfig | None, Option("Random movements of image and points; null: none.")] = None


def default_augmentation() -> AugmentationConfig:
    """Return the augmentation of a configuration that says nothing about it: rotation and zoom."""
    return AugmentationConfig(intensity=None, geometric=GeometricConfig())
