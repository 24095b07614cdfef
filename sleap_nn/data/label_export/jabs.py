"""JABS pose files by sleap-io: one for each video; mice with twelve keypoints, at whole pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sleap_io.io.jabs import JABS_DEFAULT_KEYPOINTS, JABS_DEFAULT_SKELETON, write_labels
from sleap_io.model.instance import Instance
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels
from sleap_io.model.video import Video

from sleap_nn.data.label_export.frames import ExportedFrames, video_folders
from sleap_nn.errors import DataError

VERSION = 5
_LARGEST = 65_535


def write(frames: ExportedFrames, place: Path) -> None:
    """Write ``<video>_pose_est_v5.h5`` for each video with labels.

    Raises:
        DataError: The labels are not of twelve-keypoint mice with tracks.
    """
    wanted = [node.name for node in JABS_DEFAULT_KEYPOINTS]
    if frames.node_names != wanted:
        raise DataError(
            f"JABS holds the keypoints {', '.join(wanted)} in this order, not {', '.join(frames.node_names)}."
        )
    folders = video_folders(frames.labels)
    videos: dict[int, Video] = {}
    own = []
    for frame in frames.frames:
        shape = frame.labels.video.shape
        known = {} if shape is None else {"shape": shape}
        video = videos.setdefault(
            frame.key.video, Video(f"{folders[frame.key.video]}.avi", backend_metadata=known, open_backend=False)
        )
        instances = [_whole(instance, str(frame.name)) for instance in frame.instances]
        own.append(LabeledFrame(video=video, frame_idx=frame.key.frame, instances=instances))
    labels = Labels(own, videos=list(videos.values()), skeletons=[JABS_DEFAULT_SKELETON], tracks=frames.labels.tracks)
    write_labels(labels, VERSION, str(place))


def _whole(instance: Instance, name: str) -> Instance:
    """Return an instance at whole pixels, as the format stores it.

    Raises:
        DataError: It has no track, or lies outside what the format can say.
    """
    points = np.round(instance.numpy())
    if instance.track is None:
        raise DataError(f"An animal in {name} has no track, but JABS needs one for each; track the labels first.")
    if (points < 0).any() or (points > _LARGEST).any():
        raise DataError(f"An animal in {name} reaches outside the image, which JABS cannot say; correct the labels.")
    return Instance.from_numpy(points, skeleton=JABS_DEFAULT_SKELETON, track=instance.track)
