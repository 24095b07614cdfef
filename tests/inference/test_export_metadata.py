import json
from pathlib import Path

import pytest

from sleap_nn.data.input_spec import InputSpec
from sleap_nn.errors import MissingFileError, ModelError, OutputError
from sleap_nn.inference.export_metadata import STAGES, Baked, ExportedStage, ExportMetadata, read_stages, write_stages

KEYS = [
    "sleap_nn_version",
    "export_timestamp",
    "export_format",
    "model_type",
    "model_name",
    "checkpoint_path",
    "backbone",
    "n_nodes",
    "n_edges",
    "node_names",
    "edge_inds",
    "input_scale",
    "input_channels",
    "output_stride",
    "crop_size",
    "max_instances",
    "max_peaks_per_node",
    "max_batch_size",
    "precision",
    "peak_threshold",
    "input_dtype",
    "normalization",
    "n_classes",
    "class_names",
    "anchor_part",
    "training_config_embedded",
    "training_config_hash",
]
METADATA = ExportMetadata(
    sleap_nn_version="1",
    export_timestamp="2031-02-03T04:05:06",
    export_format="onnx",
    model_type="centered_instance",
    model_name="run",
    checkpoint_path="run/best.ckpt",
    backbone="unet",
    n_nodes=2,
    n_edges=1,
    node_names=["a", "b"],
    edge_inds=[(0, 1)],
    crop_size=(64, 64),
)
BAKED = Baked(
    peak_threshold=0.3,
    integral_refinement="integral",
    integral_patch_size=5,
    n_points=10,
    max_edge_length_ratio=0.25,
    dist_penalty_weight=1.0,
)
STAGE = ExportedStage(
    model_type="centered_instance",
    file="model",
    config="training_config.yaml",
    input=InputSpec(1, 96, 128, 0.5, 16, 64),
    decoding=BAKED,
)


def test_metadata_has_the_documented_keys_and_comes_back(tmp_path: Path) -> None:
    METADATA.save(tmp_path / "m.json")
    written = json.loads((tmp_path / "m.json").read_text())
    assert list(written) == KEYS
    assert written == METADATA.to_dict() == json.loads(METADATA.to_json())
    assert (written["edge_inds"], written["crop_size"]) == ([[0, 1]], [64, 64])
    assert ExportMetadata.load(tmp_path / "m.json") == METADATA
    assert ExportMetadata.from_dict(written | {"of_a_later_version": 1}) == METADATA


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("[]", "is not what an export writes"),
        (json.dumps(METADATA.to_dict() | {"n_nodes": "many"}), r"\(n_nodes: "),
        (json.dumps({**METADATA.to_dict(), "model_type": "hexapod"}), "'hexapod', which is not known"),
        ("\xff\xfe", "export the model again"),
    ],
)
def test_broken_metadata_is_one_sentence(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "m.json").write_text(content, encoding="latin-1")
    with pytest.raises(ModelError, match=message):
        ExportMetadata.load(tmp_path / "m.json")


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    values = METADATA.to_dict()
    del values["backbone"]
    with pytest.raises(ModelError, match="backbone"):
        ExportMetadata.from_dict(values)
    with pytest.raises(MissingFileError, match="sleap-nn export"):
        ExportMetadata.load(tmp_path / "m.json")
    with pytest.raises(OutputError):
        METADATA.save(tmp_path / "nowhere" / "m.json")


def test_stages_come_back(tmp_path: Path) -> None:
    write_stages(tmp_path / STAGES, [STAGE])
    assert read_stages(tmp_path) == [STAGE]
    assert BAKED.settings().peak_threshold == 0.3


def test_a_folder_without_stages_is_of_another_program(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="was exported by another program"):
        read_stages(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        {"file": "../model"},
        {"config": "/etc/passwd"},
        {"model_type": "topdown"},
        {"input": {"channels": 2}},
        {"input": None},
        {"decoding": {**vars(BAKED), "integral_patch_size": 4}},
        {"decoding": {**vars(BAKED), "integral_refinement": "magic"}},
        {"decoding": {}},
    ],
)
def test_stages_that_there_cannot_be_are_refused(tmp_path: Path, changed: dict) -> None:
    write_stages(tmp_path / STAGES, [STAGE])
    values = json.loads((tmp_path / STAGES).read_text())
    (tmp_path / STAGES).write_text(json.dumps([values[0] | changed]))
    with pytest.raises(ModelError):
        read_stages(tmp_path)


def test_there_are_one_or_two_stages(tmp_path: Path) -> None:
    for count in (0, 3):
        write_stages(tmp_path / STAGES, [STAGE] * count)
        with pytest.raises(ModelError, match="one or two"):
            read_stages(tmp_path)
