"""The training engine (Lightning) as this package uses it: its trainer, the callbacks of a run, and its silence."""

from __future__ import annotations

import logging
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.errors import DataError, DeviceMemoryError
from sleap_nn.log import logger
from sleap_nn.networks import model_dir
from sleap_nn.training import monitoring, run_folder
from sleap_nn.training.callbacks.csv_log import CSVLog
from sleap_nn.training.callbacks.epoch_record import EpochRecord
from sleap_nn.training.callbacks.guards import TimeLimit
from sleap_nn.training.callbacks.kept import KeptWeights
from sleap_nn.training.callbacks.listeners import Listeners
from sleap_nn.training.callbacks.live import LiveLog
from sleap_nn.training.callbacks.losses import LossWatch
from sleap_nn.training.callbacks.phases import Phases
from sleap_nn.training.callbacks.progress import ProgressBar
from sleap_nn.training.callbacks.resume_point import ResumePoint
from sleap_nn.training.callbacks.stop_together import StopTogether
from sleap_nn.training.callbacks.summary import RunSummary
from sleap_nn.training.checkpoints import AtomicCheckpointIO
from sleap_nn.training.devices import Devices
from sleap_nn.training.microbatches import REMEDIES
from sleap_nn.training.profiling import make_profiler
from sleap_nn.training.strategies import make_environment, make_strategy
from sleap_nn.training.team import Team


def make_trainer(
    settings: TrainerConfig, callbacks: list[Callback], folder: Path | None, devices: Devices, team: Team
) -> pl.Trainer:
    """Return the engine's trainer; without a run folder it writes nothing."""
    precision: Any = "32-true" if devices.precision == "32" else devices.precision
    return pl.Trainer(
        accelerator=devices.accelerator,
        devices=devices.count if devices.indices is None else list(devices.indices),
        num_nodes=team.place.num_machines,
        strategy=make_strategy(devices, team),
        precision=precision,
        max_epochs=settings.max_epochs,
        callbacks=[*callbacks, StopTogether()],
        logger=False,
        enable_checkpointing=folder is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=settings.gradient_clip_val,
        accumulate_grad_batches=settings.accumulate_grad_batches,
        use_distributed_sampler=False,
        default_root_dir=folder,
        plugins=[AtomicCheckpointIO(), make_environment(team)],
        profiler=make_profiler(settings.profiler if team.is_first else None, folder, shared=not team.is_alone),
    )


def make_callbacks(
    settings: TrainerConfig,
    columns: Sequence[str],
    folder: Path | None,
    seed: int,
    listeners: Listeners,
    num_devices: int = 1,
) -> list[Callback]:
    """Return the callbacks that the configuration asks for.

    Args:
        settings: How training runs.
        columns: What is logged beside the common columns.
        folder: The run folder, None without one.
        seed: The seed of all draws.
        listeners: Who follows the run.
        num_devices: How many devices share the batches.
    """
    record = EpochRecord(settings.model_ckpt.monitor, settings.model_ckpt.mode)
    callbacks: list[Callback] = [Phases(), ProgressBar(settings.enable_progress_bar)]
    if settings.ema_decay > 0:
        # With this rule a frozen weight stays the same to the last bit, unlike with that of `EMAWeightAveraging`.
        rule = get_ema_multi_avg_fn(settings.ema_decay)
        callbacks.append(WeightAveraging(use_buffers=False, multi_avg_fn=rule))
    if folder is not None:
        kept, last = _checkpoints(settings, folder), folder / model_dir.LAST_WEIGHTS
        callbacks.append(CSVLog(folder / run_folder.LOG, record, columns))
        callbacks += [kept, KeptWeights(kept, last if settings.model_ckpt.save_last else None)]
    callbacks.append(LossWatch(keeps_best=folder is not None and settings.model_ckpt.monitor == "val/loss"))
    stopping = settings.early_stopping
    if stopping.stop_training_on_plateau:
        callbacks.append(
            EarlyStopping("val/loss", min_delta=stopping.min_delta, patience=stopping.patience, mode="min")
        )
    if settings.max_time is not None:
        callbacks.append(TimeLimit(settings.max_time))
    if listeners:
        callbacks.append(LiveLog(listeners, record, monitoring.may_stop(settings)))
    if settings.enable_progress_bar:
        callbacks.append(RunSummary(record, folder))
    callbacks.append(record)  # behind the others, so that their work in a validation counts as its time
    if folder is not None:
        group = int(settings.train_data_loader.batch_size) * num_devices
        callbacks.append(ResumePoint(folder / model_dir.RESUME, seed, group, end_rules(settings)))
    return callbacks


def end_rules(settings: TrainerConfig) -> dict[str, Any]:
    """Return the settings that decide when a training ends."""
    return {
        "max_epochs": settings.max_epochs,
        "max_time": settings.max_time,
        "early_stopping": asdict(settings.early_stopping),
    }


def fit(
    trainer: pl.Trainer, module: pl.LightningModule, train_loader: Any, val_loader: Any, resume: Path | None = None
) -> None:
    """Run the engine, from the state in the checkpoint `resume` if there is one.

    Raises:
        KeyboardInterrupt: The user pressed Ctrl+C, or what else raised one; the engine itself would end the process.
        DataError: A frame cannot be read, in the words of the source also where a worker process read it; or a worker
            process is gone.
        DeviceMemoryError: A device has too little memory for a step that cannot be made in parts.
    """
    handler = signal.getsignal(signal.SIGINT)
    began = time.monotonic()
    logger.info("Starting training loop...")
    try:
        trainer.fit(module, train_loader, val_loader, ckpt_path=resume, weights_only=True)
        logger.info("Finished training loop. [%.1f min]", (time.monotonic() - began) / 60)
    except DataError as error:
        raise DataError(str(error).rpartition(f"{DataError.__name__}: ")[2].strip()) from error
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(f"Memory ran out ({str(error).splitlines()[0]}); {REMEDIES}.") from error
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker (pid"):
            raise
        raise DataError(
            f"A process that prepares samples is gone ({str(error).splitlines()[0].rstrip(' .')}), most likely because "
            "memory ran out; set num_workers of the data loaders lower, or to 0."
        ) from error
    except SystemExit as end:
        if trainer.interrupted:
            signal.signal(signal.SIGINT, handler)
            raise end.__context__ if isinstance(end.__context__, KeyboardInterrupt) else KeyboardInterrupt from None
        raise


@contextmanager
def quiet() -> Iterator[None]:
    """Keep advice of the engine that does not concern users of this package from them."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers.*",
            ".*The number of training batches.*",
            ".*Checkpoint directory .* exists and is not empty.*",
            ".*your dataloader is not resumable.*",  # the position is the sampler's, see `EpochSampler.start_at`
            ".*Profiler default schedule will be overridden.*",
            ".*sync_dist=True.*",  # `EpochAverages` puts values together before they are logged
            ".*WeightAveraging callback with a model that overrides.*",  # `configure_model` only divides weights
            ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
        ):
            warnings.filterwarnings("ignore", message=message)
        try:
            yield
        finally:
            log.setLevel(level)


def _checkpoints(settings: TrainerConfig, folder: Path) -> ModelCheckpoint:
    """Return the callback that keeps the best weights; `KeptWeights` sees to their names, and to the last weights."""
    return ModelCheckpoint(
        dirpath=folder,
        filename=Path(model_dir.WEIGHTS).stem,
        monitor=settings.model_ckpt.monitor,
        mode=settings.model_ckpt.mode,
        save_top_k=settings.model_ckpt.save_top_k,
        auto_insert_metric_name=False,
    )
