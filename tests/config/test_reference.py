import dataclasses

import jsonschema
import pytest
import yaml

from sleap_nn.config.fields import walk
from sleap_nn.config.reference import config_reference_markdown, json_schema
from sleap_nn.config.training_job_config import TrainingJobConfig


@pytest.fixture(scope="module")
def schema():
    return json_schema()


def properties(schema, path):
    """The schema of a key."""
    place = schema
    for part in path.split("."):
        options = [place, *place.get("anyOf", [])]
        references = [option["$ref"].rpartition("/")[2] for option in options if "$ref" in option]
        place = schema["$defs"][references[0]] if references else place
        place = place["properties"][part]
    return place


def test_it_is_a_json_schema(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_is_described_and_no_other_allowed(schema):
    for path, field in walk(TrainingJobConfig):
        described = properties(schema, path)
        if "description" not in described:
            described = schema["$defs"][described["$ref"].rpartition("/")[2]]
        assert described["description"].startswith(field.option.help), path
    assert schema["additionalProperties"] is False
    assert all(section["additionalProperties"] is False for section in schema["$defs"].values())


def test_choices_bounds_and_defaults(schema):
    assert properties(schema, "trainer_config.optimizer_name")["enum"] == ["Adam", "AdamW"]
    assert properties(schema, "trainer_config.profiler")["enum"][-1] is None
    assert properties(schema, "trainer_config.precision")["enum"] == ["auto", "32", "bf16-mixed", "16-mixed", 32]
    assert properties(schema, "trainer_config.optimizer.lr")["exclusiveMinimum"] == 0
    assert properties(schema, "trainer_config.ema_decay")["exclusiveMaximum"] == 1
    rotation = properties(schema, "data_config.augmentation_config.geometric.rotation_min")
    assert (rotation["minimum"], rotation["default"]) == (-180, -15.0)
    assert "(Availability: not yet.)" in properties(schema, "data_config.identity")["description"]


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"trainer_config": {"precision": 32, "trainer_devices": "auto", "lr_scheduler": None}},
        {"data_config": {"test_file_path": ["a.slp"], "augmentation_config": None}},
        {"model_config": {"backbone_config": {"unet": {"filters": 16}}, "head_configs": {"bottomup": {}}}},
    ],
)
def test_valid_files_are_valid(schema, tree):
    jsonschema.validate(tree, schema)
    TrainingJobConfig(**tree)


@pytest.mark.parametrize(
    "tree",
    [
        {"extra": 1},
        {"trainer_config": {"max_epoch": 1}},
        {"trainer_config": {"optimizer": {"lr": 0}}},
        {"trainer_config": {"optimizer_name": "SGD"}},
        {"trainer_config": {"wandb": None}},
        {"data_config": {"validation_fraction": "x"}},
    ],
)
def test_wrong_files_are_wrong(schema, tree):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tree, schema)
    with pytest.raises(ValueError, match=r"must be|Unknown key"):
        TrainingJobConfig(**tree)


def test_saved_files_are_valid(schema, tmp_path):
    config = TrainingJobConfig(model_config={"backbone_config": {"unet": {}}})
    config.save(tmp_path / "c.yaml")
    jsonschema.validate(yaml.safe_load((tmp_path / "c.yaml").read_text(encoding="utf-8")), schema)
    jsonschema.validate(dataclasses.asdict(config), schema)


def test_the_page_has_a_table_for_every_section_and_a_row_for_every_key():
    page = config_reference_markdown()
    sections = page.split("\n## ")[1:]
    tables = {text.partition("\n")[0]: text.splitlines() for text in sections}
    assert page.startswith("# Configuration reference\n")
    for path, field in walk(TrainingJobConfig):
        section = path.rpartition(".")[0]
        rows = [row for row in tables[section if section else "Top level"] if row.startswith(f"| `{field.name}` |")]
        assert len(rows) == 1, path
        assert field.option.help.replace("|", "\\|") in rows[0], path


def test_rows_tell_type_default_range_and_availability():
    page = config_reference_markdown()
    assert "| `lr` | a number | `0.0001` | > 0 | Learning rate at the start. | yes |" in page
    assert "| `profiler` | text or null | `null` | `simple`, `advanced`, `pytorch`, `passthrough` |" in page
    tiling = page.partition("## data_config.preprocessing.tiling\n")[2].partition("\n## ")[0]
    rows = [row for row in tiling.splitlines() if row.startswith("| `")]
    assert len(rows) == 16
    assert all(row.endswith("| not yet |") for row in rows)


def test_rows_have_as_many_cells_as_headings():
    rows = [row for row in config_reference_markdown().splitlines() if row.startswith("|")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {7}
