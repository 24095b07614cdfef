"""`ModelTrainer`: data, task, network, callbacks, fit.

Prediction and metrics after training are in `sleap_nn.after_training`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from sleap_nn.config.training_job_config import DictConfig, TrainingJobConfig, check_must_be_set
from sleap_nn.data.dataset import PoseDataset
from sleap_nn.data.labels import Labels, SioSkeleton
from sleap_nn.data.loaders import EpochSampler
from sleap_nn.errors import DataError
from sleap_nn.heads.losses import HardKeypointMining, LossSettings
from sleap_nn.log import logger
from sleap_nn.networks import model_dir
from sleap_nn.networks.network import PoseNetwork, initialise
from sleap_nn.networks.weights import fill_matching, load_encoder_weights
from sleap_nn.structures.sample import Batch
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import Task
from sleap_nn.training import engine, launch, run_folder
from sleap_nn.training.callbacks.guards import CollapseWatch
from sleap_nn.training.checkpoints import Position, check_fits
from sleap_nn.training.devices import Devices
from sleap_nn.training.handover import Outcome, Progress
from sleap_nn.training.loading import Loaders
from sleap_nn.training.module import TrainingModule
from sleap_nn.training.plan import Plan, fingerprint, with_seed
from sleap_nn.training.resolve import resolve
from sleap_nn.training.run_folder import resume_point
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
        peak_height: Largest confidence map value on the validation set at the end, NaN before.
        team: The processes that train together with this one; for most trainings it stands alone.
    """

    def __init__(
        self,
        config: TrainingJobConfig | DictConfig | dict | str | Path | None,
        train_labels: Sequence[Labels] | None = None,
        val_labels: Sequence[Labels] | None = None,
    ) -> None:
        """Read the labels, split them, and fill in what the configuration leaves open.

        Args:
            config: The configuration, or the path of its YAML file; of several processes that train together only the
                first needs it.
            train_labels: Labels to train on, in place of the files of the configuration.
            val_labels: Labels to validate on; without them a part of the training labels is set aside.

        Raises:
            ConfigError: The configuration is wrong, or contradicts the labels.
            DataError: The labels cannot be used.
            MissingFileError: A labels file or video is not there.
        """
        self.run_dir: Path | None = None
        self.lightning_model: TrainingModule | None = None
        self.trainer: pl.Trainer | Progress | None = None
        self.peak_height = float("nan")
        self.team = current_team()
        self._given = (train_labels, val_labels)
        with self.team.guard():
            if self.team.decides("plan"):
                plan, data = self._decide(config)
                self.team.publish("plan", plan.to_dict())
            else:
                plan = Plan.from_dict(self.team.take("plan"))
                data = TrainingData.from_config(plan.seeded, *self._given)
            self._fingerprint = fingerprint(data)
            self._check_same(self._fingerprint)
            pl.seed_everything(plan.seed, workers=True, verbose=False)
            self._initial, self.job, self._seed = plan.initial, plan.job, plan.seed
            self._resume, self._position = plan.resume, plan.position
            self.task = self._task(data.train.set.skeleton)
            self.data = data.with_classes(self.task.classes)

    @classmethod
    def get_model_trainer_from_config(
        cls,
        config: TrainingJobConfig | DictConfig | dict | str | Path,
        train_labels: Sequence[Labels] | None = None,
        val_labels: Sequence[Labels] | None = None,
    ) -> ModelTrainer:
        """Return a trainer that is ready to `train`; arguments and errors as for the constructor."""
        return cls(config, train_labels, val_labels)

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
        if self.starts_processes:
            self.train_in_processes(evaluate=False)
            return
        with self.team.guard():
            self._fit(self._devices())

    @property
    def starts_processes(self) -> bool:
        """Whether several devices train, in processes that this one has to start.

        Raises:
            ConfigError: There are not so many devices.
        """
        return self.team.is_alone and self._devices().count > 1

    def train_in_processes(self, evaluate: bool) -> None:
        """Train in processes of this machine, one a device, and take over what they end with.

        Args:
            evaluate: Whether the first of them also predicts and evaluates, as `sleap_nn.train.run_training` does.

        Raises:
            UserError: As `train`; the error is the one that a process had.
        """
        devices = self._devices()
        self._take(launch.train_in_processes(devices.count, self._decisions(devices), self._given, evaluate))

    def _fit(self, devices: Devices) -> None:
        """Fit the network in this process, together with those of its team."""
        settings = self.job.trainer_config
        network = self._network()
        if settings.channels_last and not devices.is_divided:  # weights are divided in the order of their memory
            network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.job.model_config.total_params = network.num_parameters
        settings.trainer_accelerator, settings.precision = devices.accelerator, devices.precision
        settings.trainer_devices = devices.as_stored(settings)
        self._prepare_run_folder()
        if self._resume is not None and self.team.is_first:
            check_fits(self._resume, network)
        self.lightning_model = TrainingModule(self.task, network, settings, self._seed)
        place = self.team.place
        loaders = Loaders.from_config(settings, self.datasets(), self._seed, self._position, place)
        self.lightning_model.num_own_val_batches = loaders.num_own_val_batches
        if loaders.first.batch != self._position.batch:
            self.lightning_model.first_batch = loaders.first.batch
        watch = CollapseWatch()
        callbacks = [watch, *engine.make_callbacks(settings, self.task, self.run_dir, self._seed, place.size)]
        with self.team.process_group(devices.device(place.local_rank)):
            with engine.quiet():
                self.trainer = engine.make_trainer(settings, callbacks, self.run_dir, devices, self.team)
            self._announce(network)
            try:
                with engine.quiet(), self.team.fetched(self._resume) as resume:
                    engine.fit(self.trainer, self.lightning_model, loaders.train, loaders.val, resume=resume)
            except KeyboardInterrupt:
                if self.run_dir is not None and self.team.is_first:
                    run_folder.remove_unfinished(self.run_dir)
                raise
            weights = whole_weights(self.trainer)
        if weights:
            self._put_together({name.removeprefix("model."): tensor for name, tensor in weights.items()})
        self.peak_height = watch.height
        if self.run_dir is not None and self.team.is_first:
            run_folder.write_configs(self.run_dir, self._initial, self.job)
        self.team.leave()

    def outcome(self) -> Outcome:
        """Return what the training ended with, for a process that has not taken part in it."""
        assert self.trainer is not None and self.lightning_model is not None
        metrics = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        progress = Progress(self.trainer.current_epoch, self.trainer.global_step, metrics)
        weights = {name: tensor.cpu() for name, tensor in self.lightning_model.model.state_dict().items()}
        return Outcome(self.job, self.run_dir, weights, self.peak_height, progress)

    def _take(self, outcome: Outcome) -> None:
        """Take over what other processes ended with, as if this one had trained."""
        self.job, self.run_dir = outcome.job, outcome.run_dir
        self.peak_height, self.trainer = outcome.peak_height, outcome.progress
        self._put_together(outcome.weights)

    def _put_together(self, weights: Mapping[str, Tensor]) -> None:
        """Make a network that holds weights from elsewhere."""
        network = PoseNetwork.from_config(self.job.model_config.backbone_config, self.task.heads)
        network.load_state_dict(weights)
        self.lightning_model = TrainingModule(self.task, network, self.job.trainer_config, self._seed)

    def _decide(self, config: TrainingJobConfig | DictConfig | dict | str | Path | None) -> tuple[Plan, TrainingData]:
        """Read configuration and labels, and decide what all processes of the training must have the same."""
        initial = TrainingJobConfig.from_cfg(config)
        check_must_be_set(initial)
        resume = resume_point(initial.trainer_config.resume_ckpt_path)
        position = Position(0) if resume is None else Position.read(resume)
        seed = next_seed(position.seed, initial.trainer_config.seed)
        data = TrainingData.from_config(with_seed(initial, seed), *self._given)
        job = resolve(initial, data.facts(initial), datetime.now())
        return Plan(initial, job, seed, resume, position), data

    def _check_same(self, mine: str) -> None:
        """Refuse labels that are not those of the first process.

        Raises:
            DataError: They differ.
        """
        if self.team.agree("labels", lambda: mine) != mine:
            raise DataError(
                f"The labels that process {self.team.place.rank} reads are not those of the first one, or are divided "
                "differently; give all machines copies of the same labels files."
            )

    def _devices(self) -> Devices:
        """Return the devices that all processes use."""
        settings, num_started = self.job.trainer_config, self.team.num_started
        decided = self.team.agree("devices", lambda: asdict(Devices.from_config(settings, num_started)))
        devices = Devices.from_dict(decided)
        devices.check_here(self.team.place.local_size)
        return devices

    def _decisions(self, devices: Devices) -> dict[str, Any]:
        """Return what processes that this one starts need not decide."""
        plan = Plan(self._initial, self.job, self._seed, self._resume, self._position)
        return {"plan": plan.to_dict(), "labels": self._fingerprint, "devices": asdict(devices)}

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
        load_encoder_weights(network, config.backbone_config)
        for part, path in (
            ("backbone", config.pretrained_backbone_weights),
            ("head_layers", config.pretrained_head_weights),
        ):
            if path is not None:
                fill_matching(network, model_dir.load_weights(Path(path)), part)
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

    def _prepare_run_folder(self) -> None:
        """Make the run folder and write what is known before the first step."""
        settings = self.job.trainer_config
        if not settings.save_ckpt:
            return
        if self.team.decides("run_dir"):
            self.run_dir = run_folder.create(self.job)
            self.team.publish("run_dir", str(self.run_dir.absolute()))
        else:
            self.run_dir = Path(self.team.take("run_dir"))
        settings.run_name = self.run_dir.name
        settings.resume_ckpt_path = None if self._resume is None else str(self._resume)
        if not self.team.is_first:
            return
        if self._resume is not None:
            where = (self._resume, self._position.epoch, self._position.batch)
            logger.info("Going on from %s at epoch %d, batch %d.", *where)
        run_folder.write_configs(self.run_dir, self._initial, self.job)
        only_user = self.job.data_config.user_instances_only
        for split, files in (("train", self.train_labels), ("val", self.val_labels)):
            for index, labels in enumerate(files):
                run_folder.write_ground_truth(self.run_dir, split, index, labels, only_user)
        for index, labels in self.data.test_labels.items():
            run_folder.write_ground_truth(self.run_dir, "test", index, labels, user_instances_only=True)

    def _announce(self, network: PoseNetwork) -> None:
        """Log what is about to be trained."""
        settings = self.job.trainer_config
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


def next_seed(*candidates: int | None) -> int:
    """Return the first seed that is known, else a new one."""
    return next((seed for seed in candidates if seed is not None), secrets.randbits(31))
