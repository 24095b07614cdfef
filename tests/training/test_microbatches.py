import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from factories import make_labels
from torch import Tensor, nn

from sleap_nn.errors import DeviceMemoryError
from sleap_nn.networks import model_dir
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.structures.sample import Batch
from sleap_nn.training.microbatches import MicroBatches, ran_out_of_memory
from sleap_nn.training.model_trainer import ModelTrainer
from sleap_nn.training.module import TrainingModule

CPU_MESSAGE = "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to allocate"


def cpu_error() -> RuntimeError:
    return RuntimeError(CPU_MESSAGE)


def cuda_error() -> RuntimeError:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore words.")


def settings(folder: Path, model_type: str = "single_instance", **trainer: Any) -> dict[str, Any]:
    heads: dict[str, Any] = {"confmaps": {"sigma": 2.0, "output_stride": 4}}
    if model_type == "multi_class_topdown":
        heads["class_vectors"] = {}
    return {
        "data_config": {
            "train_labels_path": [str(folder / "labels.pkg.slp")],
            "use_same_data_for_val": True,
            "augmentation_config": {"geometric": {"mixup_p": 0.5}},
            "preprocessing": {"min_crop_size": None},
        },
        "model_config": {
            "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
            "head_configs": {model_type: heads},
        },
        "trainer_config": {
            "max_epochs": 2,
            "train_steps_per_epoch": 3,
            "min_train_steps_per_epoch": 1,
            "train_data_loader": {"batch_size": 5},
            "val_data_loader": {"batch_size": 8},
            "ckpt_dir": str(folder / "models"),
            "run_name": "run",
            "trainer_accelerator": "cpu",
            "precision": "32",
            **trainer,
        },
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_labels(8, path=tmp_path / "labels.pkg.slp")
    return tmp_path


def fit(config: dict[str, Any]) -> ModelTrainer:
    trainer = ModelTrainer(config)
    trainer.train()
    return trainer


def state(trainer: ModelTrainer) -> dict[str, Tensor]:
    assert trainer.lightning_model is not None
    return {name: tensor.clone() for name, tensor in trainer.lightning_model.model.state_dict().items()}


class Scarce(nn.Module):
    """Lets a tensor through, and fails in the backward pass of a batch that is too large."""

    def __init__(self, capacity: int, error: Callable[[], RuntimeError]) -> None:
        super().__init__()
        self.capacity, self.error = capacity, error

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad and len(x) > self.capacity:
            x.register_hook(self.fail)
        return x

    def fail(self, gradient: Tensor) -> Tensor:
        raise self.error()


def scarce_forward(monkeypatch: pytest.MonkeyPatch, capacity: int, error: Callable[[], RuntimeError]) -> list[int]:
    """Let the network fail on batches that are too large; return the sizes that it is asked for."""
    forward, asked = PoseNetwork.forward, []

    def limited(self: PoseNetwork, image: Tensor) -> dict[str, Tensor]:
        if image.device.type == "meta":
            return forward(self, image)
        asked.append(len(image))
        if len(image) > capacity:
            raise error()
        return forward(self, image)

    monkeypatch.setattr(PoseNetwork, "forward", limited)
    return asked


def scarce_backward(monkeypatch: pytest.MonkeyPatch, capacity: int, error: Callable[[], RuntimeError]) -> list[int]:
    """Let the network fail in the middle of the backward pass, when some weights have their gradients already."""
    forward, asked = PoseNetwork.forward, []

    def limited(self: PoseNetwork, image: Tensor) -> dict[str, Tensor]:
        outputs = forward(self, image)
        if image.device.type == "meta":
            return outputs
        asked.append(len(image))
        scarce = Scarce(capacity, error)
        features = self.backbone(image.to(self.dtype) / 255)  # a second pass, whose gradient stops half-way
        late = {stride: scarce(feature) for stride, feature in features.by_stride.items()}
        head = self.heads[0]
        return outputs | {head.name: self.head_layers[0](late[head.output_stride])}

    monkeypatch.setattr(PoseNetwork, "forward", limited)
    return asked


Scarcity = Callable[[pytest.MonkeyPatch, int, Callable[[], RuntimeError]], list[int]]


@pytest.mark.parametrize("scarcity", [scarce_forward, scarce_backward])
@pytest.mark.parametrize("error", [cpu_error, cuda_error])
@pytest.mark.parametrize(
    "extra", [{}, {"accumulate_grad_batches": 2, "gradient_clip_val": 0.01}, {"precision": "bf16-mixed"}]
)
def test_a_run_short_of_memory_ends_with_the_weights_of_one_that_was_not(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    scarcity: Scarcity,
    error: Callable[[], RuntimeError],
    extra: dict[str, Any],
) -> None:
    whole = fit(settings(folder, **extra))
    sizes = scarcity(monkeypatch, 2, error)
    parts = fit(settings(folder, **extra))
    assert sizes[:2] == [5, 3]
    assert set(sizes) >= {2, 1}
    tolerance = 2e-4 if extra.get("precision") == "bf16-mixed" else 1e-6
    for name, tensor in state(whole).items():
        torch.testing.assert_close(state(parts)[name], tensor, rtol=0, atol=tolerance)
    assert whole.trainer is not None
    assert parts.trainer is not None
    for name, value in whole.trainer.callback_metrics.items():
        if "confmap_" in name:  # shares of the cells of what goes through the network at once
            continue
        assert float(parts.trainer.callback_metrics[name]) == pytest.approx(float(value), rel=1e-2 if extra else 1e-4)


@pytest.mark.parametrize("model_type", ["single_instance", "multi_class_topdown"])
def test_gradients_of_parts_are_those_of_the_batch(folder: Path, model_type: str) -> None:
    """Samples count by their weights, and in class vectors only where the class is known."""
    trainer = fit(settings(folder, model_type, max_epochs=1, train_steps_per_epoch=1))
    module = trainer.lightning_model
    assert module is not None
    dataset, _ = trainer.datasets()
    batch = Batch.stack([dataset[row] for row in range(6)])
    weights = torch.tensor([1.0, 0.2, 3.0, 1.0, 0.5, 2.0])
    batch = replace(batch, weights=weights, class_ids=torch.tensor([0, -1, 0, -1, -1, 0])[:, None])

    def gradients(parts: Sequence[Batch]) -> list[Tensor]:
        module._learn(parts, None)
        return [parameter.grad.clone() for parameter in module.model.parameters() if parameter.grad is not None]

    whole = gradients([batch])
    assert len(whole) == len(list(module.model.parameters()))
    for size in (1, 2, 4, 5):
        for found, expected in zip(gradients(batch.split(size)), whole, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6 * float(expected.abs().max()) + 1e-9)


def test_the_size_is_kept_logged_and_resumed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "sleap_nn"):
        scarce_forward(patch, 2, cpu_error)
        fit(settings(folder, save_ckpt=True, max_epochs=1))
    told = [record.getMessage() for record in caplog.records if "Memory ran out" in record.getMessage()]
    assert [text.split(";")[0] for text in told] == [
        "Memory ran out with 5 samples at once",
        "Memory ran out with 3 samples at once",
        "Memory ran out with 8 samples at once",
        "Memory ran out with 4 samples at once",
    ]
    checkpoint = model_dir.read_checkpoint(folder / "models" / "run" / "resume.ckpt")
    assert checkpoint["micro_batches"] == [{"size": 2}, {"size": 2}]
    sizes = scarce_forward(monkeypatch, 2, cpu_error)
    fit(settings(folder, save_ckpt=True, resume_ckpt_path=str(folder / "models" / "run")))
    assert sizes == [2, 2, 1] * 3 + [2] * 4


def test_not_even_one_sample(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scarce_forward(monkeypatch, 0, cuda_error)
    with pytest.raises(DeviceMemoryError, match=r"single sample \(CUDA out of memory\. Tried .* GiB\.\); lower"):
        fit(settings(folder))


def test_other_errors_come_through(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong() -> RuntimeError:
        return RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    scarce_forward(monkeypatch, 0, wrong)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        fit(settings(folder))


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (cpu_error(), True),
        (cuda_error(), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("expected scalar type Float"), False),
    ],
)
def test_errors_of_memory_are_recognised(error: RuntimeError, known: bool) -> None:
    assert ran_out_of_memory(error) is known


def test_divided_weights_leave_the_gradients_to_the_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit(settings(folder, accumulate_grad_batches=2))
    monkeypatch.setattr(TrainingModule, "_is_divided", True)
    monkeypatch.setattr(MicroBatches, "run", lambda *arguments: pytest.fail("no parts of divided weights"))
    divided = fit(settings(folder, accumulate_grad_batches=2))
    for name, tensor in state(whole).items():
        assert torch.equal(state(divided)[name], tensor)


def test_losses_stay_finite_when_no_sample_of_a_batch_has_a_class(folder: Path) -> None:
    trainer = fit(settings(folder, "multi_class_topdown", max_epochs=1, train_steps_per_epoch=1))
    module = trainer.lightning_model
    assert module is not None
    dataset, _ = trainer.datasets()
    batch = Batch.stack([replace(dataset[row], class_ids=torch.tensor([-1]).numpy(), mixed=None) for row in range(4)])
    assert math.isfinite(float(module._learn(batch.split(2), None).detach()))
