"""(configuration, facts about the labels) to a configuration with nothing left to infer; pure."""

from __future__ import annotations

import logging
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from sleap_nn.config.backbone_config import UNetConfig, bottleneck_stride, needs_rgb
from sleap_nn.config.data_config import DataConfig, GeometricConfig, PreprocessingConfig
from sleap_nn.config.model_config import HeadConfig
from sleap_nn.config.training_job_config import TrainingJobConfig, check_must_be_set
from sleap_nn.data.crop_size import Extent, find_crop_size
from sleap_nn.errors import ConfigError
from sleap_nn.log import logger
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.training import run_folder

BOTTLENECK_PARTS = frozenset({"class_vectors"})


@dataclass(frozen=True)
class LabelFacts:
    """What `resolve` needs to know of the labels.

    Attributes:
        skeleton: The common skeleton.
        track_names: Names of the tracks of the training labels, in order of first appearance.
        num_train: Training samples of an epoch.
        num_frames: Labelled frames, training and validation together.
        frame_sizes: (height, width) of every video of training and validation.
        channels: Channels of the first training image.
        trained_channels: Channels of the images of the earlier model whose backbone goes on learning, None without one.
        extents: Extent of every training instance about its anchor.
    """

    skeleton: Skeleton
    num_train: int
    num_frames: int
    frame_sizes: tuple[tuple[int, int], ...]
    channels: int
    track_names: tuple[str, ...] = ()
    extents: tuple[Extent, ...] = ()
    trained_channels: int | None = None


def resolve(config: TrainingJobConfig, facts: LabelFacts, now: datetime) -> TrainingJobConfig:
    """Return a copy of the configuration with all values filled in.

    Args:
        config: What the user set; not changed.
        facts: What the labels say.
        now: Time for the name of the run.

    Raises:
        ConfigError: Values contradict the labels or each other.
    """
    check_must_be_set(config)
    resolved = deepcopy(config)
    _resolve_preprocessing(resolved, facts)
    _resolve_heads(resolved.model_config.head_configs, facts)
    _resolve_backbone(resolved, facts)
    _resolve_random_crop(resolved)
    _resolve_crop(resolved, facts)
    _resolve_trainer(resolved, facts, now)
    resolved.data_config.skeletons = [facts.skeleton.to_config()]
    return resolved


def train_steps(config: TrainingJobConfig, num_samples: int) -> int:
    """Return the optimisation steps of an epoch: the configured or natural number, not below the minimum."""
    trainer = config.trainer_config
    natural = ceil(num_samples / int(trainer.train_data_loader.batch_size))
    steps = natural if trainer.train_steps_per_epoch is None else trainer.train_steps_per_epoch
    return max(trainer.min_train_steps_per_epoch, steps, 1)


def _resolve_preprocessing(config: TrainingJobConfig, facts: LabelFacts) -> None:
    """Fill the size that frames are matched to: both sides, if either is open."""
    preprocessing = config.data_config.preprocessing
    if preprocessing.max_height is None or preprocessing.max_width is None:
        preprocessing.max_height = max(height for height, _ in facts.frame_sizes)
        preprocessing.max_width = max(width for _, width in facts.frame_sizes)


def _resolve_crop(config: TrainingJobConfig, facts: LabelFacts) -> None:
    """Fill the side of the crop, for model types that read crops.

    Raises:
        ConfigError: The model type reads whole frames, and a crop was asked for.
    """
    preprocessing = config.data_config.preprocessing
    model_type = config.model_config.head_configs.which_oneof_attrib_name()
    if TASKS[str(model_type)].view == "frame":
        if preprocessing.crop_size is not None:
            raise ConfigError(
                f"data_config.preprocessing.crop_size is {preprocessing.crop_size}, but a {model_type} model reads "
                "whole frames; leave crop_size out."
            )
        return
    if preprocessing.crop_size is None:
        augmentation = config.data_config.augmentation_config if config.data_config.use_augmentations_train else None
        stride = bottleneck_stride(config.model_config.backbone_config.which_oneof())
        preprocessing.crop_size = find_crop_size(facts.extents, preprocessing, augmentation, stride)


def _resolve_random_crop(config: TrainingJobConfig) -> None:
    """Round the side of the squares that training cuts out up to what the backbone can read.

    Raises:
        ConfigError: The model type reads crops already.
    """
    data, backbone = config.data_config, config.model_config.backbone_config.which_oneof()
    geometric = _geometric(data)
    if geometric is None or geometric.random_crop_size is None:
        return
    model_type, given = config.model_config.head_configs.which_oneof_attrib_name(), geometric.random_crop_size
    where = "data_config.augmentation_config.geometric.random_crop_size"
    if TASKS[str(model_type)].view == "crop":
        raise ConfigError(
            f"{where} is {given}, but a {model_type} model learns from crops about its animals already; leave it out "
            "and set data_config.preprocessing.crop_size."
        )
    stride, preprocessing = bottleneck_stride(backbone), data.preprocessing
    sides = [int(int(side or 0) * preprocessing.scale) for side in (preprocessing.max_height, preprocessing.max_width)]
    geometric.random_crop_size = ceil(given / stride) * stride
    if geometric.random_crop_size >= max(sides):
        logger.warning("%s is %d, but frames are %d x %d px: they are read whole.", where, given, sides[1], sides[0])
        geometric.random_crop_size = None
    elif geometric.random_crop_size != given:
        logger.info("%s is %d, rounded up to a multiple of the backbone's stride of %d.", where, given, stride)


def share_of_frame(config: TrainingJobConfig) -> float:
    """Return how large a training input is, compared with a whole frame: 1, or less with random crops."""
    geometric = _geometric(config.data_config)
    if geometric is None or geometric.random_crop_size is None:
        return 1.0
    return min(1.0, geometric.random_crop_size**2 / frame_area(config.data_config.preprocessing))


def frame_area(preprocessing: PreprocessingConfig) -> float:
    """Return the px of the network input of a whole frame, of a resolved configuration and without padding."""
    return preprocessing.scale**2 * float(preprocessing.max_height or 1) * float(preprocessing.max_width or 1)


def _geometric(data: DataConfig) -> GeometricConfig | None:
    """Return the movements of training inputs, None if there are none."""
    changes = data.augmentation_config if data.use_augmentations_train else None
    return None if changes is None else changes.geometric


def input_channels(preprocessing: PreprocessingConfig, channels: int) -> int:
    """Return the channels of the network input for frames of so many channels."""
    if preprocessing.ensure_rgb:
        return 3
    return 1 if preprocessing.ensure_grayscale else channels


def _resolve_heads(heads: HeadConfig, facts: LabelFacts) -> None:
    """Fill the names of nodes, edges and classes in every part of the head.

    Raises:
        ConfigError: Names in the configuration are not those of the labels, or a stride is no power of two.
    """
    name = heads.which_oneof_attrib_name()
    names = facts.skeleton.node_names
    for part_name, part in vars(heads.which_oneof()).items():
        where = f"model_config.head_configs.{name}.{part_name}"
        known = vars(part)
        if part.output_stride < 1 or part.output_stride & (part.output_stride - 1):
            raise ConfigError(
                f"{where}.output_stride is {part.output_stride}; it must be a power of two (1, 2, 4, ...)."
            )
        if "part_names" in known:
            _check_part_names(where, part.part_names, names)
            part.part_names = list(names)
        if "edges" in known:
            if part.edges is None:
                part.edges = [[names[a], names[b]] for a, b in facts.skeleton.edges]
            _check_edges(where, part.edges, names)
        if "classes" in known:
            part.classes = _classes(where, part.classes, facts.track_names)


def _check_part_names(where: str, given: list[str] | None, names: tuple[str, ...]) -> None:
    """Refuse node names that are not those of the labels.

    Raises:
        ConfigError: The message shows both.
    """
    if given is not None and tuple(given) != names:
        raise ConfigError(
            f"{where}.part_names is [{', '.join(given)}], but the skeleton of the labels has the nodes "
            f"[{', '.join(names)}]; leave part_names out, or give these."
        )


def _check_edges(where: str, edges: list[list[str]], names: tuple[str, ...]) -> None:
    """Refuse edges that join no two nodes of the skeleton.

    Raises:
        ConfigError: The message names the edge, or says that there is none.
    """
    if not edges:
        raise ConfigError(
            "The skeleton of the labels has no edges, along which a bottomup model joins points to animals; add "
            "edges to the skeleton, or train a top-down pair (centroid and centered_instance)."
        )
    for edge in edges:
        if len(edge) != 2 or edge[0] == edge[1] or any(node not in names for node in edge):
            raise ConfigError(
                f"{where}.edges holds [{', '.join(edge)}]; an edge names two nodes of the skeleton, which are "
                f"{', '.join(names)}."
            )


def _classes(where: str, given: list[str] | None, tracks: tuple[str, ...]) -> list[str]:
    """Return the class names.

    Raises:
        ConfigError: The labels have no tracks, or none of the given names is one of theirs.
    """
    if not tracks:
        raise ConfigError(
            "The training labels have no tracks, from which this model type learns identities; assign tracks to the "
            "labelled instances, or train a model type without identities."
        )
    if given is None:
        return list(tracks)
    unknown = [name for name in given if name not in tracks]
    if unknown or not given:
        raise ConfigError(
            f"{where}.classes holds [{', '.join(given)}], but the tracks of the training labels are "
            f"[{', '.join(tracks)}]; leave classes out, or choose among these."
        )
    return list(given)


def _resolve_backbone(config: TrainingJobConfig, facts: LabelFacts) -> None:
    """Fill channels and strides of the backbone, so that every head finds its stride.

    A head that reads the bottleneck has its stride, whatever the configuration says.
    """
    backbone = config.model_config.backbone_config.which_oneof()
    preprocessing = config.data_config.preprocessing
    if needs_rgb(backbone):
        preprocessing.ensure_rgb, preprocessing.ensure_grayscale = True, False
    elif isinstance(backbone, UNetConfig):
        _follow_trained_channels(preprocessing, facts)
    parts = vars(config.model_config.head_configs.which_oneof())
    strides = [part.output_stride for name, part in parts.items() if name not in BOTTLENECK_PARTS]
    backbone.in_channels = input_channels(preprocessing, facts.channels)
    backbone.output_stride = min(strides)
    backbone.max_stride = max(backbone.max_stride, *strides)
    for name in BOTTLENECK_PARTS & parts.keys():
        parts[name].output_stride = bottleneck_stride(backbone)


def _follow_trained_channels(preprocessing: PreprocessingConfig, facts: LabelFacts) -> None:
    """Read images as the earlier model of a UNet did, whatever the images and the configuration say."""
    trained = facts.trained_channels
    if trained not in (1, 3) or input_channels(preprocessing, facts.channels) == trained:
        return
    asked = [name for name in ("ensure_rgb", "ensure_grayscale") if vars(preprocessing)[name]]
    preprocessing.ensure_rgb, preprocessing.ensure_grayscale = trained == 3, trained == 1
    logger.log(
        logging.WARNING if asked else logging.INFO,
        "The backbone in model_config.pretrained_backbone_weights reads images of %d channel(s), so "
        "data_config.preprocessing.%s is set%s.",
        trained,
        "ensure_rgb" if trained == 3 else "ensure_grayscale",
        f" in place of {asked[0]}" if asked else "",
    )


def _resolve_trainer(config: TrainingJobConfig, facts: LabelFacts, now: datetime) -> None:
    """Fill steps, run name and folder; steps of batches whose size is ``auto`` are counted later, by `batch_size`."""
    trainer = config.trainer_config
    if trainer.train_data_loader.batch_size != "auto":
        trainer.train_steps_per_epoch = train_steps(config, facts.num_train)
    if trainer.ckpt_dir is None:
        trainer.ckpt_dir = "."
    if not trainer.run_name:
        model_type = config.model_config.head_configs.which_oneof_attrib_name()
        trainer.run_name = f"{now:%y%m%d_%H%M%S}.{model_type}.n={facts.num_frames}"
    run_folder.check_name(trainer.run_name)
