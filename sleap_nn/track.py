"""The verb `track`: labels with instances in, the same instances with tracks out; no model is involved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict, Unpack

from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.frames import chosen_frames
from sleap_nn.config.tracker_config import TrackerConfig, complete_tracking
from sleap_nn.data.labels import Labels, load_labels
from sleap_nn.data.other_formats import is_labels
from sleap_nn.data.sources import VideoFrames
from sleap_nn.errors import UsageError
from sleap_nn.heartbeat import phase
from sleap_nn.inference.output import Output
from sleap_nn.inference.provenance import build_tracking_only_provenance
from sleap_nn.inference.select import Selection, offered_frames, video_at
from sleap_nn.inference.tracking import apply_tracking, tracking_entries
from sleap_nn.log import logger
from sleap_nn.stages.stream import Progress
from sleap_nn.structures.sample import FrameKey

__all__ = ["TrackKeywords", "track", "track_labels"]


class TrackKeywords(TypedDict, total=False):
    """What is tracked of a file.

    Attributes:
        filter_config: Which predicted instances are removed before; None removes none.
        frames: Frame indices, in every video; the others are left out. None: all.
        video_index: One video of the file; the others have no frames in the result. None: all.
        label_filter: ``only_labeled_frames`` or another of the filters of `ChoiceKeywords`; None: all frames.
        max_instances: Most instances of a frame, which stands in for the number of animals.
        clean_empty_frames: Leave out frames without instances.
        progress_callback: Called with (frames done, frames in all).
        cli_args: Options of a command line, for the provenance.
        kept_files: Files besides the input that must not be written.
    """

    filter_config: FilterConfig | None
    frames: Sequence[int] | None
    video_index: int | None
    label_filter: str | None
    max_instances: int | None
    clean_empty_frames: bool
    progress_callback: Progress | None
    cli_args: Mapping[str, Any] | None
    kept_files: Sequence[Path]


def track(
    labels_path: str | Path,
    tracker_config: TrackerConfig | None = None,
    *,
    output_path: str | Path | None = None,
    **options: Unpack[TrackKeywords],
) -> Labels:
    """Track the instances of a labels file: those of a user where a frame has any, else the predicted ones.

    Args:
        labels_path: A ``.slp`` file; it stays as it is.
        tracker_config: How; None: online, with the defaults.
        output_path: Where the tracked labels are written; None: nowhere.
        **options: What is tracked, see `TrackKeywords`.

    Raises:
        MissingFileError: The file does not exist.
        UsageError: It is no labels file, or options exclude each other.
        DataError: It cannot be read or tracked.
        ConfigError: An option is out of range, or the number of animals is missing.
        OutputError: The result cannot be written.
    """
    output = None if output_path is None else Output.from_keywords(output_path)
    return track_labels(Path(labels_path), output, tracker_config, **options)[0]


def track_labels(
    source: Path | Labels,
    output: Output | None,
    tracker_config: TrackerConfig | None = None,
    **options: Unpack[TrackKeywords],
) -> tuple[Labels, list[Path]]:
    """Track the instances of labels, which are changed, or of a labels file, which is not; else as `track`.

    Returns:
        The labels, and the files that were written.
    """
    given = TrackerConfig() if tracker_config is None else tracker_config
    config = complete_tracking(given, options.get("max_instances"))
    path = source if isinstance(source, Path) else None
    name = "labels" if path is None else path.name
    started = datetime.now()
    labels = source if isinstance(source, Labels) else _read(source, config)
    selection = Selection(VideoFrames(labels.videos, []), path, labels)
    if output is not None:
        output.check(selection, options.get("kept_files", ()))
    keys = _chosen(labels, options.get("frames"), options.get("video_index"))
    if options.get("label_filter") is not None:
        keys &= offered_frames(labels, options.get("label_filter"))
    logger.info("Running tracking on %d frames...", len(keys))
    report = options.get("progress_callback")
    with phase(f"tracking {name}", len(keys)) as step:

        def count(done: int, total: int) -> None:
            step.done = done
            if report is not None:
                report(done, total)

        apply_tracking(labels, config, count, keys, filter_config=options.get("filter_config"))
    if options.get("clean_empty_frames", False):
        labels.labeled_frames = [frame for frame in labels.labeled_frames if len(frame.instances)]
    labels.provenance = build_tracking_only_provenance(
        started=started,
        ended=datetime.now(),
        source=path,
        source_labels=labels,
        frames_processed=len(keys),
        tracking_config=tracking_entries(config, labels.skeletons[0].node_names if labels.skeletons else [""]),
        cli_args=options.get("cli_args"),
    )
    if output is None:
        return labels, []
    with phase(f"writing {output.path.name}"):
        return labels, output.write(labels, selection)


def _read(path: Path, config: TrackerConfig) -> Labels:
    """Read a labels file, with its videos where they are needed.

    Raises:
        UsageError: It is none.
    """
    if not is_labels(path):
        raise UsageError(f"{path.name} is no labels file with instances to track; name a model with -m to find some.")
    with phase(f"reading {path.name}"):
        return load_labels(path, open_videos=config.use_flow or config.features == "image")


def _chosen(labels: Labels, frames: Sequence[int] | None, video_index: int | None) -> set[FrameKey]:
    """Return the frames that are tracked.

    Raises:
        ConfigError: There is no such video.
    """
    if video_index is not None:
        video_at(labels, video_index)
    position = {id(video): index for index, video in enumerate(labels.videos)}
    present = {FrameKey(position[id(frame.video)], int(frame.frame_idx)) for frame in labels.labeled_frames}
    chosen = chosen_frames(frames)
    wanted = None if chosen is None else set(chosen)
    missing = set() if wanted is None else wanted - {key.frame for key in present}
    if missing:
        logger.warning("%d requested frames are not in the labels file and are left out.", len(missing))
    return {
        key
        for key in present
        if (wanted is None or key.frame in wanted) and (video_index is None or key.video == video_index)
    }
