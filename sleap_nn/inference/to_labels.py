"""Predictions to sleap-io labels; nothing else in the package does it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from sleap_io.model.instance import Instance, PredictedInstance, Track
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.skeleton import Skeleton as SioSkeleton
from sleap_io.model.video import Video

from sleap_nn.data.labels import Labels, sio_skeleton, write_labels
from sleap_nn.errors import OutputError
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.skeleton import Skeleton


def to_labels(
    predictions: Iterable[Predictions],
    skeleton: Skeleton,
    videos: Sequence[Video],
    keep_empty: bool = True,
    classes: Sequence[str] = (),
) -> Labels:
    """Return predictions as labels.

    Args:
        predictions: One entry a frame.
        skeleton: The nodes of the points.
        videos: What `FrameKey.video` counts.
        keep_empty: Keep frames in which nothing was found.
        classes: What `Predictions.class_ids` counts; every class becomes a track of its name.
    """
    target = sio_skeleton(skeleton)
    tracks = [Track(name) for name in classes]
    frames = [
        LabeledFrame(
            video=videos[found.key.video], frame_idx=found.key.frame, instances=_instances(found, target, tracks)
        )
        for found in predictions
        if keep_empty or len(found)
    ]
    return Labels(labeled_frames=frames, videos=list(videos), skeletons=[target], tracks=tracks)


def _instances(
    found: Predictions, skeleton: SioSkeleton, tracks: Sequence[Track]
) -> list[PredictedInstance | Instance]:
    """Return the instances of one frame."""
    instances: list[PredictedInstance | Instance] = []
    for i in range(len(found)):
        class_id = -1 if found.class_ids is None else int(found.class_ids[i])
        instances.append(
            PredictedInstance.from_numpy(
                points_data=np.asarray(found.points[i], np.float64),
                point_scores=np.asarray(found.point_scores[i], np.float64),
                score=float(found.scores[i]),
                skeleton=skeleton,
                track=tracks[class_id] if class_id >= 0 else None,
                tracking_score=0.0 if found.class_scores is None else float(found.class_scores[i]),
            )
        )
    return instances


def check_output(path: Path, inputs: Sequence[Path], kind: str = ".slp file") -> None:
    """Refuse an output that cannot be written, or that would destroy an input, before anything slow starts.

    Raises:
        OutputError: The message names the path.
    """
    if any(path.resolve() == source.resolve() for source in inputs):
        raise OutputError(f"The output {path} is a file that images are read from; choose another output path.")
    if path.is_dir():
        raise OutputError(f"The output {path} is a folder; name a {kind}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".write_test"):
            pass
    except OSError as error:
        raise OutputError(f"The output {path} cannot be written ({error}); choose another folder.") from error


def save_labels(labels: Labels, path: Path) -> None:
    """Write a ``.slp`` under a temporary name and put it in place when it is whole.

    Raises:
        OutputError: The file cannot be written; an older file of that name is left as it was.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.slp")
    labels.provenance["filename"] = path.as_posix()
    try:
        write_labels(labels, temporary)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"The predictions cannot be written to {path} ({error}); choose another path.") from error
