import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from sleap_nn import system_info
from sleap_nn.version import __version__

GPU = SimpleNamespace(name="NVIDIA A100", major=8, minor=0, total_memory=40 * 1024**3)


@pytest.fixture
def cuda_machine(monkeypatch):
    """Make torch and nvidia-smi answer as on a machine with one GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: GPU)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(system_info, "_driver_version", lambda: "580.82.07")


@pytest.fixture
def cpu_machine(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(system_info, "_driver_version", lambda: None)


def test_facts_without_a_gpu(cpu_machine):
    info = system_info.get_system_info_dict()
    assert info["accelerator"] == "cpu"
    assert info["pytorch_version"] == torch.__version__
    assert (info["cuda_available"], info["cuda_version"], info["gpus"], info["gpu_count"]) == (
        False,
        None,
        [],
        0,
    )
    assert info["driver_compatible"] is None
    assert set(info["packages"]) == set(system_info.PACKAGES)
    assert set(info["precision"]) == {"fp32", "bf16", "fp16"}


def test_facts_with_a_gpu(cuda_machine):
    info = system_info.get_system_info_dict()
    assert info["accelerator"] == "cuda"
    assert info["gpus"] == [{"id": 0, "name": "NVIDIA A100", "compute_capability": "8.0", "memory_gb": 40.0}]
    assert (info["cuda_version"], info["cudnn_version"]) == ("13.0", "91002")
    assert (info["driver_min_required"], info["driver_compatible"]) == ("580.65.06", True)
    assert system_info._system_rows(info)[-1] == ["GPU 0", "NVIDIA A100 (40.0 GB, compute 8.0)"]


def test_mps_can_be_hidden(cpu_machine, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert system_info.get_system_info_dict()["accelerator"] == "mps"
    monkeypatch.setenv("SLEAP_NN_DISABLE_MPS", "1")
    assert system_info.get_system_info_dict()["accelerator"] == "cpu"


def test_startup_line(cpu_machine):
    python = ".".join(str(part) for part in sys.version_info[:3])
    expected = f"sleap-nn {__version__} | Python {python} | PyTorch {torch.__version__} | CPU only"
    assert system_info.get_startup_info_string() == expected


def test_startup_line_with_a_gpu(cuda_machine):
    assert system_info.get_startup_info_string().endswith(" | CUDA 13.0 | 1 GPU(s)")


@pytest.mark.parametrize(
    ("cuda", "driver", "line"),
    [
        ("13.0", None, None),
        ("13.0", "580.65.06", "OK Driver is compatible: 580.65.06 >= 580.65.06 (required for CUDA 13.0)"),
        ("13.0", "570.172.08", "FAIL Driver is too old: 570.172.08 < 580.65.06 (required for CUDA 13.0)"),
        ("12.8", "1000.1", "OK Driver is compatible: 1000.1 >= 570.26 (required for CUDA 12.8)"),
        ("99.1", "580.65.06", "! Driver 580.65.06: compatibility with CUDA 99.1 unknown"),
        (None, "580.65.06", "-- NVIDIA driver 580.65.06 found, but this PyTorch is built without CUDA"),
    ],
)
def test_driver_line(cpu_machine, monkeypatch, cuda, driver, line):
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(system_info, "_driver_version", lambda: driver)
    lines = system_info._driver_lines(system_info.get_system_info_dict())
    assert lines == ([] if line is None else [line])


@pytest.mark.parametrize(
    ("answer", "version"),
    [("580.82.07\n580.82.07\n", "580.82.07"), ("NVIDIA-SMI has failed\n", None), ("", None)],
)
def test_driver_version_is_read_from_nvidia_smi(monkeypatch, answer, version):
    monkeypatch.setattr(system_info.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(system_info.subprocess, "run", lambda *args, **kwargs: SimpleNamespace(stdout=answer))
    assert system_info._driver_version() == version


def test_driver_that_does_not_answer_counts_as_absent(monkeypatch):
    def run(*args, **kwargs):
        raise subprocess.TimeoutExpired("nvidia-smi", 10)

    monkeypatch.setattr(system_info.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(system_info.subprocess, "run", run)
    assert system_info._driver_version() is None


@pytest.mark.parametrize(
    ("origin", "installer", "source"),
    [
        ({}, "pip\n", "pip"),
        ({}, None, "pip"),
        ({}, "conda\n", "conda"),
        ({"url": "https://example.org/a.git", "vcs_info": {"vcs": "git"}}, "pip", "git"),
        ({"url": "file:///home/a", "dir_info": {}}, "pip", "local"),
    ],
)
def test_package_source(origin, installer, source):
    assert system_info._package_source(origin, editable=False, installer=installer) == source


def test_absent_package_is_said_to_be_absent():
    rows = system_info._package_rows({"no-such-package": system_info._package("no-such-package")})
    assert rows == [["no-such-package", "not installed", "", ""]]


def test_long_locations_keep_their_end():
    shortened = system_info._shortened("/a" * 30 + "/site-packages")
    assert len(shortened) == 40
    assert shortened.startswith("...")
    assert shortened.endswith("/site-packages")


@pytest.mark.parametrize(
    ("capabilities", "bf16"),
    [({}, "emulated"), ({"amx_bf16": True, "avx512_bf16": True}, "native (AMX, AVX512_BF16)")],
)
def test_processor_instructions_are_named(monkeypatch, capabilities, bf16):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert system_info._precisions("cpu")["bf16"] == bf16


def test_torch_that_knows_no_capabilities_counts_as_emulating(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert system_info._precisions("cpu")["bf16"] == "emulated"


def test_device_that_fails_is_reported_not_raised(monkeypatch):
    def fail(device):
        raise RuntimeError("no kernel image is available\nmore words")

    monkeypatch.setattr("sleap_nn.system_check.run_self_test", fail)
    assert system_info._self_test_lines("cuda") == ["FAIL PyTorch cannot use GPU: no kernel image is available"]
