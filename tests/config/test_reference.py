from sleap_nn.config import reference
from sleap_nn.config.fields import walk
from sleap_nn.config.training_job_config import TrainingJobConfig


def test_schema_describes_every_field_of_the_top_level():
    schema = reference.json_schema()
    assert set(schema["properties"]) == {path for path, _ in walk(TrainingJobConfig) if "." not in path}


def test_schema_knows_bounds_and_choices():
    definitions = reference.json_schema()["$defs"]
    assert definitions["TrainerConfig"]["properties"]["max_epochs"]["type"] == "integer"
    assert "Adam" in definitions["TrainerConfig"]["properties"]["optimizer_name"]["enum"]


def test_markdown_has_a_row_for_every_available_key():
    text = reference.markdown()
    assert "## trainer_config.optimizer\n" in text
    closed = tuple(
        f"{path}." for path, field in walk(TrainingJobConfig) if field.section and not field.option.available
    )
    for path, field in walk(TrainingJobConfig):
        if not path.startswith(closed):
            assert f"| `{field.name}` |" in text, path


def test_markdown_tables_keep_their_columns():
    rows = [line for line in reference.markdown().splitlines() if line.startswith("| ")]
    assert rows
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}


def test_what_is_missing_is_said():
    assert "(Availability: not yet.)" in reference.markdown()
