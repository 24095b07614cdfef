import json
from pathlib import Path

import pytest
import torch

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError, MissingFileError, ModelError, OutputError
from sleap_nn.networks import model_dir

STATE = {"model.backbone.weight": torch.arange(6.0).reshape(2, 3), "model.head_layers.0.bias": torch.ones(2)}


def config(**sections: dict) -> TrainingJobConfig:
    tree = {
        "data_config": {"train_labels_path": ["labels.slp"]},
        "model_config": {
            "backbone_config": {"unet": {"filters": 4}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
        },
    }
    return TrainingJobConfig.from_cfg(tree | sections, require_available=False)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    config().save(folder / "training_config.yaml")
    torch.save({"state_dict": STATE, "epoch": 3, "optimizer_states": [{"lr": 0.1}]}, folder / "best.ckpt")
    return folder


@pytest.mark.parametrize("name", ["", "best.ckpt", "training_config.yaml"])
@pytest.mark.parametrize("kind", [Path, str])
def test_a_folder_is_found_by_itself_and_by_its_files(run: Path, name: str, kind: type) -> None:
    assert model_dir.find_model_dir(kind(run / name)) == run


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nowhere does not exist; give a run folder or its best\.ckpt"):
        model_dir.find_model_dir(tmp_path / "nowhere")


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(MissingFileError, match=r"clip\.mp4 does not belong to a trained model, as its folder has no"):
        model_dir.find_model_dir(tmp_path / "clip.mp4")


@pytest.mark.parametrize("missing", ["best.ckpt", "training_config.yaml"])
def test_an_unfinished_folder_is_refused_with_what_it_lacks(run: Path, missing: str) -> None:
    (run / missing).unlink()
    with pytest.raises(MissingFileError, match=f"has no {missing}"):
        model_dir.find_model_dir(run)
    (run / missing).mkdir()
    with pytest.raises(MissingFileError, match=f"has no {missing}"):
        model_dir.find_model_dir(run)


def test_weights_are_named_as_in_the_network(run: Path) -> None:
    weights = model_dir.load_weights(run / "best.ckpt")
    assert list(weights) == ["backbone.weight", "head_layers.0.bias"]
    assert torch.equal(weights["backbone.weight"], STATE["model.backbone.weight"])


def test_only_the_first_prefix_is_taken_off(tmp_path: Path) -> None:
    torch.save({"state_dict": {"model.model.a": torch.ones(1), "plain": torch.ones(1)}}, tmp_path / "best.ckpt")
    assert set(model_dir.load_weights(tmp_path / "best.ckpt")) == {"model.a", "plain"}


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"best\.ckpt does not exist"):
        model_dir.load_weights(tmp_path / "best.ckpt")
    with pytest.raises(MissingFileError):
        model_dir.load_weights(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"not a checkpoint",
        b"\x80\x02}q\x00.",
        b"\x80\x02K\x01.",
        b"PK\x03\x04 half a zip",
        bytes(range(256)),
    ],
    ids=["empty", "zero", "text", "pickled dict", "pickled number", "zip", "bytes"],
)
def test_what_is_no_checkpoint_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "best.ckpt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"best\.ckpt") as caught:
        model_dir.load_weights(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("percent", [1, 20, 50, 80, 99])
def test_a_checkpoint_that_was_cut_off_is_refused(run: Path, percent: int) -> None:
    content = (run / "best.ckpt").read_bytes()
    (run / "best.ckpt").write_bytes(content[: len(content) * percent // 100])
    with pytest.raises(ModelError, match="give an intact file"):
        model_dir.load_weights(run / "best.ckpt")


@pytest.mark.parametrize("checkpoint", [{}, {"state_dict": None}, {"state_dict": [torch.ones(1)]}, [STATE], 5])
def test_a_file_without_weights_is_refused(tmp_path: Path, checkpoint: object) -> None:
    torch.save(checkpoint, tmp_path / "best.ckpt")
    with pytest.raises(ModelError, match="no state_dict"):
        model_dir.load_weights(tmp_path / "best.ckpt")


class Pickled:
    """Unpickling this object would create a file."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickled_object_is_refused_and_its_code_does_not_run(tmp_path: Path, zipped: bool) -> None:
    target, path = tmp_path / "owned", tmp_path / "best.ckpt"
    torch.save({"state_dict": STATE, "config": Pickled(target)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match="tensors and plain values"):
        model_dir.load_weights(path)
    assert not target.exists()


def test_the_configuration_is_read_without_options_that_do_not_matter_any_more(run: Path) -> None:
    config(trainer_config={"use_wandb": True, "wandb": {"project": "p"}}).save(run / "training_config.yaml")
    loaded = model_dir.load_config(run)
    assert loaded.model_config.backbone_config.unet.filters == 4


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        (
            {"model_config": {"backbone_config": {"unet": {}}, "head_configs": {"semantic_segmentation": {}}}},
            "semantic_segmentation",
        ),
        ({"data_config": {"preprocessing": {"tiling": {"enabled": True}}}}, "tiling"),
    ],
)
def test_what_the_network_needs_and_is_not_available_is_refused(run: Path, sections: dict, key: str) -> None:
    config(**sections).save(run / "training_config.yaml")
    with pytest.raises(ConfigError, match=rf"{key}\S* is not available yet"):
        model_dir.load_config(run)


def test_plain_tensors_are_read_where_there_is_no_checkpoint(run: Path) -> None:
    weights = model_dir.load_weights(run / "best.ckpt")
    model_dir.save_weights(weights, run / "best.safetensors")
    assert model_dir.weights_file(run).name == "best.ckpt"
    (run / "best.ckpt").unlink()
    assert model_dir.find_model_dir(run / "best.safetensors") == run
    trained = model_dir.load_trained(run)
    assert trained.path == run / "best.safetensors"
    assert trained.config is not None
    assert trained.weights.keys() == weights.keys()
    assert all(torch.equal(trained.weights[name], weights[name]) for name in weights)


def header(dtype: str, shape: list[int], end: int) -> bytes:
    """Return a file of one tensor with 8 bytes of data whose header claims what the test says."""
    text = json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        (2**62).to_bytes(8, "little") + b"{}",
        header("F32", [2**40], 8),
        header("F32", [2**40], 2**42),
        header("F32", [2**62, 2**62], 8),
    ],
    ids=["empty", "text", "endless header", "shape", "shape and end", "overflow"],
)
def test_what_claims_more_than_its_file_holds_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "best.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read as tensors") as caught:
        model_dir.load_weights(path)
    assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(MissingFileError, match=r"best\.safetensors"):
        model_dir.load_weights(path)


def test_the_header_of_these_tests_is_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").write_bytes(header("F32", [2], 8))
    assert model_dir.load_weights(tmp_path / "best.safetensors")["a"].tolist() == [0, 0]


def test_tensors_that_cannot_be_written_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="choose another folder"):
        model_dir.save_weights({"a": torch.ones(2)}, tmp_path / "gone" / "best.safetensors")
    assert list(tmp_path.iterdir()) == []
