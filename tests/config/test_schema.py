import dataclasses
import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Annotated

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, ValidationError

import sleap_nn.config
from sleap_nn.config.fields import Option, fields_of
from sleap_nn.config.inference_config import InferenceConfig
from sleap_nn.config.optimization_config import OptimizerConfig
from sleap_nn.config.schema import check_fields
from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.errors import ConfigError

HELPERS = {"Cli", "Option", "Field", "OptionField", "Override", "Keyword"}
MODULES = [
    importlib.import_module(f"sleap_nn.config.{module.name}")
    for module in pkgutil.iter_modules(sleap_nn.config.__path__)
]
CLASSES = sorted(
    {
        cls
        for module in MODULES
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if dataclasses.is_dataclass(cls) and cls.__module__ == module.__name__ and name not in HELPERS
    },
    key=lambda cls: cls.__name__,
)


def test_the_classes_are_found():
    assert len(CLASSES) >= 60
    assert {"DataConfig", "UNetLargeRFConfig", "TrainingJobConfig", "TrackerConfig"} <= {
        cls.__name__ for cls in CLASSES
    }


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_omegaconf_accepts_class_and_instance(cls):
    of_class, of_instance = OmegaConf.structured(cls), OmegaConf.structured(cls())
    assert list(of_class) == list(of_instance) == [field.name for field in fields_of(cls)]
    assert OmegaConf.to_container(of_instance) == dataclasses.asdict(cls())


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_defaults_obey_their_own_declarations(cls):
    defaults = {field.name: field.default for field in fields_of(cls)}
    assert cls(**defaults) == cls()
    for field in fields_of(cls):
        assert field.option.problem(field.default) is None, field.name
        if field.option.choices and field.option.available_values is not None:
            assert set(field.option.available_values) <= set(field.option.choices) | {None}


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"lr": -1}, ValueError, "OptimizerConfig.lr must be above 0, not -1.0."),
        ({"lr": "fast"}, ValidationError, "OptimizerConfig.lr must be a number, not 'fast'."),
        ({"lr": None}, ValidationError, "OptimizerConfig.lr must be a number, not null."),
        ({"lr": True}, ValidationError, "OptimizerConfig.lr must be a number, not True."),
        ({"lr": float("nan")}, ValueError, "OptimizerConfig.lr must be a finite number, not nan."),
        (
            {"learning": 1},
            ConfigKeyError,
            "Unknown key 'learning' in OptimizerConfig; its keys are lr, amsgrad, weight_decay, backbone_lr_scale, "
            "layer_decay.",
        ),
        (
            {"amsgrd": True},
            ConfigKeyError,
            "Unknown key 'amsgrd' in OptimizerConfig; did you mean OptimizerConfig.amsgrad?",
        ),
    ],
)
def test_constructors_report_in_one_sentence(values, error, message):
    with pytest.raises(ConfigError) as caught:
        OptimizerConfig(**values)
    assert isinstance(caught.value, error)
    assert str(caught.value) == message


def test_assignments_are_checked_too():
    optimizer = OptimizerConfig()
    optimizer.lr = 1
    assert optimizer.lr == 1.0
    assert isinstance(optimizer.lr, float)
    with pytest.raises(ConfigError, match=r"OptimizerConfig\.lr must be above 0"):
        optimizer.lr = 0
    with pytest.raises(ConfigKeyError, match="'learning_rate' in OptimizerConfig"):
        optimizer.learning_rate = 1e-3
    assert optimizer == OptimizerConfig(lr=1.0)


def test_values_are_converted_to_their_type():
    trainer = TrainerConfig(precision=32, run_name=20260101, ckpt_dir=Path("models"), max_epochs="7")
    assert (trainer.precision, trainer.run_name, trainer.ckpt_dir, trainer.max_epochs) == (
        "32",
        "20260101",
        "models",
        7,
    )


def test_mappings_become_sections():
    assert TrainerConfig(optimizer={"lr": 0.1}).optimizer == OptimizerConfig(lr=0.1)


@dataclasses.dataclass(frozen=True)
class Quick:
    """A dataclass that does not import pydantic by itself."""

    side: Annotated[int, Option("Side in px.", gt=0, none_is_default=True)] = 5

    def __post_init__(self):
        check_fields(self)


def test_plain_dataclasses_are_checked_in_place():
    assert Quick(side="3").side == 3
    assert Quick(side=None).side == 5
    with pytest.raises(ConfigError, match=r"^side must be above 0, not 0.$"):
        Quick(side=0)
    with pytest.raises(ValidationError, match=r"^side must be a whole number, not 'x'.$"):
        Quick(side="x")


def test_frozen_configurations_stay_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        InferenceConfig().batch_size = 3  # type: ignore[misc]
