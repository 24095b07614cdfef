"""The calls that make an engine, recorded by a stand-in: there is no GPU where these tests run."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sleap_nn.errors import ConfigError, EngineError, MissingPackageError
from sleap_nn.export.tensorrt_engine import build_engine, export_to_tensorrt

SHAPES = ((1, 1, 8, 8), (2, 1, 16, 16), (4, 1, 32, 32))


class Logger:
    INFO, ERROR = "info", "error"

    def __init__(self, level: str) -> None:
        self.level = level


class Recorder:
    """Stands for the package tensorrt of a version, and writes down what it is told."""

    def __init__(self, version: str = "10.4.0", parses: bool = True, builds: bool = True) -> None:
        self.told: list[Any] = []
        self.__version__ = version
        self.Logger = Logger
        self.BuilderFlag = SimpleNamespace(FP16="fp16", TF32="tf32")
        self.MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
        self.NetworkDefinitionCreationFlag = SimpleNamespace(EXPLICIT_BATCH=0)
        self.parses, self.builds = parses, builds
        self.num_errors = 2

    def Builder(self, logger: Logger) -> "Recorder":  # noqa: N802
        self.told.append(logger.level)
        return self

    def OnnxParser(self, network: Any, logger: Logger) -> "Recorder":  # noqa: N802
        return self

    def create_network(self, flags: int) -> str:
        self.told.append(flags)
        return "network"

    def parse(self, content: bytes) -> bool:
        self.told.append(content)
        return self.parses

    def get_error(self, index: int) -> str:
        return f"error\n{index}"

    def create_builder_config(self) -> "Recorder":
        return self

    def create_optimization_profile(self) -> "Recorder":
        return self

    def set_memory_pool_limit(self, pool: str, size: int) -> None:
        self.told.append((pool, size))

    def clear_flag(self, flag: str) -> None:
        self.told.append(f"no {flag}")

    def set_flag(self, flag: str) -> None:
        self.told.append(flag)

    def set_shape(self, name: str, *shapes: tuple[int, ...]) -> None:
        self.told.append((name, *shapes))

    def add_optimization_profile(self, profile: Any) -> None:
        assert profile is self

    def build_serialized_network(self, network: str, config: Any) -> bytearray | None:
        return bytearray(b"plan") if self.builds else None


class Half(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.float() / 2


@pytest.mark.parametrize(("precision", "flags"), [("fp32", []), ("fp16", ["fp16"]), ("tf32", ["tf32"])])
def test_an_engine_is_built_as_asked(precision: str, flags: list[str]) -> None:
    tensorrt = Recorder()
    assert build_engine(tensorrt, b"onnx", SHAPES, precision, 1 << 20) == b"plan"
    assert tensorrt.told == ["error", 0, b"onnx", ("workspace", 1 << 20), "no tf32", *flags, ("image", *SHAPES)]


def test_older_versions_are_told_that_the_batch_is_an_axis() -> None:
    tensorrt = Recorder("8.6.1")
    build_engine(tensorrt, b"onnx", SHAPES, verbose=True)
    assert tensorrt.told[:2] == ["info", 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"parses": False}, r"cannot read the network \(error 0; error 1\)"), ({"builds": False}, "gave no engine")],
)
def test_a_failure_is_one_sentence(options: dict[str, bool], message: str) -> None:
    with pytest.raises(EngineError, match=message) as raised:
        build_engine(Recorder(**options), b"onnx", SHAPES)
    assert isinstance(raised.value, RuntimeError)
    assert "\n" not in str(raised.value)


def test_a_module_becomes_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensorrt = Recorder()
    monkeypatch.setattr("sleap_nn.export.tensorrt_engine.import_tensorrt", lambda: tensorrt)
    path = export_to_tensorrt(Half(), tmp_path / "m.engine", (2, 1, 16, 24), verbose=False)
    assert (path, path.read_bytes()) == (tmp_path / "m.trt", b"plan")
    assert tensorrt.told[-1] == ("image", (1, 1, 8, 12), (2, 1, 16, 24), (16, 1, 32, 48))
    assert len(tensorrt.told[2]) > 50
    (tmp_path / "m.onnx").write_bytes(b"there already")
    export_to_tensorrt(Half(), path, (2, 1, 16, 24), torch.uint8, "fp32", *SHAPES, workspace_size=5)
    assert tensorrt.told[-4:] == [b"there already", ("workspace", 5), "no tf32", ("image", *SHAPES)]


def test_what_is_unknown_or_not_installed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "torch_tensorrt", None)
    with pytest.raises(MissingPackageError, match="TensorRT is not installed") as raised:
        export_to_tensorrt(Half(), tmp_path / "m")
    assert isinstance(raised.value, ModuleNotFoundError)
    for options, message in (
        ({"precision": "int8"}, "precision is 'int8'"),
        ({"method": "guess"}, "method is 'guess'"),
    ):
        with pytest.raises(ConfigError, match=message):
            export_to_tensorrt(Half(), tmp_path / "m", **options)  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr("sleap_nn.export.tensorrt_engine.import_tensorrt", Recorder)
    with pytest.raises(MissingPackageError, match="torch_tensorrt"):
        export_to_tensorrt(Half(), tmp_path / "m", method="jit")
    assert list(tmp_path.iterdir()) == []
