"""The loaders of a training: which draws a process makes, who prepares them, and where a resumed one begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.cache import CacheFiller
from sleap_nn.data.dataset import PoseDataset
from sleap_nn.data.loaders import (
    EpochSampler,
    PoseLoader,
    Share,
    free_exchange,
    make_loader,
    usable_cpus,
    useful_workers,
)
from sleap_nn.training.checkpoints import Position
from sleap_nn.training.place import Place


@dataclass(frozen=True)
class Loaders:
    """What an epoch is made of.

    Attributes:
        train: Training batches.
        val: Validation batches.
        num_own_val_batches: How many of those count; the rest keeps step with other processes.
        first: Where training begins.
    """

    train: PoseLoader
    val: PoseLoader
    num_own_val_batches: int
    first: Position


@contextmanager
def open_loaders(
    job: TrainingJobConfig,
    datasets: tuple[PoseDataset, PoseDataset],
    seed: int,
    position: Position,
    place: Place,
    filler: CacheFiller | None = None,
) -> Iterator[Loaders]:
    """Yield the loaders of a process, and end their worker processes.

    Args:
        job: The resolved configuration, whose steps count over all devices.
        datasets: For training and for validation.
        seed: Seed of all draws.
        position: Where a checkpoint stopped, perhaps with other batches or another number of devices.
        place: The process.
        filler: Threads of this process that fill the cache of the datasets.
    """
    (train, val), settings = datasets, job.trainer_config
    loading, val_loading = settings.train_data_loader, settings.val_data_loader
    size, val_size = int(loading.batch_size), int(val_loading.batch_size)
    num_batches = device_steps(int(settings.train_steps_per_epoch or 1), place.size)
    group = size * place.size
    first = position.regrouped(group, num_batches)
    sampler = EpochSampler(len(train), num_batches * group, loading.shuffle, seed, Share(place.rank, place.size, size))
    sampler.start_at(first.epoch, first.batch * group)
    val_share = Share(place.rank, place.size, val_size)
    val_sampler = EpochSampler(len(val), len(val), val_loading.shuffle, seed, val_share)
    shared = (filler, settings.trainer_accelerator == "cuda")
    loaders = Loaders(
        train=make_loader(train, size, sampler, int(loading.num_workers), *shared),
        val=make_loader(val, val_size, val_sampler, int(val_loading.num_workers), *shared),
        num_own_val_batches=val_sampler.num_own_batches,
        first=first,
    )
    with closing(loaders.train), closing(loaders.val):
        yield loaders


def device_steps(steps: int, num_devices: int) -> int:
    """Return the steps of an epoch on every device, of so many steps over all devices."""
    return max(1, round(steps / num_devices))


def choose_workers(job: TrainingJobConfig, num_val: int, place: Place) -> None:
    """Replace ``num_workers: auto`` by a number; the processes of a machine share its CPUs.

    Args:
        job: The resolved configuration, changed in place.
        num_val: Validation samples.
        place: The process.
    """
    settings = job.trainer_config
    train, val = settings.train_data_loader, settings.val_data_loader
    cached = job.data_config.data_pipeline_fw != "torch_dataset"
    num_batches = device_steps(int(settings.train_steps_per_epoch or 1), place.size)
    num_val_batches = -(-num_val // (int(val.batch_size) * place.size))
    num_cpus = usable_cpus() // place.local_size
    for loader, count in ((train, num_batches), (val, num_val_batches)):
        if loader.num_workers == "auto":
            loader.num_workers = useful_workers(count, cached, num_cpus, free_exchange())
