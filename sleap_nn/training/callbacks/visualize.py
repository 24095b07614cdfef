"""Drawings of predictions after every epoch: which samples, for whom, and as files in the run folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer

from sleap_nn.data.dataset import Draw, PoseDataset
from sleap_nn.errors import OutputError, TrainingInterruptedError
from sleap_nn.training.callbacks.drawings import CLASS_MAPS, PAFS, PREDICTIONS, Drawing, DrawingSink
from sleap_nn.training.module import TrainingModule
from sleap_nn.training.pictures import make_drawings
from sleap_nn.viz import save_image

_STAGES = {"train": "train", "val": "validation"}
_KINDS = {PREDICTIONS: "", PAFS: ".pafs_magnitude", CLASS_MAPS: ".class_maps"}


class DrawingFolder(DrawingSink):
    """Writes drawings as ``<stage>[.<kind>].<epoch>.<extension>``."""

    def __init__(self, folder: Path, image_format: str, is_kept: bool) -> None:
        """Choose the folder.

        Args:
            folder: Made when the first drawing is written; it holds nothing else.
            image_format: ``jpg`` or ``jpeg`` for smaller files; anything else is ``png``.
            is_kept: Whether the drawings stay when the run ends.
        """
        self._folder = folder
        self._extension = "jpg" if image_format.lower() in ("jpg", "jpeg") else "png"
        self._is_kept = is_kept

    def add(self, epoch: int, drawings: list[Drawing]) -> None:
        """Write the drawings of an epoch.

        Raises:
            OutputError: They cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The folder {self._folder} cannot be made ({error}); choose another ckpt_dir."
            ) from error
        for drawing in drawings:
            name = f"{_STAGES[drawing.stage]}{_KINDS[drawing.kind]}.{epoch:04d}.{self._extension}"
            save_image(self._folder / name, drawing.picture)

    def finish(self) -> None:
        """Remove the drawings of a run that is over, unless they are kept, and a run folder that has nothing else."""
        run = self._folder.parent
        if not self._is_kept:
            shutil.rmtree(self._folder, ignore_errors=True)
            if run.is_dir() and not any(run.iterdir()):
                run.rmdir()


class EpochDrawings(Callback):
    """Draws one sample of either split after every epoch.

    It comes before the callback that averages weights: what the averages predict is drawn. Which sample it is follows
    from the seed and the epoch, without a draw from a generator that anything else uses.
    """

    def __init__(
        self,
        datasets: Mapping[str, PoseDataset],
        seed: int,
        sinks: Sequence[DrawingSink],
        folder: DrawingFolder | None = None,
    ) -> None:
        """Choose what is drawn for whom.

        Args:
            datasets: ``train`` and ``val``, without augmentation.
            seed: That of all draws.
            sinks: Who gets the drawings.
            folder: Where they are written, None for nowhere.
        """
        self._datasets = dict(datasets)
        self._seed = seed
        self._folder = folder
        self._sinks = (*sinks, *(() if folder is None else (folder,)))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what this epoch's network makes of its samples.

        Raises:
            DataError: A frame cannot be read.
            OutputError: A drawing cannot be written.
        """
        if not trainer.is_global_zero or not isinstance(pl_module, TrainingModule):
            return
        drawings = [
            drawing
            for number, (stage, dataset) in enumerate(self._datasets.items())
            for drawing in self._draw(pl_module, stage, number, dataset, trainer.current_epoch)
        ]
        for sink in self._sinks:
            sink.add(trainer.current_epoch, drawings)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove files that are not kept, also where a resumed run had no step left to do."""
        if self._folder is not None and trainer.is_global_zero:
            self._folder.finish()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove them also after an error, but not from a run that can be resumed."""
        if not isinstance(exception, TrainingInterruptedError):
            self.on_fit_end(trainer, pl_module)

    def _draw(self, module: TrainingModule, stage: str, number: int, dataset: PoseDataset, epoch: int) -> list[Drawing]:
        """Return the drawings of a sample of one split."""
        row = int(np.random.default_rng((self._seed, epoch, number)).integers(len(dataset)))
        sample = dataset[Draw(row, epoch)]
        title = f"{_STAGES[stage]}, epoch {epoch}, frame {sample.key.frame} of video {sample.key.video}"
        return make_drawings(module.task, module.maps, sample, stage, title)
