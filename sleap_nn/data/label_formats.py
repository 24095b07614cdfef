"""Labels as files of other programs; sleap-io writes them, but for DeepLabCut's tables and NWB.

Formats that hold one video a file are written once a video. Animals without a track are told apart by their place in
the frame, where a format needs a name for each.
"""

from __future__ import annotations

import contextlib
import copy
import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sleap_io.io.main import save_analysis_h5, save_coco, save_csv
from sleap_io.model.instance import Instance, PredictedInstance, Track
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels
from sleap_io.model.video import Video

from sleap_nn.data.corrections import animals
from sleap_nn.data.hdf5_output import hdf5_output
from sleap_nn.data.media_video import measure
from sleap_nn.data.nwb_file import write_nwb
from sleap_nn.data.symmetry_order import order_in_analysis
from sleap_nn.errors import DataError, OutputError
from sleap_nn.log import logger
from sleap_nn.whole_files import whole_file

SLP_ENDINGS = (".predictions.slp", ".slp")


@dataclass(frozen=True)
class LabelFormat:
    """A kind of file.

    Attributes:
        ending: What its files end with.
        write: Writes labels to a path; the last argument is the one video that the file is about.
        one_video: Whether a file holds one video.
    """

    ending: str
    write: Callable[[Labels, Path, Video], None]
    one_video: bool = True


def write_format(labels: Labels, output: Path, name: str) -> list[Path]:
    """Write labels in a format, beside the labels file that `output` names.

    Args:
        labels: The labels.
        output: Path of the labels file; its name, without its ending, is that of the files.
        name: One of `FORMATS`.

    Returns:
        The files.

    Raises:
        OutputError: A file cannot be written; older ones of the same name stay as they were.
    """
    written = []
    labels = _corrected(labels)
    for path, video in format_paths(labels, output, name).items():
        try:
            with whole_file(path) as partial, hdf5_output(partial):
                FORMATS[name].write(labels, partial, video)
        except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
            raise OutputError(f"The predictions cannot be written to {path} as {name} ({error}).") from error
        written.append(path)
    return written


def _corrected(labels: Labels) -> Labels:
    """Return labels in which no animal is there twice because a user has corrected its prediction."""
    if not any(frame.has_user_instances for frame in labels.labeled_frames):
        return labels
    frames = [
        LabeledFrame(video=frame.video, frame_idx=frame.frame_idx, instances=animals(frame))
        for frame in labels.labeled_frames
    ]
    return _with_frames(labels, frames, labels.tracks)


def _with_frames(labels: Labels, frames: Sequence[LabeledFrame], tracks: Sequence[Track]) -> Labels:
    """Return labels with other frames and tracks, the rest as it is."""
    changed = Labels(list(frames), videos=list(labels.videos), skeletons=list(labels.skeletons), tracks=list(tracks))
    changed.provenance = dict(labels.provenance)
    return changed


def format_paths(labels: Labels, output: Path, name: str) -> dict[Path, Video]:
    """Return the files of a format and the video that each is about; a video without frames has none."""
    own = FORMATS[name]
    stem = _without_ending(output.name, own.ending)
    with_frames = {id(frame.video) for frame in labels.labeled_frames}
    used = [video for video in labels.videos if id(video) in with_frames]
    for video in labels.videos:
        if id(video) not in with_frames:
            logger.warning("%s has no predicted frames, so it is not written as %s.", video_stem(video), name)
    if not own.one_video or len(used) < 2:
        return {output.with_name(f"{stem}{own.ending}"): video for video in used[:1]}
    marks = zip(_marks(labels, used), used, strict=True)
    return {output.with_name(f"{stem}.{mark}{own.ending}"): video for mark, video in marks}


def _marks(labels: Labels, videos: Sequence[Video]) -> list[str]:
    """Return a name for each of some videos of labels: its stem, with its number where several have the same."""
    stems = [video_stem(video) for video in videos]
    return [s if stems.count(s) == 1 else f"{s}_{labels.videos.index(v)}" for s, v in zip(stems, videos, strict=True)]


def possible_paths(videos: Sequence[Video], output: Path, name: str) -> set[Path]:
    """Return all files that `format_paths` may name, whichever of the videos turn out to have frames."""
    own = FORMATS[name]
    stem = _without_ending(output.name, own.ending)
    marks = {""}
    if own.one_video and len(videos) > 1:
        stems = [video_stem(video) for video in videos]
        marks |= {f".{mark}" for i, part in enumerate(stems) for mark in (part, f"{part}_{i}")}
    return {output.with_name(f"{stem}{mark}{own.ending}") for mark in marks}


def video_stem(video: Video) -> str:
    """Return the name of a video's file without its ending; of images that of their folder."""
    if isinstance(video.filename, list):
        return Path(video.filename[0]).parent.name if video.filename else "images"
    return Path(video.filename).stem


def _without_ending(name: str, ending: str) -> str:
    """Return a file name without the ending of a labels file or of this format."""
    for known in (*SLP_ENDINGS, ending, Path(ending).suffix):
        if name.endswith(known):
            return name.removesuffix(known)
    return name


def _analysis(labels: Labels, path: Path, video: Video) -> None:
    """Write SLEAP's analysis HDF5: arrays over all frames of the video."""
    whole = _tracked(labels) if labels.tracks else labels
    _num_frames(video)
    save_analysis_h5(whole, str(path), video=video, labels_path=str(labels.provenance.get("filename", "")))
    order_in_analysis(path, labels.skeletons[0].node_names)


def _num_frames(video: Video) -> int:
    """Return the number of frames of a video, of a media file the true one, which sleap-io knows from here on."""
    with contextlib.suppress(DataError, OSError):  # what cannot be read is as long as its labels say
        measure(video)
    return 0 if video.shape is None else int(video.shape[0])


def _table(labels: Labels, path: Path, video: Video) -> None:
    """Write a table with one row an instance; sleap-io gives a table without rows no columns either."""
    if any(frame.instances for frame in labels.labeled_frames if frame.video is video):
        save_csv(labels, str(path), format="sleap", video=video)
        return
    columns = (f"{name}.{value}" for name in labels.skeletons[0].node_names for value in ("score", "x", "y"))
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow(["track", "frame_idx", "instance.score", *sorted(columns)])


def _coco(labels: Labels, path: Path, _video: Video) -> None:
    """Write annotations of all videos."""
    save_coco(labels, str(path), image_filenames=_image_names(labels))


def _image_names(labels: Labels) -> list[str]:
    """Return the name of the image of each frame; images of one name go by their videos, as folders, too."""
    names = [_image_name(frame.video, int(frame.frame_idx)) for frame in labels.labeled_frames]
    counts = Counter(names)
    marks = {id(v): mark for v, mark in zip(labels.videos, _marks(labels, labels.videos), strict=True)}
    frames = zip(names, labels.labeled_frames, strict=True)
    return [name if counts[name] == 1 else f"{marks[id(frame.video)]}/{name}" for name, frame in frames]


def _image_name(video: Video, index: int) -> str:
    """Return the name of the image of one frame: its file's, or that of the video with the number of the frame."""
    if isinstance(video.filename, list):
        return Path(video.filename[index]).name
    return f"{video_stem(video)}_frame_{index:06d}.png"


def _nwb(labels: Labels, path: Path, video: Video) -> None:
    """Write Neurodata Without Borders."""
    animals: dict[str, dict[int, np.ndarray]] = {}
    for index, found in _points(labels, video).items():
        for name, points in found.items():
            animals.setdefault(name, {})[index] = points
    skeleton = labels.skeletons[0]
    name = video.filename[0] if isinstance(video.filename, list) else video.filename
    _num_frames(video)
    provenance = json.dumps(dict(labels.provenance), default=str)
    write_nwb(path, animals, skeleton.node_names, list(skeleton.edge_inds), str(name), video.fps, provenance)


def _tracked(labels: Labels) -> Labels:
    """Return labels of which every instance has a track."""
    tracks = {track.name: track for track in labels.tracks}
    frames = []
    for frame in labels.labeled_frames:
        instances = []
        for name, instance in zip(_names(frame), frame.instances, strict=True):
            own = copy.copy(instance)
            own.track = tracks.setdefault(name, Track(name))
            instances.append(own)
        frames.append(LabeledFrame(video=frame.video, frame_idx=frame.frame_idx, instances=instances))
    return _with_frames(labels, frames, list(tracks.values()))


def _names(frame: LabeledFrame) -> list[str]:
    """Return the names of the animals of a frame: the track, or the place in the frame without one of its own."""
    tracks = [None if instance.track is None else instance.track.name for instance in frame.instances]
    return [f"individual_{i}" if name is None or name in tracks[:i] else name for i, name in enumerate(tracks)]


def _points(labels: Labels, video: Video) -> dict[int, dict[str, np.ndarray]]:
    """Return the points and scores (N, 3) of each animal by frame index of a video and name of the animal."""
    return {
        int(frame.frame_idx): {
            name: _with_scores(instance) for name, instance in zip(_names(frame), frame.instances, strict=True)
        }
        for frame in labels.labeled_frames
        if frame.video is video
    }


def _with_scores(instance: Instance) -> np.ndarray:
    """Return points and scores (N, 3); what a user has drawn is certain."""
    if isinstance(instance, PredictedInstance):
        return instance.numpy(scores=True)
    points = instance.numpy()
    return np.column_stack([points, np.where(np.isnan(points[:, 0]), 0.0, 1.0)])


def _deeplabcut(labels: Labels, path: Path, video: Video) -> None:
    """Write DeepLabCut's table of a video: one row a frame, x, y and likelihood of every node of every animal."""
    rows = _points(labels, video)
    names = dict.fromkeys(name for found in rows.values() for name in found)
    nodes = [node.name for node in labels.skeletons[0].nodes]
    length = max([*(index + 1 for index in rows), _num_frames(video)], default=0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows(_deeplabcut_header(list(names), nodes))
        for index in range(length):
            writer.writerow([index, *_deeplabcut_cells(rows.get(index, {}), list(names), len(nodes))])


def _deeplabcut_header(names: list[str], nodes: list[str]) -> list[list[str]]:
    """Return the rows that say what each column holds; one animal needs no name."""
    columns = [(name, node, value) for name in names for node in nodes for value in ("x", "y", "likelihood")]
    header = [
        ["scorer", *("sleap-nn" for _ in columns)],
        ["individuals", *(name for name, _, _ in columns)],
        ["bodyparts", *(node for _, node, _ in columns)],
        ["coords", *(value for _, _, value in columns)],
    ]
    return header if len(names) > 1 else [header[0], *header[2:]]


def _deeplabcut_cells(found: Mapping[str, np.ndarray], names: list[str], num_nodes: int) -> list[str]:
    """Return the values of a frame, empty where there is no point."""
    missing = np.full((num_nodes, 3), np.nan)
    values = [found.get(name, missing) for name in names]
    cells = [np.where(np.isnan(own[:, :1]), np.nan, own) for own in values]
    return ["" if np.isnan(value) else f"{value:.6g}" for own in cells for value in own.ravel()]


FORMATS: dict[str, LabelFormat] = {
    "analysis_h5": LabelFormat(".analysis.h5", _analysis),
    "csv": LabelFormat(".csv", _table),
    "dlc": LabelFormat(".dlc.csv", _deeplabcut),
    "coco": LabelFormat(".coco.json", _coco, one_video=False),
    "nwb": LabelFormat(".nwb", _nwb),
}
"""Name -> format, besides ``slp``."""
