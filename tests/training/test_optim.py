import json
from pathlib import Path

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sleap_nn.config.trainer_config import (
    CosineAnnealingWarmupConfig,
    LinearWarmupLinearDecayConfig,
    LRSchedulerConfig,
    OptimizerConfig,
    StepLRConfig,
    TrainerConfig,
)
from sleap_nn.training.optim import make_optimizer, make_schedule

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "lr_schedules.json").read_text())
BASE = GOLDEN["base_lr"]


def rates(config: LRSchedulerConfig | None, num_epochs: int, losses: list[float] | None = None) -> list[float]:
    """Return the rate of each epoch."""
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    schedule = make_schedule(optimizer, config, max_epochs=100)
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


@pytest.mark.parametrize(("name", "kind"), [("Adam", torch.optim.Adam), ("AdamW", torch.optim.AdamW)])
def test_the_optimizer_is_what_the_configuration_says(name: str, kind: type) -> None:
    frozen = torch.nn.Parameter(torch.zeros(2), requires_grad=False)
    trainable = torch.nn.Parameter(torch.zeros(3))
    config = TrainerConfig(optimizer_name=name, optimizer=OptimizerConfig(lr=0.02, amsgrad=True))
    optimizer = make_optimizer([{"params": [trainable]}], config)
    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert group["params"] == [trainable]
    assert (group["lr"], group["amsgrad"]) == (0.02, True)
