from pathlib import Path
from typing import Any

import pytest
from factories import make_labels
from model_folders import write_model

from sleap_nn.config.export_config import ExportConfig
from sleap_nn.export.unused import warn_of_unused
from sleap_nn.inference.load import load_models
from sleap_nn.inference.settings import StageSettings

EVERYTHING: dict[str, Any] = {
    "max_instances": 3,
    "max_peaks_per_node": 4,
    "n_line_points": 5,
    "max_edge_length_ratio": 0.5,
    "dist_penalty_weight": 0.5,
    "input_height": 64,
    "input_width": 64,
}
LINES = "n_line_points and max_edge_length_ratio and dist_penalty_weight"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_labels(4, num_animals=2, path=folder / "labels.pkg.slp")
    for name in ("single_instance", "centroid", "centered_instance", "bottomup", "multi_class_bottomup"):
        write_model(folder / name, name, folder / "labels.pkg.slp")
    return folder


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr("sleap_nn.log.logger.propagate", True)
    return caplog


@pytest.mark.parametrize(
    ("name", "idle"),
    [
        ("single_instance", f"max_instances and max_peaks_per_node and {LINES}"),
        ("centroid", f"max_peaks_per_node and {LINES}"),
        ("centered_instance", f"input_height and input_width and max_instances and max_peaks_per_node and {LINES}"),
        ("bottomup", "max_instances"),
        ("multi_class_bottomup", f"max_instances and {LINES}"),
    ],
)
def test_options_that_a_model_has_no_use_for_are_named(
    models: Path, warned: pytest.LogCaptureFixture, name: str, idle: str
) -> None:
    loaded = load_models(models / name, StageSettings())
    warn_of_unused(loaded, ExportConfig(**EVERYTHING, format="tensorrt", precision="fp32"))
    assert warned.messages == [f"{idle} has no effect on a {name} model."]


def test_a_pair_takes_what_its_first_model_does(models: Path, warned: pytest.LogCaptureFixture) -> None:
    loaded = load_models([models / "centroid", models / "centered_instance"], StageSettings())
    warn_of_unused(loaded, ExportConfig(max_instances=3, input_height=64, crop_size=32))
    assert not warned.messages


def test_options_of_engines_do_nothing_to_an_onnx_file(models: Path, warned: pytest.LogCaptureFixture) -> None:
    loaded = load_models(models / "centroid", StageSettings())
    options: dict[str, Any] = {"precision": "fp32", "max_batch_size": 2, "workspace_size_gb": 1.0}
    for kind in ("tensorrt", "both"):
        warn_of_unused(loaded, ExportConfig(**options, format=kind))
    assert not warned.messages
    warn_of_unused(loaded, ExportConfig(**options))
    assert warned.messages == ["precision and workspace_size_gb and max_batch_size has no effect on an ONNX file."]
