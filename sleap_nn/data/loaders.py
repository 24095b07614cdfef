"""Samplers and DataLoaders: which rows are drawn when, and how samples become batches."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from sleap_nn.data.cache import CacheFiller
from sleap_nn.data.dataset import Draw, PoseDataset
from sleap_nn.structures.sample import Batch

_MOST_WORKERS = 4
_FEWEST_BATCHES = 8
_SMALLEST_EXCHANGE = 512 * 2**20
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE_SECONDS = 15
"""How long a worker goes on after SIGTERM: enough for the training process to save its state and end it."""


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

    def starts(self, first: int, stop: int) -> range:
        """Return where the blocks of this process begin among the draws from `first` to `stop`."""
        return range(first, stop, self.block)[self.part :: self.parts]

    def draws(self, first: int, stop: int) -> Iterator[int]:
        """Yield the draws of this process among those from `first` to `stop`."""
        for start in self.starts(first, stop):
            yield from range(start, min(start + self.block, stop))

    def num_draws(self, first: int, stop: int) -> int:
        """Return how many draws those are."""
        starts = self.starts(first, stop)
        return len(starts) * self.block - max(0, starts[-1] + self.block - stop) if starts else 0

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
        return len(self._share.starts(0, self.draws_per_epoch))

    def __len__(self) -> int:
        """Return the number of draws that this process makes in an epoch."""
        own = self._share.num_draws(0, self.draws_per_epoch)
        return own + self._num_repeated(self.num_own_batches, self.draws_per_epoch)

    def __iter__(self) -> Iterator[Draw]:
        """Draw one epoch."""
        first = self._epoch * self.draws_per_epoch
        start = first + (self._skipped[1] if self._epoch == self._skipped[0] else 0)
        stop = first + self.draws_per_epoch
        num_repeated = self._num_repeated(len(self._share.starts(start, stop)), stop - start)
        order, drawn = np.empty(0, np.int64), -1
        for number in chain(self._share.draws(start, stop), repeat(start, num_repeated)):
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
    """A DataLoader whose worker processes start in a quiet moment, and end when they are told to.

    A worker hangs when it closes a video decoder that a fork copied, or waits for a lock that a thread held at that
    moment; and an open file cannot be pickled.
    """

    def __init__(self, dataset: PoseDataset, filler: CacheFiller | None, **settings: Any) -> None:
        """Take the settings of a DataLoader, and the threads that must not run when workers start."""
        super().__init__(dataset, **settings)
        self._poses = dataset
        self._filler = filler

    def __iter__(self) -> Any:
        """Go through one epoch."""
        if self.num_workers == 0 or self._iterator is not None:
            return super().__iter__()
        with nullcontext() if self._filler is None else self._filler.paused():
            self._poses.close_files()
            gc.collect()  # closes the decoders of others that nobody uses any more, while their threads exist
            with _signals_held() if self._forks else nullcontext():
                return super().__iter__()

    @property
    def _forks(self) -> bool:
        """Whether workers are copies of this process; a server that starts them would hold back signals for ever."""
        context = self.multiprocessing_context
        return (multiprocessing if context is None else context).get_start_method() == "fork"

    def close(self) -> None:
        """End the worker processes."""
        iterator, self._iterator = self._iterator, None
        if isinstance(iterator, _MultiProcessingDataLoaderIter):
            iterator._shutdown_workers()
            for worker in iterator._workers:
                worker.kill()  # one that hangs; those that ended do not notice


def make_loader(
    dataset: PoseDataset,
    batch_size: int,
    sampler: EpochSampler | None,
    num_workers: int,
    filler: CacheFiller | None = None,
    pin_memory: bool = False,
) -> PoseLoader:
    """Return a loader of `Batch`es.

    Args:
        dataset: Where samples come from.
        batch_size: Samples a batch.
        sampler: What to draw; None goes through all rows once, in order.
        num_workers: Worker processes; 0 reads in this one.
        filler: Threads of this process that fill the cache of the dataset.
        pin_memory: Put batches where a CUDA device copies them quickly.
    """
    return PoseLoader(
        dataset,
        filler,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=Batch.stack,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        prefetch_factor=4 if num_workers > 0 else None,
        worker_init_fn=_prepare_worker if num_workers > 0 else None,
    )


def useful_workers(num_batches: int, cached: bool, num_cpus: int, exchange: int | None) -> int:
    """Return how many worker processes speed training up.

    Decoding keeps a CPU busy, so that every one but the one that trains helps; frames that are kept need half as many.
    A worker that has only a few batches to prepare costs more than it brings.

    Args:
        num_batches: Batches an epoch.
        cached: Whether frames are kept.
        num_cpus: CPUs that this process may use.
        exchange: Bytes free in the folder through which workers hand batches over, None where there is none.
    """
    if exchange is not None and exchange < _SMALLEST_EXCHANGE:
        return 0
    spare = num_cpus - 1
    return max(0, min(_MOST_WORKERS, -(-spare // 2) if cached else spare, num_batches // _FEWEST_BATCHES))


def usable_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    if sys.platform.startswith("linux"):
        return len(os.sched_getaffinity(0))
    count = os.cpu_count()
    return 1 if count is None else count


def free_exchange() -> int | None:
    """Return the bytes free where Linux passes batches between processes; containers often have only 64 MB there."""
    folder = Path("/dev/shm")
    return shutil.disk_usage(folder).free if folder.is_dir() else None


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold back the signals that a worker which starts here would die of, until `_prepare_worker` has seen to them."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker(_worker: int) -> None:
    """Let a worker process compute in one thread, as there are several, and leave Ctrl+C to the training process.

    That one still needs batches to come to a state that it can save. SIGTERM is often sent to all processes of a job;
    a worker then ends a little later by itself.
    """
    gc.freeze()  # what was copied is never closed here: a decoder would wait for threads that a fork does not copy
    torch.set_num_threads(1)
    cv2.setNumThreads(0)  # 1 would wait for threads that a fork does not copy
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(_GRACE_SECONDS))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
