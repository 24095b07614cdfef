import logging
import math
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from sleap_nn.config.model_config import SingleInstanceConfig, UNetConfig
from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.errors import TrainingCollapsedError
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.networks.unet import UNet
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.single_instance import SingleInstance
from sleap_nn.training.callbacks import guards
from sleap_nn.training.callbacks.guards import REMEDIES, CollapseWatch, TimeLimit
from sleap_nn.training.module import TrainingModule


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.INFO, logger="sleap_nn")
    return caplog


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Replace the clock by one that is moved by hand."""
    made = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(guards, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def engine(epoch: int = 0) -> Any:
    return SimpleNamespace(should_stop=False, current_epoch=epoch)


@pytest.fixture(scope="module")
def module() -> TrainingModule:
    task = SingleInstance.from_config(SingleInstanceConfig(), Skeleton(("nose",)))
    network = PoseNetwork(UNet(UNetConfig(filters=2, max_stride=2)), task.heads)
    return TrainingModule(task, network, TrainerConfig())


def end_batch(callback: TimeLimit | CollapseWatch, trainer: Any, outputs: object = 0.0, index: int = 0) -> None:
    callback.on_train_batch_end(trainer, cast(Any, None), outputs, None, index)


def test_a_run_ends_when_its_time_is_over(clock: SimpleNamespace, logged: pytest.LogCaptureFixture) -> None:
    limit, trainer = TimeLimit(minutes=0.5), engine()
    limit.on_train_start(trainer, cast(Any, None))
    for seconds, is_over in ((0, False), (29.9, False), (0.1, True)):
        clock.now += seconds
        end_batch(limit, trainer)
        assert trainer.should_stop is is_over
    end_batch(limit, trainer)
    assert [record.getMessage() for record in logged.records] == [
        "The time limit of 0.5 minutes is reached; training ends here."
    ]


def test_the_clock_starts_with_the_first_epoch_and_runs_on(clock: SimpleNamespace) -> None:
    limit, trainer = TimeLimit(minutes=1), engine()
    clock.now += 500
    end_batch(limit, trainer)
    assert not trainer.should_stop
    limit.on_train_start(trainer, cast(Any, None))
    clock.now += 35
    end_batch(limit, trainer)
    assert not trainer.should_stop
    clock.now += 35
    end_batch(limit, trainer)
    assert trainer.should_stop


def test_a_resumed_run_has_the_rest_of_its_time(clock: SimpleNamespace) -> None:
    first, second, trainer = TimeLimit(minutes=1), TimeLimit(minutes=1), engine()
    assert first.state_dict() == {"used": 0.0}
    first.on_train_start(trainer, cast(Any, None))
    clock.now += 40
    second.load_state_dict(first.state_dict())
    clock.now += 1000
    second.on_train_start(trainer, cast(Any, None))
    clock.now += 19
    end_batch(second, trainer)
    assert not trainer.should_stop
    clock.now += 1
    end_batch(second, trainer)
    assert trainer.should_stop


def validate(watch: CollapseWatch, module: TrainingModule, heights: list[float]) -> None:
    for epoch, height in enumerate(heights):
        module.peak_height = height
        watch.on_validation_epoch_end(engine(epoch), module)


def test_flat_maps_are_reported_after_the_patience_once(
    module: TrainingModule, logged: pytest.LogCaptureFixture
) -> None:
    watch = CollapseWatch(patience=3)
    assert math.isnan(watch.height)
    validate(watch, module, [0.01, 0.02])
    assert not logged.records
    validate(watch, module, [0.01, 0.02, 0.0312, 0.03, 0.03, 0.03])
    (record,) = logged.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "After 3 epochs the highest confidence map value is 0.031 of 1: the maps have not risen. " + REMEDIES
    )


def test_the_remedies_name_the_settings() -> None:
    for key in ("foreground_weight", "sigma", "output_stride", "preprocessing.scale", "optimizer.lr", "epochs"):
        assert key in REMEDIES


def test_maps_that_have_risen_are_no_news(module: TrainingModule, logged: pytest.LogCaptureFixture) -> None:
    validate(CollapseWatch(patience=2), module, [0.0, 0.1, 0.0])
    assert not logged.records


def test_the_height_is_that_of_the_last_validation(module: TrainingModule) -> None:
    watch = CollapseWatch()
    validate(watch, module, [0.9, 0.4])
    assert watch.height == 0.4


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [torch.tensor, lambda value: {"loss": torch.tensor(value)}], ids=["tensor", "dict"])
def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(value: float, wrap: Any) -> None:
    with pytest.raises(
        TrainingCollapsedError, match=rf"loss became {value} in epoch 4, batch 17; lower .*optimizer\.lr"
    ):
        end_batch(CollapseWatch(), engine(4), wrap(value), 17)


def test_a_loss_that_is_a_number_is_let_through() -> None:
    for loss in (torch.tensor(0.0), {"loss": torch.tensor(1e30)}):
        end_batch(CollapseWatch(), engine(), loss)
