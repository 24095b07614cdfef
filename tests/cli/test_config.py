import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from omegaconf import OmegaConf

from sleap_nn.cli import cli
from sleap_nn.config.data_config import data_mapper
from sleap_nn.config.model_config import model_mapper
from sleap_nn.config.trainer_config import trainer_mapper
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError


def test_schema_is_json_that_describes_a_training_configuration():
    result = CliRunner().invoke(cli, ["config", "--schema"])
    assert result.exit_code == 0
    assert {"data_config", "model_config", "trainer_config"} <= set(json.loads(result.stdout)["properties"])


def test_schema_accepts_what_the_package_accepts():
    schema = json.loads(CliRunner().invoke(cli, ["config", "--schema"]).stdout)
    config = {"trainer_config": {"max_epochs": 3}}
    jsonschema.validate(config, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"trainer_config": {"max_epochs": "many"}}, schema)


def test_reference_is_markdown():
    result = CliRunner().invoke(cli, ["config", "--reference"])
    assert result.exit_code == 0
    assert result.stdout.startswith("# Configuration reference\n")


@pytest.mark.parametrize("args", [[], ["--schema", "--reference"]])
def test_one_output_has_to_be_chosen(args):
    result = CliRunner().invoke(cli, ["config", *args])
    assert result.exit_code == 2
    assert "--schema, --reference and --from-sleap" in result.stderr


PROFILE = Path(__file__).parents[1] / "golden" / "legacy_config_mapping.json"


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps(json.loads(PROFILE.read_text())["legacy"]))
    return path


def test_a_profile_of_sleap_becomes_yaml_and_every_key_is_listed(profile):
    result = CliRunner().invoke(cli, ["config", "--from-sleap", str(profile)])
    assert result.exit_code == 0
    config = TrainingJobConfig.from_cfg(OmegaConf.create(result.stdout))
    head = config.model_config.head_configs.centered_instance
    assert head is not None
    assert head.confmaps is not None
    assert head.confmaps.sigma == 2.5
    assert "dropped       data.preprocessing.pad_to_stride" in result.stderr
    assert "adapted       optimization.augmentation_config.gaussian_noise_mean" in result.stderr


def test_a_profile_can_be_written_and_loaded(profile, tmp_path):
    output = tmp_path / "new" / "config.yaml"
    result = CliRunner().invoke(cli, ["config", "--from-sleap", str(profile), "-o", str(output)])
    assert (result.exit_code, result.stdout) == (0, f"Saved config to: {output}\n")
    assert TrainingJobConfig.load(output).trainer_config.run_name == "run1"
    assert TrainingJobConfig.load_sleap_config(profile).trainer_config.run_name == "run1"
    assert TrainingJobConfig.load_sleap_config_from_json(profile.read_text()).trainer_config.run_name == "run1"


def test_sections_of_a_profile(profile):
    legacy = json.loads(profile.read_text())
    assert data_mapper(legacy).preprocessing.crop_size == 160
    assert model_mapper(legacy).backbone_config.which_oneof_attrib_name() == "unet"
    assert trainer_mapper(legacy).max_epochs == 100


def test_an_output_needs_a_profile():
    result = CliRunner().invoke(cli, ["config", "--schema", "-o", "x.yaml"])
    assert result.exit_code == 2


def test_a_file_that_is_no_profile_is_refused(tmp_path):
    path = tmp_path / "other.json"
    path.write_text("{}")
    result = CliRunner().invoke(cli, ["config", "--from-sleap", str(path)])
    assert isinstance(result.exception, ConfigError) or result.exit_code == 1
    assert "no training profile of SLEAP" in (result.stderr + str(result.exception))
