"""`ModelTrainer`: data, task, network, callbacks, fit.

Prediction and metrics after training are in `sleap_nn.after_training`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch import Callback
from torch import Tensor

from sleap_nn.config.training_job_config import DictConfig, TrainingJobConfig, check_must_be_set
from sleap_nn.data.dataset import PoseDataset
from sleap_nn.data.findings import LabelReport
from sleap_nn.data.labels import Labels, SioSkeleton
from sleap_nn.data.loaders import EpochSampler, PoseLoader, free_exchange, make_loader, usable_cpus, useful_workers
from sleap_nn.data.video_paths import VideoPaths
from sleap_nn.heads.losses import HardKeypointMining, LossSettings
from sleap_nn.heartbeat import phase
from sleap_nn.log import logger
from sleap_nn.networks.devices import resolve_accelerator, resolve_precision
from sleap_nn.networks.network import PoseNetwork, initialise
from sleap_nn.networks.reuse import read_starts, start_from
from sleap_nn.networks.weights import load_encoder_weights
from sleap_nn.structures.sample import Batch
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import Task
from sleap_nn.training import batch_size, engine, memory, monitoring, run_folder
from sleap_nn.training.callbacks.guards import CollapseWatch
from sleap_nn.training.callbacks.listeners import Listeners
from sleap_nn.training.checkpoints import Position, check_fits
from sleap_nn.training.collapse import HeadStrength
from sleap_nn.training.compilation import compile_network
from sleap_nn.training.frame_cache import CachedData, frame_cache
from sleap_nn.training.label_report import report_labels
from sleap_nn.training.logged import check_monitor, log_columns
from sleap_nn.training.module import TrainingModule
from sleap_nn.training.observers import make_observers
from sleap_nn.training.resolve import resolve
from sleap_nn.training.run_folder import resume_point
from sleap_nn.training.training_data import TrainingData


class ModelTrainer:
    """Trains one model.

    Attributes:
        job: The resolved configuration.
        task: The model type.
        data: Labels and frames, divided into training and validation.
        run_dir: The run folder, None unless ``save_ckpt`` is set and training has started.
        lightning_model: The training module, None before `train`; its ``model`` is the network.
        trainer: The engine's trainer, None before `train`.
        listeners: Who follows the run from outside; whoever enters them around `train` keeps them open after it.
        strengths: How much each head said in the last validation; empty before.
    """

    def __init__(
        self,
        config: TrainingJobConfig | DictConfig | dict | str | Path,
        train_labels: Sequence[Labels] | None = None,
        val_labels: Sequence[Labels] | None = None,
        video_paths: VideoPaths | None = None,
    ) -> None:
        """Read the labels, split them, and fill in what the configuration leaves open.

        Args:
            config: The configuration, or the path of its YAML file.
            train_labels: Labels to train on, in place of the files of the configuration.
            val_labels: Labels to validate on; without them a part of the training labels is set aside.
            video_paths: Where the videos of the labels are now; None: where the labels say, or where a run that is
                resumed had them.

        Raises:
            ConfigError: The configuration is wrong, or contradicts the labels.
            DataError: The labels cannot be used.
            MissingFileError: A labels file or video is not there.
        """
        self._initial = TrainingJobConfig.from_cfg(config)
        check_must_be_set(self._initial)
        monitoring.check(self._initial.trainer_config)
        self._resume = resume_point(self._initial.trainer_config.resume_ckpt_path)
        self._position = Position(0) if self._resume is None else Position.read(self._resume)
        self._seed = self._choose_seed()
        pl.seed_everything(self._seed, workers=True, verbose=False)
        self._video_paths = video_paths
        if video_paths is None:
            self._video_paths = run_folder.video_paths_of(self._initial.trainer_config.resume_ckpt_path)
        self._starts = read_starts(self._initial.model_config, self._resume)
        with phase("reading labels"):
            data = TrainingData.from_config(self._initial, train_labels, val_labels, self._video_paths)
            facts = replace(data.facts(self._initial), trained_channels=self._starts.image_channels)
            self.job = resolve(self._initial, facts, datetime.now())
        self.task = self._task(data.train.set.skeleton)
        check_monitor(self.task, self.job)
        self.data = data.with_classes(self.task.classes)
        self.run_dir: Path | None = None
        self.lightning_model: TrainingModule | None = None
        self.trainer: pl.Trainer | None = None
        self.listeners = Listeners()
        self.strengths: tuple[HeadStrength, ...] = ()

    @classmethod
    def get_model_trainer_from_config(
        cls,
        config: TrainingJobConfig | DictConfig | dict | str | Path,
        train_labels: Sequence[Labels] | None = None,
        val_labels: Sequence[Labels] | None = None,
        video_paths: VideoPaths | None = None,
    ) -> ModelTrainer:
        """Return a trainer that is ready to `train`; arguments and errors as for the constructor."""
        return cls(config, train_labels, val_labels, video_paths)

    @property
    def config(self) -> DictConfig:
        """The resolved configuration, with attribute access."""
        return self.job.to_sleap_nn_cfg()

    @property
    def train_labels(self) -> list[Labels]:
        """Labels used for training, one entry for each file."""
        return list(self.data.train.labels)

    @property
    def val_labels(self) -> list[Labels]:
        """Labels used for validation."""
        return list(self.data.val.labels)

    @property
    def skeletons(self) -> list[SioSkeleton]:
        """The skeletons of the first training labels."""
        return list(self.data.train.labels[0].skeletons)

    @property
    def model_type(self) -> str:
        """Name of the model type."""
        return str(self.job.model_config.head_configs.which_oneof_attrib_name())

    @property
    def backbone_type(self) -> str:
        """Name of the backbone family."""
        return str(self.job.model_config.backbone_config.which_oneof_attrib_name())

    def train(self) -> None:
        """Fit the network and, with ``save_ckpt``, write the run folder.

        Raises:
            TrainingCollapsedError: The loss became NaN or infinite.
            OutputError: The run folder cannot be written.
            ModelError: The checkpoint to resume from does not fit.
            TrainingInterruptedError: Ctrl+C or SIGTERM; the run folder holds all that is needed to go on.
            KeyboardInterrupt: Ctrl+C in a run that is not saved, or before its first step.
        """
        settings = self.job.trainer_config
        task = self.task
        with phase("checking the labels"):
            report = report_labels(self.data, task, self.job)
        with phase("building the network"):
            network = self._network()
        if settings.channels_last:
            network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.job.model_config.total_params = network.num_parameters
        accelerator = resolve_accelerator(settings.trainer_accelerator)
        settings.trainer_accelerator = accelerator
        settings.precision = resolve_precision(str(settings.precision), accelerator)
        batch_size.settle(self.job, network, task, self.datasets()[0], self._resume)
        self._choose_workers()
        with_negatives = self.job.data_config.use_negative_frames
        self.lightning_model = TrainingModule(task, network, settings, self._seed, with_negatives)
        with phase("writing the labels of the run"):
            self._prepare_run_folder(report)
        if self._resume is not None:
            check_fits(self._resume, network)
        watch = CollapseWatch()
        self.listeners.join(monitoring.make_listeners(self.job, self.run_dir))
        columns = log_columns(task, self.job)
        callbacks = [watch, *engine.make_callbacks(settings, columns, self.run_dir, self._seed, self.listeners)]
        self._announce(network)
        self._announce_memory(network)
        if settings.compile:
            compile_network(network)
        try:
            with self._samples() as (data, *loaders), engine.quiet(), self.listeners:
                callbacks = [*self._observers(data), *callbacks]
                self.trainer = engine.make_trainer(settings, callbacks, self.run_dir)
                engine.fit(self.trainer, self.lightning_model, *loaders, resume=self._resume)
        except KeyboardInterrupt:
            if self.run_dir is not None:
                run_folder.remove_unfinished(self.run_dir)
            raise
        self.strengths = watch.strengths
        if self.run_dir is not None:
            run_folder.write_configs(self.run_dir, self._initial, self.job)

    def _task(self, skeleton: Skeleton) -> Task:
        """Build the task."""
        mining = self.job.trainer_config.online_hard_keypoint_mining
        loss_settings = LossSettings(
            foreground_weight=self.job.trainer_config.foreground_weight,
            mining=HardKeypointMining(
                hard_to_easy_ratio=mining.hard_to_easy_ratio,
                min_hard_keypoints=mining.min_hard_keypoints,
                max_hard_keypoints=mining.max_hard_keypoints,
                loss_scale=mining.loss_scale,
            )
            if mining is not None and mining.online_mining
            else None,
        )
        head_config = self.job.model_config.head_configs.which_oneof()
        return TASKS[self.model_type].from_config(head_config, skeleton, loss_settings)

    def _network(self) -> PoseNetwork:
        """Build the network with the weights that it starts from."""
        config = self.job.model_config
        network = PoseNetwork.from_config(config.backbone_config, self.task.heads)
        initialise(network, config.init_weights)
        if self._resume is None:
            load_encoder_weights(network, config.backbone_config)
            start_from(network, self.task, self._starts.weights)
        return network

    def datasets(self) -> tuple[PoseDataset, PoseDataset]:
        """Return the training set, augmented, and the validation set."""
        return self.data.datasets(self.job, self.task, self._seed)

    def draw_samples(self, count: int, train: bool = True) -> tuple[Batch, dict[str, Tensor]]:
        """Return samples as the network sees them, and their targets by head name.

        Args:
            count: Number of samples, fewer if the set is smaller and not augmented.
            train: Draw from the training set, else from the validation set.
        """
        dataset = self.datasets()[0 if train else 1]
        rows = EpochSampler(len(dataset), count, shuffle=True, seed=self._seed)
        batch = Batch.stack([dataset[draw] for draw in rows])
        return batch, self.task.encode(batch)

    def _choose_seed(self) -> int:
        """Return the seed of all draws: that of the run being resumed, the configured one, or a new one."""
        seed = self._initial.trainer_config.seed
        if self._position.seed is not None:
            return self._position.seed
        return secrets.randbits(31) if seed is None else seed

    @contextmanager
    def _samples(self) -> Iterator[tuple[TrainingData, PoseLoader, PoseLoader]]:
        """Yield the data, read through the frame cache, and loaders of both splits; clean up behind them."""
        with ExitStack() as stack:
            with phase("preparing the samples"):
                cached = stack.enter_context(frame_cache(self.job, self.data, self.run_dir))
                loaders = stack.enter_context(self._loaders(cached))
            yield cached.data, *loaders

    @contextmanager
    def _loaders(self, cached: CachedData) -> Iterator[tuple[PoseLoader, PoseLoader]]:
        """Yield the training and validation loaders, and end their processes."""
        settings = self.job.trainer_config
        train, val = cached.data.datasets(self.job, self.task, self._seed)
        loading, val_loading = settings.train_data_loader, settings.val_data_loader
        size = int(loading.batch_size)
        draws = int(settings.train_steps_per_epoch or 1) * size
        sampler = EpochSampler(len(train), draws, loading.shuffle, self._seed)
        sampler.start_at(self._position.epoch, self._position.batch * size)
        val_sampler = EpochSampler(len(val), len(val), val_loading.shuffle, self._seed)
        shared = (cached.filler, settings.trainer_accelerator == "cuda")
        loaders = (
            make_loader(train, size, sampler, int(loading.num_workers), *shared),
            make_loader(val, int(val_loading.batch_size), val_sampler, int(val_loading.num_workers), *shared),
        )
        with closing(loaders[0]), closing(loaders[1]):
            yield loaders

    def _choose_workers(self) -> None:
        """Replace ``num_workers: auto`` by a number."""
        settings = self.job.trainer_config
        train, val = settings.train_data_loader, settings.val_data_loader
        cached = self.job.data_config.data_pipeline_fw != "torch_dataset"
        num_val = -(-len(self.datasets()[1]) // int(val.batch_size))
        for loader, num_batches in ((train, int(settings.train_steps_per_epoch or 1)), (val, num_val)):
            if loader.num_workers == "auto":
                loader.num_workers = useful_workers(num_batches, cached, usable_cpus(), free_exchange())

    def _prepare_run_folder(self, report: LabelReport) -> None:
        """Make the run folder and write what is known before the first step, findings on the labels included."""
        settings = self.job.trainer_config
        if not settings.save_ckpt:
            monitoring.identify(settings)
            return
        self.run_dir = run_folder.create(self.job)
        settings.run_name = self.run_dir.name
        monitoring.identify(settings)
        settings.resume_ckpt_path = None if self._resume is None else str(self._resume)
        if self._resume is not None:
            where = (self._resume, self._position.epoch, self._position.batch)
            logger.info("Going on from %s at epoch %d, batch %d.", *where)
        run_folder.write_configs(self.run_dir, self._initial, self.job)
        report.save(self.run_dir / run_folder.LABEL_CHECK)
        self.data.record.save(self.run_dir / run_folder.SPLIT)
        run_folder.write_video_paths(self.run_dir, self._video_paths)
        data = self.job.data_config
        kinds = data.user_instances_only, data.use_negative_frames
        for split, files in (("train", self.train_labels), ("val", self.val_labels)):
            for index, labels in enumerate(files):
                run_folder.write_ground_truth(self.run_dir, split, index, labels, *kinds)
        for index, labels in self.data.test_labels.items():
            run_folder.write_ground_truth(self.run_dir, "test", index, labels, user_instances_only=True)

    def _observers(self, data: TrainingData) -> list[Callback]:
        """Return what looks at the network after every epoch; drawings make a run folder where there is none."""
        folder = None
        if self.job.trainer_config.visualize_preds_during_training:
            run = run_folder.create(self.job) if self.run_dir is None else self.run_dir
            folder = run / run_folder.DRAWINGS
        sinks = [self.listeners] if self.listeners and (folder is not None or self.listeners.want_drawings) else []
        return make_observers(self.job, self.task, data, self._seed, folder, sinks)

    def _announce(self, network: PoseNetwork) -> None:
        """Log what is about to be trained."""
        settings = self.job.trainer_config
        logger.info(
            "Training %s with %s (%s parameters) on %d frames, validating on %d; %d steps an epoch, %s on %s.",
            self.model_type,
            self.backbone_type,
            f"{network.num_parameters:,}",
            len(self.data.train.set),
            len(self.data.val.set),
            settings.train_steps_per_epoch,
            f"precision {settings.precision}",
            settings.trainer_accelerator,
        )

    def _announce_memory(self, network: PoseNetwork) -> None:
        """Log how much memory a step takes, before the first one."""
        settings = self.job.trainer_config
        need = memory.measure(network, self.datasets()[0][0].image.shape, settings)
        size, accelerator = int(settings.train_data_loader.batch_size), settings.trainer_accelerator
        memory.announce(need, size, accelerator, self.data.bytes_kept(self.job))
