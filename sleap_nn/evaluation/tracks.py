"""`run_tracking_evaluation`: two label files with tracks in, how well identities were kept out."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.data.labels import Labels, load_labels
from sleap_nn.errors import ConfigError, DataError, OutputError, UsageError
from sleap_nn.evaluation import pairs
from sleap_nn.evaluation.detection import compute_gt_centroids
from sleap_nn.evaluation.identity import FrameIdentities, clear_mot, higher_order, identity_f1
from sleap_nn.heartbeat import phase
from sleap_nn.log import logger
from sleap_nn.ops.assignment import assign
from sleap_nn.ops.similarity import object_keypoint_similarity, pairwise_distances
from sleap_nn.whole_files import check_output, whole_file

OKS_THRESHOLD, DISTANCE_THRESHOLD = 0.5, 50.0
"""Smallest similarity, or for animals of one node largest distance in px, of a true and a predicted instance."""


@dataclass(frozen=True)
class TrackingRules:
    """What counts as found.

    Attributes:
        match_threshold: Smallest similarity of poses, or largest distance in px of centroids; None chooses.
        centroids: Compare centroids by their distance; else poses.
        oks_stddev: Spread of a node in the similarity of poses.
        mostly_tracked: Share of frames above which an animal is mostly tracked.
        mostly_lost: Share of frames below which an animal is mostly lost.
    """

    match_threshold: float | None = None
    centroids: bool = False
    oks_stddev: float = 0.025
    mostly_tracked: float = 0.8
    mostly_lost: float = 0.2

    @property
    def threshold(self) -> float:
        """The smallest similarity, as `similarity` computes it."""
        if self.centroids:
            return 0.5
        return OKS_THRESHOLD if self.match_threshold is None else self.match_threshold

    def similarity(
        self, truth: Float[np.ndarray, "truth nodes 2"], predicted: Float[np.ndarray, "predicted nodes 2"]
    ) -> Float[np.ndarray, "truth predicted"]:
        """Return how alike instances are, 0 to 1; centroids at the largest distance have 0.5."""
        if not self.centroids:
            return object_keypoint_similarity(truth, predicted, self.oks_stddev)
        limit = DISTANCE_THRESHOLD if self.match_threshold is None else self.match_threshold
        distances = pairwise_distances(compute_gt_centroids(truth), compute_gt_centroids(predicted))
        return np.nan_to_num(np.clip(1.0 - distances / (2.0 * limit), 0.0, 1.0))


def tracking_metrics(videos: Sequence[Sequence[FrameIdentities]], rules: TrackingRules) -> dict[str, float]:
    """Return all metrics over several videos, whose identities must not overlap unless they mean the same animal.

    Args:
        videos: The frames of each video, in order.
        rules: What counts as found.
    """
    frames = [frame for video in videos for frame in video]
    clear = clear_mot(frames, rules.threshold, rules.mostly_tracked, rules.mostly_lost)
    return {
        "num_frames": len(frames),
        "num_identities": len({i for frame in frames for i in frame.truth.tolist()}),
        "num_tracks": len({i for frame in frames for i in frame.predicted.tolist()}),
        **identity_f1(frames, rules.threshold),
        **higher_order(frames),
        **clear,
    }


def run_tracking_evaluation(  # noqa: PLR0913 - one keyword an option of the command
    ground_truth_path: str | Path,
    predicted_path: str | Path,
    *,
    save_metrics: str | Path | None = None,
    carrier: str = "auto",
    match_threshold: float | None = None,
    mt_threshold: float = 0.8,
    ml_threshold: float = 0.2,
    user_labels_only: bool = False,
    global_identity: bool = False,
    oks_stddev: float = 0.025,
) -> dict[str, float]:
    """Compare the tracks of two label files, and print how well identities were kept.

    Args:
        ground_truth_path: Label file with the true tracks.
        predicted_path: Label file with predicted tracks.
        save_metrics: JSON file to write.
        carrier: What is compared: "pose", or "auto", which is the same; masks are not supported.
        match_threshold: Smallest similarity (OKS) of a pair; for skeletons of one node the largest distance in px.
            None is 0.5, or 50 px.
        mt_threshold: Share of its frames above which an animal is mostly tracked.
        ml_threshold: Share of its frames below which an animal is mostly lost.
        user_labels_only: Only instances drawn by a user are truth.
        global_identity: A track name means the same animal in all videos; else identities belong to their video.
        oks_stddev: Spread of a node in the OKS.

    Raises:
        MissingFileError: A file does not exist.
        DataError: There is nothing to compare.
        ConfigError: A setting has no meaning.
        OutputError: The metrics cannot be written.
    """
    rules = TrackingRules(match_threshold, False, oks_stddev, mt_threshold, ml_threshold)
    _check_settings(carrier, rules)
    if save_metrics is not None:
        check_output(Path(save_metrics), [Path(ground_truth_path), Path(predicted_path)], ".json file")
    truth, predicted = (load_labels(path, open_videos=False) for path in (ground_truth_path, predicted_path))
    names = pairs.node_names(truth, "ground truth")
    one_node = min(len(names), len(pairs.node_names(predicted, "prediction file"))) == 1
    if not one_node:
        pairs.check_nodes(truth, predicted)
    if not _has_tracks(predicted, predicted_path):
        raise DataError(f"{predicted_path} has no tracks; track it first: sleap-nn predict -i {predicted_path} -t.")
    if not _has_tracks(truth, ground_truth_path):
        raise DataError(f"{ground_truth_path} has no instances with tracks; it must say which animal is which.")
    rules = replace(rules, centroids=one_node)
    with phase("comparing the tracks"):
        videos = identities_by_video(truth, predicted, rules, user_labels_only, global_identity)
        if not any(len(frame.truth) for video in videos for frame in video):
            whose = "instances of a user" if user_labels_only else "instances"
            raise DataError(f"{ground_truth_path} has no {whose} with tracks in videos of {predicted_path}.")
        metrics = tracking_metrics(videos, rules)
    print_tracking_report(metrics)
    if save_metrics is not None:
        _write_json(metrics, Path(save_metrics))
    return metrics


def _check_settings(carrier: str, rules: TrackingRules) -> None:
    """Refuse settings that have no meaning.

    Raises:
        UsageError: Something else than poses shall be compared.
        ConfigError: The message names the first.
    """
    if carrier not in ("auto", "pose"):
        raise UsageError(f"carrier is {carrier!r}, but only poses are compared; use auto or pose.")
    for name, value in (("oks_stddev", rules.oks_stddev), ("match_threshold", rules.match_threshold)):
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"{name} is {value:g}; it must be a finite number above 0.")
    for name, share in (("mt_threshold", rules.mostly_tracked), ("ml_threshold", rules.mostly_lost)):
        if not 0 <= share <= 1:
            raise ConfigError(f"{name} is {share:g}; it is a share of frames, from 0 to 1.")


def _has_tracks(labels: Labels, path: str | Path) -> bool:
    """Tell whether any instance has a track.

    Raises:
        DataError: There are no instances.
    """
    instances = [instance for frame in labels.labeled_frames for instance in frame.instances]
    if not instances:
        raise DataError(f"{path} has no instances at all, so there are no tracks to compare.")
    return any(instance.track is not None for instance in instances)


def identities_by_video(
    truth: Labels,
    predicted: Labels,
    rules: TrackingRules,
    user_labels_only: bool = False,
    global_identity: bool = False,
) -> list[list[FrameIdentities]]:
    """Return what there is to score, video by video.

    Where a frame has instances of a user, on either side, the predicted ones beside them do not count: a user has
    corrected them, and they are what was tracked. A true instance without a track is no animal that could be followed;
    it is left out, together with the prediction that finds it. So is a second true instance of the same track in a
    frame. A prediction without a track, or with one that its frame already has, counts as a track of its own.
    """
    found = pairs.pair_frames(truth, predicted, user_labels_only, count_missing_frames=True, keep_empty_frames=True)
    if not found.num_videos_matched:
        raise DataError("The two files have no video in common; compare tracks of the same videos.")
    names = pairs.node_names(truth, "ground truth")
    by_video: dict[int, list[pairs.FramePair]] = defaultdict(list)
    for pair in found.pairs:
        by_video[id(pair[0].video)].append(pair)
    reader = _Reader(rules, names, _Numbers(global_identity), _Numbers(global_identity))
    videos = [
        [reader.read(*pair, video) for pair in sorted(of_video, key=lambda pair: pair[0].frame_idx)]
        for video, of_video in enumerate(by_video.values())
    ]
    if reader.num_untracked:
        logger.warning("%d true instances have no track and are left out.", reader.num_untracked)
    if reader.num_twice:
        logger.warning("%d true instances have a track that their frame has twice; left out.", reader.num_twice)
    return videos


@dataclass
class _Reader:
    """Reads what there is to score of frames, one after another.

    Attributes:
        rules: What counts as found.
        names: The nodes.
        truth: Numbers of the animals.
        predicted: Numbers of the tracks.
        num_untracked: True instances without a track so far.
        num_twice: True instances so far whose track another one of their frame has.
    """

    rules: TrackingRules
    names: Sequence[str]
    truth: _Numbers
    predicted: _Numbers
    num_untracked: int = 0
    num_twice: int = 0

    def read(self, true_frame: Any, predicted_frame: Any, video: int) -> FrameIdentities:
        """Return the animals and tracks of a frame of the video of that number."""
        true, found = _counted(true_frame), _counted(predicted_frame)
        tracked = [instance for instance in true if instance.track is not None]
        untracked = [instance for instance in true if instance.track is None]
        numbers = self.truth.of([instance.track for instance in tracked], video)
        first = np.sort(np.unique(numbers, return_index=True)[1]).tolist()
        twice = [instance for row, instance in enumerate(tracked) if row not in first]
        self.num_untracked, self.num_twice = self.num_untracked + len(untracked), self.num_twice + len(twice)
        animals = [tracked[row] for row in first]
        table = self.rules.similarity(_points([*animals, *untracked, *twice], self.names), _points(found, self.names))
        kept = _undisputed(table, len(animals), self.rules.threshold)
        tracks = self.predicted.apart([found[column].track for column in kept.tolist()], video)
        return FrameIdentities(numbers[first], tracks, table[: len(animals), kept])


def _counted(frame: Any) -> list[Any]:
    """Return the instances of a frame that count: those of a user where there are any."""
    return list(frame.user_instances) or list(frame.instances)


def _undisputed(
    similarity: Float[np.ndarray, "truth predicted"], num_animals: int, threshold: float
) -> Int[np.ndarray, " kept"]:
    """Return the predictions but for those that find what is left out, the rows from `num_animals` on.

    The rule of TrackEval for distractors: the best assignment to all of the truth decides.
    """
    allowed = similarity >= threshold
    rows, columns = assign(-np.where(allowed, similarity, 0.0))
    gone = columns[allowed[rows, columns] & (rows >= num_animals)]
    return np.setdiff1d(np.arange(similarity.shape[1]), gone)


def _points(instances: Sequence[Any], names: Sequence[str]) -> Float[np.ndarray, "instances nodes 2"]:
    """Return the points of instances; those of one node as they are, whatever the node is called."""
    if instances and len(instances[0].skeleton.node_names) == 1:
        return np.stack([instance.numpy()[:, :2] for instance in instances])
    return pairs.instance_points(instances, names)


class _Numbers:
    """Numbers identities, from 0 by first appearance."""

    def __init__(self, by_name: bool) -> None:
        self._by_name = by_name
        self._known: dict[object, int] = {}

    def of(self, tracks: Sequence[Any], video: int) -> Int[np.ndarray, " instances"]:
        """Return the numbers of the tracks of a frame; no track is another one each time."""
        keys = [self._key(track, video) for track in tracks]
        return np.array([self._known.setdefault(key, len(self._known)) for key in keys], np.int64)

    def apart(self, tracks: Sequence[Any], video: int) -> Int[np.ndarray, " instances"]:
        """Return the numbers of the tracks of a frame; one that is there already is another one each time."""
        numbers = self.of(tracks, video)
        first = np.unique(numbers, return_index=True)[1]
        for row in np.setdiff1d(np.arange(len(numbers)), first).tolist():
            numbers[row] = self._known.setdefault(object(), len(self._known))
        return numbers

    def _key(self, track: Any, video: int) -> object:
        if track is None:
            return object()
        return track.name if self._by_name else (video, id(track))


REPORT = (
    ("IDF1", "IDF1"),
    ("HOTA", "HOTA"),
    ("  detection (DetA)", "DetA"),
    ("  association (AssA)", "AssA"),
    ("MOTA", "MOTA"),
    ("MOTP (similarity)", "MOTP"),
    ("Identity switches", "switches"),
    ("  per 1,000 frames", "switches_per_1000_frames"),
    ("Track purity", "purity"),
    ("Fragments", "fragments"),
    ("Mostly tracked", "mostly_tracked"),
    ("Partly tracked", "partly_tracked"),
    ("Mostly lost", "mostly_lost"),
    ("False positives", "false_positives"),
    ("False negatives", "false_negatives"),
)
"""(what is printed, its key)."""


def print_tracking_report(metrics: dict[str, float]) -> None:
    """Print metrics, one a line."""
    print(
        f"Tracking results: {metrics['num_frames']} frames, {metrics['num_identities']} animals, "
        f"{metrics['num_tracks']} tracks"
    )
    for label, key in REPORT:
        value = metrics[key]
        print(f"{label:<22}{value if isinstance(value, int) else f'{value:.4f}'}")


def _write_json(metrics: dict[str, float], path: Path) -> None:
    """Write metrics as JSON; missing folders are created."""
    plain = {key: None if value != value else value for key, value in metrics.items()}  # NaN is no JSON
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            partial.write_text(json.dumps(plain, indent=1) + "\n")
    except OSError as error:
        raise OutputError(f"The metrics cannot be written to {path} ({error.strerror}).") from error
    logger.info("Metrics written to %s", path)
