from typing import Any

import pytest
import torch

from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.errors import ConfigError
from sleap_nn.training import devices
from sleap_nn.training.devices import Devices


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Return a function that pretends to be on another machine."""

    def pretend(num_gpus: int = 0, kind: str = "cuda", bfloat16: bool = True) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: num_gpus > 0 and kind == "cuda")
        monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bfloat16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: num_gpus > 0 and kind == "mps")
        monkeypatch.setattr(devices, "freest_gpus", lambda count: tuple(range(num_gpus))[-count:])

    return pretend


def choose(num_started: int | None = None, **settings: Any) -> Devices:
    return Devices.from_config(TrainerConfig(**settings), num_started)


def what(chosen: Devices) -> tuple[str, int, tuple[int, ...] | None, str]:
    return chosen.accelerator, chosen.count, chosen.indices, chosen.strategy


@pytest.mark.parametrize(
    ("gpus", "settings", "expected"),
    [
        (0, {}, ("cpu", 1, None, "single")),
        (0, {"trainer_devices": "auto", "trainer_accelerator": "gpu"}, ("cpu", 1, None, "single")),
        (0, {"trainer_devices": 3, "trainer_accelerator": "cpu"}, ("cpu", 3, None, "ddp")),
        (0, {"trainer_device_indices": [0]}, ("cpu", 1, None, "single")),
        (4, {}, ("cuda", 4, None, "ddp")),
        (4, {"trainer_device_indices": []}, ("cuda", 4, None, "ddp")),
        (4, {"trainer_devices": "auto", "trainer_strategy": "fsdp"}, ("cuda", 4, None, "fsdp")),
        (4, {"trainer_devices": 2, "trainer_strategy": "ddp"}, ("cuda", 2, (2, 3), "ddp")),
        (4, {"trainer_devices": 1, "trainer_strategy": "fsdp"}, ("cuda", 1, (3,), "single")),
        (4, {"trainer_devices": 2, "trainer_device_indices": [0, 2]}, ("cuda", 2, (0, 2), "ddp")),
        (4, {"trainer_device_indices": [3, 1, 0]}, ("cuda", 3, (3, 1, 0), "ddp")),
        (4, {"trainer_accelerator": "cpu"}, ("cpu", 1, None, "single")),
        (1, {"trainer_strategy": "ddp_find_unused_parameters_true"}, ("cuda", 1, None, "single")),
    ],
)
def test_devices_are_those_asked_for_or_all(machine, gpus: int, settings: dict[str, Any], expected: Any) -> None:
    machine(gpus)
    assert what(choose(**settings)) == expected


def test_apple_chips_are_one_device(machine) -> None:
    machine(1, "mps")
    assert what(choose()) == ("mps", 1, None, "single")
    with pytest.raises(ConfigError, match=r"2 devices .* has 1 \(mps\)"):
        choose(trainer_devices=2)


@pytest.mark.parametrize(
    ("gpus", "settings", "message"),
    [
        (
            2,
            {"trainer_devices": 4},
            r"on 4 devices .*trainer_devices\), but this machine has 2 \(cuda\); give a smaller",
        ),
        (0, {"trainer_devices": 4}, r"this machine has no GPU; .*trainer_accelerator=cpu"),
        (0, {"trainer_devices": 2, "trainer_accelerator": "gpu"}, r"this machine has no GPU"),
        (2, {"trainer_devices": 0}, r"trainer_devices is 0; give at least 1, or auto"),
        (2, {"trainer_device_indices": [0, 2]}, r"indices is \[0, 2\], but this machine has 2 GPUs \(indices 0 to 1\)"),
        (1, {"trainer_device_indices": [1]}, r"one device \(cuda, 0\)"),
        (0, {"trainer_device_indices": [0, 2]}, r"one device \(cpu, 0\)"),
        (2, {"trainer_device_indices": [1, 1]}, r"name every device once"),
        (2, {"trainer_strategy": "dpd"}, r"did you mean 'ddp'\?"),
        (2, {"trainer_strategy": "fsdp_native"}, r"did you mean 'fsdp'\?"),
        (2, {"trainer_strategy": "ddp_find_unused_parameter_true"}, r"did you mean 'ddp_find_unused_parameters_true'"),
        (2, {"trainer_strategy": "xyz"}, r"leave it at auto"),
        (2, {"trainer_strategy": "fsdp", "ema_decay": 0.9}, r"ema_decay=0, or trainer_strategy=ddp"),
        (2, {"trainer_strategy": "fsdp", "precision": "16-mixed"}, r"use bf16-mixed or 32"),
    ],
)
def test_what_cannot_be_is_refused(machine, gpus: int, settings: dict[str, Any], message: str) -> None:
    machine(gpus)
    with pytest.raises(ConfigError, match=message):
        choose(**settings)


def test_processes_that_were_started_are_the_devices(machine) -> None:
    machine(4)
    assert what(choose(2)) == ("cuda", 2, None, "ddp")
    assert what(choose(2, trainer_device_indices=[3, 1])) == ("cuda", 2, (3, 1), "ddp")
    assert what(choose(1, trainer_strategy="fsdp")) == ("cuda", 1, None, "fsdp")
    with pytest.raises(ConfigError, match=r"asks for 4 device\(s\), but 2 process"):
        choose(2, trainer_devices=4)
    with pytest.raises(ConfigError, match="has 4"):
        choose(8)
    machine(0)
    assert what(choose(2)) == ("cpu", 2, None, "ddp")


def test_the_precision_suits_the_strategy(machine) -> None:
    machine(2, bfloat16=False)
    assert choose(precision="auto").precision == "16-mixed"
    assert choose(precision="auto", trainer_strategy="fsdp").precision == "32"
    machine(2, bfloat16=True)
    assert choose(precision="auto", trainer_strategy="fsdp").precision == "bf16-mixed"


def test_every_process_has_its_device(machine) -> None:
    machine(4)
    assert [choose().device(rank).index for rank in range(4)] == [0, 1, 2, 3]
    assert [choose(trainer_device_indices=[2, 0]).device(rank).index for rank in range(2)] == [2, 0]
    assert choose(trainer_accelerator="cpu").device(0) == torch.device("cpu")


def test_another_machine_must_have_the_devices_too(machine) -> None:
    machine(4)
    chosen = choose(4)
    chosen.check_here(4)
    machine(2)
    with pytest.raises(ConfigError, match=r"4 process\(es\) on .* train on cuda"):
        chosen.check_here(4)
    machine(0)
    with pytest.raises(ConfigError, match="not so many"):
        chosen.check_here(1)
    choose(8, trainer_accelerator="cpu").check_here(8)


def test_a_choice_survives_json(machine) -> None:
    machine(4)
    for chosen in (choose(), choose(trainer_device_indices=[0, 2])):
        stored = {**vars(chosen), "indices": None if chosen.indices is None else list(chosen.indices)}
        assert Devices.from_dict(stored) == chosen


@pytest.mark.parametrize(
    ("settings", "stored"),
    [
        ({}, "auto"),
        ({"trainer_devices": "auto"}, "auto"),
        ({"trainer_devices": 2}, 2),
        ({"trainer_devices": "auto", "trainer_device_indices": [1, 2, 3]}, 3),
    ],
)
def test_the_saved_configuration_says_what_was_used(machine, settings: dict[str, Any], stored: int | str) -> None:
    machine(4)
    assert choose(**settings).as_stored(TrainerConfig(**settings)) == stored


def test_a_configuration_is_checked_before_labels_are_read(machine) -> None:
    machine(0)
    tree = {
        "model_config": {"backbone_config": {"unet": {}}, "head_configs": {"single_instance": {}}},
        "trainer_config": {"trainer_devices": 2},
    }
    with pytest.raises(ConfigError, match="no GPU"):
        devices.with_devices(tree, None)
    tree["trainer_config"]["trainer_accelerator"] = "cpu"
    assert devices.with_devices(tree, None).trainer_config.trainer_devices == 2
