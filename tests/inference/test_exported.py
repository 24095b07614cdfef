import copy
import json
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import sleap_io as sio
import torch

import sleap_nn
from sleap_nn.convert import convert_model
from sleap_nn.errors import ConfigError, MissingFileError, MissingPackageError, ModelError, UsageError
from sleap_nn.export_model import export_models
from sleap_nn.inference import Predictor
from sleap_nn.inference.export_metadata import ENGINE_METADATA, METADATA, STAGES, ExportMetadata
from sleap_nn.inference.exported import is_exported
from sleap_nn.inference.load import load_models
from sleap_nn.inference.settings import StageSettings
from sleap_nn.info import info

THRESHOLD = 0.4


@pytest.fixture(scope="module")
def exported(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an exported bottomup model, exported with `THRESHOLD`."""
    folder = tmp_path_factory.mktemp("exported") / "bottomup"
    export_models(untrained / "bottomup", output=folder, peak_threshold=THRESHOLD, verify=False)
    return folder


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "copied"))


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr("sleap_nn.log.logger.propagate", True)
    return caplog


def predict(untrained: Path, **options: Any) -> sio.Labels:
    return sleap_nn.predict(untrained / "clip.mp4", device="cpu", frames=[0, 1], max_instances=3, **options)


def points(labels: sio.Labels) -> np.ndarray:
    return np.stack([instance.numpy() for frame in labels for instance in frame.instances])


def test_a_folder_is_known_by_its_file(exported: Path, untrained: Path) -> None:
    assert is_exported(exported)
    assert is_exported(exported / "model.onnx")
    assert not is_exported(untrained / "bottomup")
    assert not is_exported(untrained / "missing.onnx")


def test_what_is_left_of_a_folder_is_no_run_folder(copied: Path) -> None:
    (copied / "model.onnx").unlink()
    with pytest.raises(MissingFileError, match=r"has no model\.onnx; give a folder that sleap-nn export wrote"):
        load_models(copied, StageSettings())


def test_a_file_that_is_named_is_the_one_that_runs(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sleap_nn.inference.exported.can_run", lambda: True)
    (copied / "model.trt").write_bytes(b"engine")
    (model,) = load_models(copied / "model.onnx", StageSettings())
    assert model.weights == copied / "model.onnx"
    shutil.copy(copied / "model.onnx", copied / "model_centroid.onnx")
    for name, runtime in (("model_centroid.onnx", "auto"), ("model.onnx", "tensorrt"), ("model.trt", "onnx")):
        with pytest.raises(UsageError, match=f"not the whole of an exported model for the runtime {runtime}; give its"):
            load_models(copied / name, StageSettings(), runtime=runtime)


def test_what_the_export_decided_counts(untrained: Path, exported: Path, warned: pytest.LogCaptureFixture) -> None:
    expected = points(predict(untrained, model_paths=untrained / "bottomup", precision="32", peak_threshold=THRESHOLD))
    assert not np.array_equal(
        expected, points(predict(untrained, model_paths=untrained / "bottomup", precision="32", peak_threshold=0.9))
    )
    np.testing.assert_allclose(points(predict(untrained, model_paths=exported / "model.onnx")), expected, atol=1e-3)
    assert "no effect" not in warned.text
    other: dict[str, Any] = {"peak_threshold": 0.9, "integral_refinement": "none", "n_points": 3}
    more: dict[str, Any] = {"preprocess_config": {"scale": 0.5, "max_width": None}, "precision": "bf16"}
    found = predict(untrained, export_dir=exported, **other, **more, anchor_part="snout", centroid_only=True)
    np.testing.assert_allclose(points(found), expected, atol=1e-3)
    for text in ("peak_threshold=0.9 has no effect", "integral_refinement=none has no", "n_points=3 has no effect"):
        assert text in warned.text
    assert "scale, anchor_part, centroid_only, precision has no effect" in warned.text


def test_crops_about_another_point_than_in_training_are_named(
    untrained: Path, tmp_path: Path, warned: pytest.LogCaptureFixture
) -> None:
    pair = [Path(shutil.copytree(untrained / name, tmp_path / name)) for name in ("centroid", "centered_instance")]
    load_models(pair, StageSettings())
    assert not warned.text
    config = pair[1] / "training_config.yaml"
    config.write_text(config.read_text().replace("anchor_part: null", "anchor_part: snout"))
    load_models(pair[1], StageSettings())
    assert not warned.text
    load_models(pair, StageSettings())
    sentence = "The centroid model finds the mean of the visible nodes, but the centered_instance model was trained on "
    assert f"{sentence}crops about the node snout, so" in warned.text
    found = export_models(pair, output=tmp_path / "exported", verify=False)
    warned.clear()
    load_models(found.folder, StageSettings())
    assert sentence in warned.text
    warned.clear()
    load_models(pair, StageSettings(), anchor_part="tail_base")
    assert not warned.text


def test_the_threshold_can_be_raised_only(untrained: Path, exported: Path, warned: pytest.LogCaptureFixture) -> None:
    own = Predictor.from_model_paths(untrained / "bottomup", precision="32", max_instances=3, peak_threshold=0.9)
    higher = Predictor.from_export_dir(exported, device="cpu", max_instances=3, peak_conf_threshold=0.9)
    clip = untrained / "clip.mp4"
    np.testing.assert_allclose(
        points(higher.predict(clip, frames=[0])), points(own.predict(clip, frames=[0])), atol=1e-3
    )
    assert not warned.text
    lower = Predictor.from_export_dir(exported, device="cpu", peak_conf_threshold=0.1)
    assert f"peak_threshold={THRESHOLD}" in lower.log_line
    assert "can only be raised" in warned.text
    higher.predict(clip, frames=[0], peak_threshold=0.5)
    assert "peak_threshold=0.5 has no effect" in warned.text
    higher.predict(clip, frames=[0], peak_threshold=0.2)
    assert "peak_threshold=0.2 has no effect" in warned.text  # a call names it, though it is the default
    with pytest.raises(TypeError, match="crop_size"):
        Predictor.from_export_dir(exported, crop_size=3)  # pyright: ignore[reportCallIssue]


def test_trained_models_say_that_options_of_exported_ones_do_nothing(
    untrained: Path, warned: pytest.LogCaptureFixture
) -> None:
    load_models(untrained / "centroid", StageSettings(), runtime="onnx", peak_conf_threshold=0.5)
    assert "runtime has no effect" in warned.text
    assert "peak_conf_threshold has no effect" in warned.text


def test_exported_models_are_part_of_the_other_paths(untrained: Path, exported: Path, tmp_path: Path) -> None:
    predictor = Predictor.from_export_dir(exported, device="cpu", max_instances=2)
    expected = points(predictor.predict(untrained / "clip.mp4"))
    path = predictor.predict_to_file(untrained / "clip.mp4", tmp_path / "out.slp")
    written = sio.load_slp(path)
    np.testing.assert_allclose(points(written), expected, atol=1e-4)
    assert written.provenance["model_paths"] == [exported.resolve().as_posix()]
    assert written.provenance["inference_config"]["peak_threshold"] == THRESHOLD
    assert predictor.model_paths == [exported]
    assert predictor.layer.predict(np.zeros((64, 64), np.uint8)).batch_size == 1
    assert info(exported)[0].title == "Model Info"


def test_the_file_is_what_decides_a_result(exported: Path, copied: Path) -> None:
    (one,) = load_models(exported, StageSettings(), device="cpu")
    (same,) = load_models(copied, StageSettings(), device="cpu")
    assert one.weights_hash() == same.weights_hash()
    assert one.what_decides()["peak_threshold"] == THRESHOLD
    shutil.copy(copied / "model.onnx", copied / "other")
    with (copied / "model.onnx").open("ab") as file:
        file.write(b"\x0a\x00")
    assert same.weights_hash() != one.weights_hash()


def test_what_needs_a_network_names_the_training(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is an exported model"):
        convert_model(exported, tmp_path / "converted")
    with pytest.raises(ModelError, match="is an exported model"):
        export_models(exported, output=tmp_path / "again")
    assert list(tmp_path.iterdir()) == []


def test_either_trained_models_or_an_exported_one(untrained: Path, exported: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        predict(untrained, model_paths=untrained / "centroid", export_dir=exported)
    with pytest.raises(UsageError, match="There is no model"):
        predict(untrained)
    with pytest.raises(UsageError, match="give its folder alone"):
        predict(untrained, model_paths=[exported, untrained / "centroid"])


@pytest.mark.parametrize("name", [METADATA, STAGES, "model.onnx", "training_config.yaml"])
@pytest.mark.parametrize("content", [None, b"", b"\x08\x07 garbage", b"\xff" * 1000])
def test_a_broken_folder_is_one_sentence(copied: Path, name: str, content: bytes | None) -> None:
    (copied / name).unlink()
    if content is not None:
        (copied / name).write_bytes(content)
    with pytest.raises((ModelError, MissingFileError, ConfigError)) as raised:
        Predictor.from_export_dir(copied, device="cpu")
    assert "\n" not in str(raised.value)
    if content is None and name != STAGES:
        assert isinstance(raised.value, FileNotFoundError)


def test_a_configuration_of_another_model_is_refused(untrained: Path, copied: Path) -> None:
    shutil.copy(untrained / "multi_class_bottomup" / "training_config.yaml", copied / "training_config.yaml")
    with pytest.raises(ModelError, match="is not the configuration of a bottomup model"):
        load_models(copied, StageSettings())
    stages = json.loads((copied / STAGES).read_text())
    stages[0]["model_type"] = "multi_class_bottomup"
    (copied / STAGES).write_text(json.dumps(stages))
    with pytest.raises(ModelError, match="no output map_class_maps"):
        load_models(copied, StageSettings())


@pytest.mark.parametrize("name", [STAGES, "training_config.yaml"])
def test_a_network_among_the_files_of_another_is_refused(copied: Path, name: str) -> None:
    text = (copied / name).read_text()
    changed = text.replace('"scale": 1.0', '"scale": 0.5') if name == STAGES else text.replace("snout", "nose")
    assert changed != text
    (copied / name).write_text(changed)
    what = "reads other images" if name == STAGES else "finds other nodes, edges or classes"
    with pytest.raises(ModelError, match=rf"model\.onnx {what} than the files beside it say"):
        load_models(copied, StageSettings())
    model = onnx.load(copied / "model.onnx")
    del model.metadata_props[:]
    onnx.save(model, copied / "model.onnx")
    load_models(copied, StageSettings())  # a file that says nothing of itself is taken at the folder's word


def test_two_models_that_do_not_go_together_are_refused(copied: Path) -> None:
    stages = json.loads((copied / STAGES).read_text())
    (copied / STAGES).write_text(json.dumps(stages * 2))
    with pytest.raises(ModelError, match="do not go together"):
        load_models(copied, StageSettings())


def test_a_predictor_can_be_copied_and_sent_to_another_process(untrained: Path, exported: Path) -> None:
    predictor = Predictor.from_export_dir(exported, device=torch.device("cpu"), max_instances=2)  # pyright: ignore[reportArgumentType]
    expected = points(predictor.predict(untrained / "clip.mp4", frames=[0]))
    for copied in (copy.deepcopy(predictor), pickle.loads(pickle.dumps(predictor))):
        np.testing.assert_array_equal(points(copied.predict(untrained / "clip.mp4", frames=[0])), expected)


def test_the_runtime_that_is_asked_for_must_be_there(
    exported: Path, copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingFileError, match=r"no model\.trt for the runtime tensorrt; it has onnx"):
        Predictor.from_export_dir(exported, runtime="tensorrt")
    with pytest.raises(ConfigError, match="'abacus'; choose auto, onnx, tensorrt"):
        Predictor.from_export_dir(exported, runtime="abacus")
    (copied / "model.trt").write_bytes(b"engine")
    Predictor.from_export_dir(copied, device="cpu")  # the engine cannot run here, the file can
    shutil.copy(copied / METADATA, copied / ENGINE_METADATA)
    (copied / "model.onnx").unlink()
    for runtime in ("auto", "tensorrt"):
        with pytest.raises(MissingPackageError, match="TensorRT is not installed"):
            Predictor.from_export_dir(copied, runtime=runtime)
    with pytest.raises(MissingFileError, match=r"no model\.onnx for the runtime onnx"):
        Predictor.from_export_dir(copied, runtime="onnx")
    (copied / "model.trt").unlink()
    with pytest.raises(MissingFileError, match=r"has no model\.onnx"):
        Predictor.from_export_dir(copied)
    with pytest.raises(MissingFileError, match=METADATA):
        Predictor.from_export_dir(tmp_path / "nowhere")


def test_a_missing_package_is_one_sentence(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r"sleap-nn\[export\]"):
        Predictor.from_export_dir(exported)


def test_engines_get_no_larger_batches_than_they_were_built_for(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Engine:
        device, precision = "cuda:0", "fp16"

        def __init__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("sleap_nn.inference.exported.TensorRtRuntime", Engine)
    metadata = ExportMetadata.load(copied / METADATA).to_dict()
    engine = metadata | {"export_format": "tensorrt", "precision": "fp16", "max_batch_size": 3}
    ExportMetadata.from_dict(engine).save(copied / ENGINE_METADATA)
    (copied / "model.trt").write_bytes(b"engine")
    (model,) = load_models(copied, StageSettings(), runtime="tensorrt")
    assert (model.stage.max_images, model.precision, model.weights) == (3, "fp16", copied / "model.trt")
