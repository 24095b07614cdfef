"""`predict_batches`: frames of a source to their instances, in order and in constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import NamedTuple

from sleap_nn.data.labels import LabeledFrame
from sleap_nn.data.sources import FrameSource
from sleap_nn.errors import DataError
from sleap_nn.ops.centroids import centroids
from sleap_nn.stages.stage import Assembled, Prepared, Stage, begin_stages
from sleap_nn.stages.workers import ReadAhead, side_by_side
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame, FrameKey

Progress = Callable[[int, int], None]
LabelledAnchors = Mapping[FrameKey, list[Region]]

_MOST_FAILURES = 1000
"""Failures after which a batch ends, so that a long stretch of them takes no memory."""


class Failure(NamedTuple):
    """A frame that could not be read, and the sentence that says why."""

    key: FrameKey
    reason: str


@dataclass(frozen=True)
class DoneFrames:
    """Successive frames of a source that are done.

    Attributes:
        predictions: Those that could be read, in order; the network saw them in one pass.
        failures: The others.
    """

    predictions: tuple[Predictions, ...]
    failures: tuple[Failure, ...] = ()

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.predictions) + len(self.failures)


def predict_batches(
    stages: Sequence[Stage],
    frames: FrameSource,
    batch_size: int,
    queue_size: int = 32,
    anchors: LabelledAnchors | None = None,
    start: int = 0,
    num_passes: int = 1,
) -> Iterator[DoneFrames]:
    """Yield the instances of all frames batch by batch; taken together, the batches hold every frame once, in order.

    Whoever goes on later with the frame after a batch gets the very same batches as if there had been no break.

    Args:
        stages: In the order in which they run.
        frames: What is read, ahead of the network in another thread.
        batch_size: Frames in one pass of the network.
        queue_size: Frames prepared ahead of the network at most.
        anchors: What the first stage reads, for one that reads crops; a frame that is not in it has none.
        start: Position of the first frame to predict.
        num_passes: Batches on which the networks run at a time.
    """

    def begin(read: tuple[list[Prepared], list[Failure]]) -> tuple[list[Assembled], list[Failure]]:
        return begin_stages(stages, read[0]), read[1]

    waiting: deque[tuple[list[Assembled], list[Failure]]] = deque()
    depth = 0 if stages[-1].pool is None else stages[-1].pool.depth
    batches = prepared_batches(stages[0], frames, batch_size, queue_size, anchors, start)
    for begun in side_by_side(begin, batches, num_passes):
        waiting.append(begun)
        while waiting and sum(len(assembled) for assembled, _ in waiting) > depth:
            yield _done(*waiting.popleft())
    while waiting:
        yield _done(*waiting.popleft())


def predict_frames(
    stages: Sequence[Stage], frames: FrameSource, batch_size: int, anchors: LabelledAnchors | None = None
) -> Iterator[Predictions]:
    """Yield the instances of every frame; arguments as for `predict_batches`.

    Raises:
        DataError: A frame cannot be read.
    """
    return flattened(predict_batches(stages, frames, batch_size, anchors=anchors), len(frames))


def flattened(
    batches: Iterable[DoneFrames],
    total: int,
    on_failure: Callable[[Failure], None] | None = None,
    progress: Progress | None = None,
) -> Iterator[Predictions]:
    """Yield the instances frame by frame.

    Args:
        batches: What is done.
        total: Number of frames in all.
        on_failure: Called for a frame that could not be read; None fails at the first.
        progress: Called with (frames done, frames in all) after each batch.

    Raises:
        DataError: A frame could not be read.
    """
    done = 0
    with ExitStack() as ending:
        if isinstance(batches, Generator):
            ending.callback(batches.close)  # An error that is kept, as notebooks do, would keep its threads as well.
        for batch in batches:
            for failure in batch.failures:
                if on_failure is None:
                    raise DataError(failure.reason)
                on_failure(failure)
            yield from batch.predictions
            done += len(batch)
            if progress is not None:
                progress(done, total)
    if progress is not None and not total:
        progress(0, 0)


def prepared_batches(
    stage: Stage,
    frames: FrameSource,
    batch_size: int,
    queue_size: int = 32,
    anchors: LabelledAnchors | None = None,
    start: int = 0,
) -> Iterator[tuple[list[Prepared], list[Failure]]]:
    """Yield the frames that a pass of the network takes together, and those that were lost between them.

    Args:
        stage: What prepares them, ahead in another thread.
        frames: As for `predict_batches`, as are the others.
        batch_size: As above.
        queue_size: As above.
        anchors: As above.
        start: As above.
    """
    keys = (frames.keys[position] for position in range(start, len(frames)))
    batch: list[Prepared] = []
    failures: list[Failure] = []
    several = iter(lambda: list(islice(keys, batch_size)), [])  # A thread that waits for every frame takes its share.
    read = ReadAhead(partial(_prepare, frames, stage, anchors), several, queue_size // batch_size)
    for entry in chain.from_iterable(read):
        if isinstance(entry, Failure):
            failures.append(entry)
        else:
            batch.append(entry)
        if len(batch) == batch_size or len(failures) == _MOST_FAILURES:
            yield batch, failures
            batch, failures = [], []
    if batch or failures:
        yield batch, failures


def _done(assembled: Sequence[Assembled], failures: Sequence[Failure]) -> DoneFrames:
    """Wait for the instances of a batch."""
    return DoneFrames(tuple(result() for result in assembled), tuple(failures))


def anchors_of_labels(frames: Iterable[LabeledFrame], anchor_node: int | None) -> LabelledAnchors:
    """Return the regions about the labelled instances, which a stage of crops reads if no stage finds them.

    Args:
        frames: The labels.
        anchor_node: Node that centres the crops, None for the mean of the visible nodes.
    """
    return {
        frame.key: [Region((float(x), float(y))) for x, y in centroids(frame.points, anchor_node)] for frame in frames
    }


def _prepare(
    frames: FrameSource, stage: Stage, anchors: LabelledAnchors | None, keys: Sequence[FrameKey]
) -> list[Prepared | Failure]:
    """Read and prepare successive frames."""
    read = [_read(frames, key) for key in keys]
    prepared = iter(stage.prepare_all([entry for entry in read if isinstance(entry, Frame)], anchors))
    return [entry if isinstance(entry, Failure) else next(prepared) for entry in read]


def _read(frames: FrameSource, key: FrameKey) -> Frame | Failure:
    """Read one frame."""
    try:
        return frames.read(key)
    except DataError as error:
        return Failure(key, str(error))
