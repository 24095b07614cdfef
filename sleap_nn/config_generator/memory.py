"""How much memory the training of a generated configuration takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import torch

from sleap_nn.config.training_job_config import DictConfig, TrainingJobConfig
from sleap_nn.config_generator.stats import DatasetStats
from sleap_nn.data.crop_size import extents
from sleap_nn.data.sources import frame_size
from sleap_nn.log import quiet
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.ops.centroids import centroids
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame, FrameKey
from sleap_nn.tasks import TASKS
from sleap_nn.training.memory import GIGABYTE, measure
from sleap_nn.training.resolve import LabelFacts, resolve
from sleap_nn.training.training_data import input_spec


@dataclass(frozen=True)
class MemoryEstimate:
    """What a training step takes on a GPU in mixed precision, and what the frames take beside it.

    Attributes:
        model_type: Of which model.
        batch_size: Samples of the step; 1 where the configuration says ``auto``.
        image_shape: (channels, height, width) of an input of the network.
        weights_gb: Weights, gradients and the state of the optimizer, in 1e9 bytes.
        activations_gb: What is kept of the samples until their gradients are there.
        frames_gb: All labelled frames, decoded, which some settings keep in main memory.
    """

    model_type: str
    batch_size: int
    image_shape: tuple[int, int, int]
    weights_gb: float
    activations_gb: float
    frames_gb: float

    @property
    def total_gpu_gb(self) -> float:
        """What has to fit into the memory of the GPU."""
        return self.weights_gb + self.activations_gb

    def __str__(self) -> str:
        """Return the need in words."""
        total = self.total_gpu_gb
        amount = f"{total:.1f} GB" if total >= 1 else f"{1000 * total:.0f} MB"
        channels, height, width = self.image_shape
        return (
            f"about {amount} on a GPU for {self.batch_size} sample(s) of {width} x {height} px with {channels} "
            f"channel(s), in the {self.model_type} model"
        )


def estimate_memory(stats: DatasetStats, config: TrainingJobConfig | DictConfig | dict[str, Any]) -> MemoryEstimate:
    """Return what a training step of a configuration takes; nothing is trained.

    Args:
        stats: The labels it trains on.
        config: The configuration.

    Raises:
        ConfigError: The configuration is wrong, or contradicts the labels.
    """
    job = TrainingJobConfig.from_cfg(config)
    with quiet():
        job = resolve(job, _facts(stats, job), datetime.now())
    model_type = str(job.model_config.head_configs.which_oneof_attrib_name())
    task = TASKS[model_type].from_config(job.model_config.head_configs.which_oneof(), stats.labels.skeleton)
    with torch.random.fork_rng(devices=[]):
        network = PoseNetwork.from_config(job.model_config.backbone_config, task.heads)
    shape = _image_shape(stats, job)
    settings = job.trainer_config
    precision = "bf16-mixed" if settings.precision == "auto" else settings.precision
    need = measure(network, shape, replace(settings, trainer_accelerator="cuda", precision=precision))
    batch_size = settings.train_data_loader.batch_size
    number = 1 if isinstance(batch_size, str) else batch_size
    return MemoryEstimate(
        model_type=model_type,
        batch_size=number,
        image_shape=shape,
        weights_gb=need.weights / GIGABYTE,
        activations_gb=(need.of(number) - need.weights) / GIGABYTE,
        frames_gb=stats.frame_bytes / GIGABYTE,
    )


def _facts(stats: DatasetStats, job: TrainingJobConfig) -> LabelFacts:
    """Return what `resolve` needs; all labels count as training labels."""
    heads, labels = job.model_config.head_configs, stats.labels
    crops = TASKS[str(heads.which_oneof_attrib_name())].view == "crop"
    anchor = labels.skeleton.node_index(heads.which_oneof().confmaps.anchor_part) if crops else None
    videos = sorted({frame.key.video for frame in labels.frames})
    return LabelFacts(
        skeleton=labels.skeleton,
        num_train=labels.num_instances if crops else len(labels),
        num_frames=len(labels),
        frame_sizes=tuple(frame_size(labels.videos[index]) for index in videos),
        channels=stats.channels,
        track_names=labels.track_names,
        extents=tuple(extents(labels, partial(centroids, anchor_node=anchor))) if crops else (),
    )


def _image_shape(stats: DatasetStats, job: TrainingJobConfig) -> tuple[int, int, int]:
    """Return the shape of a network input, as a black frame has it."""
    black = np.zeros((stats.height, stats.width, stats.channels), np.uint8)
    region = Region() if job.data_config.preprocessing.crop_size is None else Region((0.0, 0.0))
    image, _ = input_spec(job).read(Frame(FrameKey(0, 0), black), region)
    return image.shape[0], image.shape[1], image.shape[2]
