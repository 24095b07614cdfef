"""`Predictor`: a source of frames, the stages, and what comes out; every prediction of the package ends here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sleap_nn.data.labels import Labels
from sleap_nn.data.sources import FrameSource
from sleap_nn.errors import ConfigError, DataError
from sleap_nn.inference.load import LoadedModel, load_models
from sleap_nn.inference.provenance import build_inference_provenance
from sleap_nn.inference.select import Selection, Source, select_frames
from sleap_nn.inference.stage import Prepared, Stage
from sleap_nn.inference.to_labels import to_labels
from sleap_nn.inference.workers import ReadAhead
from sleap_nn.ops.peaks import REFINEMENTS
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import DecodeSettings

Progress = Callable[[int, int], None]


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
    """

    def __init__(self, models: Sequence[LoadedModel], batch_size: int = 4, queue_size: int = 32) -> None:
        """Take models that `load_models` returned.

        Raises:
            ConfigError: A number is below 1.
        """
        if batch_size < 1 or queue_size < 1:
            raise ConfigError(f"batch_size is {batch_size} and queue_maxsize {queue_size}; both must be at least 1.")
        self._models = tuple(models)
        self.batch_size = batch_size
        self.queue_size = queue_size

    @classmethod
    def from_model_paths(  # noqa: PLR0913 - the documented signature
        cls,
        model_paths: Sequence[str | Path] | str | Path,
        *,
        device: str = "cpu",
        batch_size: int = 4,
        peak_threshold: float = 0.2,
        integral_refinement: str | None = "integral",
        integral_patch_size: int = 5,
        precision: str = "auto",
        preprocess_config: Mapping[str, Any] | None = None,
        queue_maxsize: int = 32,
    ) -> Predictor:
        """Load trained folders.

        Args:
            model_paths: A run folder, or its ``best.ckpt`` or ``training_config.yaml``.
            device: ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``.
            batch_size: Frames in one pass of the network.
            peak_threshold: Smallest confidence map value of a point.
            integral_refinement: ``integral`` for sub-cell points; ``none`` or None for cell centres.
            integral_patch_size: Window of the refinement in map cells, odd.
            precision: ``auto``, ``32``, ``bf16`` or ``16``.
            preprocess_config: Replaces ``max_height``, ``max_width`` or ``scale`` of training.
            queue_maxsize: Frames prepared ahead of the network at most.

        Raises:
            MissingFileError: A folder or a file in it is not there.
            ModelError: A file cannot be used.
            ConfigError: An option is out of range.
        """
        settings = decode_settings(peak_threshold, integral_refinement, integral_patch_size)
        models = load_models(model_paths, device, precision, settings, preprocess_config)
        return cls(models, batch_size, queue_maxsize)

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
        failures: list[str] = []
        found = list(self._stream(selection.frames, failures.append, progress_callback))
        labels = to_labels(found, self.skeleton, selection.frames.videos(), keep_empty=not clean_empty_frames)
        labels.provenance |= self._provenance(selection, started)
        if failures:
            raise MissingFramesError(
                f"{len(failures)} of {len(selection.frames)} requested frames could not be read and are not in the "
                f"output: {' '.join(failures[:5])}{' ...' if len(failures) > 5 else ''}",
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
        return self._stream(selection.frames, _raise, progress_callback)

    def _stream(
        self, frames: FrameSource, on_failure: Callable[[str], None], progress: Progress | None
    ) -> Iterator[Predictions]:
        """Yield the instances of every frame that can be read; the others are reported to `on_failure`."""
        stage = self._models[0].stage
        prepared = ReadAhead(partial(_prepare, frames, stage), frames.keys, self.queue_size)
        batch: list[Prepared] = []
        done = 0
        for entry in prepared:
            if isinstance(entry, DataError):
                on_failure(str(entry))
                done += 1
                continue
            batch.append(entry)
            if len(batch) == self.batch_size:
                yield from stage.finish(batch)
                done += len(batch)
                batch = []
                if progress is not None:
                    progress(done, len(frames))
        if batch:
            yield from stage.finish(batch)
        if progress is not None:
            progress(len(frames), len(frames))

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
                "scale": stage.spec.scale,
                "max_height": stage.spec.max_height,
                "max_width": stage.spec.max_width,
                "precision": self._models[-1].precision,
            },
            device=self._models[-1].device,
        )


def decode_settings(threshold: float | None, refinement: str | None, patch_size: int) -> DecodeSettings:
    """Return how maps are read; None stands for the default threshold, and for no refinement.

    Raises:
        ConfigError: A value is out of range.
    """
    threshold = DecodeSettings.peak_threshold if threshold is None else threshold
    name = "none" if refinement is None else refinement.lower()
    if name not in REFINEMENTS:
        raise ConfigError(f"integral_refinement is {refinement!r}; choose one of {', '.join(REFINEMENTS)}.")
    if patch_size < 1 or patch_size % 2 == 0:
        raise ConfigError(f"integral_patch_size is {patch_size}; give an odd number of map cells, such as 5.")
    return DecodeSettings(threshold, name, patch_size)


def _prepare(frames: FrameSource, stage: Stage, key: FrameKey) -> Prepared | DataError:
    """Read and prepare one frame; a frame that cannot be read is returned as the error that says so."""
    try:
        return stage.prepare(frames.read(key))
    except DataError as error:
        return error


def _raise(message: str) -> None:
    """Fail at the first frame that cannot be read."""
    raise DataError(message)
