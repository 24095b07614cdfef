import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from factories import make_labels

from sleap_nn.cli import cli


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    make_labels(6, path=tmp_path / "clean.pkg.slp", num_animals=2)
    return tmp_path / "clean.pkg.slp"


def check(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["check", *map(str, arguments)], prog_name="sleap-nn")


def test_findings_are_listed_and_are_no_failure(clean: Path) -> None:
    result = check(clean, "--single_animal")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("6 frames with 12 instances:\n\nSeveral animals in 6 frames")
    assert result.stdout.count("2 instances\n") == 6


def test_strict_makes_findings_a_failure(clean: Path) -> None:
    assert check(clean, "--single-animal", "--strict").exit_code == 1
    result = check(clean, "--strict")
    assert (result.exit_code, result.stdout) == (0, "6 frames with 12 instances: nothing looks wrong.\n")


def test_findings_can_be_kept(clean: Path, tmp_path: Path) -> None:
    check(clean, "--single_animal", "-o", tmp_path / "found.json", "--strict")
    assert json.loads((tmp_path / "found.json").read_text())["findings"][0]["kind"] == "several_animals"


def test_mirrored_training_is_looked_at_only_when_it_is_expected(tmp_path: Path) -> None:
    labels = make_labels(6, path=tmp_path / "drawn.pkg.slp")
    labels.skeleton.symmetries = []
    labels.save(str(tmp_path / "bare.slp"), embed=False, verbose=False)
    assert "nothing looks wrong" in check(tmp_path / "bare.slp").stdout
    assert "No symmetry joins left_ear/right_ear" in check(tmp_path / "bare.slp", "--mirrored").stdout


def test_no_file_is_wrong_usage_and_a_missing_one_a_failure(tmp_path: Path) -> None:
    assert check().exit_code == 2
    result = check(tmp_path / "nothing.slp")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: The labels file")


def test_an_output_never_replaces_labels(clean: Path, tmp_path: Path) -> None:
    before = clean.read_bytes()
    result = check(clean, "-o", clean)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "does not end in .json" in result.stderr
    coco = tmp_path / "labels.json"
    coco.write_text("{}")
    result = check(coco, "-o", coco)
    assert (result.exit_code, coco.read_text()) == (2, "{}")
    assert "is a file that is read" in result.stderr
    assert clean.read_bytes() == before
