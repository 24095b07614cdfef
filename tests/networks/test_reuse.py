import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_backbones import section
from torch import Tensor

from sleap_nn.config.model_config import HeadConfig, ModelConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import MissingFileError, ModelError
from sleap_nn.networks.model_dir import TrainedWeights
from sleap_nn.networks.network import BACKBONES, PoseNetwork
from sleap_nn.networks.reuse import Starts, read_starts, reuse, start_from
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import Task

OLD = Skeleton(("nose", "ear", "tail"), edges=((0, 1), (1, 2)))
NEW = Skeleton(("tail", "paw", "nose", "ear"), edges=((1, 0), (2, 3)))


def model(
    name: str, skeleton: Skeleton, classes: list[str] | None = None, backbone: str = "unet", **options: Any
) -> tuple[PoseNetwork, Task, TrainingJobConfig]:
    """Return a network of random weights, none of them the same as another, with its task and configuration."""
    heads = HeadConfig(**{name: {}})
    for part in vars(heads.which_oneof()).values():
        if "classes" in vars(part):
            part.classes = classes
        part.output_stride = 2
    task = TASKS[name].from_config(heads.which_oneof(), skeleton)
    config = section(backbone, output_stride=2, **options)
    job = TrainingJobConfig(model_config=ModelConfig(backbone_config=config, head_configs=heads))
    job.data_config.skeletons = [skeleton.to_config()]
    network = PoseNetwork.from_config(config, task.heads)
    generator = torch.Generator().manual_seed(len(skeleton.node_names))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    return network, task, job


def trained(name: str, skeleton: Skeleton = OLD, known: bool = True, **options: Any) -> TrainedWeights:
    network, _, job = model(name, skeleton, **options)
    return TrainedWeights(Path("old/best.ckpt"), network.state_dict(), job if known else None)


def head_tensors(state: dict[str, Tensor], layer: str) -> dict[str, Tensor]:
    """Return the tensors of an output layer by their last name."""
    return {name.rpartition(".")[2]: tensor for name, tensor in state.items() if f".{layer}." in name}


def how(fates: list, name: str) -> str:
    return next(fate.how for fate in fates if name in fate.name)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_backbone_is_copied_whole_and_the_heads_left_alone(backbone: str) -> None:
    earlier = trained("single_instance", backbone=backbone)
    network, task, _ = model("single_instance", NEW, backbone=backbone)
    heads = {name: tensor.clone() for name, tensor in network.head_layers.state_dict().items()}
    fates = reuse(network, task, earlier, "backbone")
    for name, tensor in network.state_dict().items():
        if name.startswith("backbone."):
            assert torch.equal(tensor, earlier.weights[name])
        else:
            assert torch.equal(tensor, heads[name.removeprefix("head_layers.")])
    assert all(fate.taken and not fate.how for fate in fates)


def test_nodes_keep_their_channels_when_the_skeleton_changes() -> None:
    earlier = trained("single_instance")
    network, task, _ = model("single_instance", NEW)
    before = head_tensors(network.state_dict(), "SingleInstanceConfmapsHead")
    before = {name: tensor.clone() for name, tensor in before.items()}
    old = head_tensors(earlier.weights, "SingleInstanceConfmapsHead")
    fates = reuse(network, task, earlier, "head_layers")
    for name, tensor in head_tensors(network.state_dict(), "SingleInstanceConfmapsHead").items():
        for channel, node in enumerate(NEW.node_names):
            expected = before[name][channel] if node == "paw" else old[name][OLD.node_names.index(node)]
            assert torch.equal(tensor[channel], expected)
    assert how(fates, "0.weight") == "3 of 4 channels by name; new: paw"
    assert (fates[0].given, fates[0].own, fates[0].taken) == ((3, 6, 1, 1), (4, 6, 1, 1), True)


def test_nodes_of_equal_number_are_matched_by_name_too() -> None:
    earlier = trained("single_instance")
    network, task, _ = model("single_instance", replace(OLD, node_names=("tail", "nose", "ear")))
    reuse(network, task, earlier, "head_layers")
    old = head_tensors(earlier.weights, "SingleInstanceConfmapsHead")["weight"]
    assert torch.equal(head_tensors(network.state_dict(), "SingleInstanceConfmapsHead")["weight"], old[[2, 0, 1]])


def test_renamed_nodes_keep_their_order() -> None:
    earlier = trained("single_instance")
    network, task, _ = model("single_instance", Skeleton(("a", "b", "c")))
    fates = reuse(network, task, earlier, "head_layers")
    old = head_tensors(earlier.weights, "SingleInstanceConfmapsHead")["weight"]
    assert torch.equal(head_tensors(network.state_dict(), "SingleInstanceConfmapsHead")["weight"], old)
    assert "no name in common" in how(fates, "0.weight")


def test_edges_keep_both_of_their_channels() -> None:
    earlier = trained("bottomup")
    network, task, _ = model("bottomup", NEW)
    before = head_tensors(network.state_dict(), "PartAffinityFieldsHead")["weight"].clone()
    reuse(network, task, earlier, "head_layers")
    fields = head_tensors(network.state_dict(), "PartAffinityFieldsHead")["weight"]
    old = head_tensors(earlier.weights, "PartAffinityFieldsHead")["weight"]
    assert torch.equal(fields[2:], old[:2])  # nose to ear, the second edge now
    assert torch.equal(fields[:2], before[:2])


@pytest.mark.parametrize(
    ("name", "layer"), [("multi_class_bottomup", "ClassMapsHead"), ("multi_class_topdown", "ClassVectorsHead")]
)
def test_classes_keep_their_channels(name: str, layer: str) -> None:
    earlier = trained(name, classes=["anna", "bert"])
    network, task, _ = model(name, OLD, classes=["bert", "carl", "anna"])
    before = head_tensors(network.state_dict(), layer)["bias"].clone()
    reuse(network, task, earlier, "head_layers")
    old, new = head_tensors(earlier.weights, layer), head_tensors(network.state_dict(), layer)
    assert torch.equal(new["weight"][[0, 2]], old["weight"][[1, 0]])
    assert torch.equal(new["bias"], torch.stack([old["bias"][1], before[1], old["bias"][0]]))
    hidden = "head_layers.1.pre_classification0_fc.weight"
    if hidden in earlier.weights:
        assert torch.equal(network.state_dict()[hidden], earlier.weights[hidden])


def test_heads_of_another_model_type_are_found_by_their_kind() -> None:
    earlier = trained("single_instance")
    network, task, _ = model("bottomup", NEW)
    fates = reuse(network, task, earlier, "head_layers")
    old = head_tensors(earlier.weights, "SingleInstanceConfmapsHead")["weight"]
    new = head_tensors(network.state_dict(), "MultiInstanceConfmapsHead")["weight"]
    assert torch.equal(new[[2, 3, 0]], old)
    assert how(fates, "PartAffinityFieldsHead.0.weight") == "not in the checkpoint"


def test_without_the_earlier_configuration_only_equal_shapes_are_taken() -> None:
    earlier = trained("bottomup", known=False)
    network, task, _ = model("bottomup", NEW)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fates = reuse(network, task, earlier, "head_layers")
    new, old = network.state_dict(), earlier.weights
    fields = "head_layers.1.PartAffinityFieldsHead.0.weight"
    maps = "head_layers.0.MultiInstanceConfmapsHead.0.weight"
    assert torch.equal(new[fields], old[fields])
    assert torch.equal(new[maps], before[maps])
    assert how(fates, maps) == "other shape"


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize(("old", "new"), [(1, 3), (3, 1)])
def test_the_first_convolution_is_fitted_to_grey_and_colour_images(backbone: str, old: int, new: int) -> None:
    earlier = trained("single_instance", backbone=backbone, in_channels=old)
    reference, _, _ = model("single_instance", OLD, backbone=backbone, in_channels=old)
    network, task, _ = model("single_instance", OLD, backbone=backbone, in_channels=new)
    for part in ("backbone", "head_layers"):
        fates = reuse(network, task, earlier, part)
        assert sum(bool(fate.how) for fate in fates) == (part == "backbone")
    if backbone == "pretrained":
        for net in (reference, network):  # the encoder's own colours have different means
            net.backbone.get_buffer("mean").fill_(0.5)
            net.backbone.get_buffer("deviation").fill_(0.25)
    grey = torch.rand(2, 1, 64, 64) * 255
    with torch.inference_mode():
        expected = reference.eval()(grey.expand(-1, old, -1, -1))["confmaps"]
        found = network.eval()(grey.expand(-1, new, -1, -1))["confmaps"]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_a_bias_is_not_taken_without_its_weight() -> None:
    earlier = trained("single_instance", kernel_size=5)
    network, task, _ = model("single_instance", OLD)
    with pytest.raises(ModelError, match=r"Not one of the \d+ tensors of the backbone in old/best.ckpt fits"):
        reuse(network, task, earlier, "backbone")


def test_what_fits_partly_is_taken_partly() -> None:
    earlier = trained("single_instance", filters_rate=2)
    network, task, _ = model("single_instance", OLD)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fates = reuse(network, task, earlier, "backbone")
    for fate in fates:
        if fate.own is not None:
            expected = earlier.weights if fate.taken else before
            assert torch.equal(network.state_dict()[fate.name], expected[fate.name])
    assert {fate.how for fate in fates if not fate.taken} == {"other shape", "its weight does not fit"}
    assert any(fate.taken for fate in fates)


def test_heads_of_which_nothing_fits_are_refused() -> None:
    network, task, _ = model("single_instance", OLD)
    with pytest.raises(ModelError, match=r"tensors of the heads in .*pretrained_head_weights"):
        reuse(network, task, trained("single_instance", filters=6), "head_layers")


def test_the_log_shows_counts_and_every_tensor_that_is_no_plain_copy(caplog: pytest.LogCaptureFixture) -> None:
    earlier = trained("single_instance")
    network, task, _ = model("single_instance", NEW)
    with caplog.at_level(logging.INFO, "sleap_nn"):
        start_from(network, task, {"backbone": earlier, "head_layers": earlier})
    (record,) = caplog.records
    lines = record.getMessage().splitlines()
    assert lines[0] == "Weights from old/best.ckpt:"
    rows = [line.split() for line in lines]
    num_backbone = sum(name.startswith("backbone.") for name in earlier.weights)
    assert ["backbone", str(num_backbone), "0", "0", "0"] in rows
    assert ["head_layers", "0", "2", "0", "0"] in rows
    assert any("3x6x1x1" in line and "4x6x1x1" in line and "new: paw" in line for line in lines)


def test_checkpoints_are_read_once_by_file_or_run_folder(tmp_path: Path) -> None:
    network, _, _ = model("single_instance", OLD)
    state = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "best.ckpt")
    both = ModelConfig(pretrained_backbone_weights=str(tmp_path), pretrained_head_weights=str(tmp_path))
    starts = read_starts(both)
    assert starts.weights["backbone"] is starts.weights["head_layers"]
    assert starts.weights["backbone"].path == tmp_path / "best.ckpt"
    assert starts.image_channels == 1
    assert read_starts(ModelConfig()) == Starts({}, None)
    only_heads = ModelConfig(pretrained_head_weights=str(tmp_path))
    assert read_starts(only_heads).image_channels is None
    assert read_starts(ModelConfig(pretrained_backbone_weights="gone"), tmp_path / "best.ckpt") == Starts({}, 1)
    with pytest.raises(MissingFileError, match="do not exist"):
        read_starts(ModelConfig(pretrained_head_weights=str(tmp_path / "none")))
    (tmp_path / "weights.pt").touch()
    with pytest.raises(ModelError, match=r"\.ckpt or \.safetensors file"):
        read_starts(ModelConfig(pretrained_head_weights=str(tmp_path / "weights.pt")))
