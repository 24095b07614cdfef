from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from sleap_nn.config.data_config import DataConfig, GeometricConfig
from sleap_nn.config.loading import canonical_tree, plain_tree, read_file, resolved, with_defaults
from sleap_nn.config.overrides import split_override
from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError, MissingFileError


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "is not valid YAML"),
        ("a: 1\na: 2", "duplicate key"),
        ("- 1\n- 2", "is not a mapping"),
        ("a: ${b", "cannot be read"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read_file(write(tmp_path / "c.yaml", text))
    assert "c.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_binary_files_are_refused(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="is not a YAML text file"):
        read_file(path)


@pytest.mark.parametrize("name", ["missing.yaml", ""])
def test_missing_files_name_file_and_folder(tmp_path, name):
    with pytest.raises(MissingFileError, match="There is no configuration file") as caught:
        read_file(tmp_path / name)
    assert str(tmp_path.parent) in str(caught.value)


def test_empty_file_and_byte_order_mark(tmp_path):
    assert read_file(write(tmp_path / "c.yaml", "")) == ({}, [])
    assert read_file(write(tmp_path / "d.yaml", "\ufeffname: é")) == ({"name": "é"}, [])


@pytest.fixture
def groups(tmp_path):
    write(tmp_path / "model" / "small.yaml", "backbone_config: {unet: {filters: 8}}\n")
    write(tmp_path / "model" / "big.yaml", "backbone_config: {unet: {filters: 64}}\n")
    write(tmp_path / "base.yaml", "trainer_config: {max_epochs: 3, seed: 1}\n")
    return write(
        tmp_path / "c.yaml",
        "defaults: [base, model@model_config: small]\ntrainer_config: {max_epochs: 7, run_name: '${name}'}\nname: n\n",
    )


def test_defaults_lists_are_composed(groups):
    tree, rest = read_file(groups)
    assert tree["trainer_config"] == {"max_epochs": 7, "seed": 1, "run_name": "${name}"}
    assert tree["model_config"] == {"backbone_config": {"unet": {"filters": 8}}}
    assert "defaults" not in tree
    assert rest == []


def test_overrides_that_choose_a_group_are_used_up(groups):
    tokens = [split_override("model@model_config=big"), split_override("trainer_config.seed=2")]
    tree, rest = read_file(groups, tokens)
    assert tree["model_config"] == {"backbone_config": {"unet": {"filters": 64}}}
    assert rest == tokens[1:]


def test_what_cannot_be_composed_is_refused(groups, tmp_path):
    with pytest.raises(ConfigError, match="model/huge"):
        read_file(groups, [split_override("model@model_config=huge")])
    with pytest.raises(ConfigError, match=r"only works in a file named \*\.yaml"):
        read_file(write(tmp_path / "c.yml", "defaults: [base]\n"))


def test_composing_leaves_no_trace(groups, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    with initialize_config_dir(config_dir=str(tmp_path), version_base="1.3"):
        read_file(groups)
        assert compose("base").trainer_config.max_epochs == 3
    assert Path.cwd() == tmp_path
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "config",
    [
        {"name": "n", "trainer_config": {"seed": "${name}"}},
        OmegaConf.create({"name": "n", "trainer_config": {"seed": "${name}"}}),
    ],
)
def test_references_stay_as_they_are_written(config):
    assert plain_tree(config) == {"name": "n", "trainer_config": {"seed": "${name}"}}


def test_configuration_objects_become_dicts():
    tree = plain_tree({"data_config": DataConfig(validation_fraction=0.2)})
    assert tree["data_config"]["validation_fraction"] == 0.2
    assert plain_tree(DataConfig())["preprocessing"]["scale"] == 1.0


@pytest.mark.parametrize("config", [3, None, [1], TrainingJobConfig, {"a": object()}])
def test_what_is_no_configuration_is_refused(config):
    with pytest.raises(ConfigError, match=r"^(A configuration is|The configuration cannot be read)"):
        plain_tree(config)


def test_contradicting_aliases_are_refused():
    with pytest.raises(ConfigError, match=r"wandb_config and trainer_config\.wandb\.project"):
        canonical_tree({"trainer_config": {"wandb_config": {"project": "a"}, "wandb": {"project": "b"}}})


def test_defaults_are_filled_in_section_by_section():
    tree = with_defaults(DataConfig(), {"augmentation_config": {"intensity": {"contrast_p": 1.0}}, "bad": 1})
    augmentation = tree["augmentation_config"]
    assert augmentation["intensity"]["contrast_p"] == 1.0
    assert augmentation["intensity"]["contrast_max"] == 1.1
    assert augmentation["geometric"] == plain_tree(GeometricConfig())
    assert tree["bad"] == 1
    assert with_defaults(DataConfig(), {"augmentation_config": None})["augmentation_config"] is None
    assert with_defaults(TrainerConfig(), {"wandb": 3})["wandb"] == 3


def test_references_reach_defaults_and_the_environment(monkeypatch):
    monkeypatch.setenv("SOME_NAME", "from outside")
    tree = with_defaults(
        TrainingJobConfig(), {"name": "${oc.env:SOME_NAME}", "trainer_config": {"seed": "${trainer_config.max_epochs}"}}
    )
    filled = resolved(tree)
    assert filled["name"] == "from outside"
    assert filled["trainer_config"]["seed"] == 100


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": {"b": "${c}"}}, r"^a\.b: .*'c' not found\.$"),
        ({"a": "${a}"}, r"^a: "),
        ({"a": {"b": "???"}}, r"^a\.b: Missing mandatory value"),
        ({"a": "${oc.env:NOT_SET_ANYWHERE}"}, "NOT_SET_ANYWHERE"),
        ({"a": "${nothing:1}"}, "nothing"),
    ],
)
def test_references_that_lead_nowhere_are_refused(tree, message):
    with pytest.raises(ConfigError, match=message):
        resolved(tree)
