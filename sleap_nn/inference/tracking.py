"""Tracking inside the stream of a prediction, and of labels that exist already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.tracker_config import TrackerConfig, complete_tracking, in_effect
from sleap_nn.data.labels import Labels
from sleap_nn.data.skeletons import refuse_other_nodes, unify
from sleap_nn.data.sources import FrameSource, VideoFrames
from sleap_nn.data.tracked_labels import frames_to_track, join_duplicate_frames, write_tracks
from sleap_nn.inference.filters import apply_filters, effective
from sleap_nn.log import logger
from sleap_nn.stages.stream import Progress
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.tasks.base import Task
from sleap_nn.tracking.run import TrackingRun

__all__ = ["TrackerConfig", "apply_tracking", "track_stream", "tracking_entries", "tracking_run"]


def tracking_run(config: TrackerConfig | None, task: Task, max_instances: int | None) -> TrackingRun | None:
    """Return the tracking of one prediction, None for none.

    Args:
        config: The options, None for no tracking.
        task: The model type whose instances are tracked.
        max_instances: Most instances of a frame, which stands in for the number of animals.
    """
    if config is None:
        return None
    if task.classes:
        logger.warning("The model knows its animals: their identities are the tracks, and nothing else is tracked.")
        return None
    return TrackingRun.from_config(config, len(task.predicted_skeleton.node_names), max_instances)


def track_stream(found: Iterable[Predictions], run: TrackingRun, frames: FrameSource) -> Iterator[Predictions]:
    """Yield frames with the tracks that are known when they come.

    Args:
        found: The instances, frame by frame in order.
        run: The tracking of this call.
        frames: Where images are read again, if the tracker looks at them: whatever reads ahead for a network has files
            of its own.
    """
    video, source = -1, frames
    for entry in found:
        image = None
        if run.needs_image:
            if entry.key.video != video:
                video, source = entry.key.video, frames.reopened(entry.key.video)
            image = source.read(entry.key).image
        yield run.update(entry, image)


def apply_tracking(
    labels: Labels,
    config: TrackerConfig,
    progress_callback: Progress | None = None,
    keys: set[FrameKey] | None = None,
    filter_config: FilterConfig | None = None,
) -> Labels:
    """Track the instances of labels, in place; callers who need the labels as they were pass ``labels.copy()``.

    In a frame with instances of a user those are tracked, else the predicted ones. Numbers go on from video to video.
    Frames of the same video and index are joined before.

    Args:
        labels: Changed and returned.
        config: The options.
        progress_callback: Called with (frames done, frames in all) after each frame.
        keys: The frames that are tracked; the others are taken out. None for all.
        filter_config: Which predicted instances are removed before; those of a user are never.

    Raises:
        ConfigError: Options do not go together.
        DataError: The labels have instances with different nodes, or images that are needed cannot be read.
    """
    unify(labels)
    refuse_other_nodes(labels, all_instances=True)
    num_nodes = len(labels.skeletons[0].nodes) if labels.skeletons else 1
    run = TrackingRun.from_config(config, num_nodes)
    joined = join_duplicate_frames(labels)
    if joined:
        logger.warning("%d frame(s) of the labels were there more than once and have been joined.", joined)
    frames = frames_to_track(labels, keys)
    source = VideoFrames(labels.videos, [entry.found.key for entry in frames] if run.needs_image else [])
    tracked = []
    filters = effective(FilterConfig() if filter_config is None else filter_config, num_nodes, only_centroids=False)
    found_by_frame = (entry.found if entry.drawn else apply_filters(entry.found, filters) for entry in frames)
    for found in track_stream(found_by_frame, run, source):
        tracked.append(found)
        if progress_callback is not None:
            progress_callback(len(tracked), len(frames))
    write_tracks(labels, frames, list(run.finished(tracked)))
    return labels


def tracking_entries(config: TrackerConfig, nodes: Sequence[str], max_instances: int | None = None) -> dict[str, Any]:
    """Return the options of tracking for the provenance, as they were in effect.

    Args:
        config: What was asked for.
        nodes: Of the skeleton.
        max_instances: Most instances of a frame, which stands in for the number of animals.
    """
    used = in_effect(complete_tracking(config, max_instances), len(nodes))
    return {name: value for name, value in asdict(used).items() if value is not None}
