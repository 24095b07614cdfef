"""The labelled frames that go into a data set of another program, and their images."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
from sleap_io.model.instance import Instance
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels
from sleap_io.model.skeleton import Skeleton

from sleap_nn.data.label_formats import video_stem
from sleap_nn.data.labels import has_visible_point, skeleton_of, training_instances
from sleap_nn.data.skeletons import main_skeleton, points_of
from sleap_nn.data.sources import VideoFrames
from sleap_nn.errors import DataError, OutputError
from sleap_nn.log import logger
from sleap_nn.structures.sample import FrameKey


@dataclass(frozen=True, eq=False)
class ExportedFrame:
    """One frame.

    Attributes:
        key: Which frame of the labels.
        name: Path of its image: folder of the video, number of the frame.
        labels: The frame with the instances that count, all of one skeleton; those of predictions as a user's.
    """

    key: FrameKey
    name: PurePosixPath
    labels: LabeledFrame

    @property
    def instances(self) -> list[Instance]:
        """Its instances."""
        return list(self.labels.instances)


@dataclass(frozen=True, eq=False)
class ExportedFrames:
    """What goes into a data set.

    Attributes:
        labels: Where it comes from.
        skeleton: Its skeleton.
        frames: Frames with instances that have a visible point, and those marked as showing no animal.
        image_folder: Name of the folder for images, where a format puts them beside its file.
    """

    labels: Labels
    skeleton: Skeleton
    frames: tuple[ExportedFrame, ...]
    image_folder: str = "images"

    @classmethod
    def of(cls, labels: Labels, image_folder: str = "images") -> ExportedFrames:
        """Choose the frames: those that a user labelled; where there is none, those with predictions.

        Raises:
            DataError: Nothing is labelled, or instances have different nodes.
        """
        skeleton, source = skeleton_of(labels), main_skeleton(labels)
        assert source is not None  # what has a skeleton has a main one
        only_user = any(frame.has_user_instances for frame in labels.labeled_frames)
        position = {id(video): i for i, video in enumerate(labels.videos)}
        folders = video_folders(labels)
        frames = []
        for frame in labels.labeled_frames:
            chosen = [i for i in training_instances(frame, only_user) if has_visible_point(i)]
            if chosen or frame.is_negative:
                key = FrameKey(position[id(frame.video)], int(frame.frame_idx))
                name = PurePosixPath(folders[key.video], f"img{key.frame:08d}.png")
                points = [points_of(i, skeleton.node_names) for i in chosen]
                own = [
                    Instance.from_numpy(xy, skeleton=source, track=i.track)
                    for xy, i in zip(points, chosen, strict=True)
                ]
                frames.append(ExportedFrame(key, name, LabeledFrame(frame.video, key.frame, own)))
        if not any(frame.instances for frame in frames):
            raise DataError("The labels hold no instance with a visible point, so there is nothing to write.")
        if len(frames) < len(labels.labeled_frames):
            logger.warning("%d frames without labels are left out.", len(labels.labeled_frames) - len(frames))
        return cls(labels, source, tuple(frames), image_folder)

    @property
    def node_names(self) -> list[str]:
        """Names of the nodes."""
        return [node.name for node in self.skeleton.nodes]

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Pairs of node indices."""
        return [(int(a), int(b)) for a, b in self.skeleton.edge_inds]

    def write_images(self, folder: Path) -> Iterator[tuple[ExportedFrame, tuple[int, int]]]:
        """Write the image of each frame as PNG, and yield the frame with its (height, width).

        Raises:
            MissingFileError: A video is not there.
            DataError: A frame cannot be read.
            OutputError: An image cannot be written.
        """
        source = VideoFrames(self.labels.videos, [frame.key for frame in self.frames], in_order=True)
        try:
            for frame in self.frames:
                image = source.read(frame.key).image
                path = folder / frame.name
                path.parent.mkdir(parents=True, exist_ok=True)
                if not cv2.imwrite(str(path), image[..., ::-1] if image.shape[2] == 3 else image):
                    raise OutputError(f"The image {path} cannot be written; is the disk full?")
                yield frame, (image.shape[0], image.shape[1])
        finally:
            source.close()

    def animal_names(self) -> list[list[str]]:
        """Return the name of each animal of each frame: its track, or its place in the frame.

        Raises:
            DataError: A frame has two animals of one name.
        """
        names = [
            [f"individual{i + 1}" if a.track is None else a.track.name for i, a in enumerate(frame.instances)]
            for frame in self.frames
        ]
        for frame, own in zip(self.frames, names, strict=True):
            if len(set(own)) < len(own):
                raise DataError(
                    f"{frame.name} has two animals called {Counter(own).most_common(1)[0][0]}, but each needs its own "
                    "name; correct the tracks."
                )
        return names


def video_folders(labels: Labels) -> list[str]:
    """Return a folder name for each video: that of its file, numbered where several have the same."""
    origins = [video if video.original_video is None else video.original_video for video in labels.videos]
    stems = [re.sub(r"[^\w.-]+", "_", video_stem(video).replace("\\", "/").rpartition("/")[2]) for video in origins]
    stems = [stem.strip(".") or "video" for stem in stems]
    return [s if stems.count(s) == 1 else f"{s}_{i}" for i, s in enumerate(stems)]
