"""`GroupingPool`: processes that join detections to instances while the network works on the next frames."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType

from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.tasks.base import DecodeSettings, Task

_FRAMES_A_WORKER = 8

_assembler: tuple[Task, DecodeSettings] | None = None
"""In a worker process: what it assembles with; sent once, when the process starts."""


class GroupingPool:
    """Worker processes that assemble; use it in a ``with`` block, at the end of which they are gone.

    Processes are started anew, not copied from this one, because a copy of threads and of a GPU's state is unusable.

    Attributes:
        depth: Frames that may wait for their turn; with fewer, workers would be idle.
    """

    def __init__(self, task: Task, settings: DecodeSettings, num_workers: int) -> None:
        """Choose what is assembled, and by how many processes."""
        self.depth = _FRAMES_A_WORKER * num_workers
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(num_workers, context, _set_up, (task, settings))

    def submit(self, key: FrameKey, detections: Sequence[Detection]) -> Future[Predictions]:
        """Give a frame to a worker."""
        return self._executor.submit(_assemble, key, tuple(detections))

    def __enter__(self) -> GroupingPool:
        """Return the pool; processes start with the first frame."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the processes; what they have not begun is dropped."""
        self._executor.shutdown(cancel_futures=True)


def _set_up(task: Task, settings: DecodeSettings) -> None:
    """Keep in a worker what every frame needs, and let it end when there is nobody left to work for."""
    global _assembler
    _assembler = (task, settings)
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the end of the process that started this one; one that was killed has told no worker to end."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _assemble(key: FrameKey, detections: Sequence[Detection]) -> Predictions:
    """Assemble a frame in a worker."""
    if _assembler is None:
        raise RuntimeError("This process was not set up by a GroupingPool.")
    task, settings = _assembler
    return task.assemble(key, detections, settings)
