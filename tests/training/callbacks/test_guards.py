import logging
import math
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from sleap_nn.config.model_config import BottomUpMultiClassConfig, SingleInstanceConfig, UNetConfig
from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.errors import TrainingCollapsedError
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.networks.unet import UNet
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.multi_class_bottomup import MultiClassBottomUp
from sleap_nn.tasks.single_instance import SingleInstance
from sleap_nn.training.callbacks import guards
from sleap_nn.training.callbacks.guards import CollapseWatch, TimeLimit
from sleap_nn.training.collapse import REMEDIES, HeadStrength
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


def engine(epoch: int = 0, max_epochs: int = 100) -> Any:
    return SimpleNamespace(should_stop=False, current_epoch=epoch, max_epochs=max_epochs)


@pytest.fixture(scope="module")
def module() -> TrainingModule:
    task = SingleInstance.from_config(SingleInstanceConfig(), Skeleton(("nose",)))
    network = PoseNetwork(UNet(UNetConfig(filters=2, max_stride=2)), task.heads)
    return TrainingModule(task, network, TrainerConfig())


def end_batch(callback: TimeLimit | CollapseWatch, trainer: Any, outputs: object = 0.0, index: int = 0) -> None:
    callback.on_train_batch_end(trainer, cast(Any, None), outputs, None, index)


def test_a_run_ends_when_its_time_is_over(clock: SimpleNamespace, logged: pytest.LogCaptureFixture) -> None:
    limit, trainer = TimeLimit(minutes=0.5), engine()
    limit.on_train_start(trainer, cast(Any, SimpleNamespace()))
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
    limit.on_train_start(trainer, cast(Any, SimpleNamespace()))
    clock.now += 35
    end_batch(limit, trainer)
    assert not trainer.should_stop
    clock.now += 35
    end_batch(limit, trainer)
    assert trainer.should_stop


def test_a_resumed_run_has_the_rest_of_its_time(clock: SimpleNamespace) -> None:
    first, second, trainer = TimeLimit(minutes=1), TimeLimit(minutes=1), engine()
    assert first.state_dict() == {"used": 0.0, "first_epoch": None, "fitting": math.inf}
    first.on_train_start(trainer, cast(Any, SimpleNamespace()))
    clock.now += 40
    second.load_state_dict(first.state_dict())
    clock.now += 1000
    second.on_train_start(trainer, cast(Any, SimpleNamespace()))
    clock.now += 19
    end_batch(second, trainer)
    assert not trainer.should_stop
    clock.now += 1
    end_batch(second, trainer)
    assert trainer.should_stop


def run_epochs(limit: TimeLimit, module: Any, clock: SimpleNamespace, seconds: list[float], first: int = 0) -> None:
    for epoch, duration in enumerate(seconds, first):
        clock.now += duration
        limit.on_train_epoch_end(engine(epoch, max_epochs=20), module)


def test_the_schedule_ends_with_the_time(clock: SimpleNamespace, logged: pytest.LogCaptureFixture) -> None:
    limit, module = TimeLimit(minutes=2), cast(Any, SimpleNamespace())
    limit.on_train_start(engine(max_epochs=20), module)
    assert module.num_epochs == 20
    run_epochs(limit, module, clock, [30.0])
    assert module.num_epochs == 20  # one epoch says nothing: it decoded the frames
    run_epochs(limit, module, clock, [10.0], first=1)
    assert module.num_epochs == 10  # of 120 s 40 are used; the rest has room for 8 of 10 s
    run_epochs(limit, module, clock, [30.0], first=2)
    assert module.num_epochs == 5.5  # 50 s are left for epochs of 20 s
    assert [record.getMessage() for record in logged.records] == [
        "About 10 of 20 epochs fit into 2 minutes; a learning rate that falls to an end does so by then."
    ]


def test_enough_time_leaves_the_schedule_alone(clock: SimpleNamespace, logged: pytest.LogCaptureFixture) -> None:
    limit, module = TimeLimit(minutes=60), cast(Any, SimpleNamespace())
    limit.on_train_start(engine(max_epochs=20), module)
    run_epochs(limit, module, clock, [30.0, 0.0, 10.0, 10.0])
    assert module.num_epochs == 20
    assert not logged.records


def test_a_resumed_run_knows_how_many_epochs_fit(clock: SimpleNamespace) -> None:
    first, second = TimeLimit(minutes=2), TimeLimit(minutes=2)
    before, after = cast(Any, SimpleNamespace()), cast(Any, SimpleNamespace())
    first.on_train_start(engine(max_epochs=20), before)
    run_epochs(first, before, clock, [30.0, 10.0])
    second.load_state_dict(first.state_dict())
    clock.now += 1000
    second.on_train_start(engine(max_epochs=20), after)
    assert after.num_epochs == before.num_epochs == 10
    run_epochs(second, after, clock, [10.0], first=2)
    assert after.num_epochs == 10


def test_a_state_of_an_earlier_version_says_only_the_time(clock: SimpleNamespace) -> None:
    limit, module = TimeLimit(minutes=1), cast(Any, SimpleNamespace())
    limit.load_state_dict({"used": 59.0})
    limit.on_train_start(engine(max_epochs=20), module)
    assert module.num_epochs == 20


def validate(watch: CollapseWatch, module: TrainingModule, heights: list[float], **metrics: float) -> None:
    for epoch, height in enumerate(heights):
        module.strengths = {"confmaps": torch.tensor(height)}
        trainer = engine(epoch)
        trainer.callback_metrics = {"val/loss": torch.tensor(0.5)} | {
            f"val/{name}": torch.tensor(value) for name, value in metrics.items()
        }
        watch.on_validation_epoch_end(trainer, module)
        watch.on_validation_end(trainer, module)


def test_flat_maps_are_reported_after_the_patience_once(
    module: TrainingModule, logged: pytest.LogCaptureFixture
) -> None:
    watch = CollapseWatch(patience=3)
    assert watch.strengths == ()
    validate(watch, module, [0.01, 0.02])
    assert not logged.records
    validate(watch, module, [0.01, 0.02, 0.0312, 0.03, 0.03, 0.03])
    (record,) = logged.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "After 3 epochs the highest value of the confidence maps is 0.031 of 1: they have not risen. " + REMEDIES
    )


def test_maps_that_have_risen_are_no_news(module: TrainingModule, logged: pytest.LogCaptureFixture) -> None:
    validate(CollapseWatch(patience=2), module, [0.0, 0.1, 0.0])
    assert not logged.records


def test_the_strengths_are_those_of_the_last_validation(module: TrainingModule) -> None:
    watch = CollapseWatch()
    validate(watch, module, [0.9, 0.4])
    assert watch.strengths == (HeadStrength("confmaps", "confidence maps", pytest.approx(0.4)),)


def identity_module() -> TrainingModule:
    config = BottomUpMultiClassConfig()
    config.class_maps.classes = ["a", "b"]
    task = MultiClassBottomUp.from_config(config, Skeleton(("nose",)))
    network = PoseNetwork(UNet(UNetConfig(filters=2, max_stride=2)), task.heads)
    return TrainingModule(task, network, TrainerConfig())


@pytest.mark.parametrize(("maps", "accuracy", "word"), [(0.02, 0.9, "flat class maps"), (0.9, 0.5, "right in 50%")])
def test_heads_of_no_use_are_named_at_the_end(
    maps: float, accuracy: float, word: str, logged: pytest.LogCaptureFixture
) -> None:
    module, watch, trainer = identity_module(), CollapseWatch(), engine(9)
    module.strengths = {"confmaps": torch.tensor(0.9), "class_maps": torch.tensor(maps)}
    trainer.callback_metrics = {"val/class_accuracy": torch.tensor(accuracy)}
    watch.on_validation_epoch_end(trainer, module)
    watch.on_train_end(trainer, module)
    (text,) = logged.messages
    assert word in text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [torch.tensor, lambda value: {"loss": torch.tensor(value)}], ids=["tensor", "dict"])
@pytest.mark.parametrize("event", ["next batch", "validation", "end"])
def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(
    value: float, wrap: Any, event: str, module: TrainingModule
) -> None:
    watch = CollapseWatch()
    end_batch(watch, engine(4), 0.5, 16)
    end_batch(watch, engine(4), wrap(value), 17)
    with pytest.raises(
        TrainingCollapsedError, match=rf"loss became {value} in epoch 4, batch 17; lower .*optimizer\.lr"
    ):
        if event == "next batch":
            end_batch(watch, engine(4), 0.5, 18)
        elif event == "validation":
            watch.on_validation_start(engine(4), module)
        else:
            watch.on_train_end(engine(4), module)


def test_a_loss_that_is_a_number_is_let_through() -> None:
    watch = CollapseWatch()
    for loss in (torch.tensor(0.0), {"loss": torch.tensor(1e30)}, 0.5):
        end_batch(watch, engine(), loss)


def test_a_first_validation_without_a_loss_ends_the_run(module: TrainingModule) -> None:
    trainer = engine(0)
    trainer.callback_metrics = {}
    with pytest.raises(TrainingCollapsedError, match=r"no numbers \(epoch 0\); .*precision=32"):
        CollapseWatch().on_validation_end(trainer, module)


@pytest.mark.parametrize("kind", ["output", "loss"])
def test_validations_without_numbers_warn_once_and_then_end_the_run(
    module: TrainingModule, logged: pytest.LogCaptureFixture, kind: str
) -> None:
    watch = CollapseWatch()
    height, metrics = (math.nan, {}) if kind == "output" else (0.5, {"loss": math.inf})
    validate(watch, module, [height, height], **metrics)
    assert len(logged.messages) == 1
    validate(watch, module, [0.5])
    validate(watch, module, [height, height], **metrics)
    assert len(logged.messages) == 2
    with pytest.raises(TrainingCollapsedError, match="no numbers"):
        validate(watch, module, [height], **metrics)
