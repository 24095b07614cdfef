import inspect
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from listening import Notebook

import sleap_nn.train
from sleap_nn.config.get_config import config_from_train_keywords
from sleap_nn.config.train_keywords import train_keyword_defaults
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError, TrainingInterruptedError
from sleap_nn.train import run_training, train
from sleap_nn.training.callbacks.listeners import Event, Listeners
from sleap_nn.training.run_lock import RunLock

MODEL = {"head_configs": "single_instance", "backbone_config": "unet"}


@pytest.fixture
def configs(monkeypatch: pytest.MonkeyPatch) -> list[TrainingJobConfig]:
    """Keep the configurations that are to be trained with, in place of training."""
    seen: list[TrainingJobConfig] = []
    monkeypatch.setattr(sleap_nn.train, "run_training", seen.append)
    return seen


def test_the_signature_names_every_keyword_with_its_default() -> None:
    parameters = inspect.signature(train).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == train_keyword_defaults()
    assert list(parameters) == list(train_keyword_defaults())
    assert all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters.values())
    assert list(parameters)[:3] == ["train_labels_path", "val_labels_path", "validation_fraction"]


def test_positions_are_the_order_of_the_signature(configs: list[TrainingJobConfig]) -> None:
    assert train(["a.slp"], ["b.slp"], 0.3, **MODEL) is None
    train(train_labels_path=["a.slp"], val_labels_path=["b.slp"], validation_fraction=0.3, **MODEL)
    data = configs[0].data_config
    assert (data.train_labels_path, data.val_labels_path, data.validation_fraction) == (["a.slp"], ["b.slp"], 0.3)
    assert configs[0] == configs[1]


def test_defaults_may_be_given_in_full(configs: list[TrainingJobConfig]) -> None:
    values = train_keyword_defaults() | MODEL | {"train_labels_path": ["a.slp"]}
    train(*values.values())
    train(["a.slp"], **MODEL)
    assert configs[0] == configs[1] == config_from_train_keywords(train_labels_path=["a.slp"], **MODEL)


def test_an_argument_given_twice_is_refused(configs: list[TrainingJobConfig]) -> None:
    with pytest.raises(TypeError, match="one of them twice"):
        train(["a.slp"], train_labels_path=["b.slp"], **MODEL)
    assert configs == []


def test_too_many_arguments_are_refused(configs: list[TrainingJobConfig]) -> None:
    with pytest.raises(TypeError, match="too many positional arguments"):
        train(*[None] * (len(train_keyword_defaults()) + 1))
    assert configs == []


def test_a_keyword_that_does_not_exist_is_a_type_error(configs: list[TrainingJobConfig]) -> None:
    with pytest.raises(TypeError, match="max_epoch"):
        train(["a.slp"], max_epoch=3, **MODEL)
    assert configs == []


def test_a_wrong_value_is_refused_before_anything_is_trained(configs: list[TrainingJobConfig]) -> None:
    with pytest.raises(ConfigError, match="max_epochs"):
        train(["a.slp"], max_epochs=0, **MODEL)
    with pytest.raises(ConfigError, match="head_configs is missing"):
        train(["a.slp"])
    assert configs == []


@pytest.fixture
def fitting(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace the trainer and what follows it; return what they were given."""
    seen: dict[str, Any] = {"run_dir": None, "num_found": 3, "listener": Notebook()}

    class Trainer:
        strengths = ("confmaps at 0.75",)
        starts_processes = False

        def __init__(self, *arguments: object):
            seen["arguments"] = arguments
            self.job, self.run_dir = "job", seen["run_dir"]
            self.listeners = Listeners([seen["listener"]])
            self.lock = RunLock()

        def train(self) -> None:
            seen["trained"] = True
            with self.listeners:
                self.listeners.open()
                self.listeners.wants_stop(wait=False)

    def evaluate(folder: Path, config: object) -> int:
        seen["evaluated"] = (folder, config)
        return seen["num_found"]

    modules = {
        "sleap_nn.training.devices": SimpleNamespace(with_devices=lambda config, num_started: config),
        "sleap_nn.training.model_trainer": SimpleNamespace(ModelTrainer=Trainer),
        "sleap_nn.after_training": SimpleNamespace(
            evaluate_run=evaluate,
            tell_metrics=lambda folder, listeners: listeners.write(Event("evaluated", url=str(folder))),
            refuse_collapsed=lambda *arguments, was_stopped: seen.update(verdict=(*arguments, was_stopped)),
        ),
        "sleap_nn.report": SimpleNamespace(report_after_training=lambda folder: seen.update(reported=folder)),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return seen


def test_a_run_with_a_folder_is_predicted_and_judged(fitting: dict[str, Any]) -> None:
    fitting["run_dir"] = Path("models/run")
    trainer = run_training("config.yaml", ["train"], ["val"])
    assert fitting["arguments"] == ("config.yaml", ["train"], ["val"], None)
    assert fitting["trained"]
    assert fitting["evaluated"] == (Path("models/run"), "job")
    assert fitting["reported"] == Path("models/run")
    assert list(fitting)[-3:] == ["evaluated", "reported", "verdict"], "a network of no use has a report, too"
    assert fitting["verdict"] == (("confmaps at 0.75",), 3, False)
    assert trainer.run_dir == Path("models/run")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_evaluation_that_is_interrupted_can_be_made_up_for(
    fitting: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "resume.ckpt").touch()
    fitting["run_dir"] = tmp_path
    before = signal.getsignal(number)
    after: Any = sys.modules["sleap_nn.after_training"]
    monkeypatch.setattr(after, "evaluate_run", lambda folder, config: signal.raise_signal(number))
    with pytest.raises(TrainingInterruptedError, match=f"sleap-nn train --resume {tmp_path}"):
        run_training("config.yaml")
    assert (tmp_path / "resume.ckpt").exists()
    assert "reported" not in fitting
    assert signal.getsignal(number) is before


def test_a_run_without_a_folder_is_judged_by_its_maps(fitting: dict[str, Any]) -> None:
    run_training({"a": 1})
    assert not {"evaluated", "reported"} & fitting.keys()
    assert fitting["verdict"] == (("confmaps at 0.75",), None, False)


def test_those_who_listen_also_hear_the_metrics(fitting: dict[str, Any]) -> None:
    fitting["run_dir"] = Path("models/run")
    run_training("config.yaml")
    assert fitting["listener"].calls == [
        ("open", None),
        ("wants_stop", False),
        ("write", Event("evaluated", url=str(Path("models/run")))),
        ("close", False),
    ]


def test_the_verdict_knows_that_the_user_stopped_the_run(fitting: dict[str, Any]) -> None:
    fitting["listener"] = Notebook(stop_at=0)
    fitting["run_dir"] = Path("models/run")
    run_training("config.yaml")
    assert fitting["verdict"] == (("confmaps at 0.75",), 3, True)


def test_importing_the_verb_loads_no_training_stack() -> None:
    heavy = ("torch", "lightning", "sleap_io", "numpy", "cv2", "scipy")
    program = f"import sys\nfrom sleap_nn.train import train\nprint([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
