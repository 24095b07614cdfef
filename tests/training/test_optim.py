import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from small_backbones import section
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from sleap_nn.config.trainer_config import (
    CosineAnnealingWarmupConfig,
    LinearWarmupLinearDecayConfig,
    LRSchedulerConfig,
    OptimizerConfig,
    StepLRConfig,
    TrainerConfig,
)
from sleap_nn.errors import ConfigError, ModelError
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.networks.network import BACKBONES, PoseNetwork
from sleap_nn.training.optim import check_groups, make_optimizer, make_schedule, parameter_groups

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "lr_schedules.json").read_text())
BASE = GOLDEN["base_lr"]


def rates(config: LRSchedulerConfig | None, num_epochs: int, losses: list[float] | None = None) -> list[float]:
    """Return the rate of each epoch."""
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    schedule = make_schedule(optimizer, config, lambda: 100)
    used = []
    for epoch in range(num_epochs):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if isinstance(schedule, ReduceLROnPlateau):
            assert losses is not None
            schedule.step(losses[epoch])
        elif schedule is not None:
            schedule.step()
    return used


def without_plateau(**section: object) -> LRSchedulerConfig:
    return LRSchedulerConfig(**{"reduce_lr_on_plateau": None, **section})


def golden_section(name: str, fields: tuple[str, ...]) -> dict:
    return {field: GOLDEN[name][field] for field in fields}


def test_cosine_follows_the_golden_rates() -> None:
    fields = ("warmup_epochs", "max_epochs", "warmup_start_lr", "eta_min")
    section = CosineAnnealingWarmupConfig(**golden_section("cosine", fields))
    expected = GOLDEN["cosine"]["lr_by_epoch"]
    # Both are present: cosine counts before the plateau.
    both = LRSchedulerConfig(cosine_annealing_warmup=section)
    assert rates(both, len(expected)) == pytest.approx(expected, abs=1e-10)


def test_linear_follows_the_golden_rates() -> None:
    fields = ("warmup_epochs", "max_epochs", "warmup_start_lr", "end_lr")
    section = LinearWarmupLinearDecayConfig(**golden_section("linear", fields))
    expected = GOLDEN["linear"]["lr_by_epoch"]
    config = without_plateau(linear_warmup_linear_decay=section)
    assert rates(config, len(expected)) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    "config",
    [
        without_plateau(cosine_annealing_warmup=CosineAnnealingWarmupConfig(warmup_epochs=2, eta_min=1e-6)),
        without_plateau(linear_warmup_linear_decay=LinearWarmupLinearDecayConfig(warmup_epochs=2, end_lr=1e-6)),
    ],
)
def test_a_run_that_turns_out_shorter_still_ends_at_the_last_rate(config: LRSchedulerConfig) -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    known = [100.0]
    schedule = make_schedule(optimizer, config, lambda: known[0])
    assert isinstance(schedule, LambdaLR)
    used = []
    for epoch in range(12):
        known[0] = 100.0 if epoch < 4 else 10.0
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert used[2] == pytest.approx(BASE)
    assert all(earlier > later for earlier, later in pairwise(used[2:11]))
    assert used[10:] == pytest.approx([1e-6, 1e-6])


@pytest.mark.parametrize("name", ["cosine_annealing_warmup", "linear_warmup_linear_decay"])
def test_a_schedule_with_a_length_of_its_own_keeps_it(name: str) -> None:
    sections = {
        "cosine_annealing_warmup": CosineAnnealingWarmupConfig,
        "linear_warmup_linear_decay": LinearWarmupLinearDecayConfig,
    }
    section = sections[name](warmup_epochs=0, max_epochs=50)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    schedule = make_schedule(optimizer, without_plateau(**{name: section}), lambda: 10)
    assert isinstance(schedule, LambdaLR)
    for _ in range(25):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(BASE / 2)


def test_step_follows_the_golden_rates() -> None:
    config = without_plateau(step_lr=StepLRConfig(**golden_section("step", ("step_size", "gamma"))))
    expected = GOLDEN["step"]["lr_by_epoch"]
    assert rates(config, len(expected)) == pytest.approx(expected)


def test_plateau_follows_the_golden_rates_with_the_default_section() -> None:
    expected = GOLDEN["plateau"]["lr_used_at_epoch"]
    assert rates(LRSchedulerConfig(), len(expected), GOLDEN["plateau"]["val_losses"]) == pytest.approx(expected)


@pytest.mark.parametrize("config", [None, without_plateau()])
def test_no_section_keeps_the_rate(config: LRSchedulerConfig | None) -> None:
    assert rates(config, 4) == [BASE] * 4


def network(name: str = "unet") -> PoseNetwork:
    return PoseNetwork.from_config(section(name, output_stride=2), [ConfidenceMapsHead("A", 3, output_stride=2)])


def rate_of(groups: list[dict], parameter: torch.nn.Parameter) -> float:
    (rate,) = [group["lr"] for group in groups if any(parameter is member for member in group["params"])]
    return rate


@pytest.mark.parametrize(
    ("name", "kind", "decay"), [("Adam", torch.optim.Adam, 0.0), ("AdamW", torch.optim.AdamW, 0.01)]
)
def test_the_optimizer_is_what_the_configuration_says(name: str, kind: type, decay: float) -> None:
    trainable = torch.nn.Parameter(torch.zeros(3))
    config = TrainerConfig(optimizer_name=name, optimizer=OptimizerConfig(lr=0.02, amsgrad=True))
    optimizer = make_optimizer([{"params": [trainable], "lr": 0.02}], config)
    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert group["params"] == [trainable]
    assert (group["lr"], group["amsgrad"], group["weight_decay"]) == (0.02, True, decay)
    config.optimizer.weight_decay = 0.3
    assert make_optimizer([{"params": [trainable]}], config).param_groups[0]["weight_decay"] == 0.3


@pytest.mark.parametrize(
    ("precision", "clip", "fused"),
    [
        ("32", None, True),
        ("32", 1.0, True),
        ("bf16-mixed", None, True),
        ("bf16-mixed", 1.0, False),
        ("16-mixed", None, False),
    ],
)
def test_fused_kernels_stand_back_where_gradients_are_clipped_or_scaled(
    precision: str, clip: float | None, fused: bool
) -> None:
    config = TrainerConfig(precision=precision, gradient_clip_val=clip)
    optimizer = make_optimizer([{"params": [torch.nn.Parameter(torch.zeros(3))]}], config)
    assert optimizer.param_groups[0]["fused"] is fused


def test_one_rate_makes_one_group_of_what_is_trainable() -> None:
    net = network()
    first, *others = net.parameters()
    first.requires_grad_(False)
    (group,) = parameter_groups(net, OptimizerConfig(lr=0.5))
    assert group["lr"] == 0.5
    assert list(map(id, group["params"])) == list(map(id, others))


def test_the_backbone_can_learn_more_slowly_than_the_heads() -> None:
    net = network()
    heads, backbone = parameter_groups(net, OptimizerConfig(lr=0.5, backbone_lr_scale=0.1))
    assert (heads["lr"], backbone["lr"]) == (0.5, 0.05)
    assert set(map(id, heads["params"])) == set(map(id, net.head_layers.parameters()))
    assert set(map(id, backbone["params"])) == set(map(id, net.backbone.parameters()))


@pytest.mark.parametrize("name", BACKBONES)
def test_rates_fall_from_the_heads_to_the_image(name: str) -> None:
    net = network(name)
    groups = parameter_groups(net, OptimizerConfig(lr=1.0, backbone_lr_scale=0.5, layer_decay=0.5))
    assert [group["lr"] for group in groups] == sorted((group["lr"] for group in groups), reverse=True)
    assert rate_of(groups, next(net.head_layers.parameters())) == 1.0
    blocks = net.backbone.blocks()
    for index, block in enumerate(blocks):
        for parameter in block.module.parameters():
            assert rate_of(groups, parameter) == 0.5 * 0.5 ** (len(blocks) - index)
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))


@pytest.mark.parametrize(
    "schedule",
    [
        without_plateau(step_lr=StepLRConfig(step_size=2, gamma=0.5)),
        without_plateau(cosine_annealing_warmup=CosineAnnealingWarmupConfig(warmup_epochs=3, warmup_start_lr=1e-5)),
        without_plateau(linear_warmup_linear_decay=LinearWarmupLinearDecayConfig(warmup_epochs=3, end_lr=1e-5)),
        LRSchedulerConfig(),
    ],
)
def test_every_schedule_keeps_the_ratio_of_the_groups(schedule: LRSchedulerConfig) -> None:
    config = TrainerConfig(optimizer=OptimizerConfig(lr=BASE, layer_decay=0.5), lr_scheduler=schedule)
    optimizer = make_optimizer(parameter_groups(network(), config.optimizer), config)
    ratios = [group["lr"] / BASE for group in optimizer.param_groups]
    stepper = make_schedule(optimizer, schedule, lambda: 20)
    assert stepper is not None
    rates_used = set()
    for _ in range(20):
        used = [group["lr"] for group in optimizer.param_groups]
        assert used == pytest.approx([used[0] * ratio for ratio in ratios], rel=1e-6)
        rates_used.add(used[0])
        optimizer.step()
        stepper.step(1.0) if isinstance(stepper, ReduceLROnPlateau) else stepper.step()
    assert len(rates_used) > 2


def test_the_smallest_rate_is_scaled_like_the_rate() -> None:
    config = TrainerConfig(optimizer=OptimizerConfig(lr=BASE, backbone_lr_scale=0.1))
    config.lr_scheduler = LRSchedulerConfig(reduce_lr_on_plateau={"min_lr": 1e-4, "patience": 0, "cooldown": 0})
    optimizer = make_optimizer(parameter_groups(network(), config.optimizer), config)
    stepper = make_schedule(optimizer, config.lr_scheduler, lambda: 100)
    assert isinstance(stepper, ReduceLROnPlateau)
    for _ in range(20):
        stepper.step(1.0)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([1e-4, 1e-5])


def test_a_list_of_smallest_rates_has_one_for_every_group() -> None:
    config = TrainerConfig(lr_scheduler=LRSchedulerConfig(reduce_lr_on_plateau={"min_lr": [1e-4, 1e-5]}))
    optimizer = make_optimizer(parameter_groups(network(), config.optimizer), config)
    with pytest.raises(ConfigError, match=r"min_lr has 2 values, .* in 1 group"):
        make_schedule(optimizer, config.lr_scheduler, lambda: 100)


def test_a_state_of_other_groups_is_refused() -> None:
    net = network()
    saved = [make_optimizer(parameter_groups(net, OptimizerConfig()), TrainerConfig()).state_dict()]
    check_groups(saved, parameter_groups(net, OptimizerConfig(lr=0.3)))
    with pytest.raises(ModelError, match="backbone_lr_scale and layer_decay"):
        check_groups(saved, parameter_groups(net, OptimizerConfig(layer_decay=0.9)))
