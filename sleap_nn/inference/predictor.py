"""`Predictor`: a source of frames, the stages, and what comes out; every prediction of the package ends here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Unpack

from sleap_nn.data.labels import Labels, LabelSet
from sleap_nn.errors import ConfigError, DataError
from sleap_nn.inference.load import LoadedModel, load_models
from sleap_nn.inference.provenance import build_inference_provenance
from sleap_nn.inference.select import Selection, Source, select_frames
from sleap_nn.inference.settings import DecodeKeywords, StageSettings
from sleap_nn.inference.to_labels import to_labels
from sleap_nn.stages.follow import RoiSettings, check_can_follow, follow_frames
from sleap_nn.stages.stream import LabelledAnchors, Progress, anchors_of_labels, predict_frames
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import Task


class MissingFramesError(DataError):
    """Some of the requested frames could not be read.

    Attributes:
        labels: The predictions on all the others.
    """

    def __init__(self, message: str, labels: Labels) -> None:
        """Keep the finished work."""
        super().__init__(message)
        self.labels = labels


class Predictor:
    """Predicts with loaded models; it keeps no state between calls.

    Attributes:
        batch_size: Frames in one pass of the network.
        queue_size: Frames prepared ahead of the network at most.
        roi: How the animal is followed with a part of the frame; None reads whole frames.
    """

    def __init__(
        self,
        models: Sequence[LoadedModel],
        batch_size: int = 4,
        queue_size: int = 32,
        roi: RoiSettings | None = None,
    ) -> None:
        """Take models that `load_models` returned.

        Raises:
            ConfigError: A number is below 1, or `roi` is given for models that do not find one animal in whole frames.
        """
        if batch_size < 1 or queue_size < 1:
            raise ConfigError(f"batch_size is {batch_size} and queue_maxsize {queue_size}; both must be at least 1.")
        self._models = tuple(models)
        self.roi = roi
        if roi is not None:
            check_can_follow([model.stage.task for model in self._models])
        self.batch_size = batch_size
        self.queue_size = queue_size

    @classmethod
    def from_model_paths(
        cls,
        model_paths: Sequence[str | Path] | str | Path,
        *,
        device: str = "cpu",
        batch_size: int = 4,
        precision: str = "auto",
        preprocess_config: Mapping[str, Any] | None = None,
        queue_maxsize: int = 32,
        roi: RoiSettings | None = None,
        **decoding: Unpack[DecodeKeywords],
    ) -> Predictor:
        """Load trained folders.

        Args:
            model_paths: A run folder, or its ``best.ckpt`` or ``training_config.yaml``; two, in any order, for a
                centroid model and a model of crops.
            device: ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``.
            batch_size: Frames in one pass of the network.
            precision: ``auto``, ``32``, ``bf16`` or ``16``.
            preprocess_config: Replaces ``max_height``, ``max_width``, ``scale`` or ``crop_size`` of training.
            queue_maxsize: Frames prepared ahead of the network at most.
            roi: Follow the animal of a single_instance model with a part of the frame; None reads whole frames.
            **decoding: How maps are read, see `DecodeKeywords`.

        Raises:
            MissingFileError: A folder or a file in it is not there.
            ModelError: A file cannot be used, or the models do not go together.
            ConfigError: An option is out of range.
            TypeError: A keyword does not exist.
        """
        settings = StageSettings.from_keywords(decoding)
        models = load_models(model_paths, device, precision, settings, preprocess_config)
        return cls(models, batch_size, queue_maxsize, roi)

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the training labels."""
        return self._models[-1].skeleton

    @property
    def model_paths(self) -> list[Path]:
        """The folders the models were read from."""
        return [model.folder for model in self._models]

    def predict(
        self,
        source: Source | Selection,
        *,
        frames: Sequence[int] | None = None,
        clean_empty_frames: bool = False,
        progress_callback: Progress | None = None,
    ) -> Labels:
        """Predict on a source and return labels with provenance.

        Args:
            source: Path of a video or labels file, a video, labels, images, or a finished `Selection`.
            frames: See `select_frames`.
            clean_empty_frames: Leave out frames in which nothing was found.
            progress_callback: Called with (frames done, frames in all) after each batch.

        Raises:
            MissingFramesError: Some frames could not be read; it carries the predictions on the others.
        """
        selection = source if isinstance(source, Selection) else select_frames(source, frames)
        started = datetime.now()
        failures: list[DataError] = []
        found = list(self._stream(selection, failures.append, progress_callback))
        task = self._models[-1].stage.task
        videos = selection.frames.videos()
        labels = to_labels(found, task.predicted_skeleton, videos, not clean_empty_frames, task.classes)
        labels.provenance |= self._provenance(selection, started)
        if failures:
            raise MissingFramesError(
                f"{len(failures)} of {len(selection.frames)} requested frames could not be read and are not in the "
                f"output: {' '.join(map(str, failures[:5]))}{' ...' if len(failures) > 5 else ''}",
                labels,
            )
        return labels

    def predict_streaming(
        self,
        source: Source | Selection,
        *,
        frames: Sequence[int] | None = None,
        progress_callback: Progress | None = None,
    ) -> Iterator[Predictions]:
        """Yield the instances frame by frame, in order, in constant memory; arguments as for `predict`.

        Raises:
            DataError: A frame cannot be read.
        """
        selection = source if isinstance(source, Selection) else select_frames(source, frames)
        return self._stream(selection, None, progress_callback)

    def _stream(
        self, selection: Selection, on_failure: Callable[[DataError], None] | None, progress: Progress | None
    ) -> Iterator[Predictions]:
        """Run the stages; frames that cannot be read are reported to `on_failure`, without it the first is an error."""
        stages = [model.stage for model in self._models]
        if self.roi is not None:
            frames = selection.frames
            return follow_frames(stages[0], frames, self.batch_size, self.queue_size, self.roi, on_failure, progress)
        first = stages[0].task
        anchors = _labelled_anchors(selection, first) if first.view == "crop" else None
        return predict_frames(stages, selection.frames, self.batch_size, self.queue_size, anchors, on_failure, progress)

    def _provenance(self, selection: Selection, started: datetime) -> dict[str, Any]:
        """Return where the predictions come from."""
        stage = self._models[-1].stage
        return build_inference_provenance(
            started=started,
            ended=datetime.now(),
            model_paths=self.model_paths,
            model_type=self._models[-1].model_type,
            source=selection.path,
            source_labels=selection.labels,
            frame_selection=selection.record,
            inference_config={
                "peak_threshold": stage.settings.peak_threshold,
                "integral_refinement": stage.settings.refinement,
                "integral_patch_size": stage.settings.patch_size,
                "batch_size": self.batch_size,
                "roi_check_interval": None if self.roi is None else self.roi.check_interval,
                "max_instances": stage.settings.max_instances,
                "scale": stage.spec.scale,
                "crop_size": stage.spec.crop_size,
                "max_height": stage.spec.max_height,
                "max_width": stage.spec.max_width,
                "precision": self._models[-1].precision,
            },
            device=self._models[-1].device,
        )


def _labelled_anchors(selection: Selection, task: Task) -> LabelledAnchors:
    """Return the anchors of the labelled instances, for a model of crops without one that finds them.

    Raises:
        ConfigError: There are no labels to take them from.
    """
    if selection.labels is None:
        raise ConfigError(
            f"A {task.name} model alone reads crops about labelled animals, but the input has no labels; give a "
            "centroid model as well (-m twice), or a labels file as input."
        )
    labels = LabelSet.from_labels([selection.labels], user_instances_only=False)
    anchor = None if task.anchor_node is None else task.skeleton.node_names[task.anchor_node]
    return anchors_of_labels(labels.frames, labels.skeleton.node_index(anchor))
