"""What looks at the network after every epoch: metrics of the validation set, and drawings of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lightning.pytorch import Callback

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.tasks.base import Task
from sleap_nn.training.callbacks.drawings import DrawingSink
from sleap_nn.training.callbacks.evaluate import EpochEvaluation
from sleap_nn.training.callbacks.visualize import DrawingFolder, EpochDrawings
from sleap_nn.training.metrics import metric_names, predict_split, score
from sleap_nn.training.training_data import TrainingData, input_spec


def make_observers(
    job: TrainingJobConfig,
    task: Task,
    data: TrainingData,
    seed: int,
    folder: Path | None,
    sinks: Sequence[DrawingSink] = (),
) -> list[Callback]:
    """Return the callbacks that the configuration asks for; they come before the one that averages weights.

    Args:
        job: The resolved configuration.
        task: The model type.
        data: Labels and frames of both splits.
        seed: That of all draws.
        folder: Where drawings are written, None for nowhere.
        sinks: Who else wants drawings.
    """
    settings = job.trainer_config
    observers: list[Callback] = []
    if settings.eval.enabled:
        batch_size = int(settings.val_data_loader.batch_size)
        observers.append(
            EpochEvaluation(
                predict=partial(predict_split, data.val, task, input_spec(job), batch_size),
                score=partial(score, task, settings.eval, data.val.set.frames),
                names=metric_names(task),
                frequency=settings.eval.frequency,
            )
        )
    if folder is not None or sinks:
        files = None if folder is None else DrawingFolder(folder, settings.viz_img_format, settings.keep_viz)
        observers.append(EpochDrawings(data.plain_datasets(job, task, seed), seed, sinks, files))
    return observers
