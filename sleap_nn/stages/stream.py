"""`predict_frames`: frames of a source to their instances, in order and in constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from sleap_nn.data.labels import LabeledFrame
from sleap_nn.data.sources import FrameSource
from sleap_nn.errors import DataError
from sleap_nn.ops.centroids import centroids
from sleap_nn.stages.stage import Assembled, Prepared, Stage, begin_stages
from sleap_nn.stages.workers import ReadAhead
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import FrameKey

Progress = Callable[[int, int], None]
LabelledAnchors = Mapping[FrameKey, list[Region]]


def predict_frames(
    stages: Sequence[Stage],
    frames: FrameSource,
    batch_size: int,
    queue_size: int = 32,
    anchors: LabelledAnchors | None = None,
    on_failure: Callable[[DataError], None] | None = None,
    progress: Progress | None = None,
) -> Iterator[Predictions]:
    """Yield the instances of every frame that can be read.

    Args:
        stages: In the order in which they run.
        frames: What is read, ahead of the network in another thread.
        batch_size: Frames in one pass of the network.
        queue_size: Frames prepared ahead of the network at most.
        anchors: What the first stage reads, for one that reads crops; a frame that is not in it has none.
        on_failure: Called for a frame that cannot be read; None fails at the first.
        progress: Called with (frames done, frames in all) after each batch.

    Raises:
        DataError: A frame cannot be read.
    """
    waiting: deque[Assembled] = deque()
    depth = 0 if stages[-1].pool is None else stages[-1].pool.depth
    for num_read, batch in _batches(stages[0], frames, batch_size, queue_size, anchors, on_failure):
        waiting.extend(begin_stages(stages, batch))
        while len(waiting) > depth:
            yield waiting.popleft()()
        if progress is not None and len(batch) == batch_size:
            progress(num_read - len(waiting), len(frames))
    while waiting:
        yield waiting.popleft()()
    if progress is not None:
        progress(len(frames), len(frames))


def _batches(
    stage: Stage,
    frames: FrameSource,
    batch_size: int,
    queue_size: int,
    anchors: LabelledAnchors | None,
    on_failure: Callable[[DataError], None] | None,
) -> Iterator[tuple[int, list[Prepared]]]:
    """Yield the number of frames read so far and the frames that a pass of the network takes together."""
    batch: list[Prepared] = []
    entries = ReadAhead(partial(_prepare, frames, stage, anchors), frames.keys, queue_size)
    for num_read, entry in enumerate(entries, start=1):
        if not isinstance(entry, DataError):
            batch.append(entry)
        elif on_failure is None:
            raise entry
        else:
            on_failure(entry)
        if len(batch) == batch_size:
            yield num_read, batch
            batch = []
    if batch:
        yield len(frames), batch


def anchors_of_labels(frames: Iterable[LabeledFrame], anchor_node: int | None) -> LabelledAnchors:
    """Return the regions about the labelled instances, which a stage of crops reads if no stage finds them.

    Args:
        frames: The labels.
        anchor_node: Node that centres the crops, None for the mean of the visible nodes.
    """
    return {
        frame.key: [Region((float(x), float(y))) for x, y in centroids(frame.points, anchor_node)] for frame in frames
    }


def _prepare(frames: FrameSource, stage: Stage, anchors: LabelledAnchors | None, key: FrameKey) -> Prepared | DataError:
    """Read and prepare one frame; a frame that cannot be read is returned as the error that says so."""
    try:
        frame = frames.read(key)
    except DataError as error:
        return error
    return stage.prepare(frame, None if anchors is None else anchors.get(key, []))
