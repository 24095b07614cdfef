import subprocess
from types import SimpleNamespace

import pytest
import torch

from sleap_nn.errors import ConfigError
from sleap_nn.networks import devices
from sleap_nn.networks.devices import (
    freest_gpus,
    native_bfloat16,
    num_devices,
    resolve_accelerator,
    resolve_precision,
)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Return a function that pretends to be on another machine."""

    def pretend(cuda: bool = False, mps: bool = False, bfloat16: bool = False, hide_mps: str | None = None) -> None:
        def is_bf16_supported(including_emulation: bool = True) -> bool:
            return bfloat16 or including_emulation

        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        if hide_mps is None:
            monkeypatch.delenv("SLEAP_NN_DISABLE_MPS", raising=False)
        else:
            monkeypatch.setenv("SLEAP_NN_DISABLE_MPS", hide_mps)

    return pretend


@pytest.mark.parametrize(
    ("hardware", "answers"),
    [
        ({}, {"auto": "cpu", "gpu": "cpu", "cuda": "cpu", "mps": "cpu", "cpu": "cpu"}),
        ({"cuda": True}, {"auto": "cuda", "gpu": "cuda", "cuda": "cuda", "mps": "cuda", "cpu": "cpu"}),
        ({"mps": True}, {"auto": "mps", "gpu": "mps", "cuda": "mps", "mps": "mps", "cpu": "cpu"}),
        ({"cuda": True, "mps": True}, {"auto": "cuda", "gpu": "cuda", "cuda": "cuda", "mps": "mps", "cpu": "cpu"}),
    ],
    ids=["no gpu", "cuda", "mps", "both"],
)
def test_what_is_asked_for_runs_if_it_is_here_else_the_best(machine, hardware: dict, answers: dict) -> None:
    machine(**hardware)
    assert {name: resolve_accelerator(name) for name in answers} == answers


@pytest.mark.parametrize(("value", "accelerator"), [("1", "cpu"), ("0", "mps"), ("", "mps"), (None, "mps")])
def test_mps_can_be_hidden(machine, value: str | None, accelerator: str) -> None:
    machine(mps=True, hide_mps=value)
    assert resolve_accelerator("auto") == accelerator
    assert resolve_accelerator("mps") == accelerator


@pytest.mark.parametrize("native", [True, False])
def test_emulated_bfloat16_of_a_gpu_does_not_count(machine, native: bool) -> None:
    machine(cuda=True, bfloat16=native)
    assert native_bfloat16("cuda") is native
    assert not native_bfloat16("mps")


@pytest.mark.parametrize(
    ("capabilities", "native"),
    [
        ({}, False),
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False, "avx2": True}, False),
        ({"avx512_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
    ],
)
def test_bfloat16_of_a_cpu_is_what_its_instructions_say(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict, native: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert native_bfloat16("cpu") is native


def test_a_torch_that_cannot_tell_counts_as_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert native_bfloat16("cpu") is False


@pytest.mark.parametrize(
    ("accelerator", "native", "precision"),
    [("cuda", True, "bf16-mixed"), ("cuda", False, "16-mixed"), ("mps", True, "32"), ("cpu", False, "32")],
)
def test_auto_is_the_quickest_precision_that_the_hardware_computes(
    machine, monkeypatch: pytest.MonkeyPatch, accelerator: str, native: bool, precision: str
) -> None:
    machine(cuda=accelerator == "cuda", bfloat16=native)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native}, raising=False)
    assert resolve_precision("auto", accelerator) == precision


@pytest.mark.parametrize(
    ("name", "accelerator"),
    [("32", "cpu"), ("32", "cuda"), ("bf16-mixed", "cpu"), ("bf16-mixed", "cuda"), ("16-mixed", "cuda")],
)
def test_a_named_precision_is_taken_at_its_word(machine, name: str, accelerator: str) -> None:
    machine(cuda=True, bfloat16=True)
    assert resolve_precision(name, accelerator) == name


@pytest.mark.parametrize("name", ["64", "bf16", "", "AUTO"])
def test_an_unknown_precision_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match=r"precision is '.*'; choose one of auto, 32, bf16-mixed, 16-mixed"):
        resolve_precision(name, "cpu")


def test_float16_on_a_cpu_becomes_float32(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "sleap_nn"):
        assert resolve_precision("16-mixed", "cpu") == "32"
    assert "CPUs do not compute in float16" in caplog.text
    assert resolve_precision("16-mixed", "cuda") == "16-mixed"


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch):
    """Return a function that pretends that the driver's program answers so for three GPUs."""

    def pretend(answer: str | Exception) -> None:
        def run(*_: object, **__: object) -> SimpleNamespace:
            if isinstance(answer, Exception):
                raise answer
            return SimpleNamespace(stdout=answer)

        ids = ["aaaa", "bbbb", "cccc"]
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(ids))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=ids[index]))
        monkeypatch.setattr(devices, "subprocess", SimpleNamespace(run=run, SubprocessError=subprocess.SubprocessError))

    return pretend


def test_the_gpus_with_most_free_memory_are_found(gpus) -> None:
    gpus("GPU-cccc, 9000\nGPU-aaaa, 500\nGPU-dddd, 99999\nGPU-bbbb, 8000\n")
    assert [freest_gpus(count) for count in (1, 2, 3)] == [(2,), (1, 2), (0, 1, 2)]


@pytest.mark.parametrize(
    "answer",
    ["GPU-aaaa, 500\n", "no devices", "", FileNotFoundError(), subprocess.TimeoutExpired("nvidia-smi", 20)],
    ids=["one missing", "no table", "nothing", "no program", "no answer"],
)
def test_where_that_is_unknown_the_first_ones_are_taken(gpus, answer: str | Exception) -> None:
    gpus(answer)
    assert freest_gpus(2) == (0, 1)


def test_the_processor_is_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert [num_devices(name) for name in ("cpu", "mps", "cuda")] == [1, 1, 4]
