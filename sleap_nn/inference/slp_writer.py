"""Predictions of any length to a ``.slp``, in constant memory.

sleap-io writes the file with videos, skeleton, provenance and no instances; then the tables of frames, instances and
points grow in it. What sleap-io reads from the result is what `to_labels` would have given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sleap_nn.data.hdf5_output import hdf5_output
from sleap_nn.data.labels import write_labels
from sleap_nn.errors import OutputError
from sleap_nn.inference.to_labels import AnySkeleton, CentroidForm, empty_labels, instance_tracks, track_names
from sleap_nn.structures.predictions import Predictions
from sleap_nn.whole_files import whole_file

_FRAMES_AT_ONCE = 256
_CHUNK_BYTES = 1 << 16
_TABLES = ("frames", "instances", "pred_points")


@dataclass(frozen=True)
class Written:
    """What a file holds.

    Attributes:
        num_frames: Frames, empty ones included.
        num_instances: Instances.
        num_tracks: Tracks.
    """

    num_frames: int
    num_instances: int
    num_tracks: int


@dataclass(frozen=True, eq=False)
class SlpHead:
    """What a file says besides the instances.

    Attributes:
        skeleton: The nodes of the points.
        videos: What `FrameKey.video` counts, as sleap-io's objects.
        classes: What `Predictions.class_ids` counts.
        provenance: Where the predictions come from.
        centroids: How centroids are stored as instances, None for predictions that have keypoints.
        restore_source_videos: Name the videos that images of a package once came from, instead of the package.
    """

    skeleton: AnySkeleton
    videos: Sequence[Any]
    classes: Sequence[str]
    provenance: Mapping[str, Any]
    centroids: CentroidForm | None = None
    restore_source_videos: bool = False


def write_slp(path: Path, predictions: Iterable[Predictions], head: SlpHead, keep_empty: bool = True) -> Written:
    """Write a ``.slp`` under a temporary name and put it in place when it is whole.

    Args:
        path: The file; one that exists is replaced.
        predictions: One entry a frame.
        head: What the file says besides.
        keep_empty: Keep frames in which nothing was found.

    Raises:
        OutputError: It cannot be written; an older file of that name is left as it was.
    """
    try:
        labels = empty_labels(head.skeleton, head.videos, head.classes, head.centroids)
        labels.provenance |= {**head.provenance, "filename": path.as_posix()}
        with whole_file(path) as partial, hdf5_output(partial) as check:
            write_labels(labels, partial, False, head.restore_source_videos)
            with h5py.File(partial, "r+") as file:
                written = _fill(file, predictions, head, keep_empty, check)
    except (OSError, RuntimeError) as error:
        # HDF5 reports a full disk as either of the two.
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"The predictions cannot be written to {path} ({_reason(error)}).") from error
    return written


def _fill(
    file: h5py.File,
    predictions: Iterable[Predictions],
    head: SlpHead,
    keep_empty: bool,
    check: Callable[[], None],
) -> Written:
    """Let the tables of a file without instances grow; `check` raises if something could not be written."""
    video_ids = [int(number) for number in _table(file, "frames")["video"]]
    tables = {name: _emptied(file, name) for name in _TABLES}
    written, highest = Written(0, 0, 0), -1
    form = CentroidForm() if head.centroids is None else head.centroids
    kept = (form.placed(found) for found in predictions if keep_empty or len(found))
    while block := list(islice(kept, _FRAMES_AT_ONCE)):
        tracks, scores = (np.concatenate(parts) for parts in zip(*map(instance_tracks, block), strict=True))
        rows = _instance_rows(block, written, tracks, scores, tables["instances"].dtype)
        _append(tables["frames"], _frame_rows(block, written, video_ids, tables["frames"].dtype))
        _append(tables["instances"], rows)
        _append(tables["pred_points"], _point_rows(block, tables["pred_points"].dtype))
        check()
        highest = max(highest, int(tracks.max(initial=-1)))
        written = Written(written.num_frames + len(block), written.num_instances + len(rows), 0)
    names = track_names(head.classes, highest + 1)
    if len(names) != len(head.classes):
        del file["tracks_json"]
        texts = [json.dumps([0, name], separators=(",", ":")) for name in names]
        file.create_dataset("tracks_json", data=texts, dtype=h5py.string_dtype(), maxshape=(None,))
    return Written(written.num_frames, written.num_instances, len(names))


def _table(file: h5py.File, name: str) -> h5py.Dataset:
    """Return a table of a file."""
    table = file[name]
    assert isinstance(table, h5py.Dataset)
    return table


def _emptied(file: h5py.File, name: str) -> h5py.Dataset:
    """Replace a table by one of its kind that is empty and can grow."""
    dtype = _table(file, name).dtype
    del file[name]
    rows = max(1, _CHUNK_BYTES // dtype.itemsize)
    return file.create_dataset(name, shape=(0,), maxshape=(None,), chunks=(rows,), dtype=dtype)


def _append(table: h5py.Dataset, rows: np.ndarray) -> None:
    """Add rows to a table."""
    if len(rows):
        start = len(table)
        table.resize((start + len(rows),))
        table[start:] = rows


def _frame_rows(block: Sequence[Predictions], before: Written, video_ids: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Return the rows of frames."""
    rows = np.zeros(len(block), dtype)
    stops = before.num_instances + np.cumsum([len(found) for found in block])
    rows["frame_id"] = before.num_frames + np.arange(len(block))
    rows["video"] = [video_ids[found.key.video] for found in block]
    rows["frame_idx"] = [found.key.frame for found in block]
    rows["instance_id_start"] = np.concatenate([[before.num_instances], stops[:-1]])
    rows["instance_id_end"] = stops
    return rows


def _instance_rows(
    block: Sequence[Predictions], before: Written, tracks: np.ndarray, track_scores: np.ndarray, dtype: np.dtype
) -> np.ndarray:
    """Return the rows of instances; all have the same number of points."""
    rows = np.zeros(len(tracks), dtype)
    ids = before.num_instances + np.arange(len(tracks))
    num_nodes = block[0].points.shape[1]
    rows["instance_id"] = ids
    rows["instance_type"] = 1
    rows["frame_id"] = before.num_frames + np.repeat(np.arange(len(block)), [len(found) for found in block])
    rows["track"] = tracks
    rows["from_predicted"] = -1
    rows["score"] = np.concatenate([found.scores for found in block])
    rows["point_id_start"] = ids * num_nodes
    rows["point_id_end"] = (ids + 1) * num_nodes
    rows["tracking_score"] = track_scores
    return rows


def _point_rows(block: Sequence[Predictions], dtype: np.dtype) -> np.ndarray:
    """Return the rows of points."""
    points = np.concatenate([found.points.reshape(-1, 2) for found in block])
    rows = np.zeros(len(points), dtype)
    rows["x"], rows["y"] = points[:, 0], points[:, 1]
    rows["visible"] = ~np.isnan(points).any(axis=1)
    rows["score"] = np.concatenate([found.point_scores.ravel() for found in block])
    return rows


def _reason(error: OSError | RuntimeError) -> str:
    """Return one line of what HDF5 or the system says."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.splitlines()[0] if text else type(error).__name__
