"""Small links of the chain of a prediction, see `Predictor`."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np

from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.limits import MOST_SAMPLES, MOST_WORKERS
from sleap_nn.data.labels import Labels, LabelSet, user_frames
from sleap_nn.errors import ConfigError, UsageError
from sleap_nn.inference.exported import enforced
from sleap_nn.inference.loaded_model import LoadedModel
from sleap_nn.inference.manifest import labels_hash
from sleap_nn.inference.outputs import Outputs
from sleap_nn.inference.runtime import passes_at_a_time, resolve_device
from sleap_nn.inference.select import Frames, Selection, Source, Video, closed_after, select_frames
from sleap_nn.inference.settings import DecodeKeywords, overridden
from sleap_nn.inference.to_labels import AnySkeleton, CentroidForm
from sleap_nn.log import logger
from sleap_nn.stages.follow import RoiSettings, follow_batches
from sleap_nn.stages.grouping_pool import GroupingPool
from sleap_nn.stages.stage import Stage
from sleap_nn.stages.stream import DoneFrames, LabelledAnchors, Progress, anchors_of_labels, predict_batches
from sleap_nn.structures.predictions import Predictions
from sleap_nn.tasks.base import Task
from sleap_nn.version import __version__

_EMIT = ("instance", "centroid", "both")


def check_settings(
    batch_size: int,
    queue_size: int,
    paf_workers: int,
    emit_centroid: str,
    filter_config: FilterConfig | None = None,
    roi: RoiSettings | None = None,
) -> None:
    """Refuse settings of a predictor that are of another type or out of range.

    Raises:
        ConfigError: The message names the first.
    """
    for name, value in (("batch_size", batch_size), ("queue_maxsize", queue_size), ("paf_workers", paf_workers)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            raise ConfigError(f"{name} is {value!r}; it must be a whole number.")
    if filter_config is not None and not isinstance(filter_config, FilterConfig):
        raise ConfigError(
            f"filter_config is a {type(filter_config).__name__}; give a FilterConfig, or None to remove nothing."
        )
    if roi is not None and not isinstance(roi, RoiSettings):
        raise ConfigError(f"roi is a {type(roi).__name__}; give RoiSettings(), or None to read whole frames.")
    if batch_size < 1 or queue_size < 1 or max(batch_size, queue_size) > MOST_SAMPLES:
        raise ConfigError(
            f"batch_size is {batch_size} and queue_maxsize {queue_size}; both must be at least 1 and at most "
            f"{MOST_SAMPLES}."
        )
    if not 0 <= paf_workers <= MOST_WORKERS:
        raise ConfigError(
            f"paf_workers is {paf_workers}; give the number of processes, at most {MOST_WORKERS}, or 0 for none."
        )
    if emit_centroid not in _EMIT:
        raise ConfigError(f"emit_centroid is {emit_centroid!r}; choose {', '.join(_EMIT)}.")


def check_formats(formats: Sequence[str], centroids: CentroidForm | None) -> None:
    """Refuse formats that cannot hold centroids where nothing else is stored.

    Args:
        formats: What is written.
        centroids: How centroids are stored, None for models that find keypoints.

    Raises:
        UsageError: The message names the first.
    """
    others = [name for name in formats if name != "slp"]
    if others and centroids is not None and centroids.emit == "centroid":
        raise UsageError(
            f"Only .slp files hold centroids, {others[0]} does not; store them as instances (emit_centroid, "
            "--centroid-output: instance or both)."
        )


def check_device(asked: str, actual: str) -> None:
    """Refuse a device on which the models are not.

    Raises:
        ConfigError: The message names both.
    """
    if not actual.startswith(str(resolve_device(asked))):
        raise ConfigError(f"device is {asked!r}, but the models are on {actual}; load them with device={asked!r}.")


def label_skeleton(skeleton: AnySkeleton | None, task: Task) -> AnySkeleton | None:
    """Return the skeleton that labels get in place of that of training; None for the latter.

    Args:
        skeleton: One with the nodes that are predicted; or, where those are fewer, with the nodes of training, which
            leaves labels as they are.
        task: The model type.

    Raises:
        ConfigError: It has other nodes.
    """
    if skeleton is None:
        return None
    count, predicted = len(skeleton.node_names), len(task.predicted_skeleton.node_names)
    if count not in (predicted, len(task.skeleton.node_names)):
        raise ConfigError(f"skeleton has {count} node(s), the model {predicted}; leave it out.")
    return skeleton if count == predicted else None


def counted(found: Iterable[Predictions], total: int, progress: Progress | None) -> Iterator[Predictions]:
    """Yield frames, and say how many there were."""
    for done, frame in enumerate(found, 1):
        yield frame
        if progress is not None:
            progress(done, total)


def named(
    source: Source | Selection,
    frames: Frames | None,
    skeleton: AnySkeleton | None,
    videos: Sequence[Video] | None,
    models: Sequence[LoadedModel],
) -> Selection:
    """Return the frames of a source that models can read, and what their labels call skeleton and videos.

    Raises:
        ConfigError: The skeleton has other nodes than the model type, there are too few videos, or labels are missing.
    """
    count = len(models[-1].stage.task.predicted_skeleton.node_names)
    if skeleton is not None and len(skeleton.node_names) != count:
        raise ConfigError(f"skeleton has {len(skeleton.node_names)} node(s), the model {count}; leave it out.")
    selection = source if isinstance(source, Selection) else select_frames(source, frames)
    return readable(models, selection).named(skeleton, videos)


def readable(models: Sequence[LoadedModel], selection: Selection) -> Selection:
    """Return the frames that models can read: a model of crops alone needs animals labelled by a user.

    Where no frame of the labels has any, or the model was trained on predicted instances, those are taken as well.

    Raises:
        ConfigError: There are no labels.
    """
    task = models[0].stage.task
    if task.view != "crop":
        return selection
    by_user = user_frames(_labels_of(selection, task))
    kept = [key for key in selection.frames.keys if key in by_user]
    num_others = len(selection.frames) - len(kept)
    if not num_others or not by_user or not models[0].config.data_config.user_instances_only:
        return selection
    logger.warning(
        "%d frame(s) without an animal labelled by a user are left out: a %s model alone reads crops about those.",
        num_others,
        task.name,
    )
    frames = copy.copy(selection.frames)
    frames.keys = kept
    return replace(selection, frames=frames, record={**selection.record, "frames_processed": len(kept)})


def until_closed(found: Iterator[Outputs], selection: Selection, source: object) -> Iterator[Outputs]:
    """Yield raw results, and close the files of a selection at the end of the iteration, however it ends."""
    with closed_after(selection, source), closing(cast(Generator[Outputs], found)):
        yield from found


def with_settings(models: Sequence[LoadedModel], keywords: DecodeKeywords) -> list[LoadedModel]:
    """Return models whose maps are read as a call asks for."""
    stages = [model.stage for model in models]
    return enforced(models, [overridden(stage.settings, stage.task, keywords) for stage in stages])


@dataclass(frozen=True)
class Pace:
    """How much is done at a time.

    Attributes:
        batch_size: Frames in one pass of the network.
        queue_size: Frames prepared ahead of the network at most.
        paf_workers: Processes that join the points of a bottom-up model to instances; 0 does it here.
    """

    batch_size: int
    queue_size: int
    paf_workers: int = 0


def unfiltered(
    stages: Sequence[Stage], selection: Selection, pace: Pace, start: int = 0, roi: RoiSettings | None = None
) -> Iterator[DoneFrames]:
    """Run the stages over the frames of a selection, from a position on.

    Args:
        stages: In the order in which they run.
        selection: The frames.
        pace: How much is done at a time.
        start: Position of the first frame.
        roi: How one animal is followed, None for whole frames.
    """
    first, last = stages[0], stages[-1]
    if roi is not None:
        followed = follow_batches(first, selection.frames, pace.batch_size, pace.queue_size, roi)
        yield from from_position(followed, start)
        return
    anchors = labelled_anchors(selection, first) if first.task.view == "crop" else None
    with ExitStack() as processes:
        if pace.paf_workers and last.task.name == "bottomup":
            pool = GroupingPool(last.task, last.settings, pace.paf_workers)
            stages = [*stages[:-1], replace(last, pool=processes.enter_context(pool))]
        num_passes = passes_at_a_time([stage.runtime for stage in stages], len(selection.frames) // pace.batch_size)
        yield from predict_batches(
            stages, selection.frames, pace.batch_size, pace.queue_size, anchors, start, num_passes
        )


def what_decides(
    models: Sequence[LoadedModel],
    selection: Selection,
    filters: FilterConfig,
    roi: RoiSettings | None,
    batch_size: int,
) -> dict[str, Any]:
    """Return everything that instances before tracking depend on, and by which an interrupted run is known again.

    Args:
        models: In the order in which they run.
        selection: The frames.
        filters: Which instances are removed.
        roi: How one animal is followed, None for whole frames.
        batch_size: Frames in one pass of the network, which decide how an animal is followed.
    """
    path, labels = selection.path, selection.labels
    return {
        "sleap_nn_version": __version__,
        "weights": {model.model_type: model.weights_hash() for model in models},
        "settings": {model.model_type: model.what_decides() for model in models},
        "filters": asdict(filters),
        "roi": None if roi is None else {**asdict(roi), "batch_size": batch_size},
        "input": {
            "frames": len(selection.frames),
            "content": selection.frames.fingerprint(),
            "labels": None if path is None or labels is None else labels_hash(labels, path),
        },
    }


def from_position(batches: Iterable[DoneFrames], start: int) -> Iterator[DoneFrames]:
    """Leave out the batches before a frame, of a chain that cannot begin there."""
    done = 0
    for batch in batches:
        if done >= start:
            yield batch
        done += len(batch)


def labelled_anchors(selection: Selection, stage: Stage) -> LabelledAnchors:
    """Return the anchors of the labelled instances, for a model of crops without one that finds them.

    Raises:
        ConfigError: There are no labels to take them from.
    """
    task = stage.task
    labels = LabelSet.from_labels([_labels_of(selection, task)], user_instances_only=False)
    anchor = None if task.anchor_node is None else task.skeleton.node_names[task.anchor_node]
    anchors = anchors_of_labels(labels.frames, labels.skeleton.node_index(anchor))
    return {key: regions[: stage.settings.max_instances] for key, regions in anchors.items()}


def _labels_of(selection: Selection, task: Task) -> Labels:
    """Return the labels about whose animals crops are cut.

    Raises:
        ConfigError: There are none.
    """
    if selection.labels is None:
        raise ConfigError(
            f"A {task.name} model alone reads crops about labelled animals, but the input has no labels; give a "
            "centroid model as well (-m twice), or a labels file as input."
        )
    return selection.labels
