"""Options of the training run: devices, loaders, length, files, logging.

Optimizer, schedules, early stopping and hard keypoint mining are declared in `optimization_config` and can be
imported from here as well.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any

from sleap_nn.compat.config_keys import digits_as_number, monitor_name, one_item_list
from sleap_nn.config.checks import device_count, sample_count, worker_count
from sleap_nn.config.fields import Option
from sleap_nn.config.limits import LARGEST_SEED
from sleap_nn.config.optimization_config import (
    CosineAnnealingWarmupConfig,
    EarlyStoppingConfig,
    HardKeypointMiningConfig,
    LinearWarmupLinearDecayConfig,
    LRSchedulerConfig,
    OptimizerConfig,
    ReduceLROnPlateauConfig,
    StepLRConfig,
)
from sleap_nn.config.schema import config_class
from sleap_nn.config.sleap_profiles import section_of

__all__ = [
    "CosineAnnealingWarmupConfig",
    "DataLoaderConfig",
    "EarlyStoppingConfig",
    "EvalConfig",
    "HardKeypointMiningConfig",
    "LRSchedulerConfig",
    "LinearWarmupLinearDecayConfig",
    "ModelCkptConfig",
    "OptimizerConfig",
    "ReduceLROnPlateauConfig",
    "StepLRConfig",
    "TrainDataLoaderConfig",
    "TrainerConfig",
    "ValDataLoaderConfig",
    "WandBConfig",
    "ZMQConfig",
    "trainer_mapper",
]

BatchSize = Annotated[
    int | str,
    Option(
        "Samples in one step, on every device; auto: the largest power of two, up to 32, for which there is memory.",
        check=sample_count,
        convert=digits_as_number,
    ),
]
Shuffle = Annotated[bool, Option("Draw the samples in a new random order in every pass.")]
NumWorkers = Annotated[
    int | str,
    Option(
        "Processes that prepare samples; 0: the training process does it; auto: as many as useful, at most 4.",
        check=worker_count,
        convert=digits_as_number,
    ),
]


@config_class
class DataLoaderConfig:
    """How samples are collected into batches."""

    batch_size: BatchSize = 4
    shuffle: Shuffle = False
    num_workers: NumWorkers = 0


@config_class
class TrainDataLoaderConfig(DataLoaderConfig):
    """How training samples are collected into batches."""

    shuffle: Shuffle = True


@config_class
class ValDataLoaderConfig(DataLoaderConfig):
    """How validation samples are collected into batches."""


@config_class
class ModelCkptConfig:
    """Which weights are kept."""

    save_top_k: Annotated[int, Option("Number of best checkpoints that are kept; 0: none, -1: all.", ge=-1)] = 1
    save_last: Annotated[bool | None, Option("Also keep the newest weights as last.ckpt; null: no.")] = None
    monitor: Annotated[str, Option("Logged value that decides which weights are best.", convert=monitor_name)] = (
        "val/loss"
    )
    mode: Annotated[str, Option("Whether a smaller or a larger value is better.", choices=("min", "max"))] = "min"


@config_class
class ZMQConfig:
    """Messages to and from the program that started the training."""

    controller_port: Annotated[
        int | None, Option("Port on 127.0.0.1 where stop commands are read; null: off.", ge=1, le=65535)
    ] = None
    controller_polling_timeout: Annotated[
        int, Option("Longest wait for a command after every batch in ms; 0: look and go on.", ge=0)
    ] = 10
    publish_port: Annotated[
        int | None, Option("Port on 127.0.0.1 to which progress is sent; null: off.", ge=1, le=65535)
    ] = None


@config_class
class EvalConfig:
    """Metrics of the validation set while training runs."""

    enabled: Annotated[bool, Option("Compute metrics during training.")] = False
    frequency: Annotated[int, Option("Compute them every so many epochs.", ge=1)] = 1
    oks_stddev: Annotated[float, Option("Spread of the object keypoint similarity (OKS).", gt=0)] = 0.025
    oks_scale: Annotated[float | None, Option("Area in px^2 for the OKS; null: the box of every instance.", gt=0)] = (
        None
    )
    match_threshold: Annotated[float, Option("Radius in px within which centroids are matched.", gt=0)] = 50.0
    select_metric: Annotated[str, Option("Metric that selects embedding models.", extension=True, available=False)] = (
        "rank1"
    )


@config_class
class WandBConfig:
    """Logging to Weights & Biases; nothing in this section acts while use_wandb is false."""

    entity: Annotated[str | None, Option("Account or team; null: the login's.")] = None
    project: Annotated[str | None, Option("Project; null: the service's default.")] = None
    name: Annotated[str | None, Option("Name of the run; null: run_name.")] = None
    api_key: Annotated[str | None, Option("Login key, never saved; null: the stored login or WANDB_API_KEY.")] = None
    wandb_mode: Annotated[
        str | None, Option("Where logs go; null: online.", choices=("online", "offline", "disabled"))
    ] = None
    prv_runid: Annotated[str | None, Option("Id of a run to go on with; null: a new run.")] = None
    group: Annotated[str | None, Option("Group of the run; null: none.")] = None
    current_run_id: Annotated[str | None, Option("Id of this run; filled in when it starts.")] = None
    save_viz_imgs_wandb: Annotated[bool, Option("Upload images of predictions.")] = False
    viz_enabled: Annotated[bool, Option("Upload them as rendered images.")] = True
    viz_boxes: Annotated[bool, Option("Upload them as interactive boxes about the keypoints.")] = False
    viz_masks: Annotated[bool, Option("Upload confidence maps as masks over the image.")] = False
    viz_box_size: Annotated[float, Option("Side of those boxes in px.", gt=0)] = 5.0
    viz_confmap_threshold: Annotated[float, Option("Smallest confidence shown in those masks.", ge=0, le=1)] = 0.1
    log_viz_table: Annotated[bool, Option("Upload the images as a table too.")] = False
    delete_local_logs: Annotated[
        bool | None, Option("Delete the local log folder at the end; null: only when online.")
    ] = None


@config_class
class TrainerConfig:
    """How training runs."""

    train_data_loader: Annotated[TrainDataLoaderConfig, Option("Batches for training.")] = field(
        default_factory=TrainDataLoaderConfig
    )
    val_data_loader: Annotated[ValDataLoaderConfig, Option("Batches for validation.")] = field(
        default_factory=ValDataLoaderConfig
    )
    model_ckpt: Annotated[ModelCkptConfig, Option("Which weights are kept.")] = field(default_factory=ModelCkptConfig)
    trainer_devices: Annotated[
        int | str | None,
        Option(
            "Number of devices; auto or null: as many as there are (or as trainer_device_indices has).",
            check=device_count,
            convert=digits_as_number,
        ),
    ] = None
    trainer_device_indices: Annotated[
        list[int] | None,
        Option("Indices of the devices to use; null: those with most free memory.", ge=0),
    ] = None
    trainer_accelerator: Annotated[
        str,
        Option("Kind of device; auto: the fastest there is.", choices=("auto", "cpu", "gpu", "cuda", "mps")),
    ] = "auto"
    trainer_strategy: Annotated[
        str,
        Option(
            "How several devices share the work: ddp (the same weights on every device), "
            "ddp_find_unused_parameters_true, fsdp (every device keeps a part of the weights); auto: ddp."
        ),
    ] = "auto"
    precision: Annotated[
        str,
        Option(
            "Floating-point numbers of the network in training; auto: bf16-mixed where the device computes it "
            "natively, else 16-mixed on CUDA and 32 elsewhere.",
            choices=("auto", "32", "bf16-mixed", "16-mixed"),
            extension=True,
        ),
    ] = "auto"
    channels_last: Annotated[
        bool,
        Option("Keep the channels of a pixel side by side in memory, which GPUs prefer.", extension=True),
    ] = True
    profiler: Annotated[
        str | None,
        Option(
            "Measure where training time goes, into profile files of the run folder; null: off.",
            choices=("simple", "advanced", "pytorch", "passthrough"),
        ),
    ] = None
    compile: Annotated[
        bool,
        Option(
            "Translate the network for the device with torch.compile: a slow start, then quicker steps; without a "
            "compiler training goes on as it is.",
            extension=True,
        ),
    ] = False
    enable_progress_bar: Annotated[bool, Option("Show a progress bar.")] = True
    min_train_steps_per_epoch: Annotated[
        int, Option("Smallest number of steps in an epoch; small data sets are repeated.", ge=0)
    ] = 200
    train_steps_per_epoch: Annotated[
        int | None,
        Option("Steps in an epoch, raised to the minimum; null: one pass over the training data.", ge=1),
    ] = None
    max_epochs: Annotated[int, Option("Number of epochs after which training ends.", ge=1)] = 100
    max_time: Annotated[
        float | None,
        Option(
            "Minutes after which training ends, and a falling learning rate with it; null: no limit.",
            gt=0,
            extension=True,
        ),
    ] = None
    seed: Annotated[
        int | None,
        Option("Seed of all random numbers, the split included; null: not seeded.", ge=0, le=LARGEST_SEED),
    ] = 42
    use_wandb: Annotated[bool, Option("Log to Weights & Biases as wandb says.")] = False
    use_tensorboard: Annotated[
        bool, Option("Log to TensorBoard, into the folder tensorboard of the run.", extension=True)
    ] = False
    save_ckpt: Annotated[bool, Option("Write the run folder: configuration, weights, labels, log and metrics.")] = False
    ckpt_dir: Annotated[str | None, Option("Folder in which run folders are made; null: the working folder.")] = "."
    run_name: Annotated[str | None, Option("Name of the run folder; null or empty: made from date and model type.")] = (
        None
    )
    resume_ckpt_path: Annotated[
        str | None,
        Option("Checkpoint, or run folder, whose training is continued; null: a new training."),
    ] = None
    wandb: Annotated[WandBConfig, Option("Logging to Weights & Biases.")] = field(default_factory=WandBConfig)
    optimizer_name: Annotated[str, Option("Rule by which the weights are updated.", choices=("Adam", "AdamW"))] = "Adam"
    optimizer: Annotated[OptimizerConfig, Option("How a step is made.")] = field(default_factory=OptimizerConfig)
    freeze: Annotated[
        list[str] | None,
        Option(
            "What is not trained: backbone, encoder, decoder, heads, or patterns of weight names such as "
            "backbone.enc.features.0.*; null: nothing.",
            convert=one_item_list,
            extension=True,
        ),
    ] = None
    freeze_epochs: Annotated[
        int | None,
        Option("Epochs after which the parts of freeze are trained too; null: never.", ge=1, extension=True),
    ] = None
    accumulate_grad_batches: Annotated[
        int, Option("Batches whose gradients are added up before a step is made.", ge=1, extension=True)
    ] = 1
    gradient_clip_val: Annotated[
        float | None, Option("Largest norm of the gradient; null: not limited.", gt=0, extension=True)
    ] = None
    ema_decay: Annotated[
        float,
        Option(
            "Share of the old value in the running mean of the weights that is evaluated and saved; 0: no mean.",
            ge=0,
            lt=1,
            extension=True,
        ),
    ] = 0.0
    foreground_weight: Annotated[
        float,
        Option(
            "How strongly the loss weighs the cells near a keypoint against the empty background: a cell counts "
            "1 + foreground_weight x target; 0 is the plain mean squared error, which on large empty images often "
            "ends with maps of zeros.",
            ge=0,
            extension=True,
        ),
    ] = 30.0
    lr_scheduler: Annotated[LRSchedulerConfig | None, Option("Schedule of the learning rate; null: constant.")] = field(
        default_factory=LRSchedulerConfig
    )
    early_stopping: Annotated[EarlyStoppingConfig, Option("When training ends early.")] = field(
        default_factory=EarlyStoppingConfig
    )
    online_hard_keypoint_mining: Annotated[
        HardKeypointMiningConfig | None, Option("Extra loss on the hardest nodes; null: off.")
    ] = field(default_factory=HardKeypointMiningConfig)
    zmq: Annotated[
        ZMQConfig | None,
        Option("Messages to and from the program that started the training; null: off."),
    ] = field(default_factory=ZMQConfig)
    eval: Annotated[EvalConfig, Option("Metrics of the validation set while training runs.")] = field(
        default_factory=EvalConfig
    )
    visualize_preds_during_training: Annotated[
        bool,
        Option("Draw the prediction of a training and a validation sample after every epoch, into viz/ of the run."),
    ] = False
    keep_viz: Annotated[bool, Option("Keep those drawings after training.")] = False
    viz_img_format: Annotated[str, Option("Format of those drawings: png, or jpg for smaller files.")] = "png"


def trainer_mapper(legacy_config: Mapping[str, Any]) -> TrainerConfig:
    """Return this section for a training profile of SLEAP up to 1.4, given as parsed JSON.

    Raises:
        ConfigError: It is no profile, or needs something that does not exist here.
    """
    return section_of(legacy_config, "trainer_config", TrainerConfig)
