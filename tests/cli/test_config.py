import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from factories import make_labels
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


@pytest.mark.parametrize(
    "args",
    [
        ["--schema", "--reference"],
        ["labels.slp", "--schema"],
        ["--auto", "--reference"],
        ["--from-sleap", "baseline.json", "--show-yaml"],
    ],
)
def test_one_output_has_to_be_chosen(args):
    result = CliRunner().invoke(cli, ["config", *args])
    assert result.exit_code == 2
    assert "--schema, --reference and --from-sleap" in result.stderr


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "flies.slp"
    make_labels(4, height=64, width=96, num_animals=2, path=path, embed=False)
    return path


def test_auto_writes_beside_the_labels_and_says_only_where(labels):
    result = CliRunner().invoke(cli, ["config", str(labels), "--auto"])
    path = labels.with_name("flies_config.yaml")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"Saved config to: {path}\n", "")
    config = TrainingJobConfig.load(path)
    assert config.model_config.head_configs.which_oneof_attrib_name() == "bottomup"
    assert config.data_config.train_labels_path == [str(labels)]


@pytest.mark.parametrize(("pipeline", "second"), [("topdown", "centered_instance"), ("multi_class_topdown", None)])
def test_auto_writes_the_two_files_of_a_pair(labels, tmp_path, pipeline, second):
    args = ["config", str(labels), "--auto", "--pipeline", pipeline, "--output", str(tmp_path / "pair.yaml")]
    result = CliRunner().invoke(cli, args)
    first, other = tmp_path / "pair_centroid.yaml", tmp_path / "pair_centered_instance.yaml"
    assert result.stdout == f"Saved centroid config to: {first}\nSaved instance config to: {other}\n"
    types = [
        TrainingJobConfig.load(path).model_config.head_configs.which_oneof_attrib_name() for path in (first, other)
    ]
    assert types == ["centroid", second if second else pipeline]


def test_auto_can_print(labels, tmp_path):
    args = ["config", str(labels), "--auto", "--show-yaml", "-o", str(tmp_path / "config.yaml"), "--view", "top"]
    result = CliRunner().invoke(cli, args)
    config = TrainingJobConfig.from_cfg(OmegaConf.create(result.stdout))
    assert config.data_config.augmentation_config is not None
    assert config.data_config.augmentation_config.geometric is not None
    assert config.data_config.augmentation_config.geometric.rotation_max == 180
    assert list(tmp_path.iterdir()) == []
    pair = CliRunner().invoke(cli, ["config", str(labels), "--auto", "--show-yaml", "--pipeline", "topdown"]).stdout
    first, second = pair.removeprefix("# === CENTROID CONFIG ===\n").split("# === CENTERED INSTANCE CONFIG ===\n")
    assert TrainingJobConfig.from_cfg(OmegaConf.create(first)).model_config.head_configs.centroid is not None
    assert TrainingJobConfig.from_cfg(OmegaConf.create(second)).model_config.head_configs.centered_instance is not None


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--auto"], 1, "--auto needs labels"),
        (["nowhere.slp", "--auto"], 1, "nowhere.slp does not exist"),
        (["nowhere.slp"], 1, "nowhere.slp does not exist"),
        (["nowhere.slp", "--auto", "--pipeline", "topdwon"], 2, "'topdwon' is not one of 'single_instance'"),
        (["nowhere.slp", "--auto", "--view", "below"], 2, "'below' is not one of 'side', 'top'"),
        (["nowhere.slp", "--auto", "-o", "a.txt"], 2, "a.txt does not end in .yaml or .yml; name it a.yaml"),
        (["nowhere.slp", "-o", "a.json"], 2, "a.json does not end in .yaml"),
        (["--from-sleap", "nowhere.json", "-o", "a.json"], 2, "a.json does not end in .yaml"),
        ([], 1, "Questions need a terminal, and there is none; add --auto"),
    ],
)
def test_what_cannot_be_made_is_said_in_a_sentence(args, code, message):
    result = CliRunner().invoke(cli, ["config", *args])
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""


def test_the_labels_are_not_overwritten(labels):
    before = labels.read_bytes()
    result = CliRunner().invoke(cli, ["config", str(labels), "--auto", "-o", str(labels)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"The output {labels} does not end in .yaml or .yml" in result.stderr
    assert labels.read_bytes() == before


def test_auto_keeps_a_configuration_that_is_there(labels, tmp_path):
    edited = tmp_path / "pair_centered_instance.yaml"
    edited.write_text("edited")
    args = ["config", str(labels), "--auto", "--pipeline", "topdown", "-o", str(tmp_path / "pair.yaml")]
    result = CliRunner().invoke(cli, args)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {edited} is there already; name another file with -o, or delete it first.\n"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["edited"]
    assert CliRunner().invoke(cli, [*args, "--show-yaml"]).exit_code == 0


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


def test_a_profile_is_not_overwritten(profile):
    before = profile.read_bytes()
    result = CliRunner().invoke(cli, ["config", "--from-sleap", str(profile), "-o", str(profile)])
    assert (result.exit_code, profile.read_bytes()) == (2, before)


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
