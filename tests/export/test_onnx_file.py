import sys
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from small_backbones import SMALL, section
from torch import Tensor, nn

from sleap_nn.errors import ConfigError, MissingPackageError, ModelError, OutputError
from sleap_nn.export import onnx_file
from sleap_nn.export.onnx_file import (
    check_structure,
    export_to_onnx,
    import_onnx,
    largest_differences,
    sample_images,
    set_properties,
)
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.networks.network import PoseNetwork, initialise


class Blur(nn.Module):
    def __init__(self, kind: type = dict) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 3, padding=1)
        self.kind = kind

    def forward(self, image: Tensor) -> object:
        maps = self.layer(image.float() / 255)
        if self.kind is Tensor:
            return maps
        highest = maps.flatten(1).amax(dim=1)
        return {"maps": maps, "highest": highest} if self.kind is dict else (maps, highest)


class Loud(nn.Module):
    """Computes something else the second time and later."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, image: Tensor) -> Tensor:
        self.calls += 1
        return image.float() + self.calls


def shapes(path: Path, images: Tensor) -> dict[str, tuple[int, ...]]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_outputs()]
    (given,) = session.get_inputs()
    return {
        name: values.shape for name, values in zip(names, session.run(None, {given.name: images.numpy()}), strict=True)
    }


@pytest.mark.parametrize(
    ("kind", "names"), [(dict, ["maps", "highest"]), (tuple, ["output_0", "output_1"]), (Tensor, ["output_0"])]
)
def test_outputs_have_names_and_any_size_goes(tmp_path: Path, kind: type, names: list[str]) -> None:
    path = export_to_onnx(Blur(kind), tmp_path / "m.onnx", (1, 1, 8, 12), numerical_check=True)
    found = shapes(path, torch.zeros(3, 1, 10, 20, dtype=torch.uint8))
    assert list(found) == names
    assert found[names[0]] == (3, 2, 10, 20)
    assert [entry.version for entry in onnx.load(str(path)).opset_import] == [17]


def test_names_sizes_and_types_can_be_chosen(tmp_path: Path) -> None:
    path = export_to_onnx(
        Blur(),
        tmp_path / "m.onnx",
        (1, 1, 8, 12),
        torch.float32,
        18,
        dynamic_axes={"picture": {0: "batch"}},
        input_names=["picture"],
        output_names=["a", "b"],
    )
    model = onnx.load(str(path))
    assert [entry.version for entry in model.opset_import] == [18]
    sides = [side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim]
    assert (model.graph.input[0].name, sides) == ("picture", [0, 1, 8, 12])
    assert list(shapes(path, torch.zeros(2, 1, 8, 12))) == ["a", "b"]
    with pytest.raises(ConfigError, match=r"2 input_names were given"):
        export_to_onnx(Blur(), tmp_path / "m.onnx", (1, 1, 8, 12), input_names=["a", "b"])
    with pytest.raises(ConfigError, match=r"1 output_names were given for 2 outputs"):
        export_to_onnx(Blur(), tmp_path / "m.onnx", (1, 1, 8, 12), output_names=["a"])


def test_a_file_that_computes_something_else_is_noticed(tmp_path: Path) -> None:
    before = export_to_onnx(Blur(), tmp_path / "m.onnx", (1, 1, 8, 8)).read_bytes()
    with pytest.raises(AssertionError, match=r"m\.onnx does not .* output_0 differs by up to \d"):
        export_to_onnx(Loud(), tmp_path / "m.onnx", (1, 1, 8, 8), numerical_check=True)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]
    export_to_onnx(Loud(), tmp_path / "m.onnx", (1, 1, 8, 8), numerical_check=True, numerical_atol=10)


@pytest.mark.parametrize("name", SMALL)
def test_every_backbone_can_be_exported(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    network = PoseNetwork.from_config(
        section(name, output_stride=4, in_channels=3), [ConfidenceMapsHead("SingleInstanceConfmapsHead", 2, 4)]
    )
    initialise(network, "default")
    network = network.eval().requires_grad_(False)
    stride = network.backbone.max_stride
    lively = network(sample_images((1, 3, 2 * stride, 3 * stride), torch.uint8, torch.device("cpu")))["confmaps"].std()
    for parameter in network.head_layers.parameters():
        parameter.div_(lively)
    path = export_to_onnx(network, tmp_path / "m.onnx", (2, 3, 2 * stride, 3 * stride), verify=False)
    for shape in ((2, 3, 2 * stride, 3 * stride), (1, 3, 3 * stride, stride)):
        images = sample_images(shape, torch.uint8, torch.device("cpu"))
        (difference,) = largest_differences(network, path, ["confmaps"], images).values()
        assert difference.share < 1e-4
        assert float(network(images)["confmaps"].std()) > 0.1


def test_a_module_goes_on_training_as_before(tmp_path: Path) -> None:
    model = nn.Sequential(Blur(Tensor), nn.BatchNorm2d(2), nn.Dropout()).train()
    model[1].eval()
    export_to_onnx(model, tmp_path / "m.onnx", (1, 1, 8, 8), torch.float32, numerical_check=True)
    assert [part.training for part in (model, *model)] == [True, True, False, True]


def test_differences_are_found_whatever_they_are(tmp_path: Path) -> None:
    model = Blur()
    path = export_to_onnx(model, tmp_path / "m.onnx", (1, 1, 8, 8), dynamic_axes={})
    images = sample_images((1, 1, 8, 8), torch.uint8, torch.device("cpu"))
    assert max(largest_differences(model, path, ["maps", "highest"], images).values()).most < 1e-5
    bigger = sample_images((1, 1, 16, 16), torch.uint8, torch.device("cpu"))
    assert largest_differences(model, path, ["maps"], bigger)["maps"].most == float("inf")
    with torch.no_grad():
        model.layer.bias.add_(0.5)
    found = largest_differences(model, path, ["maps"], images)["maps"]
    assert (found.most, found.share) == (pytest.approx(0.5), pytest.approx(0.5 / max(1, found.largest)))
    with torch.no_grad():
        model.layer.bias[0] = torch.nan
    assert largest_differences(model, path, ["maps"], images)["maps"].share == float("inf")


def test_the_newer_exporter_takes_over_where_the_older_one_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sleap_nn.log.logger.propagate", True)
    export, asked = torch.onnx.export, []

    def only_newer(*args: object, dynamo: bool, **options: object) -> object:
        asked.append((dynamo, options["opset_version"]))
        if not dynamo:
            raise torch.onnx.errors.UnsupportedOperatorError("aten::magic", 17, None)
        return export(*args, dynamo=dynamo, **options)  # pyright: ignore

    monkeypatch.setattr(torch.onnx, "export", only_newer)
    path = export_to_onnx(Blur(), tmp_path / "m.onnx", (2, 1, 8, 12), numerical_check=True)
    assert asked == [(False, 17), (True, 18)]
    assert "needs ONNX operators of version 18; 17 was asked for" in caplog.text
    assert shapes(path, torch.zeros(3, 1, 10, 20, dtype=torch.uint8)) == {"maps": (3, 2, 10, 20), "highest": (3,)}

    def neither(*args: object, **options: object) -> None:
        raise torch.onnx.errors.UnsupportedOperatorError("aten::magic", 17, None)

    monkeypatch.setattr(torch.onnx, "export", neither)
    with pytest.raises(ModelError, match=r"cannot be exported .*aten::magic"):
        export_to_onnx(Blur(), tmp_path / "m.onnx", (2, 1, 8, 12))


def test_texts_are_stored_in_the_file(tmp_path: Path) -> None:
    path = export_to_onnx(Blur(), tmp_path / "m.onnx", (1, 1, 8, 8))
    set_properties(path, {"training_config": "a: 1\n"})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"training_config": "a: 1\n"}


def test_what_cannot_be_written_or_is_not_well_formed_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        export_to_onnx(Blur(), tmp_path / "nowhere" / "m.onnx", (1, 1, 8, 8))
    path = export_to_onnx(Blur(), tmp_path / "m.onnx", (1, 1, 8, 8))
    model = onnx.load(str(path))
    model.graph.node[0].op_type = "Magic"
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match="is not a valid ONNX file") as raised:
        check_structure(onnx, path, path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_without_the_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf'needs {package}, .*pip install "sleap-nn\[export\]"'):
        import_onnx()


def test_samples_are_the_same_every_time() -> None:
    one = sample_images((2, 3, 8, 8), torch.uint8, torch.device("cpu"))
    assert torch.equal(one, sample_images((2, 3, 8, 8), torch.uint8, torch.device("cpu")))
    assert (one.dtype, int(one.max()) > 128, int(one.min()) < 64) == (torch.uint8, True, True)
    assert float(sample_images((1, 1, 8, 8), torch.float32, torch.device("cpu")).max()) <= 1
    assert onnx_file.NEWER_OPSET == 18
