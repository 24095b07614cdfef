"""The names of all values that a run logs: columns of the log, and what may decide which weights are kept."""

from __future__ import annotations

from difflib import get_close_matches

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError
from sleap_nn.tasks.base import Task
from sleap_nn.training.metrics import metric_names
from sleap_nn.training.negatives import negative_names


def log_columns(task: Task, config: TrainingJobConfig) -> list[str]:
    """Return what the log holds beside the common columns, in order."""
    columns = [f"train/{head.name}/{name}" for head in task.heads for name in head.channel_names]
    parts: list[str] = []
    if len(task.heads) > 1:
        parts += [head.loss_name for head in task.heads] + [name for head in task.heads for name in head.metric_names]
    columns += [f"{stage}/{name}" for stage in ("train", "val") for name in parts]
    if config.data_config.use_negative_frames:
        columns += [f"{stage}/{name}" for stage in ("train", "val") for name in negative_names(task)]
    if config.trainer_config.eval.enabled:
        columns += metric_names(task)
    return columns


def check_monitor(task: Task, config: TrainingJobConfig) -> None:
    """Refuse to keep weights by a value that is not logged, or in none of the epochs.

    Raises:
        ConfigError: The message names the nearest value, or all of them.
    """
    trainer = config.trainer_config
    monitor = trainer.model_ckpt.monitor
    known = ["train/loss", "val/loss", *log_columns(task, config)]
    if monitor in known:
        if monitor in metric_names(task) and trainer.eval.frequency > trainer.max_epochs:
            raise ConfigError(
                f"trainer_config.model_ckpt.monitor is {monitor!r}, but with eval.frequency={trainer.eval.frequency} "
                f"none of the {trainer.max_epochs} epochs is evaluated; lower it."
            )
        return
    if monitor in metric_names(task):
        advice = "set trainer_config.eval.enabled=true to have it logged"
    else:
        near = get_close_matches(monitor, known, n=1, cutoff=0.7)
        advice = f"{f'perhaps {near[0]} is meant; ' if near else ''}this run logs {', '.join(known)}"
    raise ConfigError(f"trainer_config.model_ckpt.monitor is {monitor!r}, which is not logged; {advice}.")
