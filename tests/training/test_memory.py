import logging
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_backbones import section
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from sleap_nn.config.trainer_config import OptimizerConfig, TrainerConfig
from sleap_nn.errors import DeviceMemoryError
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.networks.network import BACKBONES, PoseNetwork
from sleap_nn.training import memory
from sleap_nn.training.memory import MemoryNeed, announce, free_memory, measure

CPU = {"trainer_accelerator": "cpu", "precision": "32"}


class Chain(nn.Module):
    """A network whose need can be counted by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 1, bias=False)
        self.second = nn.Conv2d(2, 3, 1, bias=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = self.first(image.to(self.first.weight.dtype))
        return {"maps": self.second(torch.relu_(x))}


def test_the_need_is_what_is_kept_for_the_backward_pass() -> None:
    need = measure(Chain(), (1, 10, 10), TrainerConfig(**CPU))
    kept = 100 * 4 * (1 + 2)  # the image as floats, and the map between the layers, which ReLU changes in place
    assert need.sample == kept + 2 * 100 * 4 * 2 + memory._MAP_COPIES * 4 * 300
    assert need.weights == 4 * (1 + 1 + 2) * 8  # weights, gradients, two moments
    assert need.of(3) == need.weights + 3 * need.sample


@pytest.mark.parametrize(
    ("options", "copies"),
    [
        ({"ema_decay": 0.9}, 5),
        ({"optimizer": OptimizerConfig(amsgrad=True)}, 5),
        ({"ema_decay": 0.9, "optimizer": OptimizerConfig(amsgrad=True)}, 6),
    ],
)
def test_options_of_the_optimisation_count(options: dict[str, Any], copies: int) -> None:
    assert measure(Chain(), (1, 8, 8), TrainerConfig(**CPU, **options)).weights == 4 * copies * 8


def test_frozen_weights_need_neither_gradients_nor_moments() -> None:
    network = Chain()
    network.first.requires_grad_(False)
    need = measure(network, (1, 10, 10), TrainerConfig(**CPU))
    assert need.weights == 4 * 8 + 4 * 3 * 6
    assert need.sample < measure(Chain(), (1, 10, 10), TrainerConfig(**CPU)).sample


@pytest.mark.parametrize("name", BACKBONES)
def test_shapes_alone_tell_what_a_real_step_keeps(name: str) -> None:
    network = PoseNetwork.from_config(section(name, output_stride=2), [ConfidenceMapsHead("A", 3, output_stride=2)])
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    image = torch.randint(0, 256, (2, network.backbone.in_channels, 64, 96), dtype=torch.uint8)
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        network.train()(image)
    real = sum(tensor.untyped_storage().nbytes() for pointer, tensor in kept.items() if pointer not in own)
    sizes, num_cells = memory._kept_for_backward(network, tuple(image.shape[1:]), torch.float32)
    assert 2 * sum(sizes) == pytest.approx(real, rel=0.05)
    assert num_cells == 3 * 32 * 48
    if name != "pretrained":  # whose running statistics the real pass has moved
        assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    assert next(network.parameters()).device.type == "cpu"


def test_half_precision_counts_half_on_gpus_only() -> None:
    network = PoseNetwork.from_config(section("unet", output_stride=2), [ConfidenceMapsHead("A", 3, output_stride=2)])

    def sample(accelerator: str, precision: str) -> int:
        settings = TrainerConfig(trainer_accelerator=accelerator, precision=precision)
        return measure(network, (1, 64, 64), settings).sample

    assert sample("cpu", "bf16-mixed") == sample("cpu", "32") == sample("cuda", "32")
    assert 0.5 * sample("cuda", "32") < sample("cuda", "bf16-mixed") < 0.7 * sample("cuda", "32")


def test_the_processor_has_what_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for free in (None, 5000):
        monkeypatch.setattr(memory, "available_memory", lambda free=free: free)
        assert free_memory("cpu") == free


def test_gpus_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (123, 456))
    assert free_memory("cuda") == 123
    fake = SimpleNamespace(recommended_max_memory=lambda: 100, driver_allocated_memory=lambda: 30)
    monkeypatch.setattr(torch, "mps", fake)
    assert free_memory("mps") == 70


def told(
    caplog: pytest.LogCaptureFixture, free: int | None, monkeypatch: pytest.MonkeyPatch, accelerator: str = "cuda"
) -> list[tuple[str, str]]:
    monkeypatch.setattr(memory, "free_memory", lambda accelerator: free)
    caplog.clear()
    with caplog.at_level(logging.INFO, "sleap_nn"):
        announce(MemoryNeed(weights=50_000_000, sample=500_000_000), 4, accelerator, 3_000_000_000)
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_one_line_says_what_a_step_takes(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    line = (
        "Memory: about 2.0 GB for a step of 4 samples (weights and optimizer 50 MB, activations 2.0 GB), "
        "frames kept in memory 3.0 GB"
    )
    assert told(caplog, 8_000_000_000, monkeypatch) == [("INFO", f"{line}; 8.0 GB free on cuda.")]
    assert told(caplog, None, monkeypatch) == [("INFO", f"{line}.")]


def test_what_will_hardly_fit_is_said_with_remedies(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (level, warning) = told(caplog, 2_000_000_000, monkeypatch)
    assert level == "WARNING"
    assert warning.startswith("A step of 4 samples will hardly fit into the memory of the cuda: lower trainer_config.")
    assert warning.endswith("About 3 samples would fit.")
    _, (_, warning) = told(caplog, 300_000_000, monkeypatch)
    assert "would fit" not in warning


def test_frames_share_the_main_memory_with_the_processor(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(told(caplog, 4_000_000_000, monkeypatch)) == 1
    _, (_, warning) = told(caplog, 4_500_000_000, monkeypatch, accelerator="cpu")
    assert warning.endswith("About 2 samples would fit.")


@pytest.mark.parametrize(
    ("accelerator", "batch_size", "fits"),
    [("cpu", 39, True), ("cpu", 50, False), ("cuda", 50, True)],
)
def test_a_step_that_cannot_fit_is_refused(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, batch_size: int, fits: bool
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda _: 10_000_000)
    need = MemoryNeed(weights=0, sample=1_000_000)
    if fits:
        announce(need, batch_size, accelerator, 0)
        return
    with pytest.raises(DeviceMemoryError, match=r"takes about 50 MB, but 10 MB are free on cpu; .* 9 samples"):
        announce(need, batch_size, accelerator, 0)


def test_a_gpu_cannot_split_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda _: 1_000_000)
    with pytest.raises(DeviceMemoryError, match="free on cuda"):
        announce(MemoryNeed(weights=5_000_000, sample=1_000_000), 1, "cuda", 0)
