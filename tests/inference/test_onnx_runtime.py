import sys
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor

from sleap_nn.config.model_config import UNetConfig
from sleap_nn.errors import ConfigError, MissingPackageError, ModelError
from sleap_nn.export.onnx_file import export_to_onnx
from sleap_nn.heads.class_vectors import ClassVectorsHead
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.inference.onnx_runtime import OnnxRuntime, import_onnxruntime
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.networks.unet import UNet

HEADS = (ConfidenceMapsHead("SingleInstanceConfmapsHead", 3, 2), ClassVectorsHead("ClassVectorsHead", 2, 8))


class Maps(torch.nn.Module):
    """What a network gives, under the names of an exported file."""

    def __init__(self, network: PoseNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {f"map_{name}": values for name, values in self.network(image).items()}


@pytest.fixture(scope="module")
def network() -> PoseNetwork:
    torch.manual_seed(0)
    made = PoseNetwork(UNet(UNetConfig(filters=2, max_stride=8, output_stride=2)), HEADS)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def file(network: PoseNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    return export_to_onnx(Maps(network), path, (2, 1, 16, 24), verify=False)


def images(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def test_it_gives_the_maps_of_the_network(network: PoseNetwork, file: Path) -> None:
    runtime = OnnxRuntime(file, HEADS)
    assert (runtime.device, runtime.precision) == ("cpu", "32")
    for given in (images(1, 1, 16, 24), images(3, 1, 32, 8), images(2, 1, 48, 32)[:, :, ::2, ::2]):
        before, expected = given.clone(), network(given)
        found = runtime(given)
        assert list(found) == ["confmaps", "class_vectors"]
        for name, values in found.items():
            assert values.dtype == torch.float32
            torch.testing.assert_close(values, expected[name], rtol=1e-4, atol=1e-6)
        assert torch.equal(given, before)


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "cuda:x", "mps", "abacus", ""])
def test_a_device_that_it_cannot_use_is_refused(file: Path, device: str) -> None:
    with pytest.raises(ConfigError, match="onnxruntime cannot use the device"):
        OnnxRuntime(file, HEADS, device)


def test_images_that_the_graph_does_not_take_are_one_sentence(file: Path) -> None:
    runtime = OnnxRuntime(file, HEADS)
    for given in (images(1, 3, 16, 16), images(1, 1, 16, 16).float()):
        with pytest.raises(ModelError, match="cannot be run on images of"):
            runtime(given)


def test_other_heads_are_refused(file: Path) -> None:
    with pytest.raises(ModelError, match="no output map_pafs"):
        OnnxRuntime(file, [type("Other", (), {"name": "pafs"})()])
    runtime = OnnxRuntime(file, [ConfidenceMapsHead("SingleInstanceConfmapsHead", 4, 2)])
    with pytest.raises(ModelError, match=r"map_confmaps is \(1, 3, 8, 8\), not \(1, 4, 8, 8\)"):
        runtime(images(1, 1, 16, 16))


def graph(kind: int, output: str = "map_confmaps", name: str = "image") -> bytes:
    """Return a file with one step, from an image to an output of a type."""
    given = helper.make_tensor_value_info(name, TensorProto.UINT8, ["n", 1, "h", "w"])
    found = helper.make_tensor_value_info(output, kind, ["n", 1, "h", "w"])
    made = helper.make_graph([helper.make_node("Cast", [name], [output], to=kind)], "g", [given], [found])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be run"),
        (b"no model at all", "cannot be run"),
        (graph(TensorProto.FLOAT)[:-20], "cannot be run"),
        (graph(TensorProto.INT64), r"map_confmaps is a tensor\(int64\)"),
        (graph(TensorProto.FLOAT, output="peaks"), "no output map_confmaps"),
        (graph(TensorProto.FLOAT, name="picture"), "its inputs are"),
    ],
)
def test_a_file_of_another_kind_is_one_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=message) as raised:
        OnnxRuntime(tmp_path / "model.onnx", HEADS[:1])
    assert "\n" not in str(raised.value)


def test_a_file_does_not_reach_for_other_files(network: PoseNetwork, file: Path, tmp_path: Path) -> None:
    model = onnx.load(str(file))
    onnx.save(model, str(tmp_path / "model.onnx"), save_as_external_data=True, location="weights", size_threshold=0)
    with pytest.raises(ModelError, match="cannot be run"):
        OnnxRuntime(tmp_path / "model.onnx", HEADS)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r'pip install "sleap-nn\[export\]"'):
        import_onnxruntime()
