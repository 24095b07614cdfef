import json

import jsonschema
import pytest
from click.testing import CliRunner

from sleap_nn.cli import cli


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
    assert "--schema and --reference" in result.stderr
