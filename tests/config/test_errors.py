import pytest
from omegaconf.errors import ConfigKeyError, ValidationError

from sleap_nn.config.errors import UnknownKeyError, WrongTypeError, nearest_path, shown, unknown_key
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError


@pytest.mark.parametrize(("cls", "base"), [(UnknownKeyError, ConfigKeyError), (WrongTypeError, ValidationError)])
def test_errors_are_ours_and_omegaconfs(cls, base):
    error = cls("one sentence")
    assert isinstance(error, ConfigError)
    assert isinstance(error, ValueError)
    assert isinstance(error, base)
    assert str(error) == "one sentence"


@pytest.mark.parametrize(
    ("section", "key", "path"),
    [
        ("trainer_config", "max_epoch", "trainer_config.max_epochs"),
        ("", "trainer_cfg", "trainer_config"),
        ("", "batch_size", "trainer_config.train_data_loader.batch_size"),
        ("trainer_config.val_data_loader", "max_epochs", "trainer_config.max_epochs"),
        ("data_config", "scale", "data_config.preprocessing.scale"),
        ("data_config.preprocessing", "lr", "trainer_config.optimizer.lr"),
        ("trainer_config", "flip_prob", "data_config.augmentation_config.geometric.flip_p"),
        ("trainer_config", "nonsense", None),
        ("model_config.head_configs.bottomup", "edges", "model_config.head_configs.bottomup.pafs.edges"),
    ],
)
def test_the_nearest_key_is_suggested_with_its_path(section, key, path):
    assert nearest_path(TrainingJobConfig, section, key) == path


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("trainer_config.max_epoch", "'max_epoch' in trainer_config; did you mean trainer_config.max_epochs?"),
        ("tariner_config.max_epochs", "'tariner_config' at the top level; did you mean trainer_config?"),
        ("trainer_config.optimizer.momentum", "'momentum' in trainer_config.optimizer; its keys are lr, amsgrad, "),
        ("trainer_config.max_epochs.x", "'x' in trainer_config.max_epochs; it has no keys."),
        ("zzz", "'zzz' at the top level; its keys are data_config, model_config, trainer_config, name, description,"),
    ],
)
def test_unknown_keys_name_key_and_section(path, message):
    assert f"Unknown key {message}" in str(unknown_key(TrainingJobConfig, path))


def test_long_lists_of_keys_are_cut():
    text = str(unknown_key(TrainingJobConfig, "data_config.qqqq"))
    assert text.endswith(", ....")
    assert len(text) < 400


def test_values_are_shown_shortly():
    assert shown(None) == "null"
    assert shown("a") == "'a'"
    assert len(shown("a" * 1000)) == 80
