"""`predict_frames`: frames of a source to their instances, in order and in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from sleap_nn.data.labels import LabeledFrame
from sleap_nn.data.sources import FrameSource
from sleap_nn.errors import DataError
from sleap_nn.ops.centroids import centroids
from sleap_nn.stages.stage import Prepared, Stage, run_stages
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
    prepared = ReadAhead(partial(_prepare, frames, stages[0], anchors), frames.keys, queue_size)
    batch: list[Prepared] = []
    done = 0
    for entry in prepared:
        if isinstance(entry, DataError):
            if on_failure is None:
                raise entry
            on_failure(entry)
            done += 1
            continue
        batch.append(entry)
        if len(batch) == batch_size:
            yield from run_stages(stages, batch)
            done += len(batch)
            batch = []
            if progress is not None:
                progress(done, len(frames))
    if batch:
        yield from run_stages(stages, batch)
    if progress is not None:
        progress(len(frames), len(frames))


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
