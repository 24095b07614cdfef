"""What this machine offers: versions, devices, precisions, packages; as a dict, one line, or printed tables.

Whether the device computes correctly is measured in `system_check.py`. torch is imported on use.
"""

import json
import platform
import re
import shutil
import subprocess
import sys
import warnings
from importlib import metadata
from typing import Any

from sleap_nn.version import __version__

PACKAGES = ("sleap-nn", "sleap-io", "torch", "pytorch-lightning", "kornia", "wandb", "numpy", "h5py")
"""Packages of the report; those this package does not depend on are named because users ask about them."""

MIN_LINUX_DRIVERS = {"12.6": "560.28.03", "12.8": "570.26", "13.0": "580.65.06"}
"""CUDA version -> oldest NVIDIA driver for Linux (CUDA toolkit release notes, table of driver versions)."""

LOCATION_WIDTH = 40
PIPED_WIDTH = 120


def get_system_info_dict() -> dict[str, Any]:
    """Collect the facts about this machine.

    Returns:
        ``python_version``, ``platform``, ``pytorch_version``, ``accelerator`` ("cuda", "mps" or "cpu"),
        ``cuda_available``, ``cuda_version``, ``cudnn_version``, ``driver_version``, ``driver_min_required``,
        ``driver_compatible`` (None: unknown), ``gpu_count``, ``gpus`` (``id``, ``name``,
        ``compute_capability``, ``memory_gb``), ``mps_available``, ``precision`` (how fp32, bf16, fp16
        run) and ``packages`` (name -> ``version``, ``location``, ``source``, ``editable``).
    """
    import torch

    accelerator = _accelerator()
    cuda = accelerator == "cuda"
    driver = _driver_version()
    min_driver = MIN_LINUX_DRIVERS.get(torch.version.cuda) if torch.version.cuda else None
    gpus = _gpus() if cuda else []
    return {
        "python_version": platform.python_version(),
        "platform": platform.platform(),
        "pytorch_version": torch.__version__,
        "accelerator": accelerator,
        "cuda_available": cuda,
        "cuda_version": torch.version.cuda if cuda else None,
        "cudnn_version": str(torch.backends.cudnn.version()) if cuda else None,
        "driver_version": driver,
        "driver_min_required": min_driver,
        "driver_compatible": _is_at_least(driver, min_driver) if driver and min_driver else None,
        "gpu_count": len(gpus),
        "gpus": gpus,
        "mps_available": accelerator == "mps",
        "precision": _precisions(accelerator),
        "packages": {name: _package(name) for name in PACKAGES},
    }


def get_startup_info_string() -> str:
    """Return the first line of a run: versions and devices; it is quick, and leaves the GPUs as they are."""
    import torch

    accelerator = _accelerator()
    devices = {
        "cuda": f"CUDA {torch.version.cuda} | {torch.cuda.device_count()} GPU(s)",
        "mps": "MPS",
        "cpu": "CPU only",
    }[accelerator]
    versions = f"Python {platform.python_version()} | PyTorch {torch.__version__}"
    return f"sleap-nn {__version__} | {versions} | {devices}"


def print_system_info() -> None:
    """Print the tables and the check lines of ``sleap-nn system`` on standard output."""
    from rich.console import Console

    info = get_system_info_dict()
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    console.print(_table("System Information", ["", ""], _system_rows(info)))
    console.print(_table("Precision", ["", ""], [[name, how] for name, how in info["precision"].items()]))
    columns = ["Package", "Version", "Source", "Location"]
    console.print(_table("Package Versions", columns, _package_rows(info["packages"])))
    for line in [*_driver_lines(info), *_self_test_lines(info["accelerator"])]:
        console.print(line, soft_wrap=True)


def _accelerator() -> str:
    """Return the accelerator of this machine."""
    from sleap_nn.networks.devices import resolve_accelerator

    with warnings.catch_warnings():
        # torch warns of drivers that are too old; the driver line of the report says it better.
        warnings.simplefilter("ignore", UserWarning)
        return resolve_accelerator("auto")


def _gpus() -> list[dict[str, Any]]:
    import torch

    properties = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return [
        {
            "id": index,
            "name": gpu.name,
            "compute_capability": f"{gpu.major}.{gpu.minor}",
            "memory_gb": gpu.total_memory / 1024**3,
        }
        for index, gpu in enumerate(properties)
    ]


def _driver_version() -> str | None:
    """Ask ``nvidia-smi`` for the driver version; None without one that answers."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"\d+(\.\d+)+", answer.strip())
    return found.group() if found else None


def _is_at_least(version: str, minimum: str) -> bool:
    return [int(part) for part in version.split(".")] >= [int(part) for part in minimum.split(".")]


def _precisions(accelerator: str) -> dict[str, str]:
    """Say how each precision runs: natively, emulated (correct but slow), or not at all."""
    from sleap_nn.networks.devices import native_bfloat16

    if accelerator == "mps":
        return {"fp32": "native", "bf16": "depends on the macOS version", "fp16": "native"}
    bf16 = "native" if native_bfloat16(accelerator) else "emulated"
    if accelerator == "cuda":
        return {"fp32": "native", "bf16": bf16, "fp16": "native"}
    instructions = _cpu_bf16_instructions()
    named = f"{bf16} ({', '.join(instructions)})" if instructions else bf16
    return {"fp32": "native", "bf16": named, "fp16": "not used on the CPU"}


def _cpu_bf16_instructions() -> list[str]:
    """Name the processor's bfloat16 instructions; torch before 2.8 cannot tell."""
    import torch

    if not hasattr(torch.cpu, "get_capabilities"):
        return []
    capabilities = torch.cpu.get_capabilities()
    known = {"AMX": "amx_bf16", "AVX512_BF16": "avx512_bf16"}
    return [name for name, key in known.items() if capabilities.get(key)]


def _package(name: str) -> dict[str, Any]:
    """Describe one installed package; all None if it is absent."""
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return {"version": None, "location": None, "source": None, "editable": False}
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    editable = origin.get("dir_info", {}).get("editable", False)
    location = origin["url"].removeprefix("file://") if editable else str(distribution.locate_file(""))
    source = _package_source(origin, editable, distribution.read_text("INSTALLER"))
    return {"version": distribution.version, "location": location, "source": source, "editable": editable}


def _package_source(origin: dict[str, Any], editable: bool, installer: str | None) -> str:
    """Name where a package came from, by its direct_url.json (PEP 610) and INSTALLER files."""
    if editable:
        return "editable"
    if "vcs_info" in origin:
        return "git"
    if origin.get("url", "").startswith("file://"):
        return "local"
    return "conda" if installer is not None and installer.strip() == "conda" else "pip"


def _system_rows(info: dict[str, Any]) -> list[list[str]]:
    names = {"cuda": "CUDA", "mps": "MPS (Apple Silicon)", "cpu": "CPU only"}
    rows = [
        ["Python", info["python_version"]],
        ["Platform", info["platform"]],
        ["PyTorch", info["pytorch_version"]],
        ["Accelerator", names[info["accelerator"]]],
    ]
    if info["cuda_available"]:
        rows += [["CUDA version", info["cuda_version"]], ["cuDNN version", info["cudnn_version"]]]
    if info["driver_version"]:
        rows.append(["Driver version", info["driver_version"]])
    if info["cuda_available"]:
        rows.append(["GPU count", str(info["gpu_count"])])
    for gpu in info["gpus"]:
        details = f"{gpu['memory_gb']:.1f} GB, compute {gpu['compute_capability']}"
        rows.append([f"GPU {gpu['id']}", f"{gpu['name']} ({details})"])
    return rows


def _package_rows(packages: dict[str, dict[str, Any]]) -> list[list[str]]:
    rows = []
    for name, package in packages.items():
        if package["version"] is None:
            rows.append([name, "not installed", "", ""])
        else:
            rows.append([name, package["version"], package["source"], _shortened(package["location"])])
    return rows


def _shortened(location: str) -> str:
    """Keep the end of a long path."""
    return location if len(location) <= LOCATION_WIDTH else "..." + location[-(LOCATION_WIDTH - 3) :]


def _table(title: str, columns: list[str], rows: list[list[str]]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_header=any(columns), pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _driver_lines(info: dict[str, Any]) -> list[str]:
    """Say whether the NVIDIA driver is new enough for this torch; nothing without a driver."""
    import torch

    driver, minimum, cuda = info["driver_version"], info["driver_min_required"], torch.version.cuda
    if driver is None:
        return []
    if cuda is None:
        return [f"-- NVIDIA driver {driver} found, but this PyTorch is built without CUDA"]
    if minimum is None:
        return [f"! Driver {driver}: compatibility with CUDA {cuda} unknown"]
    if info["driver_compatible"]:
        return [f"OK Driver is compatible: {driver} >= {minimum} (required for CUDA {cuda})"]
    return [f"FAIL Driver is too old: {driver} < {minimum} (required for CUDA {cuda})"]


def _self_test_lines(accelerator: str) -> list[str]:
    """Run the self-test on the device and say what came out."""
    from sleap_nn.system_check import ALLOWED_DIFFERENCE, run_self_test

    try:
        test = run_self_test(accelerator)
    except RuntimeError as error:
        device = "CPU" if accelerator == "cpu" else "GPU"
        return [f"FAIL PyTorch cannot use {device}: {str(error).splitlines()[0]}"]
    verdict = "OK" if test.passed else "FAIL"
    fp32, bf16 = f"{test.difference:.1e}", f"{test.bf16_difference:.1e}"
    return [
        f"{verdict} Self-test on {test.device}: largest difference from float64 on the CPU {fp32} in fp32"
        f" (allowed {ALLOWED_DIFFERENCE:.0e}), {bf16} in bf16",
        f"-- Forward pass in bf16: {test.bf16_speed:.2f}x the speed of fp32",
        "-- No GPU available (using CPU)" if accelerator == "cpu" else "OK PyTorch can use GPU",
    ]
