"""Options of the optimisation: optimizer, learning-rate schedules, early stopping, hard keypoint mining."""

from dataclasses import field
from typing import Annotated, Any

from sleap_nn.config.checks import written_as_float
from sleap_nn.config.fields import Option
from sleap_nn.config.schema import config_class

WarmupEpochs = Annotated[int, Option("Epochs in which the rate rises from warmup_start_lr to optimizer.lr.", ge=0)]
ScheduleEpochs = Annotated[
    int | None, Option("Epoch at which the schedule ends; null: trainer_config.max_epochs.", gt=0)
]
WarmupStart = Annotated[float, Option("Learning rate of the first epoch.", ge=0)]


@config_class
class OptimizerConfig:
    """How a step is made."""

    lr: Annotated[float, Option("Learning rate at the start.", gt=0)] = 1e-4
    amsgrad: Annotated[bool, Option("Use the AMSGrad variant of the optimizer.")] = False
    weight_decay: Annotated[
        float | None,
        Option(
            "How strongly a step pulls weights towards 0; null: the optimizer's own value, 0 for Adam and 0.01 for "
            "AdamW.",
            ge=0,
            extension=True,
        ),
    ] = None
    backbone_lr_scale: Annotated[
        float,
        Option("Factor on the learning rate of the backbone; the heads keep lr.", gt=0, extension=True),
    ] = 1.0
    layer_decay: Annotated[
        float | None,
        Option(
            "Factor on the learning rate from block to block of the backbone, going from the heads towards the image; "
            "null: none.",
            gt=0,
            le=1,
            extension=True,
        ),
    ] = None


@config_class
class StepLRConfig:
    """Multiply the learning rate by a factor every few epochs."""

    step_size: Annotated[int, Option("Epochs between two changes.", gt=0)] = 10
    gamma: Annotated[float, Option("Factor of every change.", gt=0)] = 0.1


@config_class
class ReduceLROnPlateauConfig:
    """Reduce the learning rate when val/loss stops falling."""

    threshold: Annotated[float, Option("Smallest fall of val/loss that counts as one.", ge=0)] = 1e-6
    threshold_mode: Annotated[
        str,
        Option("Whether threshold is a difference or a fraction of the best value.", choices=("abs", "rel")),
    ] = "abs"
    cooldown: Annotated[int, Option("Epochs after a reduction that are not counted.", ge=0)] = 3
    patience: Annotated[int, Option("Epochs without a fall before the rate is reduced.", ge=0)] = 5
    factor: Annotated[float, Option("Factor of a reduction.", gt=0, lt=1)] = 0.5
    min_lr: Annotated[
        Any,
        Option(
            "Learning rate below which it is not reduced; a list: one for every parameter group.",
            ge=0,
            accepts=float | list[float],
            convert=written_as_float,
        ),
    ] = 1e-8


@config_class
class CosineAnnealingWarmupConfig:
    """Raise the learning rate linearly, then let it fall along half a cosine."""

    warmup_epochs: WarmupEpochs = 5
    max_epochs: ScheduleEpochs = None
    warmup_start_lr: WarmupStart = 0.0
    eta_min: Annotated[float, Option("Learning rate at the end.", ge=0)] = 0.0


@config_class
class LinearWarmupLinearDecayConfig:
    """Raise the learning rate linearly, then let it fall linearly."""

    warmup_epochs: WarmupEpochs = 5
    max_epochs: ScheduleEpochs = None
    warmup_start_lr: WarmupStart = 0.0
    end_lr: Annotated[float, Option("Learning rate at the end.", ge=0)] = 0.0


Schedule = CosineAnnealingWarmupConfig | LinearWarmupLinearDecayConfig | StepLRConfig | ReduceLROnPlateauConfig


@config_class
class LRSchedulerConfig:
    """The schedule of the learning rate; of several, the first of cosine, linear, step, plateau acts."""

    step_lr: Annotated[StepLRConfig | None, Option("Reduce the rate every few epochs; null: off.")] = None
    reduce_lr_on_plateau: Annotated[
        ReduceLROnPlateauConfig | None, Option("Reduce the rate when val/loss stops falling; null: off.")
    ] = field(default_factory=ReduceLROnPlateauConfig)
    cosine_annealing_warmup: Annotated[
        CosineAnnealingWarmupConfig | None, Option("Warm-up, then half a cosine; null: off.")
    ] = None
    linear_warmup_linear_decay: Annotated[
        LinearWarmupLinearDecayConfig | None, Option("Warm-up, then a straight line; null: off.")
    ] = None

    def acting(self) -> Schedule | None:
        """Return the section that acts, None where the rate stays as it is."""
        order = (
            self.cosine_annealing_warmup,
            self.linear_warmup_linear_decay,
            self.step_lr,
            self.reduce_lr_on_plateau,
        )
        return next((section for section in order if section is not None), None)


@config_class
class EarlyStoppingConfig:
    """When training ends before max_epochs."""

    stop_training_on_plateau: Annotated[bool, Option("End training when val/loss stops falling.")] = True
    min_delta: Annotated[float, Option("Smallest fall of val/loss that counts as one.", ge=0)] = 1e-8
    patience: Annotated[int, Option("Validations without a fall before training ends.", ge=0)] = 10


@config_class
class HardKeypointMiningConfig:
    """An extra loss on the nodes that the model finds hardest."""

    online_mining: Annotated[bool, Option("Add the extra loss.")] = False
    hard_to_easy_ratio: Annotated[
        float, Option("A node is hard when its loss is at least this many times the smallest one.", gt=0)
    ] = 2.0
    min_hard_keypoints: Annotated[int, Option("At least this many nodes count as hard.", ge=0)] = 2
    max_hard_keypoints: Annotated[
        int | None, Option("At most this many nodes count as hard; null: any number.", gt=0)
    ] = None
    loss_scale: Annotated[float, Option("Weight of the extra loss.", ge=0)] = 5.0
