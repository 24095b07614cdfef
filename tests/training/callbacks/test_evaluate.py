import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from sleap_nn.config.model_config import SingleInstanceConfig, UNetConfig
from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.errors import TrainingInterruptedError
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.networks.unet import UNet
from sleap_nn.stages.stage import Runtime
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.single_instance import SingleInstance
from sleap_nn.training.callbacks import evaluate, resume_point
from sleap_nn.training.callbacks.evaluate import EpochEvaluation
from sleap_nn.training.callbacks.resume_point import ResumePoint
from sleap_nn.training.module import TrainingModule

NAMES = ("eval/val/a", "eval/val/b")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> TrainingModule:
    """A module that keeps what is logged in `logged`."""
    task = SingleInstance.from_config(SingleInstanceConfig(), Skeleton(("nose",)))
    network = PoseNetwork(UNet(UNetConfig(filters=2, max_stride=2)), task.heads)
    made = TrainingModule(task, network, TrainerConfig())
    monkeypatch.setattr(made, "log", lambda name, value: logged.__setitem__(name, value))
    return made


logged: dict[str, float] = {}


def engine(epoch: int, is_global_zero: bool = True, **settings: Any) -> Any:
    logged.clear()
    strategy = SimpleNamespace(broadcast=lambda values: settings.get("from_first", values))
    return SimpleNamespace(
        current_epoch=epoch,
        is_global_zero=is_global_zero,
        strategy=strategy,
        checkpoint_callbacks=settings.get("callbacks", []),
    )


def predict(runtime: Runtime) -> Iterator[Predictions]:
    yield from (Predictions.empty(FrameKey(0, index), 1) for index in range(3))


def count(found: Iterator[Predictions]) -> Mapping[str, float]:
    return {"eval/val/a": len(list(found)), "eval/val/b": math.nan}


@pytest.mark.parametrize(("frequency", "evaluated"), [(1, [0, 1, 2, 3, 4, 5]), (2, [1, 3, 5]), (4, [3])])
def test_every_so_many_epochs_are_evaluated(module: TrainingModule, frequency: int, evaluated: list[int]) -> None:
    callback = EpochEvaluation(predict, count, NAMES, frequency)
    seen = []
    for epoch in range(6):
        callback.on_validation_epoch_end(engine(epoch), module)
        assert list(logged) == list(NAMES)
        assert math.isnan(logged["eval/val/b"])
        if not math.isnan(logged["eval/val/a"]):
            assert logged["eval/val/a"] == 3
            seen.append(epoch)
    assert seen == evaluated


def test_the_network_of_the_run_is_what_predicts(module: TrainingModule) -> None:
    runtimes = []

    def remember(runtime: Runtime) -> Iterator[Predictions]:
        runtimes.append(runtime)
        return iter([])

    EpochEvaluation(remember, count, NAMES, 1).on_validation_epoch_end(engine(0), module)
    assert runtimes == [module.maps]


def test_other_processes_get_the_values_of_the_first(module: TrainingModule, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [False, False, True]  # the first process goes on, goes on, and is done
    monkeypatch.setattr(evaluate, "on_any_device", lambda wish: answers.pop(0))

    def fail(runtime: Runtime) -> Iterator[Predictions]:
        raise AssertionError("only the first process predicts")

    trainer = engine(0, is_global_zero=False, from_first={"eval/val/a": 0.5, "eval/val/b": 1.0})
    EpochEvaluation(fail, count, NAMES, 1).on_validation_epoch_end(trainer, module)
    assert logged == {"eval/val/a": 0.5, "eval/val/b": 1.0}
    assert answers == []


def test_the_first_process_lets_the_others_know_that_it_goes_on_and_that_it_is_done(
    module: TrainingModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    monkeypatch.setattr(evaluate, "on_any_device", lambda wish: told.append(wish))

    def predict(runtime: Runtime) -> Iterator[Predictions]:
        return (Predictions.empty(FrameKey(0, index), 1) for index in range(2))

    EpochEvaluation(predict, count, NAMES, 1).on_validation_epoch_end(engine(0), module)
    assert told == [False, False, True]


def test_a_run_that_is_told_to_stop_does_not_wait_for_the_end(
    module: TrainingModule, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = [100.0]
    monkeypatch.setattr(resume_point, "time", SimpleNamespace(monotonic=lambda: now[0]))
    point, done = ResumePoint(tmp_path / "resume.ckpt", seed=0), []
    point._stop_since = 100.0

    def slow(runtime: Runtime) -> Iterator[Predictions]:
        for index in range(10):
            now[0] += 1
            done.append(index)
            yield Predictions.empty(FrameKey(0, index), 1)

    with pytest.raises(TrainingInterruptedError, match="--resume"):
        EpochEvaluation(slow, count, NAMES, 1).on_validation_epoch_end(engine(0, callbacks=[point]), module)
    assert len(done) == resume_point.PATIENCE + 1


def test_maps_are_those_of_the_network_as_numbers_of_single_precision(
    module: TrainingModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    import contextlib

    import torch

    plugin = SimpleNamespace(forward_context=contextlib.nullcontext)
    monkeypatch.setattr(TrainingModule, "trainer", SimpleNamespace(precision_plugin=plugin))
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 1, 8, 8), np.uint8))
    with torch.no_grad():
        maps: dict[str, Tensor] = module.maps(images)
        expected = module.model(images)
    torch.testing.assert_close(maps, expected)
    assert maps["confmaps"].dtype == torch.float32
