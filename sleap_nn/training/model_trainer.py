"""`ModelTrainer`: data, task, network, callbacks, fit.

Prediction and metrics after training are in `sleap_nn.after_training`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch import Callback
from torch import Tensor

from sleap_nn.config.training_job_config import DictConfig, TrainingJobConfig
from sleap_nn.data.dataset import PoseDataset
from sleap_nn.data.findings import LabelReport
from sleap_nn.data.labels import Labels, SioSkeleton
from sleap_nn.data.loaders import EpochSampler
from sleap_nn.data.video_paths import VideoPaths
from sleap_nn.errors import DataError
from sleap_nn.heads.losses import HardKeypointMining, LossSettings
from sleap_nn.heartbeat import phase
from sleap_nn.log import logger
from sleap_nn.networks.compilation import compile_network
from sleap_nn.networks.host_memory import keep_host_memory
from sleap_nn.networks.network import PoseNetwork, initialise
from sleap_nn.networks.reuse import Starts, read_starts, start_from
from sleap_nn.networks.weights import load_encoder_weights
from sleap_nn.structures.sample import Batch
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import Task
from sleap_nn.training import batch_size, engine, launch, memory, monitoring, run_folder
from sleap_nn.training.callbacks.guards import CollapseWatch
from sleap_nn.training.callbacks.listeners import Listeners
from sleap_nn.training.checkpoints import check_fits
from sleap_nn.training.collapse import HeadStrength
from sleap_nn.training.collectives import share_weights
from sleap_nn.training.devices import Devices
from sleap_nn.training.frame_cache import frame_cache, machine_folder
from sleap_nn.training.handover import Outcome, Progress
from sleap_nn.training.label_report import report_labels
from sleap_nn.training.loading import Loaders, choose_workers, open_loaders
from sleap_nn.training.logged import check_monitor, log_columns
from sleap_nn.training.module import TrainingModule
from sleap_nn.training.observers import make_observers
from sleap_nn.training.plan import Plan, decide, fingerprint
from sleap_nn.training.records import write_beginning
from sleap_nn.training.run_lock import RunLock
from sleap_nn.training.strategies import whole_weights
from sleap_nn.training.team import current_team
from sleap_nn.training.training_data import TrainingData


class ModelTrainer:
    """Trains one model.

    Attributes:
        job: The resolved configuration.
        task: The model type.
        data: Labels and frames, divided into training and validation.
        run_dir: The run folder, None unless ``save_ckpt`` is set and training has started.
        lightning_model: The training module, None before `train`; its ``model`` is the network.
        trainer: The engine's trainer, None before `train`; what is known of it where other processes trained.
        listeners: Who follows the run from outside; whoever enters them around `train` keeps them open after it.
        lock: Keeps other trainings out of the run folder; whoever enters it around `train` keeps it after it.
        strengths: How much each head said in the last validation; empty before.
        team: The processes that train together with this one; for most trainings it stands alone.
    """

    def __init__(
        self,
        config: TrainingJobConfig | DictConfig | dict | str | Path | None,
        train_labels: Sequence[Labels] | None = None,
        val_labels: Sequence[Labels] | None = None,
        video_paths: VideoPaths | None = None,
    ) -> None:
        """Read the labels, split them, and fill in what the configuration leaves open.

        Args:
            config: The configuration, or the path of its YAML file; of several processes that train together only the
                first needs it.
            train_labels: Labels to train on, in place of the files of the configuration.
            val_labels: Labels to validate on; without them a part of the training labels is set aside.
            video_paths: Where the videos of the labels are now; None: where the labels say, or where a run that is
                resumed had them.

        Raises:
            ConfigError: The configuration is wrong, or contradicts the labels.
            DataError: The labels cannot be used.
            MissingFileError: A labels file or video is not there.
        """
        self.run_dir: Path | None = None
        self.lightning_model: TrainingModule | None = None
        self.trainer: pl.Trainer | Progress | None = None
        self.listeners = Listeners()
        self.lock = RunLock()
        self.strengths: tuple[HeadStrength, ...] = ()
        self.team = current_team()
        self._given = (train_labels, val_labels)
        with self.team.guard():
            if self.team.decides("plan"):
                self._plan, data, self._starts = decide(config, self._given, video_paths)
                self.team.publish("plan", self._plan.to_dict())
            else:
                self._plan = Plan.from_dict(self.team.take("plan"))
                data = self._plan.read_again(self._given, with_tests=self.team.is_first)
            self._check_same(fingerprint(data))
            self.job, self._seed = self._plan.job, self._plan.seed
            pl.seed_everything(self._seed, workers=True, verbose=False)
            self.task = self._task(data.train.set.skeleton)
            check_monitor(self.task, self.job)
            self.data = data.with_classes(self.task.classes)

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

    def setup_config(self) -> None:
        """Do nothing: derived values are filled in when the trainer is made. Scripts that ask for them call it."""

    def train(self) -> None:
        """Fit the network and, with ``save_ckpt``, write the run folder.

        Raises:
            TrainingCollapsedError: The loss became NaN or infinite.
            OutputError: The run folder cannot be written, or another process trains in it.
            ModelError: The checkpoint to resume from does not fit.
            TrainingInterruptedError: Ctrl+C or SIGTERM; the run folder holds all that is needed to go on.
            KeyboardInterrupt: Ctrl+C in a run that is not saved, or before its first step.
        """
        if self.starts_processes:
            self.train_in_processes(evaluate=False)
            return
        with self.team.guard(), self.lock:
            try:
                self._fit(self._devices)
            except KeyboardInterrupt:
                if self.run_dir is not None and self.team.is_first:
                    run_folder.remove_unfinished(self.run_dir)
                raise

    @property
    def starts_processes(self) -> bool:
        """Whether several devices train, in processes that this one has to start.

        Raises:
            ConfigError: There are not so many devices.
        """
        return self.team.is_alone and self._devices.count > 1

    def train_in_processes(self, evaluate: bool) -> None:
        """Train in processes of this machine, one a device, and take over what they end with.

        Args:
            evaluate: Whether the first of them also predicts and evaluates, as `sleap_nn.train.run_training` does.

        Raises:
            UserError: As `train`; the error is the one that a process had.
        """
        decisions = {"plan": self._plan.to_dict(), "devices": asdict(self._devices)}
        outcome = launch.train_in_processes(self._devices.count, decisions, self._given, evaluate)
        self.job, self.run_dir = outcome.job, outcome.run_dir
        self.strengths, self.trainer = outcome.strengths, outcome.progress
        self._put_together(outcome.weights)

    def outcome(self) -> Outcome:
        """Return what the training ended with, for a process that has not taken part in it."""
        assert self.trainer is not None and self.lightning_model is not None
        metrics = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        progress = Progress(self.trainer.current_epoch, self.trainer.global_step, metrics)
        weights = {name: tensor.cpu() for name, tensor in self.lightning_model.model.state_dict().items()}
        return Outcome(self.job, self.run_dir, weights, self.strengths, progress)

    def _fit(self, devices: Devices) -> None:
        """Fit the network in this process, together with those of its team."""
        settings, team, place, resume = self.job.trainer_config, self.team, self.team.place, self._plan.resume
        device = devices.use(place.local_rank)
        report = self._label_report() if team.is_first else None
        settings.trainer_accelerator, settings.precision = devices.accelerator, devices.precision
        if devices.accelerator == "cpu":
            keep_host_memory()
        settings.trainer_devices = devices.as_stored(settings)
        network = self._prepared_network(devices)
        choose_workers(self.job, len(self.datasets()[1]), place)
        with_negatives = self.job.data_config.use_negative_frames
        self.lightning_model = TrainingModule(self.task, network, settings, self._seed, with_negatives)
        if resume is not None and team.is_first:  # before anything in the run folder changes
            check_fits(resume, network, self.lightning_model.groups)
        self._announce(network)
        self._prepare_run_folder(report)
        watch = CollapseWatch()
        self.listeners.join(monitoring.make_listeners(self.job, self.run_dir))
        columns = log_columns(self.task, self.job)
        callbacks = [
            watch,
            *engine.make_callbacks(settings, columns, self.run_dir, self._seed, self.listeners, place.size),
        ]
        if settings.compile:
            compile_network(network)
        with team.process_group(device):
            share_weights(network)
            with self._samples() as (data, loaders), engine.quiet(), self.listeners:
                self.lightning_model.num_own_val_batches = loaders.num_own_val_batches
                if loaders.first.batch != self._plan.position.batch:
                    self.lightning_model.first_batch = loaders.first.batch
                callbacks = [*self._observers(data), *callbacks]
                self.trainer = engine.make_trainer(settings, callbacks, self.run_dir, devices, team)
                with team.fetched(resume) as checkpoint:
                    engine.fit(self.trainer, self.lightning_model, loaders.train, loaders.val, resume=checkpoint)
            weights = whole_weights(self.trainer)
        if weights:
            self._put_together({name.removeprefix("model."): tensor for name, tensor in weights.items()})
        self.strengths = watch.strengths
        if self.run_dir is not None and team.is_first:
            run_folder.write_configs(self.run_dir, self._plan.initial, self.job)
        team.leave()

    def _label_report(self) -> LabelReport:
        """Say what looks wrong in the labels."""
        with phase("checking the labels"):
            return report_labels(self.data, self.task, self.job)

    def _put_together(self, weights: Mapping[str, Tensor]) -> None:
        """Make a network that holds weights from elsewhere."""
        network = PoseNetwork.from_config(self.job.model_config.backbone_config, self.task.heads)
        network.load_state_dict(weights)
        self.lightning_model = TrainingModule(self.task, network, self.job.trainer_config, self._seed)

    @cached_property
    def _starts(self) -> Starts:
        """The earlier models that the network starts from."""
        return read_starts(self._plan.initial.model_config, self._plan.resume)

    @cached_property
    def _devices(self) -> Devices:
        """The devices that all processes use."""
        settings, num_started = self.job.trainer_config, self.team.num_started
        decided = self.team.agree("devices", lambda: asdict(Devices.from_config(settings, num_started)))
        devices = Devices.from_dict(decided)
        devices.check_here(self.team.place.local_size)
        return devices

    def _check_same(self, mine: str) -> None:
        """Refuse labels that are not those of the first process.

        Raises:
            DataError: They differ.
        """
        if self.team.agree("labels", lambda: mine) != mine:
            raise DataError(
                f"The labels that process {self.team.place.rank} reads are not those of the first one; give all "
                "machines copies of the same labels files."
            )

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
        """Build the network, in the first process with the weights that it starts from; the others get them from it."""
        config = self.job.model_config
        network = PoseNetwork.from_config(config.backbone_config, self.task.heads)
        initialise(network, config.init_weights)
        if self._plan.resume is None and self.team.is_first:
            load_encoder_weights(network, config.backbone_config)
            start_from(network, self.task, self._starts.weights)
        return network

    def _prepared_network(self, devices: Devices) -> PoseNetwork:
        """Build the network for its devices, and settle how many samples go through it at once."""
        with phase("building the network"):
            network = self._network()
        if self.job.trainer_config.channels_last and not devices.is_divided:  # weights are divided as memory has them
            network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.job.model_config.total_params = network.num_parameters

        def settle() -> list[int]:
            num_sharing = self.team.place.local_size
            batch_size.settle(self.job, network, self.task, self.datasets()[0], self._plan.resume, num_sharing)
            return batch_size.decided(self.job)

        batch_size.adopt(self.job, self.team.agree("batches", settle))
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

    @contextmanager
    def _samples(self) -> Iterator[tuple[TrainingData, Loaders]]:
        """Yield the data, read through the frame cache, and loaders of both splits; clean up behind them."""
        place, token = self.team.place, None
        if not self.team.is_alone:
            token = self.team.agree("token", lambda: secrets.token_hex(8))
        with ExitStack() as stack:
            with phase("preparing the samples"):
                own = self.run_dir if place.is_beside_first else None
                folder = stack.enter_context(machine_folder(own, token))
                cached = stack.enter_context(frame_cache(self.job, self.data, folder))
                datasets = cached.data.datasets(self.job, self.task, self._seed)
                position = self._plan.position
                opened = open_loaders(self.job, datasets, self._seed, position, place, cached.filler)
                loaders = stack.enter_context(opened)
            yield cached.data, loaders

    def _prepare_run_folder(self, report: LabelReport | None) -> None:
        """Make the run folder, once for all processes, and write what is known before the first step."""
        settings = self.job.trainer_config
        if not settings.save_ckpt:
            monitoring.identify(settings)
            return
        if self.team.decides("run_dir"):
            self.run_dir = run_folder.create(self.job)
            self.team.publish("run_dir", str(self.run_dir.absolute()))  # others may work in another folder
        else:
            self.run_dir = Path(self.team.take("run_dir"))
        settings.run_name = self.run_dir.name
        monitoring.identify(settings)
        settings.resume_ckpt_path = None if self._plan.resume is None else str(self._plan.resume)
        if self.team.is_first:
            self.lock.take(self.run_dir)
            with phase("writing the labels of the run"):
                write_beginning(self.run_dir, self._plan, self.job, self.data, report)

    def _observers(self, data: TrainingData) -> list[Callback]:
        """Return what looks at the network after every epoch; drawings make a run folder where there is none."""
        folder = None
        if self.job.trainer_config.visualize_preds_during_training and self.team.is_first:
            run = run_folder.create(self.job) if self.run_dir is None else self.run_dir
            folder = run / run_folder.DRAWINGS
        sinks = [self.listeners] if self.listeners and (folder is not None or self.listeners.want_drawings) else []
        return make_observers(self.job, self.task, data, self._seed, folder, sinks)

    def _announce(self, network: PoseNetwork) -> None:
        """Log what is about to be trained, and how much memory a step takes."""
        settings = self.job.trainer_config
        logger.info("Total model parameters: %s", f"{network.num_parameters:,}")
        logger.info(
            "Training %s with %s (%s parameters) on %d frames, validating on %d; %d steps an epoch, %s on %s%s.",
            self.model_type,
            self.backbone_type,
            f"{network.num_parameters:,}",
            len(self.data.train.set),
            len(self.data.val.set),
            settings.train_steps_per_epoch,
            f"precision {settings.precision}",
            settings.trainer_accelerator,
            "" if self.team.is_alone else f", shared by {self.team.place.size} processes",
        )
        need = memory.measure(network, self.datasets()[0][0].image.shape, settings)
        size, accelerator = int(settings.train_data_loader.batch_size), settings.trainer_accelerator
        memory.announce(need, size, accelerator, self.data.bytes_kept(self.job))
