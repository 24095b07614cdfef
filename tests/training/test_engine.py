import logging
import signal
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.profilers import AdvancedProfiler, PassThroughProfiler, SimpleProfiler

from sleap_nn.config.optimization_config import EarlyStoppingConfig
from sleap_nn.config.trainer_config import ModelCkptConfig, TrainerConfig, ZMQConfig
from sleap_nn.errors import DeviceMemoryError, TrainingInterruptedError
from sleap_nn.training import engine
from sleap_nn.training.callbacks import resume_point
from sleap_nn.training.callbacks.csv_log import CSVLog
from sleap_nn.training.callbacks.epoch_record import EpochRecord
from sleap_nn.training.callbacks.guards import TimeLimit
from sleap_nn.training.callbacks.kept import KeptWeights
from sleap_nn.training.callbacks.listeners import Listeners
from sleap_nn.training.callbacks.live import LiveLog
from sleap_nn.training.callbacks.losses import LossWatch
from sleap_nn.training.callbacks.phases import Phases
from sleap_nn.training.callbacks.progress import ProgressBar
from sleap_nn.training.callbacks.resume_point import ResumePoint
from sleap_nn.training.callbacks.summary import RunSummary
from sleap_nn.training.callbacks.zmq import ZmqListener
from sleap_nn.training.devices import Devices
from sleap_nn.training.place import Place
from sleap_nn.training.team import Team

COLUMNS = ("train/confmaps/nose", "train/confmaps/tail")

ALWAYS = {Phases, ProgressBar, LossWatch, EpochRecord, RunSummary}

Kind = TypeVar("Kind", bound=Callback)


def callbacks(folder: Path | None = None, **settings: Any) -> list[Callback]:
    return engine.make_callbacks(TrainerConfig(**settings), COLUMNS, folder, seed=0, listeners=Listeners())


def only(kind: type[Kind], among: list[Callback]) -> Kind:
    (found,) = [callback for callback in among if isinstance(callback, kind)]
    return found


def kinds(among: list[Callback]) -> set[type]:
    return {type(callback) for callback in among}


def test_without_a_run_folder_nothing_is_written() -> None:
    assert kinds(callbacks()) == {*ALWAYS, EarlyStopping}


def test_a_run_folder_gets_a_log_and_checkpoints(tmp_path: Path) -> None:
    assert kinds(callbacks(tmp_path)) == {*ALWAYS, EarlyStopping, CSVLog, ModelCheckpoint, KeptWeights, ResumePoint}


def test_a_stop_that_is_asked_for_again_and_again_is_not_put_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point, now = only(ResumePoint, callbacks(tmp_path)), [100.0]
    monkeypatch.setattr(resume_point, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    for _ in range(2):
        point._on_signal(signal.SIGTERM, None)
        now[0] += resume_point.PATIENCE - 1
    with pytest.raises(TrainingInterruptedError):
        point.give_way()


def test_the_log_has_the_columns_that_are_given(tmp_path: Path) -> None:
    log = only(CSVLog, callbacks(tmp_path))
    log.on_fit_start(cast(Any, SimpleNamespace(is_global_zero=True)), cast(Any, None))
    header = (tmp_path / "training_log.csv").read_text().strip()
    assert header.endswith("val/time,train/confmaps/nose,train/confmaps/tail")


def test_checkpoints_follow_their_section(tmp_path: Path) -> None:
    plain = only(ModelCheckpoint, callbacks(tmp_path))
    assert (plain.monitor, plain.mode, plain.save_top_k) == ("val/loss", "min", 1)
    assert Path(str(plain.dirpath)) == tmp_path
    assert plain.filename == "best"
    section = ModelCkptConfig(save_top_k=3, monitor="train/loss", mode="max")
    set_up = only(ModelCheckpoint, callbacks(tmp_path, model_ckpt=section))
    assert (set_up.monitor, set_up.mode, set_up.save_top_k) == ("train/loss", "max", 3)


def test_early_stopping_follows_its_section() -> None:
    stopping = only(EarlyStopping, callbacks(early_stopping=EarlyStoppingConfig(True, 0.25, 7)))
    assert (stopping.monitor, stopping.mode, stopping.patience) == ("val/loss", "min", 7)
    assert abs(stopping.min_delta) == 0.25
    assert kinds(callbacks(early_stopping=EarlyStoppingConfig(False))) == ALWAYS


def test_a_time_limit_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TimeLimit not in kinds(callbacks())
    limit = only(TimeLimit, callbacks(max_time=0.5))
    now = [0.0]
    monkeypatch.setattr("sleap_nn.training.callbacks.guards.time", SimpleNamespace(monotonic=lambda: now[0]))
    trainer = cast(Any, SimpleNamespace(should_stop=False, max_epochs=3))
    limit.on_train_start(trainer, cast(Any, SimpleNamespace()))
    now[0] = 31.0
    limit.on_train_batch_end(trainer, cast(Any, None), 0, 0, 0)
    assert trainer.should_stop


def test_averaging_of_the_weights_is_optional() -> None:
    assert WeightAveraging not in kinds(callbacks(ema_decay=0.0))
    assert WeightAveraging in kinds(callbacks(ema_decay=0.9))


def test_somebody_who_listens_is_told_and_may_be_allowed_to_stop_the_run() -> None:
    for zmq, may_stop in (({"publish_port": 9001}, False), ({"controller_port": 9000}, True)):
        settings = TrainerConfig(zmq=ZMQConfig(**zmq))
        listeners = Listeners([ZmqListener(9001, None, 0)])
        live = only(LiveLog, engine.make_callbacks(settings, COLUMNS, None, 0, listeners))
        assert live._may_stop is may_stop


def test_the_summary_goes_with_the_progress_bar() -> None:
    assert RunSummary not in kinds(callbacks(enable_progress_bar=False))


def test_the_best_epoch_is_that_of_the_best_weights() -> None:
    section = ModelCkptConfig(monitor="train/loss", mode="max")
    record = only(EpochRecord, callbacks(model_ckpt=section))
    assert (record._monitor, record._sign) == ("train/loss", -1.0)


@pytest.mark.parametrize("shown", [True, False])
def test_the_progress_bar_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, shown: bool) -> None:
    seen = []
    monkeypatch.setattr(engine, "ProgressBar", lambda show_bar: seen.append(show_bar))
    callbacks(enable_progress_bar=shown)
    assert seen == [shown]


def make_trainer(folder: Path | None = None, precision: str = "32", **settings: Any) -> Any:
    resolved = TrainerConfig(trainer_accelerator="cpu", precision=precision, **settings)
    with engine.quiet():
        return engine.make_trainer(resolved, [], folder, Devices.from_config(resolved), Team(Place()))


def test_the_trainer_follows_the_settings(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, max_epochs=7, gradient_clip_val=0.5, accumulate_grad_batches=3)
    assert trainer.max_epochs == 7
    assert trainer.gradient_clip_val == 0.5
    assert trainer.accumulate_grad_batches == 3
    assert trainer.precision == "32-true"
    assert trainer.num_devices == 1
    assert trainer.default_root_dir == str(tmp_path)
    assert trainer.loggers == []
    assert trainer.progress_bar_callback is None
    assert make_trainer(precision="bf16-mixed").precision == "bf16-mixed"
    assert trainer.checkpoint_callbacks
    assert not make_trainer().checkpoint_callbacks


def test_ctrl_c_comes_out_as_keyboard_interrupt_and_works_again_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)

    class Interrupted:
        interrupted = True

        def fit(self, *_: object, **__: object) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            raise SystemExit(1)

    with pytest.raises(KeyboardInterrupt):
        engine.fit(cast(Any, Interrupted()), cast(Any, None), None, None)
    assert signal.getsignal(signal.SIGINT) is before


def test_what_else_interrupts_like_ctrl_c_keeps_its_kind() -> None:
    class Terminated(KeyboardInterrupt):
        pass

    class Interrupted:
        interrupted = True

        def fit(self, *_: object, **__: object) -> None:
            try:
                raise Terminated
            except KeyboardInterrupt:
                raise SystemExit(1)  # noqa: B904 - as the engine does

    with pytest.raises(Terminated):
        engine.fit(cast(Any, Interrupted()), cast(Any, None), None, None)


def test_an_exit_that_nobody_asked_for_stays_one() -> None:
    class Exiting:
        interrupted = False

        def fit(self, *_: object, **__: object) -> None:
            raise SystemExit(4)

    with pytest.raises(SystemExit, match="4"):
        engine.fit(cast(Any, Exiting()), cast(Any, None), None, None)


def test_the_loaders_reach_the_engine_in_order() -> None:
    seen: list[object] = []

    def fit(*arguments: object, **keywords: object) -> None:
        seen.extend([*arguments, keywords])

    engine.fit(cast(Any, SimpleNamespace(fit=fit)), cast(Any, "module"), "train", "val", Path("a.ckpt"))
    assert seen == ["module", "train", "val", {"ckpt_path": Path("a.ckpt"), "weights_only": True}]


def test_advice_of_the_engine_is_kept_away_and_other_warnings_are_not() -> None:
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    with pytest.raises(UserWarning, match="loss is strange"), engine.quiet():
        assert log.level == logging.WARNING
        warnings.warn("The 'train_dataloader' does not have many workers which may be slow.", stacklevel=1)
        warnings.warn("Your loss is strange.", stacklevel=1)
    assert log.level == level
    with pytest.raises(UserWarning, match="many workers"):
        warnings.warn("It does not have many workers.", stacklevel=1)


def test_a_device_without_memory_is_no_defect() -> None:
    class Full:
        def fit(self, *_: object, **__: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nDetails.")

    with pytest.raises(
        DeviceMemoryError, match=r"Memory ran out \(CUDA out of memory\..* GiB\.\); lower trainer_config"
    ):
        engine.fit(cast(Any, Full()), cast(Any, None), None, None)


@pytest.mark.parametrize(
    ("name", "kind"), [(None, PassThroughProfiler), ("simple", SimpleProfiler), ("advanced", AdvancedProfiler)]
)
def test_the_profiler_is_that_of_the_settings(tmp_path: Path, name: str | None, kind: type) -> None:
    assert type(make_trainer(tmp_path, profiler=name).profiler) is kind
