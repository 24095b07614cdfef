"""Samplers and DataLoaders: which rows are drawn when, and how samples become batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from sleap_nn.data.dataset import Draw, PoseDataset
from sleap_nn.structures.sample import Batch


@dataclass(frozen=True)
class Share:
    """The part of the draws that one of several processes makes.

    Draws are dealt out in blocks of a batch, one to each process in turn: what all processes draw for a step is what
    one process would draw for a batch of the size of all theirs.

    Attributes:
        part: Number of the process.
        parts: Number of processes.
        block: Draws in a block, the batch size of a process.
    """

    part: int = 0
    parts: int = 1
    block: int = 1

    def blocks(self, first: int, stop: int) -> list[range]:
        """Return the blocks of this process among the draws from `first` to `stop`."""
        starts = range(first, stop, self.block)[self.part :: self.parts]
        return [range(start, min(start + self.block, stop)) for start in starts]

    def num_rounds(self, num_draws: int) -> int:
        """Return how many blocks the process with the most of them has."""
        return -(-num_draws // (self.block * self.parts))


WHOLE = Share()


class EpochSampler(Sampler[Draw]):
    """A fixed number of draws an epoch, going through the rows again and again.

    A new order is drawn for every pass over the rows, and passes run on from one epoch into the next, so that any
    position can be computed from the seed and the epoch alone. Several processes share the draws; one that would have
    a batch less than others repeats one draw at the end, so that all make equally many batches.
    """

    def __init__(self, num_rows: int, draws_per_epoch: int, shuffle: bool, seed: int, share: Share = WHOLE) -> None:
        """Set the length of an epoch in draws of all processes."""
        self.num_rows = num_rows
        self.draws_per_epoch = draws_per_epoch
        self._shuffle = shuffle
        self._seed = seed
        self._share = share
        self._epoch = 0
        self._skipped = (0, 0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self._epoch = epoch

    def start_at(self, epoch: int, draws: int) -> None:
        """Begin in the middle: leave out so many draws of this epoch, which were made before an interruption."""
        self._epoch = epoch
        self._skipped = (epoch, draws)

    @property
    def num_own_batches(self) -> int:
        """Number of batches of an epoch that are this process's own, not repeated to keep step with the others."""
        return len(self._share.blocks(0, self.draws_per_epoch))

    def __len__(self) -> int:
        """Return the number of draws that this process makes in an epoch."""
        blocks = self._share.blocks(0, self.draws_per_epoch)
        return sum(map(len, blocks)) + self._num_repeated(len(blocks), self.draws_per_epoch)

    def __iter__(self) -> Iterator[Draw]:
        """Draw one epoch."""
        first = self._epoch * self.draws_per_epoch
        start = first + (self._skipped[1] if self._epoch == self._skipped[0] else 0)
        stop = first + self.draws_per_epoch
        blocks = self._share.blocks(start, stop)
        numbers = [number for block in blocks for number in block]
        numbers += [start] * self._num_repeated(len(blocks), stop - start)
        order, drawn = np.empty(0, np.int64), -1
        for number in numbers:
            pass_number, position = divmod(number, self.num_rows)
            if pass_number != drawn:
                order, drawn = self._order(pass_number), pass_number
            yield Draw(int(order[position]), number)

    def _num_repeated(self, num_blocks: int, num_draws: int) -> int:
        """Return how many draws make up for a missing block: one."""
        return self._share.num_rounds(num_draws) - num_blocks

    def _order(self, pass_number: int) -> np.ndarray:
        """Return the order of one pass over the rows."""
        if not self._shuffle:
            return np.arange(self.num_rows)
        return np.random.default_rng((self._seed, pass_number)).permutation(self.num_rows)


class PoseLoader(DataLoader[Batch]):
    """A DataLoader that closes the files of its dataset before worker processes start.

    A worker hangs when it closes a video decoder that a fork copied, and an open one cannot be pickled.
    """

    def __init__(self, dataset: PoseDataset, **settings: Any) -> None:
        """Take the settings of a DataLoader."""
        super().__init__(dataset, **settings)
        self._poses = dataset

    def __iter__(self) -> Any:
        """Go through one epoch."""
        if self.num_workers > 0:
            self._poses.close_files()
        return super().__iter__()


def make_loader(dataset: PoseDataset, batch_size: int, sampler: EpochSampler | None, num_workers: int) -> PoseLoader:
    """Return a loader of `Batch`es.

    Args:
        dataset: Where samples come from.
        batch_size: Samples a batch.
        sampler: What to draw; None goes through all rows once, in order.
        num_workers: Worker processes; 0 reads in this one.
    """
    return PoseLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=Batch.stack,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
        prefetch_factor=4 if num_workers > 0 else None,
        worker_init_fn=_use_one_thread if num_workers > 0 else None,
    )


def _use_one_thread(_worker: int) -> None:
    """Let a worker process compute in one thread, as there are several workers."""
    torch.set_num_threads(1)
