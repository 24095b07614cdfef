"""Two label files -> pairs of frames -> the arrays that the metrics kernel takes.

The only module of the evaluation that knows sleap-io. Nodes are matched by name, videos by `videos`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from sleap_io.io.video_reading import HDF5Video
from sleap_io.model.instance import Instance, PredictedInstance
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels
from sleap_io.model.video import Video

from sleap_nn.data.skeletons import main_skeleton, refuse_other_nodes
from sleap_nn.errors import DataError
from sleap_nn.evaluation.detection import compute_gt_centroids, predicted_centroids
from sleap_nn.evaluation.matches import FramePoints, Matches
from sleap_nn.evaluation.videos import VideoDescription, VideoFile, match_videos
from sleap_nn.log import logger
from sleap_nn.ops.similarity import visible_nodes

FramePair = tuple[LabeledFrame, LabeledFrame]


class MatchInstance(NamedTuple):
    """An instance of a pair, and where it is from."""

    instance: Instance | PredictedInstance
    frame_idx: int
    video_path: str


@dataclass(frozen=True, eq=False)
class FramePairs:
    """Frames of the truth with the predictions for them.

    Attributes:
        pairs: (true frame, predicted frame), in the order of the truth; the true frame holds only the
            instances that count as truth.
        num_skipped: Frames of the truth that have no predicted frame and are not in `pairs`.
        num_videos: Videos of the truth that have labelled frames.
        num_videos_matched: Those of them that were found among the predictions.
    """

    pairs: list[FramePair]
    num_skipped: int
    num_videos: int
    num_videos_matched: int


def count_instances(labels: Labels) -> tuple[int, int]:
    """Count the instances of labels and those of them that a model predicted."""
    frames = labels.labeled_frames
    return sum(len(frame.instances) for frame in frames), sum(len(_predictions(frame)) for frame in frames)


def node_names(labels: Labels, description: str) -> list[str]:
    """Return the node names of the skeleton that instances use.

    Raises:
        DataError: There is no skeleton with nodes, or instances have different nodes.
    """
    skeleton = main_skeleton(labels)
    names = [] if skeleton is None else list(skeleton.node_names)
    if not names:
        raise DataError(f"The {description} has no skeleton with nodes, so there is nothing to compare.")
    refuse_other_nodes(labels)
    return names


def check_nodes(labels_gt: Labels, labels_pr: Labels) -> None:
    """Report nodes that only one side has; a node that predictions lack counts as never predicted.

    Raises:
        DataError: No node name occurs on both sides.
    """
    truth = node_names(labels_gt, "ground truth")
    predicted = node_names(labels_pr, "prediction file")
    if not set(truth) & set(predicted):
        raise DataError(
            f"The skeletons have no node name in common (ground truth: {', '.join(truth)}; predictions: "
            f"{', '.join(predicted)}); compare files with the same skeleton, or use match_method 'centroid'."
        )
    missing = [name for name in truth if name not in predicted]
    if missing:
        logger.warning("Nodes that the predictions lack count as not found: %s.", ", ".join(missing))
    unknown = [name for name in predicted if name not in truth]
    if unknown:
        logger.warning("Nodes that the ground truth lacks are ignored: %s.", ", ".join(unknown))


def pair_frames(
    labels_gt: Labels,
    labels_pr: Labels,
    user_labels_only: bool = True,
    count_missing_frames: bool = False,
    keep_empty_frames: bool = False,
) -> FramePairs:
    """Find the predicted frame for every frame of the truth.

    Args:
        labels_gt: Truth; frames without instances that count are left out.
        labels_pr: Predictions.
        user_labels_only: Only instances drawn by a user count as truth.
        count_missing_frames: Pair a frame that was not predicted with an empty one, instead of skipping it.
        keep_empty_frames: Keep a frame of the truth that holds no instances at all: it says that no animal is there.
    """
    true_frames = _frames_by_video(labels_gt, user_labels_only, keep_empty_frames)
    predicted_frames = _frames_by_video(labels_pr, None)
    found = match_videos([_describe(video) for video in true_frames], [_describe(video) for video in predicted_frames])
    by_position = list(predicted_frames.values())
    pairs, num_skipped = [], 0
    for frames, positions in zip(true_frames.values(), found, strict=True):
        for frame_idx, frame in frames.items():
            candidates = [by_position[p][frame_idx] for p in positions if frame_idx in by_position[p]]
            if candidates:
                pairs.append((frame, _joined(candidates)))
            elif count_missing_frames:
                pairs.append((frame, LabeledFrame(video=frame.video, frame_idx=frame_idx)))
            else:
                num_skipped += 1
    return FramePairs(pairs, num_skipped, len(true_frames), sum(bool(positions) for positions in found))


def find_frame_pairs(
    labels_gt: Labels, labels_pr: Labels, user_labels_only: bool = True
) -> list[tuple[LabeledFrame, LabeledFrame]]:
    """Return (true frame, predicted frame) for every labelled frame that was predicted.

    Args:
        labels_gt: Truth.
        labels_pr: Predictions.
        user_labels_only: Reduce true frames to the instances drawn by a user.
    """
    return pair_frames(labels_gt, labels_pr, user_labels_only).pairs


def _frames_by_video(
    labels: Labels, user_labels_only: bool | None, keep_empty: bool = False
) -> dict[Video, dict[int, LabeledFrame]]:
    """Sort frames by video and frame index, duplicates joined.

    Args:
        labels: Truth or predictions.
        user_labels_only: For truth: whether to reduce frames to user instances; frames without instances are
            left out. None: all frames as they are, also the empty ones.
        keep_empty: Keep frames of the truth that hold no instances, of a user or predicted.
    """
    frames: dict[Video, dict[int, LabeledFrame]] = {}
    for frame in labels.labeled_frames:
        instances = frame.user_instances if user_labels_only else list(frame.instances)
        stays = keep_empty and not len(frame.instances)
        if not instances and user_labels_only is not None and not stays:
            continue
        reduced = LabeledFrame(video=frame.video, frame_idx=frame.frame_idx, instances=instances)
        of_video = frames.setdefault(frame.video, {})
        earlier = of_video.get(frame.frame_idx)
        of_video[frame.frame_idx] = reduced if earlier is None else _joined([earlier, reduced])
    return frames


def _joined(frames: Sequence[LabeledFrame]) -> LabeledFrame:
    instances = [instance for frame in frames for instance in frame.instances]
    return LabeledFrame(video=frames[0].video, frame_idx=frames[0].frame_idx, instances=instances)


def _describe(video: Video) -> VideoDescription:
    """Collect what identifies a video, without opening it."""
    chain = [video]
    while chain[-1].source_video is not None:
        chain.append(chain[-1].source_video)
    shapes = [shape for shape in map(_known_shape, chain) if shape is not None]
    crop = video.backend_metadata.get("crop")
    return VideoDescription(
        files=tuple(_video_file(v) for v in chain),
        size=(int(shapes[0][1]), int(shapes[0][2])) if shapes else None,
        num_frames=int(shapes[-1][0]) if shapes else None,
        crop=None if crop is None else tuple(int(edge) for edge in np.ravel(crop)),
    )


def _known_shape(video: Video) -> tuple[int, ...] | None:
    """Return (frames, height, width, channels) without an attempt to open a file that is not here."""
    return video.shape if video.exists() else video.backend_metadata.get("shape")


def _video_file(video: Video) -> VideoFile:
    names = video.filename if isinstance(video.filename, list) else [video.filename]
    if isinstance(video.backend, HDF5Video):
        return VideoFile(tuple(map(str, names)), video.backend.dataset)
    return VideoFile(tuple(map(str, names)), video.backend_metadata.get("dataset"))


def video_path(video: Video) -> str:
    """Return the path of a video; of an image sequence, the path of its first image."""
    return _video_file(video).paths[0]


def instance_points(instances: Iterable[Instance], names: Sequence[str]) -> Float[np.ndarray, "i n 2"]:
    """Return points (instances, nodes, 2) in frame px, nodes in the order of `names`.

    Invisible points, and nodes that an instance's skeleton lacks, are NaN.
    """
    instances = list(instances)
    points = np.full((len(instances), len(names), 2), np.nan)
    for row, instance in enumerate(instances):
        columns = {name: column for column, name in enumerate(instance.skeleton.node_names)}
        own = instance.numpy()[:, :2]
        shared = [i for i, name in enumerate(names) if name in columns]
        points[row, shared] = own[[columns[names[i]] for i in shared]]
    return points


def point_scores(instances: Iterable[Instance], names: Sequence[str]) -> Float[np.ndarray, "i n"]:
    """Return the score of every predicted point, nodes in the order of `names`; NaN for points without a score."""
    instances = list(instances)
    scores = np.full((len(instances), len(names)), np.nan)
    for row, instance in enumerate(instances):
        if isinstance(instance, PredictedInstance):
            own = dict(zip(instance.skeleton.node_names, instance.points["score"], strict=True))
            scores[row] = [own.get(name, np.nan) for name in names]
    return np.where(visible_nodes(instance_points(instances, names)), scores, np.nan)


def keypoint_frames(pairs: Sequence[FramePair], names: Sequence[str]) -> list[FramePoints]:
    """Return the points of frame pairs, nodes in the order of `names`; only model predictions are scored."""
    return [
        FramePoints(
            instance_points(truth.instances, names),
            instance_points(_predictions(predicted), names),
            _scores(predicted),
        )
        for truth, predicted in pairs
    ]


def centroid_frames(pairs: Sequence[FramePair], names: Sequence[str], anchor_index: int | None) -> list[FramePoints]:
    """Return the centroids of frame pairs, as instances with one node.

    Args:
        pairs: Frame pairs.
        names: Nodes of the truth.
        anchor_index: Index into `names` of the node that is the centroid where visible, or None.
    """
    frames = []
    for truth, predicted in pairs:
        instances = _predictions(predicted)
        own_names = list(instances[0].skeleton.node_names) if instances else list(names)
        anchors = [] if anchor_index is None else [names[anchor_index]]
        own_anchor = next((own_names.index(name) for name in anchors if name in own_names), None)
        centroids = compute_gt_centroids(instance_points(truth.instances, names), anchor_index)
        found = predicted_centroids(instance_points(instances, own_names), own_anchor)
        frames.append(FramePoints(centroids[:, None], found[:, None], _scores(predicted)))
    return frames


def have_several_points(predicted: Labels) -> bool:
    """Tell whether any predicted instance has more than one visible point."""
    return any(instance.n_visible > 1 for frame in predicted.labeled_frames for instance in _predictions(frame))


def _predictions(frame: LabeledFrame) -> list[PredictedInstance]:
    return [instance for instance in frame.instances if isinstance(instance, PredictedInstance)]


def _scores(predicted: LabeledFrame) -> Float[np.ndarray, " predictions"]:
    return np.array([instance.score for instance in _predictions(predicted)], np.float64)


def true_instance(pairs: Sequence[FramePair], frame: int, index: int) -> MatchInstance:
    """Return a true instance by its place in the arrays of `keypoint_frames`."""
    source = pairs[frame][0]
    return MatchInstance(source.instances[index], source.frame_idx, video_path(source.video))


def predicted_instance(pairs: Sequence[FramePair], frame: int, index: int) -> MatchInstance:
    """Return a prediction by its place in the arrays of `keypoint_frames`."""
    source = pairs[frame][1]
    return MatchInstance(_predictions(source)[index], source.frame_idx, video_path(source.video))


def positive_pairs(pairs: Sequence[FramePair], matches: Matches) -> list[tuple[MatchInstance, MatchInstance, float]]:
    """Return (truth, prediction, score) of every match, as instances."""
    return [
        (true_instance(pairs, frame, i), predicted_instance(pairs, frame, j), float(score))
        for (frame, i, j), score in zip(matches.indices, matches.similarities, strict=True)
    ]
