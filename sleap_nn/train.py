"""The verb `train`: keywords or a configuration to a trained, predicted and evaluated run folder."""

from __future__ import annotations

from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any

from sleap_nn.config.train_keywords import train_keyword_defaults
from sleap_nn.heartbeat import phase

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sleap_nn.config.training_job_config import DictConfig, TrainingJobConfig
    from sleap_nn.data.labels import Labels
    from sleap_nn.data.video_paths import VideoPaths
    from sleap_nn.training.model_trainer import ModelTrainer


def run_training(
    config: TrainingJobConfig | DictConfig | dict[str, Any] | str | Path | None,
    train_labels: Sequence[Labels] | None = None,
    val_labels: Sequence[Labels] | None = None,
    video_paths: VideoPaths | None = None,
) -> ModelTrainer:
    """Train; with ``save_ckpt`` also predict every split with the best weights, and write its metrics and the report.

    Of several processes that train together, the first one predicts.

    Args:
        config: The configuration, or the path of its YAML file; of several processes that train together only the
            first needs it.
        train_labels: Labels to train on, in place of the files of the configuration.
        val_labels: Labels to validate on; without them a part of the training labels is set aside.
        video_paths: Where the videos of the labels are now, if not where the labels say.

    Returns:
        The trainer, with the network and the run folder.

    Raises:
        ConfigError: The configuration is wrong, or contradicts the labels.
        DataError: The labels cannot be used.
        MissingFileError: A labels file or video is not there.
        OutputError: The run folder cannot be written.
        DistributedError: One of several processes was killed.
        TrainingInterruptedError: Ctrl+C or SIGTERM; `resume_training` goes on.
        TrainingCollapsedError: The trained network finds nothing; everything else is written.
    """
    with phase("loading PyTorch"):
        from sleap_nn.after_training import refuse_collapsed
        from sleap_nn.training.devices import with_devices
        from sleap_nn.training.model_trainer import ModelTrainer
        from sleap_nn.training.team import current_team

    with current_team().guard() as team:
        checked = with_devices(config, team.num_started) if team.decides("plan") else None
        trainer = ModelTrainer(checked, train_labels, val_labels, video_paths)
        if trainer.starts_processes:
            trainer.train_in_processes(evaluate=True)
            return trainer
        with trainer.listeners, trainer.lock:
            trainer.train()
            num_found = _finish(trainer) if team.is_first else None
        if team.is_first:
            refuse_collapsed(trainer.strengths, num_found, was_stopped=trainer.listeners.stop_received)
    return trainer


def _finish(trainer: ModelTrainer) -> int | None:
    """Predict and evaluate what was trained; return the number of instances found on the training frames."""
    from sleap_nn.after_training import evaluate_run, tell_metrics
    from sleap_nn.report import report_after_training
    from sleap_nn.training import run_folder
    from sleap_nn.training.interrupts import resumable

    if trainer.run_dir is None:
        return None
    with resumable(trainer.run_dir):
        num_found = evaluate_run(trainer.run_dir, trainer.job)
        tell_metrics(trainer.run_dir, trainer.listeners)
        report_after_training(trainer.run_dir)
    run_folder.remove_resume_point(trainer.run_dir)
    return num_found


def resume_training(
    folder: str | Path, overrides: Sequence[str] = (), video_paths: VideoPaths | None = None
) -> ModelTrainer:
    """Go on with an interrupted run, exactly where it stopped, in its own folder.

    Args:
        folder: The run folder.
        overrides: Changes of its configuration as ``key=value``, for example a later ``trainer_config.max_epochs``.
        video_paths: Where the videos of the labels are now, if they have moved again since the run began.

    Returns:
        The trainer, as of `run_training`, whose errors also apply.

    Raises:
        MissingFileError: The folder is no run folder.
        ModelError: Its checkpoint does not fit its configuration.
        OutputError: Another process is training in it at this moment.
    """
    from pathlib import Path

    from sleap_nn.training.run_folder import resume_config
    from sleap_nn.training.run_lock import refuse_running
    from sleap_nn.training.team import current_team

    with current_team().guard() as team:
        config = resume_config(Path(folder), overrides) if team.is_first else None
        if config is not None:
            refuse_running(Path(folder))
        return run_training(config, video_paths=video_paths)


def train(*args: Any, **keywords: Any) -> None:
    """Train a model without a configuration file.

    The parameters are the keywords of the training guide, in its order (``train_labels_path``, ``val_labels_path``,
    ``validation_fraction``, ..., see ``help(train)``); each sets the configuration key of the same name, whose help
    text is in the configuration reference. ``backbone_config``, ``head_configs``, ``intensity_aug`` and
    ``geometry_aug`` take short names (``"unet_medium_rf"``, ``"single_instance"``, ``["rotation", "scale"]``), and
    only the augmentations named take place.

    Raises:
        TypeError: A keyword does not exist.
        ConfigError: A value is wrong; see `run_training` for what can fail later.
    """
    from sleap_nn.config.get_config import config_from_train_keywords

    bound = dict(zip(signature(train).parameters, args, strict=False))
    if len(args) > len(bound) or set(bound) & set(keywords):
        raise TypeError("train() got too many positional arguments, or one of them twice; name them as keywords.")
    run_training(config_from_train_keywords(**bound, **keywords))


train.__signature__ = Signature(  # pyright: ignore[reportFunctionMemberAccess]
    [
        Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default)
        for name, default in train_keyword_defaults().items()
    ],
    return_annotation=None,
)
