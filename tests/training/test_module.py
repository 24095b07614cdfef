"""Every option of the optimisation does what it says, seen at the weights."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import make_labels
from lightning.pytorch import Callback
from torch import Tensor

from sleap_nn.networks import model_dir
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.training import engine
from sleap_nn.training.model_trainer import ModelTrainer

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "lr_schedules.json").read_text())


class Recorder(Callback):
    """Keeps what the optimizer sees and makes of it, step by step."""

    def __init__(self) -> None:
        self.gradients: list[Tensor] = []
        self.norms: list[float] = []
        self.weights: list[Tensor] = []
        self.rates: list[float] = []
        self.dtypes: set[torch.dtype] = set()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.weights.append(flat(pl_module.model))
        pl_module.model.head_layers[0].register_forward_hook(
            lambda layer, inputs, output: self.dtypes.add(output.dtype)
        )

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.gradients.append(torch.cat([p.grad.flatten() for p in pl_module.model.parameters()]).clone())

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == len(self.weights):
            self.norms.append(float(torch.cat([p.grad.flatten() for p in pl_module.model.parameters()]).norm()))
            self.weights.append(flat(pl_module.model))


def flat(network: PoseNetwork) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()]).clone()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_labels(8, path=tmp_path / "labels.pkg.slp")
    return tmp_path


def fit(folder: Path, monkeypatch: pytest.MonkeyPatch, **trainer: Any) -> tuple[ModelTrainer, Recorder]:
    config = {
        "data_config": {"train_labels_path": [str(folder / "labels.pkg.slp")], "use_same_data_for_val": True},
        "model_config": {
            "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": 1,
            "train_steps_per_epoch": 4,
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
    recorder, make = Recorder(), engine.make_callbacks
    fitted = ModelTrainer(config)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "make_callbacks", lambda *arguments: [recorder, *make(*arguments)])
        fitted.train()
    return fitted, recorder


def log(folder: Path) -> list[dict[str, str]]:
    with (folder / "models" / "run" / "training_log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("name", "extra"),
    [("Adam", {}), ("AdamW", {}), ("Adam", {"amsgrad": True}), ("AdamW", {"weight_decay": 0.2})],
)
def test_steps_are_those_of_the_optimizer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, extra: dict[str, Any]
) -> None:
    _, seen = fit(folder, monkeypatch, optimizer_name=name, optimizer={"lr": 0.01, **extra})
    weights = torch.nn.Parameter(seen.weights[0].clone())
    optimizer = getattr(torch.optim, name)([weights], lr=0.01, **extra)
    for gradient, expected in zip(seen.gradients, seen.weights[1:], strict=True):
        weights.grad = gradient.clone()
        optimizer.step()
        torch.testing.assert_close(weights.detach(), expected, rtol=1e-4, atol=1e-6)


def test_weight_decay_makes_smaller_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    for decay in (0.0, 20.0):
        fitted, _ = fit(folder, monkeypatch, optimizer_name="AdamW", optimizer={"lr": 0.01, "weight_decay": decay})
        assert fitted.lightning_model is not None
        sizes.append(float(flat(fitted.lightning_model.model).norm()))
    assert sizes[1] < 0.7 * sizes[0]


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_gradients_are_no_longer_than_the_limit(folder: Path, monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    _, seen = fit(folder, monkeypatch, gradient_clip_val=0.05, precision=precision)
    assert all(float(gradient.norm()) > 0.05 for gradient in seen.gradients)
    assert seen.norms == pytest.approx([0.05] * 4, rel=1e-4)


def test_batches_add_up_to_the_step_of_a_large_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = {"train_data_loader": {"batch_size": 4}, "train_steps_per_epoch": 2}
    small = {"train_data_loader": {"batch_size": 2}, "train_steps_per_epoch": 4, "accumulate_grad_batches": 2}
    weights = [fit(folder, monkeypatch, **options)[1].weights for options in (large, small)]
    assert len(weights[0]) == len(weights[1]) == 3
    for first, second in zip(*weights, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=1e-5)


def test_a_last_step_of_fewer_batches_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, seen = fit(folder, monkeypatch, accumulate_grad_batches=3, max_epochs=2)
    assert len(seen.weights) == 1 + 2 * 2


def test_the_running_mean_is_saved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, seen = fit(folder, monkeypatch, ema_decay=0.75)
    mean = seen.weights[1]
    for weights in seen.weights[2:]:
        mean = 0.75 * mean + 0.25 * weights
    saved = model_dir.load_weights(folder / "models" / "run" / "best.ckpt")
    assert fitted.lightning_model is not None
    names = [name for name, _ in fitted.lightning_model.model.named_parameters()]
    torch.testing.assert_close(torch.cat([saved[name].flatten() for name in names]), mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("precision", "dtype"), [("32", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_the_network_computes_in_the_precision_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, precision: str, dtype: torch.dtype
) -> None:
    fitted, seen = fit(folder, monkeypatch, precision=precision)
    assert seen.dtypes == {dtype}
    assert all(weights.dtype == torch.float32 for weights in seen.weights)
    assert fitted.job.trainer_config.precision == precision


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"train_steps_per_epoch": None, "min_train_steps_per_epoch": 0}, 4),
        ({"train_steps_per_epoch": None, "min_train_steps_per_epoch": 7}, 7),
        ({"train_steps_per_epoch": 5, "min_train_steps_per_epoch": 3}, 5),
        ({"train_steps_per_epoch": 2, "min_train_steps_per_epoch": 6}, 6),
    ],
)
def test_epochs_are_as_long_as_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], steps: int
) -> None:
    fitted, seen = fit(folder, monkeypatch, **options)
    assert len(seen.weights) == 1 + steps
    assert fitted.job.trainer_config.train_steps_per_epoch == steps


@pytest.mark.parametrize(
    ("section", "golden", "fields"),
    [
        ("cosine_annealing_warmup", "cosine", ("warmup_epochs", "max_epochs", "warmup_start_lr", "eta_min")),
        ("linear_warmup_linear_decay", "linear", ("warmup_epochs", "max_epochs", "warmup_start_lr", "end_lr")),
        ("step_lr", "step", ("step_size", "gamma")),
    ],
)
def test_epochs_are_trained_at_the_rates_of_the_schedule(
    folder: Path, monkeypatch: pytest.MonkeyPatch, section: str, golden: str, fields: tuple[str, ...]
) -> None:
    values = {name: GOLDEN[golden][name] for name in fields}
    epochs = 12
    _, seen = fit(
        folder,
        monkeypatch,
        optimizer={"lr": GOLDEN["base_lr"]},
        lr_scheduler={"reduce_lr_on_plateau": None, section: values},
        max_epochs=epochs,
        train_steps_per_epoch=1,
    )
    expected = GOLDEN[golden]["lr_by_epoch"][:epochs]
    assert seen.rates == pytest.approx(expected, abs=1e-9)
    assert [float(row["learning_rate"]) for row in log(folder)] == pytest.approx(expected, abs=1e-9)


def test_the_plateau_follows_the_validation_loss(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never_enough = {"reduce_lr_on_plateau": {"threshold": 10.0, "patience": 1, "cooldown": 1, "factor": 0.5}}
    _, seen = fit(folder, monkeypatch, lr_scheduler=never_enough, max_epochs=7, train_steps_per_epoch=1)
    assert seen.rates == pytest.approx([0.01, 0.01, 0.01, 0.005, 0.005, 0.005, 0.0025])


@pytest.mark.parametrize(("patience", "epochs"), [(0, 2), (2, 3), (3, 4)])
def test_training_ends_when_the_loss_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch, patience: int, epochs: int
) -> None:
    stopping = {"stop_training_on_plateau": True, "min_delta": 100.0, "patience": patience}
    fit(folder, monkeypatch, early_stopping=stopping, max_epochs=9, train_steps_per_epoch=1)
    assert len(log(folder)) == epochs


def test_random_numbers_of_a_step_depend_on_seed_and_step_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []
    outputs = PoseNetwork.forward

    def noted(self: PoseNetwork, image: Tensor) -> dict[str, Tensor]:
        if self.training and image.device.type == "cpu":
            drawn.append(float(torch.rand(1)))
        return outputs(self, image)

    monkeypatch.setattr(PoseNetwork, "forward", noted)
    fit(folder, monkeypatch, max_epochs=2, train_steps_per_epoch=2)
    expected = []
    for step in range(4):
        torch.manual_seed(int(np.random.SeedSequence((42, step, 0)).generate_state(1)[0]))
        expected.append(float(torch.rand(1)))
    assert drawn == expected
