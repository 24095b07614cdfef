import math
from pathlib import Path
from typing import Any

import pytest
import torch
from factories import make_labels
from small_backbones import SMALL, section
from torch import Tensor, nn

from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.errors import ConfigError
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.networks import model_dir
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.training.freezing import Freeze
from sleap_nn.training.model_trainer import ModelTrainer


def network(name: str = "unet") -> PoseNetwork:
    return PoseNetwork.from_config(section(name, output_stride=2), [ConfidenceMapsHead("A", 3, output_stride=2)])


def frozen(net: PoseNetwork) -> set[str]:
    return {name for name, parameter in net.named_parameters() if not parameter.requires_grad}


def test_parts_are_held_for_as_many_epochs_as_asked() -> None:
    net = network()
    freeze = Freeze(net, TrainerConfig(freeze=["encoder"], freeze_epochs=2))
    assert frozen(net) == set()
    freeze.prepare(several_processes=False)
    assert frozen(net) == set(freeze.names) != set()
    for epoch, held in ((1, True), (2, False), (7, False), (0, True)):
        freeze.hold(epoch)
        assert frozen(net) == (set(freeze.names) if held else set())


def test_without_a_number_of_epochs_parts_are_held_for_good() -> None:
    net = network()
    freeze = Freeze(net, TrainerConfig(freeze="backbone"))
    freeze.prepare(several_processes=True)
    freeze.hold(10**6)
    assert frozen(net) == {name for name in dict(net.named_parameters()) if name.startswith("backbone.")}


def test_several_processes_drop_the_gradients_of_what_is_held_for_some_epochs() -> None:
    net = network()
    freeze = Freeze(net, TrainerConfig(freeze=["backbone"], freeze_epochs=1))
    freeze.prepare(several_processes=True)
    assert frozen(net) == set()
    for epoch, held in ((0, True), (1, False)):
        freeze.hold(epoch)
        for parameter in net.parameters():
            parameter.grad = torch.ones_like(parameter)
        freeze.drop_gradients(epoch)
        without = {name for name, parameter in net.named_parameters() if parameter.grad is None}
        assert without == (set(freeze.names) if held else set())


def test_layers_with_running_statistics_stop_following() -> None:
    net = network("pretrained")
    freeze = Freeze(net, TrainerConfig(freeze=["encoder"], freeze_epochs=1))
    layers = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert layers
    for epoch, following in ((0, False), (1, True)):
        net.train()
        freeze.hold(epoch)
        assert {layer.training for layer in layers} == {following}
        before = [layer.get_buffer("running_mean").clone() for layer in layers]
        net(torch.rand(2, 3, 64, 64) * 255)
        moved = [
            not torch.equal(old, layer.get_buffer("running_mean")) for old, layer in zip(before, layers, strict=True)
        ]
        assert all(moved) if following else not any(moved)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze": ["backbone", "heads"]}, r"freeze is \[backbone, heads\], which leaves nothing to learn"),
        ({"freeze": ["*"]}, "leaves nothing to learn"),
        ({"freeze_epochs": 3}, r"freeze_epochs is 3, but nothing is frozen"),
        ({"freeze": ["neck"]}, "'neck', which is no part"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Freeze(network(), TrainerConfig(**options))


def settings(folder: Path, backbone: str, **trainer: Any) -> dict[str, Any]:
    return {
        "data_config": {
            "train_labels_path": [str(folder / "labels.pkg.slp")],
            "use_same_data_for_val": True,
            "preprocessing": {"ensure_rgb": backbone == "pretrained"},
        },
        "model_config": {
            "backbone_config": {backbone: SMALL[backbone]},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": 3,
            "train_steps_per_epoch": 3,
            "min_train_steps_per_epoch": 1,
            "train_data_loader": {"batch_size": 2},
            "save_ckpt": True,
            "ckpt_dir": str(folder / "models"),
            "run_name": "run",
            "trainer_accelerator": "cpu",
            "precision": "32",
            "optimizer": {"lr": 0.01},
            **trainer,
        },
    }


class Watched(ModelTrainer):
    """A trainer that keeps the weights with which it starts."""

    def _network(self) -> PoseNetwork:
        net = super()._network()
        self.start = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        return net


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_labels(6, path=tmp_path / "labels.pkg.slp")
    return tmp_path


def moved(start: dict[str, Tensor], end: dict[str, Tensor]) -> set[str]:
    return {name for name in start if not torch.equal(start[name], end[name])}


@pytest.mark.parametrize("backbone", ["unet", "pretrained"])
@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_frozen_weights_do_not_move_by_a_bit(folder: Path, backbone: str, precision: str) -> None:
    """Neither weight decay, nor the running mean of the weights, nor statistics of batches move them."""
    hard = {"optimizer_name": "AdamW", "ema_decay": 0.9, "optimizer": {"lr": 0.01, "weight_decay": 0.5}}
    trainer = Watched(settings(folder, backbone, freeze=["encoder"], precision=precision, **hard))
    trainer.train()
    assert trainer.lightning_model is not None
    net = trainer.lightning_model.model
    encoder = {name for name in trainer.start if name.startswith(("backbone.enc.", "backbone.encoders."))}
    others = {name for name, _ in net.named_parameters()} - encoder
    for end in (net.state_dict(), model_dir.load_weights(folder / "models" / "run" / "best.ckpt")):
        assert moved(trainer.start, end) == others


def test_thawed_weights_move_from_their_epoch_on(folder: Path) -> None:
    ends = []
    for epochs in (1, 2, 3):
        trainer = Watched(
            settings(folder, "unet", freeze=["backbone"], freeze_epochs=2, max_epochs=epochs, run_name=f"{epochs}")
        )
        trainer.train()
        assert trainer.lightning_model is not None
        end = trainer.lightning_model.model.state_dict()
        ends.append({name for name in moved(trainer.start, end) if name.startswith("backbone.")})
    assert ends[0] == ends[1] == set()
    assert len(ends[2]) == sum(name.startswith("backbone.") for name in trainer.start)


@pytest.mark.parametrize("stop", [1, 2])
def test_frozen_runs_are_resumed_exactly(folder: Path, stop: int) -> None:
    options: dict[str, Any] = {
        "freeze": ["encoder"],
        "freeze_epochs": 2,
        "optimizer": {"lr": 0.01, "layer_decay": 0.8, "weight_decay": 0.1},
        "ema_decay": 0.5,
        "max_epochs": 4,
    }
    whole = ModelTrainer(settings(folder, "unet", **options))
    whole.train()
    part = settings(folder, "unet", **options | {"run_name": "part", "max_epochs": stop})
    ModelTrainer(part).train()
    run = folder / "models" / "part"
    again = settings(folder, "unet", **options, resume_ckpt_path=str(run)) | {}
    again["trainer_config"]["run_name"] = "part"
    ModelTrainer(again).train()
    first, second = (model_dir.read_checkpoint(path / "resume.ckpt") for path in (folder / "models" / "run", run))
    for name, tensor in first["current_model_state"].items():
        assert torch.equal(tensor, second["current_model_state"][name])
    for name, tensor in first["state_dict"].items():
        assert torch.equal(tensor, second["state_dict"][name])
    rates = [group["lr"] for group in second["optimizer_states"][0]["param_groups"]]
    assert len(rates) > 3
    assert all(math.isclose(rate, 0.01 * 0.8**index) for index, rate in enumerate(rates))
