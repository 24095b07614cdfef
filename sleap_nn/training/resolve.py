"""(configuration, facts about the labels) to a configuration with nothing left to infer; pure."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from sleap_nn.config.model_config import BackboneConfig, HeadConfig
from sleap_nn.config.training_job_config import TrainingJobConfig, check_must_be_set
from sleap_nn.errors import ConfigError
from sleap_nn.structures.skeleton import Skeleton


@dataclass(frozen=True)
class LabelFacts:
    """What `resolve` needs to know of the labels.

    Attributes:
        skeleton: The common skeleton.
        num_train: Training samples of an epoch.
        num_frames: Labelled frames, training and validation together.
        frame_sizes: (height, width) of every video of training and validation.
        channels: Channels of the first training image.
    """

    skeleton: Skeleton
    num_train: int
    num_frames: int
    frame_sizes: tuple[tuple[int, int], ...]
    channels: int


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
    _resolve_heads(resolved.model_config.head_configs, facts.skeleton)
    _resolve_backbone(resolved, facts)
    _resolve_trainer(resolved, facts, now)
    resolved.data_config.skeletons = [facts.skeleton.to_config()]
    return resolved


def train_steps(config: TrainingJobConfig, num_samples: int) -> int:
    """Return the optimisation steps of an epoch: the configured or natural number, not below the minimum."""
    trainer = config.trainer_config
    natural = ceil(num_samples / trainer.train_data_loader.batch_size)
    steps = natural if trainer.train_steps_per_epoch is None else trainer.train_steps_per_epoch
    return max(trainer.min_train_steps_per_epoch, steps, 1)


def _resolve_preprocessing(config: TrainingJobConfig, facts: LabelFacts) -> None:
    """Fill the size that frames are matched to: both sides, if either is open."""
    preprocessing = config.data_config.preprocessing
    if preprocessing.max_height is None or preprocessing.max_width is None:
        preprocessing.max_height = max(height for height, _ in facts.frame_sizes)
        preprocessing.max_width = max(width for _, width in facts.frame_sizes)


def input_channels(config: TrainingJobConfig, channels: int) -> int:
    """Return the channels of the network input for frames of so many channels."""
    preprocessing = config.data_config.preprocessing
    if preprocessing.ensure_rgb:
        return 3
    return 1 if preprocessing.ensure_grayscale else channels


def _resolve_heads(heads: HeadConfig, skeleton: Skeleton) -> None:
    """Fill the node names of every part of the head.

    Raises:
        ConfigError: Names in the configuration are not those of the skeleton, or a stride is no power of two.
    """
    name = heads.which_oneof_attrib_name()
    for part_name, part in vars(heads.which_oneof()).items():
        where = f"model_config.head_configs.{name}.{part_name}"
        stride = part.output_stride
        if stride < 1 or stride & (stride - 1):
            raise ConfigError(f"{where}.output_stride is {stride}; it must be a power of two (1, 2, 4, ...).")
        if "part_names" not in vars(part):
            continue
        if part.part_names is not None and tuple(part.part_names) != skeleton.node_names:
            raise ConfigError(
                f"{where}.part_names is [{', '.join(part.part_names)}], but the skeleton of the labels has the nodes "
                f"[{', '.join(skeleton.node_names)}]; leave part_names out, or give these."
            )
        part.part_names = list(skeleton.node_names)


def _resolve_backbone(config: TrainingJobConfig, facts: LabelFacts) -> None:
    """Fill channels and strides of the backbone, so that every head finds its stride."""
    backbones: BackboneConfig = config.model_config.backbone_config
    backbone = backbones.which_oneof()
    strides = [part.output_stride for part in vars(config.model_config.head_configs.which_oneof()).values()]
    backbone.in_channels = input_channels(config, facts.channels)
    backbone.output_stride = min(strides)
    backbone.max_stride = max(backbone.max_stride, *strides)


def _resolve_trainer(config: TrainingJobConfig, facts: LabelFacts, now: datetime) -> None:
    """Fill steps, run name and folder."""
    trainer = config.trainer_config
    trainer.train_steps_per_epoch = train_steps(config, facts.num_train)
    if trainer.ckpt_dir is None:
        trainer.ckpt_dir = "."
    if not trainer.run_name:
        model_type = config.model_config.head_configs.which_oneof_attrib_name()
        trainer.run_name = f"{now:%y%m%d_%H%M%S}.{model_type}.n={facts.num_frames}"
