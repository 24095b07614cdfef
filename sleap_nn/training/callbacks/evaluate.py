"""Metrics of the validation set after an epoch, under the weights that are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from lightning.pytorch import Callback, LightningModule, Trainer

from sleap_nn.heartbeat import phase
from sleap_nn.stages.stage import Runtime
from sleap_nn.structures.predictions import Predictions
from sleap_nn.training.callbacks.resume_point import ResumePoint
from sleap_nn.training.collectives import on_any_device
from sleap_nn.training.module import TrainingModule


class EpochEvaluation(Callback):
    """Predicts the validation frames every so many epochs and logs how good the predictions are.

    It comes before the callback that averages weights: the averages, where there are any, are evaluated. Nothing
    random is drawn.
    """

    def __init__(
        self,
        predict: Callable[[Runtime], Iterator[Predictions]],
        score: Callable[[Iterable[Predictions]], Mapping[str, float]],
        names: Sequence[str],
        frequency: int,
    ) -> None:
        """Choose what is done.

        Args:
            predict: Runs a network on the frames.
            score: Returns the metrics of its predictions by their logged names.
            names: All these names.
            frequency: Do it every so many epochs.
        """
        self._predict = predict
        self._score = score
        self._names = tuple(names)
        self._frequency = frequency

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the metrics of this epoch; NaN, which a log leaves empty, in an epoch without an evaluation.

        Raises:
            TrainingInterruptedError: The run was told to stop.
            DataError: A frame cannot be read.
        """
        values: Mapping[str, float] = dict.fromkeys(self._names, float("nan"))
        if isinstance(pl_module, TrainingModule) and (trainer.current_epoch + 1) % self._frequency == 0:
            if trainer.is_global_zero:
                with phase(f"evaluating epoch {trainer.current_epoch}"):
                    values = self._score(_in_step(self._predict(pl_module.maps), trainer))
                on_any_device(True)
            else:
                _keep_step(trainer)
            values = trainer.strategy.broadcast(values)
        for name, value in values.items():
            pl_module.log(name, value)


def _in_step(found: Iterator[Predictions], trainer: Trainer) -> Iterator[Predictions]:
    """Yield the predictions, which only the first process makes; with each it lets the others know that it goes on."""
    for predictions in found:
        on_any_device(False)
        _give_way(trainer)
        yield predictions


def _keep_step(trainer: Trainer) -> None:
    """Wait in another process until the first one has predicted all frames."""
    while not on_any_device(False):
        _give_way(trainer)


def _give_way(trainer: Trainer) -> None:
    """Leave, in all processes together, as soon as a run that was told to stop does not wait any longer."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ResumePoint):
            callback.give_way()
