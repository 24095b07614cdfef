"""`TrainingData`: the labels of a run, divided into splits, and the frames that they need.

What a sample looks like is decided in `data.dataset`; which values follow from the labels in `resolve`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sleap_nn.config.backbone_config import bottleneck_stride
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.augment import Augmenter
from sleap_nn.data.crop_size import extents
from sleap_nn.data.dataset import PoseDataset
from sleap_nn.data.frame_groups import FrameId
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.label_table import LabelTable
from sleap_nn.data.labels import Labels, LabelSet, load_labels, user_centroids
from sleap_nn.data.moved_videos import move_videos
from sleap_nn.data.other_formats import is_labels
from sleap_nn.data.skeletons import main_skeleton, unify
from sleap_nn.data.sources import FrameSource, VideoFrames, check_frames, frame_size
from sleap_nn.data.video_paths import VideoPaths
from sleap_nn.errors import DataError
from sleap_nn.log import logger
from sleap_nn.ops.centroids import centroids
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import Task
from sleap_nn.training import run_folder
from sleap_nn.training.division import divide_labels, warn_of_shared_frames
from sleap_nn.training.hints import idle_movements
from sleap_nn.training.resolve import LabelFacts
from sleap_nn.training.split_record import SplitRecord


@dataclass(frozen=True)
class Split:
    """One side of the division.

    Attributes:
        labels: The labels, one entry for each file.
        set: Their array view.
        source: Where their frames are read.
    """

    labels: tuple[Labels, ...]
    set: LabelSet
    source: FrameSource

    @classmethod
    def from_labels(cls, labels: Sequence[Labels], config: TrainingJobConfig, like: Skeleton | None = None) -> Split:
        """Read labels as the configuration says, nodes in the order of a skeleton if one is given.

        Raises:
            DataError: The labels cannot be used.
            MissingFileError: A video is not there.
        """
        view = _label_set(list(labels), config, like)
        source = VideoFrames(view.videos, [frame.key for frame in view.frames])
        check_frames(source)
        return cls(tuple(labels), view, source)

    def with_classes(self, names: Sequence[str]) -> Split:
        """Return the split with class ids that count `names`."""
        return replace(self, set=self.set.with_classes(names))


@dataclass(frozen=True)
class TrainingData:
    """The labels of a run.

    Attributes:
        train: What is trained on.
        val: What validates; classes are counted as in `train`.
        test_labels: Labels of the test files that are no videos, by their position among the test files.
        record: Which frames are on which side, and why.
    """

    train: Split
    val: Split
    test_labels: dict[int, Labels]
    record: SplitRecord

    @classmethod
    def from_config(
        cls,
        config: TrainingJobConfig,
        train_labels: Sequence[Labels] | None = None,
        val_labels: Sequence[Labels] | None = None,
        video_paths: VideoPaths | None = None,
        record: SplitRecord | None = None,
    ) -> TrainingData:
        """Read and divide the labels.

        Args:
            config: What the user set.
            train_labels: Labels to train on, in place of the files of the configuration.
            val_labels: Labels to validate on; without them a part of the training labels is set aside.
            video_paths: Where the videos of all labels are now, if not where the labels say.
            record: How another process of this run has divided them.

        Raises:
            ConfigError: New paths do not fit the videos.
            DataError: The labels cannot be used.
            MissingFileError: A labels file or video is not there.
        """
        train_files, val_files, test = _read(config, train_labels, val_labels, video_paths)
        divided = divide_labels(config, train_files, val_files, record)
        train = Split.from_labels(divided.train, config)
        val = Split.from_labels(divided.val, config, train.set.skeleton).with_classes(train.set.track_names)
        if config.data_config.use_same_data_for_val:
            val = replace(val, source=train.source)
        _check_test_labels(test, divided.record, config.model_config.head_configs.uses_stored_centroids)
        return cls(train, val, test, divided.record)

    def facts(self, config: TrainingJobConfig) -> LabelFacts:
        """Return what `resolve` needs."""
        train = self.train.set
        sizes = [size for split in (self.train, self.val) for size in _frame_sizes(split.set)]
        first = self.train.source.read(self.train.source.keys[0])
        heads = config.model_config.head_configs
        crops = TASKS[str(heads.which_oneof_attrib_name())].view == "crop"
        anchor = train.skeleton.node_index(heads.which_oneof().confmaps.anchor_part) if crops else None
        same = config.data_config.use_same_data_for_val
        return LabelFacts(
            skeleton=train.skeleton,
            track_names=train.track_names,
            num_train=train.num_instances + train.num_negative if crops else len(train),
            num_frames=len(train) + (0 if same else len(self.val.set)),
            frame_sizes=tuple(sizes),
            channels=first.image.shape[2],
            extents=tuple(extents(train, partial(centroids, anchor_node=anchor))) if crops else (),
        )

    def with_classes(self, names: Sequence[str]) -> TrainingData:
        """Return the data with class ids that count `names`."""
        return replace(self, train=self.train.with_classes(names), val=self.val.with_classes(names))

    @property
    def sources(self) -> tuple[FrameSource, ...]:
        """Where frames are read: one source, or one for training and one for validation."""
        return (self.train.source,) if self.val.source is self.train.source else (self.train.source, self.val.source)

    def with_sources(self, sources: Sequence[FrameSource]) -> TrainingData:
        """Return the data with frames read elsewhere, in the order of `sources`."""
        return replace(self, train=replace(self.train, source=sources[0]), val=replace(self.val, source=sources[-1]))

    def bytes_kept(self, config: TrainingJobConfig) -> int:
        """Return the size of the frames that will be kept in memory, reckoned from the first."""
        if config.data_config.data_pipeline_fw != "torch_dataset_cache_img_memory":
            return 0
        first = self.train.source.read(self.train.source.keys[0])
        return input_spec(config).reduced(first).image.nbytes * sum(len(source.keys) for source in self.sources)

    def datasets(self, resolved: TrainingJobConfig, task: Task, seed: int) -> tuple[PoseDataset, PoseDataset]:
        """Return the training set, augmented, and the validation set."""
        data, spec = resolved.data_config, input_spec(resolved)
        idle = idle_movements(data)
        if idle is not None:
            logger.warning("%s", idle)
        augmenter = Augmenter.from_config(data.augmentation_config) if data.use_augmentations_train else None
        train = PoseDataset(self.train.set, self.train.source, task, spec, augmenter, seed, data.negative_loss_weight)
        return train, PoseDataset(self.val.set, self.val.source, task, spec, seed=None)

    def plain_datasets(self, resolved: TrainingJobConfig, task: Task, seed: int) -> dict[str, PoseDataset]:
        """Return both sets without augmentation, ``train`` and ``val``."""
        spec = input_spec(resolved)
        return {
            name: PoseDataset(split.set, split.source, task, spec, seed=seed)
            for name, split in (("train", self.train), ("val", self.val))
        }


def input_spec(resolved: TrainingJobConfig) -> InputSpec:
    """Return what the network of a resolved configuration reads."""
    backbone = resolved.model_config.backbone_config.which_oneof()
    return InputSpec.from_config(resolved.data_config.preprocessing, backbone.in_channels, bottleneck_stride(backbone))


def _read(
    config: TrainingJobConfig,
    train: Sequence[Labels] | None,
    val: Sequence[Labels] | None,
    video_paths: VideoPaths | None,
) -> tuple[list[Labels], list[Labels] | None, dict[int, Labels]]:
    """Return training, validation and test labels, with their videos where they are now.

    Raises:
        DataError: No labels are named.
    """
    data = config.data_config
    if train is None and not data.train_labels_path:
        raise DataError("No training labels are named; set data_config.train_labels_path to .slp files.")
    train_files = _own(train, data.train_labels_path, video_paths)
    needs_val = not data.use_same_data_for_val and (val is not None or data.val_labels_path)
    val_files = _own(val, data.val_labels_path, video_paths) if needs_val else None
    for part in ([] if train is not None else train_files[1:]) + ([] if val is not None else val_files or []):
        unify(part, main_skeleton(train_files[0]))
    paths = enumerate(run_folder.test_paths(config))
    test = {index: load_labels(path) for index, path in paths if is_labels(path)}
    if video_paths is not None:
        move_videos([*train_files, *(val_files or ())], video_paths, optional=list(test.values()))
    return train_files, val_files, test


def _own(labels: Sequence[Labels] | None, paths: Sequence[str] | None, video_paths: VideoPaths | None) -> list[Labels]:
    """Return labels from memory or from files; copies where their videos will get new paths."""
    if labels is None:
        return [load_labels(path) for path in paths or ()]
    return list(labels) if video_paths is None else [part.copy() for part in labels]


def _check_test_labels(test: Mapping[int, Labels], record: SplitRecord, stored_centroids: bool) -> None:
    """Look at the test labels now rather than after hours of training.

    Args:
        test: The labels.
        record: Which frames train.
        stored_centroids: Whether centroids of a user count.

    Raises:
        MissingFileError: A video of theirs is not there.
    """
    frames: list[FrameId] = []
    for labels in test.values():
        table = LabelTable.from_labels(labels, stored_centroids=stored_centroids)
        index = {id(video): i for i, video in enumerate(labels.videos)}
        used = [labels.labeled_frames[position] for position in table.positions]
        VideoFrames(labels.videos, [FrameKey(index[id(frame.video)], int(frame.frame_idx)) for frame in used])
        frames += table.ids
        if not used:
            name = labels.provenance.get("filename")
            logger.warning("The test file %s has no frame labelled by a user, so it is not evaluated.", name)
    warn_of_shared_frames("test", record.trained, frames)


def _label_set(labels: list[Labels], config: TrainingJobConfig, like: Skeleton | None) -> LabelSet:
    """Return the array view of labels.

    Raises:
        DataError: Stored centroids are asked for, and there are none.
    """
    data, heads = config.data_config, config.model_config.head_configs
    centroid = heads.centroid
    only_stored = centroid is not None and centroid.confmaps.centroid_source == "user"
    if only_stored and not any(user_centroids(frame) for part in labels for frame in part.labeled_frames):
        raise DataError(
            "centroid_source is user, but the labels hold no centroids stored by a user; set "
            "model_config.head_configs.centroid.confmaps.centroid_source=computed."
        )
    return LabelSet.from_labels(
        labels, data.user_instances_only, data.use_negative_frames, heads.uses_stored_centroids, like
    )


def _frame_sizes(labels: LabelSet) -> list[tuple[int, int]]:
    """Return (height, width) of every video that has labelled frames."""
    return [frame_size(labels.videos[i]) for i in sorted({frame.key.video for frame in labels.frames})]
