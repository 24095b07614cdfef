"""`batch_size: auto`: the largest batch for which there is memory."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.dataset import PoseDataset
from sleap_nn.log import logger
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.structures.sample import Batch, Sample
from sleap_nn.tasks.base import Task
from sleap_nn.training.checkpoints import saved_batch_sizes
from sleap_nn.training.memory import SAFE_SHARE, free_memory, measure
from sleap_nn.training.microbatches import ran_out_of_memory, release_memory
from sleap_nn.training.optim import make_optimizer, parameter_groups
from sleap_nn.training.resolve import share_of_frame, train_steps

AUTO = "auto"
LARGEST = 32
"""More samples in a step hardly make it steadier, and far fewer steps are made in the same time."""
WITHOUT_KNOWLEDGE = 4
"""What is taken where the free memory cannot be told."""
SHARE_ON_CPU = 0.5
"""Share of the free memory that an estimated step may take: other programs need some as well."""


def settle(
    job: TrainingJobConfig,
    network: PoseNetwork,
    task: Task,
    train: PoseDataset,
    resume: Path | None = None,
    num_sharing: int = 1,
) -> None:
    """Replace ``auto`` in both loaders of a resolved configuration by a number, and count the steps of an epoch.

    Args:
        job: Changed in place; accelerator and precision are resolved.
        network: Not changed.
        task: Its model type.
        train: The training set.
        resume: Checkpoint of the run that is resumed, whose batch sizes are kept.
        num_sharing: Training processes that share the memory of this machine.
    """
    settings = job.trainer_config
    loaders = (settings.train_data_loader, settings.val_data_loader)
    if AUTO not in (loaders[0].batch_size, loaders[1].batch_size):
        return
    saved = None if resume is None else saved_batch_sizes(resume)
    if saved is not None:
        sizes = saved
    elif loaders[0].batch_size == AUTO:
        sizes = (found := _find(job, network, task, train, num_sharing), _of_whole_frames(found, job))
    else:
        sizes = (given := int(loaders[0].batch_size), _of_whole_frames(given, job))
    for loader, size in zip(loaders, sizes, strict=True):
        if loader.batch_size == AUTO:
            loader.batch_size = size
    settings.train_steps_per_epoch = train_steps(job, len(train))
    chosen = [loader.batch_size for loader in loaders]
    logger.info("batch_size: auto; batches of %s samples for training and %s for validation.", *chosen)


def largest_fitting(bound: int, fits: Callable[[int], bool]) -> int:
    """Return the largest power of two up to a bound that fits, going up from 1; 1 if nothing does."""
    size = 1
    while 2 * size <= bound and fits(2 * size):
        size *= 2
    return size


def decided(job: TrainingJobConfig) -> list[int]:
    """Return what `settle` decides: both batch sizes and the steps of an epoch."""
    settings = job.trainer_config
    sizes = (settings.train_data_loader.batch_size, settings.val_data_loader.batch_size)
    return [*map(int, sizes), int(settings.train_steps_per_epoch or 1)]


def adopt(job: TrainingJobConfig, decision: Sequence[int]) -> None:
    """Take over what another process has `decided`; the configuration is changed in place."""
    settings = job.trainer_config
    settings.train_data_loader.batch_size, settings.val_data_loader.batch_size = decision[:2]
    settings.train_steps_per_epoch = decision[2]


def _of_whole_frames(size: int, job: TrainingJobConfig) -> int:
    """Return how many validation frames are as large as so many training inputs."""
    return max(1, int(size * share_of_frame(job)))


def _find(job: TrainingJobConfig, network: PoseNetwork, task: Task, train: PoseDataset, num_sharing: int) -> int:
    """Return the batch size for training: tried on a GPU, estimated elsewhere."""
    settings, sample = job.trainer_config, train[0]
    if settings.trainer_accelerator == "cuda":
        fits = partial(_fits_by_trial, network, task, sample, job)
        return largest_fitting(min(LARGEST, len(train)), fits)
    need, free = measure(network, sample.image.shape, settings), free_memory(settings.trainer_accelerator)
    if free is None:
        return largest_fitting(min(WITHOUT_KNOWLEDGE, len(train)), lambda _: True)
    return largest_fitting(min(LARGEST, len(train)), lambda size: need.of(size) <= SHARE_ON_CPU * free / num_sharing)


def _fits_by_trial(network: PoseNetwork, task: Task, sample: Sample, job: TrainingJobConfig, size: int) -> bool:
    """Make a step of copies of a sample with a copy of the network, and tell whether there was memory to spare."""
    torch.cuda.reset_peak_memory_stats()
    enough = True
    try:
        _make_step(copy.deepcopy(network).to("cuda"), task, Batch.stack([sample] * size).to("cuda"), job)
    except RuntimeError as error:
        if not ran_out_of_memory(error):
            raise
        enough = False
    release_memory()  # not before the error is gone, which holds on to the tensors of the step
    total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    return enough and torch.cuda.max_memory_allocated() <= SAFE_SHARE * total


def _make_step(network: PoseNetwork, task: Task, batch: Batch, job: TrainingJobConfig) -> None:
    """Make one optimisation step as training makes it."""
    settings = job.trainer_config
    optimizer = make_optimizer(parameter_groups(network, settings.optimizer), settings)
    dtype = torch.float16 if settings.precision == "16-mixed" else torch.bfloat16
    with torch.autocast(batch.image.device.type, dtype=dtype, enabled=settings.precision != "32", cache_enabled=False):
        image = batch.image
        if settings.channels_last:
            image = image.contiguous(memory_format=torch.channels_last)
        outputs, targets = network.train()(image), task.encode(batch)
        total = task.total_loss(task.losses(outputs, targets, batch.weights))
    total.backward()
    optimizer.step()
