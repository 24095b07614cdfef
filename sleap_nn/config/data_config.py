"""Options of the training data: label files, splitting, caching and preprocessing of images.

Augmentation options are declared in `augmentation_config` and can be imported from here as well.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any

from sleap_nn.compat.config_keys import one_item_list
from sleap_nn.config.augmentation_config import (
    AugmentationConfig,
    GeometricConfig,
    IntensityConfig,
    default_augmentation,
)
from sleap_nn.config.checks import no_number
from sleap_nn.config.fields import Option
from sleap_nn.config.limits import MOST_PX
from sleap_nn.config.schema import config_class
from sleap_nn.config.sleap_profiles import section_of
from sleap_nn.errors import ConfigError

__all__ = [
    "AugmentationConfig",
    "DataConfig",
    "GeometricConfig",
    "IdentityConfig",
    "IntensityConfig",
    "PreprocessingConfig",
    "SplitConfig",
    "TilingConfig",
    "data_mapper",
]


@config_class
class TilingConfig:
    """Cutting of large images into overlapping tiles, for training and inference."""

    enabled: Annotated[bool, Option("Cut images into tiles instead of reading them whole.")] = False
    tile_size: Annotated[int | None, Option("Side of a tile in px after scale; null: chosen automatically.", gt=0)] = (
        None
    )
    overlap: Annotated[
        int | None, Option("Pixels that neighbouring tiles share; null: chosen automatically.", ge=0)
    ] = None
    min_overlap_fraction: Annotated[
        float, Option("Lower bound of the automatic overlap, as a fraction of the tile.", ge=0, le=1)
    ] = 0.25
    blend: Annotated[
        str,
        Option("Window that weights the maps of overlapping tiles.", choices=("gaussian", "pyramid", "constant")),
    ] = "gaussian"
    sigma_scale: Annotated[float, Option("Sigma of the gaussian window, as a fraction of the tile.", gt=0, le=1)] = (
        0.125
    )
    tile_batch_size: Annotated[
        int | None, Option("Tiles in one pass through the network at inference; null: 8.", gt=0)
    ] = None
    accumulator_device: Annotated[str, Option("Where the merged map is kept.", choices=("auto", "cpu", "cuda"))] = (
        "auto"
    )
    cpu_thresh: Annotated[
        float,
        Option(
            "In auto, merged maps move to the CPU when they would take more than this share of the free GPU memory.",
            ge=0,
            le=1,
        ),
    ] = 0.40
    sampling: Annotated[
        str,
        Option("How training tiles are chosen: about objects, or from the grid.", choices=("foreground", "grid")),
    ] = "foreground"
    tile_fg_fraction: Annotated[
        float, Option("Share of a frame's training tiles that are centred on an object.", ge=0, lt=1)
    ] = 0.5
    samples_per_frame: Annotated[
        int | None,
        Option("Tiles drawn from every frame in an epoch; null: the number of grid tiles of one frame.", gt=0),
    ] = None
    center_jitter: Annotated[
        float,
        Option("Largest random shift of a tile about its object, as a fraction of half a tile.", ge=0, le=1),
    ] = 0.5
    min_visible_keypoints: Annotated[
        int, Option("An instance belongs to a tile only with at least this many points inside.", ge=0)
    ] = 1
    steps_per_epoch: Annotated[
        int | None, Option("Length of an epoch in steps when tiling; null: from the number of tiles.", gt=0)
    ] = None
    full_frame_pass: Annotated[bool, Option("Also train on whole frames.")] = False


@config_class
class PreprocessingConfig:
    """How a frame becomes the input of the network; the same in training and inference."""

    ensure_rgb: Annotated[bool, Option("Repeat one-channel images to three channels; wins over ensure_grayscale.")] = (
        False
    )
    ensure_grayscale: Annotated[bool, Option("Reduce three-channel images to one channel of brightness.")] = False
    max_height: Annotated[
        int | None,
        Option(
            "Height in px to which frames are fitted before scale; null: filled in with the largest height "
            "of all videos.",
            gt=0,
            le=MOST_PX,
        ),
    ] = None
    max_width: Annotated[
        int | None,
        Option(
            "Width in px to which frames are fitted before scale; null: filled in with the largest width "
            "of all videos.",
            gt=0,
            le=MOST_PX,
        ),
    ] = None
    scale: Annotated[
        float, Option("Factor by which the image (or the crop) is resized before the network sees it.", gt=0, le=64)
    ] = 1.0
    crop_size: Annotated[
        int | None,
        Option(
            "Side in px, before scale, of the square crop about an animal; null: computed from the labels.",
            gt=0,
            le=MOST_PX,
        ),
    ] = None
    min_crop_size: Annotated[
        int | None,
        Option("Lower bound in px of a computed crop_size; null: none.", ge=0, le=MOST_PX),
    ] = 100
    crop_padding: Annotated[
        int | None,
        Option(
            "Pixels added to the largest animal when crop_size is computed; null: enough for the augmentation.",
            ge=0,
            le=MOST_PX,
        ),
    ] = None
    tiling: Annotated[TilingConfig, Option("Cutting of large images into tiles.", available=False)] = field(
        default_factory=TilingConfig
    )
    crop_mode: Annotated[
        str,
        Option(
            "Crop a fixed square, or the box of the animal.",
            choices=("fixed", "bbox"),
            available=False,
            extension=True,
        ),
    ] = "fixed"
    crop_bbox_aspect: Annotated[
        str,
        Option(
            "How a box becomes a square input.",
            choices=("square", "letterbox", "stretch"),
            available=False,
            extension=True,
        ),
    ] = "square"
    crop_bbox_padding: Annotated[
        float, Option("Margin about a box, as a fraction of its side.", ge=0, available=False, extension=True)
    ] = 0.1
    crop_bbox_min_size: Annotated[
        int | None,
        Option("Smallest side in px of a box crop; null: none.", gt=0, available=False, extension=True),
    ] = None
    burn_in: Annotated[
        bool, Option("Paint over what lies outside the animal's mask.", available=False, extension=True)
    ] = False
    background_fill: Annotated[
        str,
        Option(
            "Colour of the painted background.",
            choices=("black", "grey", "mean", "noise"),
            available=False,
            extension=True,
        ),
    ] = "black"
    crop_centering: Annotated[
        str,
        Option(
            "What a crop is centred on.",
            choices=("auto", "mask_com", "bbox"),
            available=False,
            extension=True,
        ),
    ] = "auto"

    def validate_scale(self) -> None:
        """Check that `scale` is a positive number.

        Raises:
            ConfigError: It is zero or negative.
        """
        if not self.scale > 0:
            raise ConfigError(f"PreprocessingConfig.scale must be above 0, not {self.scale!r}.")


@config_class
class IdentityConfig:
    """How tracks of the labels turn into identities."""

    tracks_are_proofread: Annotated[bool, Option("Tracks were checked by a person.")] = False
    track_names_are_global: Annotated[bool, Option("A track name means the same animal in all videos.")] = False
    detections_deduplicated: Annotated[bool, Option("An animal is labelled at most once in a frame.")] = True


@config_class
class SplitConfig:
    """How labelled frames are divided into training and validation."""

    split_by: Annotated[
        str,
        Option(
            "What stays together on one side: time_block (frames close in time in a video), video, identity (frames "
            "with a common track name), or frame (nothing: plain random frames); auto: time_block.",
            choices=("auto", "frame", "video", "time_block", "identity"),
        ),
    ] = "auto"
    n_folds: Annotated[
        int | None,
        Option("Number of folds, each of which validates in one run; null: one split by validation_fraction.", ge=2),
    ] = None
    fold: Annotated[int, Option("Index, from 0, of the fold that validates.", ge=0)] = 0
    seed: Annotated[int | None, Option("Seed of the split; null: trainer_config.seed.", ge=0)] = None
    block_gap: Annotated[int, Option("Frames without labels that end a time block.", ge=1, extension=True)] = 30
    block_length: Annotated[
        int | None,
        Option(
            "About the largest number of labelled frames in a time block, longer ones are cut; null: a fifth of the "
            "validation frames, but 10 where there are enough.",
            ge=1,
            extension=True,
        ),
    ] = None

    def __post_init__(self) -> None:
        """Check that the fold exists.

        Raises:
            ConfigError: It does not.
        """
        if self.n_folds is None and self.fold:
            raise ConfigError(f"SplitConfig.fold is {self.fold}, which needs n_folds, the number of folds.")
        if self.n_folds is not None and self.fold >= self.n_folds:
            raise ConfigError(
                f"SplitConfig.fold must be below n_folds ({self.n_folds}), as folds count from 0, not {self.fold}."
            )


@config_class
class DataConfig:
    """Where the labels are, and how they become training samples."""

    train_labels_path: Annotated[
        list[str] | None,
        Option(
            "Labels to train on: .slp, .pkg.slp, or those of DeepLabCut, Lightning Pose, COCO, YOLO; null: labels are "
            "passed as objects.",
            convert=one_item_list,
        ),
    ] = None
    val_labels_path: Annotated[
        list[str] | None,
        Option(
            "Label files to validate on; null: a part of the training files, see validation_fraction and split.",
            convert=one_item_list,
        ),
    ] = None
    validation_fraction: Annotated[
        float,
        Option("Fraction of the labelled frames of all training files that is set aside for validation.", ge=0, lt=1),
    ] = 0.1
    use_same_data_for_val: Annotated[
        bool, Option("Validate on the training data, to see whether the model can learn it at all.")
    ] = False
    test_file_path: Annotated[
        Any,
        Option(
            "Label file or files (or videos) that are predicted, and evaluated if labelled, after "
            "training; null: none.",
            accepts=str | list[str] | None,
            convert=no_number,
        ),
    ] = None
    provider: Annotated[str, Option("Kind of reader of the data.", choices=("LabelsReader",))] = "LabelsReader"
    user_instances_only: Annotated[
        bool, Option("Train on instances labelled by a user only; false: on predicted instances as well.")
    ] = True
    data_pipeline_fw: Annotated[
        str,
        Option(
            "Decode frames whenever they are needed, or once and then keep them in memory, or in files; both are "
            "filled while training already runs.",
            choices=("torch_dataset", "torch_dataset_cache_img_memory", "torch_dataset_cache_img_disk"),
        ),
    ] = "torch_dataset"
    cache_img_path: Annotated[
        str | None,
        Option("Folder in which frames are kept, which later runs can use; null: frame_cache in the run folder."),
    ] = None
    use_existing_imgs: Annotated[
        bool,
        Option("Use the frames that an earlier run kept in cache_img_path; that one is missing is an error."),
    ] = False
    delete_cache_imgs_after_training: Annotated[
        bool, Option("At the end, delete the frames that this run has put into files.")
    ] = True
    parallel_caching: Annotated[
        bool,
        Option(
            "Decode frames ahead in the background, if there are 20 or more; false: each is kept when training first "
            "asks for it."
        ),
    ] = True
    cache_workers: Annotated[int, Option("Threads that do so; 0: one per CPU, at most 4.", ge=0)] = 0
    preprocessing: Annotated[PreprocessingConfig, Option("How a frame becomes the input of the network.")] = field(
        default_factory=PreprocessingConfig
    )
    use_augmentations_train: Annotated[
        bool, Option("Change training images at random as augmentation_config says.")
    ] = True
    augmentation_config: Annotated[
        AugmentationConfig | None,
        Option("Random changes of training images; a part that a file leaves out keeps its default; null: none."),
    ] = field(default_factory=default_augmentation)
    use_negative_frames: Annotated[
        bool,
        Option("Also train on frames that the labels mark as showing no animal."),
    ] = False
    negative_loss_weight: Annotated[float, Option("Weight of frames without animals in the training loss.", gt=0)] = 1.0
    skeletons: Annotated[
        list[dict[str, Any]] | None,
        Option(
            "Nodes, edges and symmetries of the skeletons; filled in from the labels, what a user writes is ignored."
        ),
    ] = None
    identity: Annotated[
        IdentityConfig | None,
        Option("How tracks turn into identities; null: not at all.", available=False, extension=True),
    ] = None
    split: Annotated[
        SplitConfig | None,
        Option("How frames are divided into training and validation; null: its defaults.", extension=True),
    ] = None
    centroids_from_masks: Annotated[
        str | None,
        Option(
            "Compute centroids from masks; null: from points.",
            choices=("center_of_mass", "bbox_center"),
            available=False,
            extension=True,
        ),
    ] = None
    bbox_source: Annotated[
        str,
        Option(
            "What boxes are made from.",
            choices=("auto", "bboxes", "instances", "masks"),
            available=False,
            extension=True,
        ),
    ] = "auto"
    bbox_padding: Annotated[
        float, Option("Margin about a box, as a fraction of its side.", ge=0, available=False, extension=True)
    ] = 0.0


def data_mapper(legacy_config: Mapping[str, Any]) -> DataConfig:
    """Return this section for a training profile of SLEAP up to 1.4, given as parsed JSON.

    Raises:
        ConfigError: It is no profile, or needs something that does not exist here.
    """
    return section_of(legacy_config, "data_config", DataConfig)
