import errno
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import yaml
from factories import make_labels
from model_folders import write_model

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError, EngineError, MissingFileError, MissingPackageError, ModelError, OutputError
from sleap_nn.export_model import export_models
from sleap_nn.inference.export_metadata import ENGINE_METADATA, METADATA, STAGES, ExportMetadata, read_stages
from sleap_nn.inference.exported import load_exported
from sleap_nn.inference.settings import StageSettings


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_labels(4, num_animals=2, path=folder / "labels.pkg.slp")
    for name in ("centroid", "centered_instance", "bottomup"):
        write_model(folder / name, name, folder / "labels.pkg.slp")
    return folder


@pytest.fixture(scope="module")
def exported(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "deep" / "bottomup"
    found = export_models(
        models / "bottomup",
        output=str(folder),
        input_scale=0.5,
        peak_threshold=0.3,
        n_line_points=7,
        max_edge_length_ratio=0.4,
        dist_penalty_weight=0.6,
        max_peaks_per_node=4,
    )
    assert (found.folder, found.onnx, found.tensorrt) == (folder, (folder / "model.onnx",), ())
    assert 0 <= max(difference.share for difference in found.differences.values()) < 1e-4
    assert list(found.differences) == ["map_confmaps", "map_pafs"]
    return folder


def test_the_folder_holds_the_documented_files(models: Path, exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} == {"model.onnx", METADATA, STAGES, "training_config.yaml"}
    metadata = ExportMetadata.load(exported / METADATA)
    assert (metadata.model_type, metadata.peak_threshold, metadata.input_scale) == ("bottomup", 0.3, 0.5)
    (stage,) = read_stages(exported)
    assert (stage.input.scale, stage.input.max_height) == (0.5, 64)
    settings = stage.decoding.settings()
    assert (settings.num_line_points, settings.max_edge_length_ratio, settings.dist_penalty_weight) == (7, 0.4, 0.6)
    config = TrainingJobConfig.load(exported / "training_config.yaml", require_available=False)
    assert config.model_config.head_configs.which_oneof_attrib_name() == "bottomup"


def test_the_file_tells_what_it_is(exported: Path) -> None:
    session = onnxruntime.InferenceSession(str(exported / "model.onnx"), providers=["CPUExecutionProvider"])
    texts = session.get_modelmeta().custom_metadata_map
    assert json.loads(texts["sleap_nn_metadata"]) == json.loads((exported / METADATA).read_text())
    assert texts["training_config"] == (exported / "training_config.yaml").read_text()
    assert yaml.safe_load(texts["training_config"])["model_config"]
    assert [entry.name for entry in session.get_outputs()] == [
        "peaks", "peak_vals", "peak_mask", "line_scores", "candidate_mask", "map_confmaps", "map_pafs",
    ]  # fmt: skip
    assert session.get_outputs()[0].shape[1:] == [9, 4, 2]
    assert [type(side) for side in session.get_inputs()[0].shape] == [str, int, str, str]


def test_the_operators_are_of_the_version_that_is_asked_for(models: Path, tmp_path: Path) -> None:
    for version in (17, 19):
        export_models(models / "centroid", output=tmp_path, verify=False, opset_version=version)
        assert [entry.version for entry in onnx.load(tmp_path / "model.onnx").opset_import] == [version]


def test_a_pair_lies_in_the_folder_of_the_centroid_model(models: Path) -> None:
    found = export_models([models / "centered_instance", models / "centroid"], verify=False, max_instances=2)
    folder = models / "centroid" / "exported_topdown"
    assert found.differences == {}
    assert [path.name for path in found.onnx] == ["model.onnx", "model_centered_instance.onnx", "model_centroid.onnx"]
    assert {path.name for path in folder.iterdir()} == {
        *(path.name for path in found.onnx),
        "training_config_centroid.yaml",
        "training_config_centered_instance.yaml",
        METADATA,
        STAGES,
    }
    session = onnxruntime.InferenceSession(str(found.onnx[0]), providers=["CPUExecutionProvider"])
    assert {entry.name: entry.shape[1:] for entry in session.get_outputs()} == {
        "centroids": [2, 2],
        "centroid_vals": [2],
        "peaks": [2, 9, 2],
        "peak_vals": [2, 9],
        "instance_valid": [2],
    }
    alone = export_models(models / "centroid", verify=False)
    assert alone.folder == models / "centroid" / "exported"
    alone = export_models(models / "centroid", verify=False, output=folder)
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "training_config.yaml", METADATA, STAGES}


def test_crops_have_the_size_that_is_asked_for(models: Path, tmp_path: Path) -> None:
    export_models(models / "centered_instance", output=tmp_path, crop_size=40, verify=False)
    assert ExportMetadata.load(tmp_path / METADATA).crop_size == (40, 40)
    assert read_stages(tmp_path)[0].input.crop_size == 40
    with pytest.raises(ConfigError, match="crop_size was given, but a centroid model reads whole frames"):
        export_models(models / "centroid", output=tmp_path, crop_size=40)


def test_what_cannot_be_exported_is_one_sentence(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Models of the types centroid, centroid"):
        export_models([models / "centroid", models / "centroid"], output=tmp_path / "out")
    shutil.copytree(models / "centroid", tmp_path / "empty", ignore=shutil.ignore_patterns("best.ckpt", "exported*"))
    with pytest.raises(MissingFileError, match=r"has no best\.ckpt"):
        export_models(tmp_path / "empty", output=tmp_path / "out")
    with pytest.raises(OutputError, match="holds a trained model"):
        export_models(models / "centroid", output=models / "bottomup")
    (tmp_path / "file").touch()
    for output in ("file", "file/out"):
        with pytest.raises(OutputError, match=r"is a file|cannot be written"):
            export_models(models / "centroid", output=tmp_path / output)
    with pytest.raises(ConfigError, match=r"^opset_version"):
        export_models(models / "centroid", opset_version=3)
    with pytest.raises(TypeError):
        export_models(models / "centroid", magic=3)
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_said_before_anything_is_written(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    for kind in ("tensorrt", "both"):
        with pytest.raises(MissingPackageError, match="TensorRT is not installed"):
            export_models(models / "centroid", output=tmp_path / "out", format=kind)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r"or leave the comparison out with --no-verify"):
        export_models(models / "centroid", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export_models(models / "centroid", output=tmp_path / "out", verify=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackageError, match="Exporting needs onnx"):
        export_models(models / "centroid", output=tmp_path / "out")


def test_the_example_of_the_docs_runs(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parent.parent / "docs" / "export.md").read_text(encoding="utf-8")
    (example,) = [
        block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "import onnxruntime" in block
    ]
    export_models(models / "bottomup", output=tmp_path / "exported", verify=False, max_peaks_per_node=3)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(example, names)
    assert (names["peaks"].shape, names["values"].shape) == ((1, 9, 3, 2), (1, 9, 3))


@pytest.mark.parametrize("kind", ["tensorrt", "both"])
def test_engines_lie_beside_what_describes_them(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    asked = []

    def build(tensorrt: object, content: bytes, *more: object) -> bytes:
        asked.append((len(content) > 1000, *more))
        return b"engine"

    monkeypatch.setattr("sleap_nn.export_model.import_tensorrt", lambda: None)
    monkeypatch.setattr("sleap_nn.export_model.build_engine", build)
    options = {"verify": False, "workspace_size_gb": 0.5, "precision": "fp32", "max_batch_size": 3, "input_height": 72}
    found = export_models(models / "centroid", output=tmp_path, format=kind, **options)
    assert asked == [(True, ((1, 1, 32, 32), (3, 1, 72, 64), (3, 1, 72, 64)), "fp32", 1 << 29)]
    assert found.tensorrt == (tmp_path / "model.trt",)
    assert found.onnx == ((tmp_path / "model.onnx",) if kind == "both" else ())
    assert (tmp_path / "model.onnx").exists() == (kind == "both")
    engine = ExportMetadata.load(tmp_path / ENGINE_METADATA)
    assert (engine.export_format, engine.precision, engine.max_batch_size) == ("tensorrt", "fp32", 3)
    whole = ExportMetadata.load(tmp_path / METADATA).export_format
    assert whole == ("onnx" if kind == "both" else "tensorrt")
    export_models(models / "centroid", output=tmp_path, verify=False)
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "training_config.yaml", METADATA, STAGES}


def test_a_failure_leaves_an_earlier_export_as_it_was(
    models: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = Path(shutil.copytree(exported, tmp_path / "copied"))
    before = {path.name: path.read_bytes() for path in copied.iterdir()}

    def fail(*_: object) -> bytes:
        raise EngineError("no engine")

    monkeypatch.setattr("sleap_nn.export_model.import_tensorrt", lambda: None)
    monkeypatch.setattr("sleap_nn.export_model.build_engine", fail)
    with pytest.raises(EngineError):
        export_models(models / "centroid", output=copied, format="both", verify=False)
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before


def test_files_of_a_user_stay_beside_an_export(models: Path, exported: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(exported, tmp_path / "copied"))
    own = ("model_int8.onnx", "training_config_notes.yaml", "model.trt.txt")
    for name in own:
        (copied / name).write_text("mine")
    export_models(models / "centroid", output=copied, verify=False)
    assert [(copied / name).read_text() for name in own] == ["mine"] * 3


@pytest.mark.parametrize("name", ["training_config.yaml", "model.onnx", "model_centroid.trt"])
def test_what_is_of_no_export_is_never_replaced(models: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=f"holds a {name} that is of no export"):
        export_models(models / "centroid", output=tmp_path, verify=False)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("done", range(4))
def test_a_kill_never_leaves_parts_of_two_exports_as_one(
    models: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    copied = Path(shutil.copytree(exported, tmp_path / "copied"))
    replace, moved = Path.replace, []

    def replace_or_die(path: Path, target: Path) -> Path:
        if target.parent == copied:
            if len(moved) == done:
                raise KeyboardInterrupt
            moved.append(target.name)
        return replace(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace_or_die)
        with pytest.raises(KeyboardInterrupt):
            export_models(models / "centroid", output=copied, verify=False)
    assert METADATA not in moved
    with pytest.raises(MissingFileError, match=METADATA):
        load_exported([copied], StageSettings(), device="cpu")
    export_models(models / "centroid", output=copied, verify=False)
    load_exported([copied], StageSettings(), device="cpu")


def test_a_full_disk_is_one_sentence(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", fill)
    with pytest.raises(OutputError, match=r"out cannot be written \(No space left"):
        export_models(models / "centroid", output=tmp_path / "out", verify=False)
    assert not (tmp_path / "out").exists()


def test_a_training_that_is_not_complete_is_named(
    models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sleap_nn.log.logger.propagate", True)
    run = Path(shutil.copytree(models / "centroid", tmp_path / "run", ignore=shutil.ignore_patterns("exported*")))
    export_models(run, verify=False)
    assert not caplog.text
    (run / "resume.ckpt").touch()
    export_models(run, verify=False)
    assert f"The training of {run} is not complete; its best weights so far are exported." in caplog.text
