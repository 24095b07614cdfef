"""The loaders of a training: which draws a process makes, and where a resumed one begins."""

from __future__ import annotations

from dataclasses import dataclass

from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.data.dataset import PoseDataset
from sleap_nn.data.loaders import EpochSampler, PoseLoader, Share, make_loader
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

    @classmethod
    def from_config(
        cls,
        settings: TrainerConfig,
        datasets: tuple[PoseDataset, PoseDataset],
        seed: int,
        position: Position,
        place: Place,
    ) -> Loaders:
        """Make the loaders of a process.

        Args:
            settings: The resolved settings, whose steps count over all devices.
            datasets: For training and for validation.
            seed: Seed of all draws.
            position: Where a checkpoint stopped, perhaps with other batches or another number of devices.
            place: The process.
        """
        train, val = datasets
        loading, val_loading = settings.train_data_loader, settings.val_data_loader
        num_batches = device_steps(int(settings.train_steps_per_epoch or 1), place.size)
        group = loading.batch_size * place.size
        first = position.regrouped(group, num_batches)
        share = Share(place.rank, place.size, loading.batch_size)
        sampler = EpochSampler(len(train), num_batches * group, loading.shuffle, seed, share)
        sampler.start_at(first.epoch, first.batch * group)
        val_share = Share(place.rank, place.size, val_loading.batch_size)
        val_sampler = EpochSampler(len(val), len(val), val_loading.shuffle, seed, val_share)
        return cls(
            train=make_loader(train, loading.batch_size, sampler, int(loading.num_workers)),
            val=make_loader(val, val_loading.batch_size, val_sampler, int(val_loading.num_workers)),
            num_own_val_batches=val_sampler.num_own_batches,
            first=first,
        )


def device_steps(steps: int, num_devices: int) -> int:
    """Return the steps of an epoch on every device, of so many steps over all devices."""
    return max(1, round(steps / num_devices))
