from pathlib import Path

import pytest
import yaml

from sleap_nn.config.safe_yaml import MOST_VALUES, check_yaml, read_yaml
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
"""A kilobyte that stands for 10^12 values."""

OBJECTS = [
    "a: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.PosixPath [owned]]",
    "a: !!python/object/apply:os.system ['touch owned']",
    "a: !!python/object/new:os.system ['touch owned']",
]


def test_references_that_are_used_a_few_times_are_read() -> None:
    text = "base: &base {scale: 1.5, names: [a, b]}\nmore: [*base, *base]\n"
    base = {"scale": 1.5, "names": ["a", "b"]}
    assert read_yaml(text) == {"base": base, "more": [base, base]}
    assert read_yaml("") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, str(MOST_VALUES)),
        ("a: &a [*a]", "contains itself"),
        ("[" * 20_000, "nested too deeply"),
        (f"a: [1, {'9' * 5000}]", "a number of more than 1000 digits"),
    ],
    ids=["bomb", "endless", "deep", "digits"],
)
def test_documents_that_stand_for_too_much_are_refused(text: str, reason: str) -> None:
    with pytest.raises(yaml.YAMLError, match=reason):
        check_yaml(text)


@pytest.mark.parametrize("text", OBJECTS)
def test_objects_of_a_program_are_refused_and_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(yaml.YAMLError):
        read_yaml(text)
    with pytest.raises(ConfigError, match="not valid YAML") as caught:
        TrainingJobConfig.load(tmp_path / "config.yaml")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "owned").exists()
    yaml.unsafe_load(OBJECTS[1])
    assert (tmp_path / "owned").exists(), "without the guard these documents do run"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", BOMB),
        ("c.yaml", "a: &a [*a]"),
        ("c.json", "[" * 200_000),
        ("c.yaml", "[" * 20_000),
        ("c.json", f'{{"a": {"9" * 5000}}}'),
        ("c.yaml", f"filters: {'9' * 5000}"),
    ],
)
def test_configurations_that_stand_for_too_much_are_refused_in_one_sentence(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match="not valid") as caught:
        TrainingJobConfig.load(tmp_path / name)
    assert "\n" not in str(caught.value)
