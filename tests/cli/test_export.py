import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from factories import make_labels
from model_folders import write_model

from sleap_nn.cli import cli


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    make_labels(4, path=folder / "labels.pkg.slp")
    return write_model(folder / "run", "single_instance", folder / "labels.pkg.slp")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["export", *map(str, arguments)], catch_exceptions=False)


def test_files_and_differences_are_printed(model: Path, tmp_path: Path) -> None:
    result = run(model, "--output_dir", tmp_path, "-f", "ONNX", "--peak-threshold", "0.3")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[:2] == [
        f"ONNX model exported to: {tmp_path / 'model.onnx'}",
        f"Metadata saved to: {tmp_path / 'export_metadata.json'}",
    ]
    name, _, difference = lines[2].partition(": ")
    assert name == "Largest difference to the trained network"
    assert float(difference.partition(", of values up to ")[0]) < 1e-4
    assert difference.endswith(" (map_confmaps)")


def test_without_verification_nothing_is_compared(model: Path) -> None:
    result = run(model, "--no-verify")
    assert result.stdout.splitlines()[0] == f"ONNX model exported to: {model / 'exported' / 'model.onnx'}"
    assert "difference" not in result.stdout


def test_an_export_that_is_told_to_stop_leaves_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_stopped(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("sleap_nn.export_model.parts_of", be_stopped)
    result = run(model, "-o", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (75, "Stopped by SIGTERM.\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 1, "Error: There is no model"),
        (["RUN", "RUN"], 1, "Error: Models of the types single_instance, single_instance"),
        (["RUN", "-f", "tensorrt"], 1, "Error: TensorRT is not installed"),
        (["nowhere"], 2, "does not exist"),
        (["RUN", "-f", "pdf"], 2, "must be one of"),
        (["RUN", "--opset-version", "3"], 2, "opset-version"),
        (["RUN", "--precision", "int8"], 2, "precision"),
    ],
)
def test_errors_are_one_line_with_the_documented_code(
    model: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    result = run(*(str(model) if argument == "RUN" else argument for argument in arguments))
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output
