import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest

from sleap_nn.config.fields import (
    Cli,
    Option,
    fields_of,
    find_field,
    option_fields,
    phrase,
    plain_text,
    section_class,
    type_members,
    values_of,
    walk,
)
from sleap_nn.config.inference_config import InferenceConfig
from sleap_nn.config.schema import config_class
from sleap_nn.config.training_job_config import TrainingJobConfig


@config_class
class Inner:
    """An inner section."""

    depth: Annotated[int, Option("Depth in px.", ge=1, cli=Cli("Sizes"))] = 2


@config_class
class Outer:
    """A section."""

    inner: Annotated[Inner | None, Option("The inner section; null: none.")] = None
    both: Annotated[Any, Option("A number or a text.", accepts=int | str)] = 1
    names: Annotated[list[str] | None, Option("Names; null: all.", cli=Cli("Names", short="-n", repeat=True))] = None
    level: Annotated[float, Option("Level.", gt=0, le=1, cli=Cli("Sizes", name="how-high", aliases=("lvl",)))] = 0.5
    on: Annotated[bool | None, Option("Whether.", available=False, cli=Cli("Sizes", pair=True))] = None


def test_fields_tell_name_type_default_and_section():
    inner, both, names, level, on = fields_of(Outer)
    assert (inner.section, inner.default, inner.optional) == (Inner, None, True)
    assert (both.type, both.default, both.section) == (int | str, 1, None)
    assert names.optional
    assert not level.optional
    assert on.type == bool | None


def test_sections_and_paths_are_found():
    assert section_class(Outer, "inner") is Inner
    assert section_class(Outer, "level") is None
    assert section_class(Outer, "nothing") is None
    assert find_field(Outer, "inner.depth").default == 2
    assert find_field(Outer, "inner.width") is None
    assert find_field(Outer, "level.x") is None
    assert [path for path, _ in walk(Outer)] == ["inner", "inner.depth", "both", "names", "level", "on"]
    assert values_of(Outer(level=0.25))["level"] == 0.25


def test_option_fields_carry_what_the_command_line_needs():
    names, level, on = option_fields(Outer)
    assert (names.short, names.is_list, names.type, names.optional) == ("-n", True, str, True)
    assert (level.long, level.aliases, level.minimum, level.maximum) == ("how-high", ("lvl",), 0, 1)
    assert (level.name, level.type, level.default, level.help) == ("level", float, 0.5, "Level.")
    assert (on.is_flag, on.is_pair, on.available) == (True, True, False)
    assert not level.is_flag


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        (Option("x", ge=1), 0, "must be at least 1, not 0"),
        (Option("x", gt=0), 0.0, "must be above 0, not 0.0"),
        (Option("x", le=1), 1.5, "must be at most 1, not 1.5"),
        (Option("x", lt=1), 1, "must be below 1, not 1"),
        (Option("x", ge=0), [1, -1], "must be at least 0, not -1"),
        (Option("x", choices=("a", "b")), "c", "must be one of a, b, not 'c'"),
        (Option("x", choices=("a",), invalid="Invalid thing"), "c", "Invalid thing 'c'; allowed: a"),
        (Option("x", check=lambda value: "must be even"), 3, "must be even"),
        (Option("x", ge=0, le=1), 1, None),
        (Option("x", choices=("a",)), "a", None),
        (Option("x", choices=("a",), ge=3), None, None),
        (Option("x", gt=5), True, None),
    ],
)
def test_problems_of_values(option, value, problem):
    assert option.problem(value) == problem


@pytest.mark.parametrize(
    ("option", "value", "missing", "note"),
    [
        (Option("x"), 1, None, "yes"),
        (Option("x", available=False), 1, "", "not yet"),
        (Option("x", available_values=(None, 1)), 1, None, "only null, 1"),
        (Option("x", available_values=(None, 1)), 2, "2", "only null, 1"),
        (Option("x", unavailable_values=("disk",)), "disk", "disk", "not yet disk"),
        (Option("x", unavailable_values=("disk",)), "ram", None, "not yet disk"),
    ],
)
def test_missing_behaviour(option, value, missing, note):
    assert option.missing_behaviour(value) == missing
    assert option.availability() == note
    assert option.described() == ("x" if note == "yes" else f"x (Availability: {note}.)")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (int | None, "a whole number or null"),
        (list[str], "a list of text"),
        (list[float] | float, "a list of numbers or a number"),
        (dict[str, Any] | None, "a mapping or null"),
        (list[list[str]], "a list of lists"),
        (Inner | None, "a section of keys or null"),
        (Any, "anything"),
    ],
)
def test_types_in_words(annotation, words):
    assert phrase(annotation) == words


def test_small_helpers():
    assert type_members(Annotated[int | None, "x"]) == (int, type(None))
    assert [plain_text(value) for value in (None, True, 1e-8, 3, "a")] == ["null", "true", "1e-08", "3", "a"]


@pytest.mark.parametrize("cls", [TrainingJobConfig, InferenceConfig])
def test_every_field_has_a_help_text_that_is_a_sentence_and_explains_null(cls):
    for path, field in walk(cls):
        text = field.option.help
        assert len(text) > 10, path
        assert text[0].isupper() or text[0].isdigit() or text.startswith("auto"), path
        assert text.endswith("."), path
        if field.optional and path != "data_config.skeletons" and "filled in" not in text.lower():
            assert "null" in text, path


def test_command_line_names_are_unique():
    seen = [name for field in option_fields(InferenceConfig) for name in (field.long, *field.aliases)]
    shorts = [field.short for field in option_fields(InferenceConfig) if field.short]
    assert len(seen) == len(set(seen))
    assert sorted(shorts) == ["-b", "-d", "-m", "-n", "-o", "-t"]


HEAVY = ("torch", "pydantic", "omegaconf", "hydra")


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("sleap_nn.config.inference_config", HEAVY),
        ("sleap_nn.config.fields", HEAVY),
        ("sleap_nn.config.frames", HEAVY),
        ("sleap_nn.config.get_config", ("torch", "hydra")),
        ("sleap_nn.config.reference", ("torch", "hydra")),
        ("sleap_nn.config.utils", ("torch", "hydra")),
    ],
)
def test_imports_stay_light(module, absent):
    code = f"import sys, {module}; print([name for name in {absent!r} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert result.stdout.strip() == "[]"
