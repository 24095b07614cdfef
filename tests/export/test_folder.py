import hashlib
from pathlib import Path

import pytest
import torch
from factories import make_labels
from model_folders import write_model
from torch import Tensor, nn

from sleap_nn.config.export_config import ExportConfig
from sleap_nn.errors import ModelError
from sleap_nn.export import folder as module
from sleap_nn.export.folder import frame_size, input_shape, metadata_of, parts_of, stages_of, write_onnx
from sleap_nn.inference.load import load_models
from sleap_nn.inference.loaded_model import LoadedModel
from sleap_nn.inference.onnx_runtime import OnnxRuntime
from sleap_nn.inference.settings import StageSettings

TEXTS = ["a: 1\n", "b: 2\n"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[LoadedModel]:
    folder = tmp_path_factory.mktemp("pair")
    make_labels(4, height=60, width=84, num_animals=2, path=folder / "labels.pkg.slp")
    names = ("centroid", "multi_class_topdown")
    for name in names:
        write_model(folder / name, name, folder / "labels.pkg.slp", preprocessing={"scale": 0.5})
    return load_models([folder / name for name in names], StageSettings(), precision="32")


def test_a_pair_has_a_graph_for_each_network_and_one_for_both(pair: list[LoadedModel]) -> None:
    config = ExportConfig(max_instances=2)
    assert [stage.file for stage in stages_of(pair, config)] == ["model_centroid", "model_multi_class_topdown"]
    assert [stage.config for stage in stages_of(pair, config)] == [
        "training_config_centroid.yaml",
        "training_config_multi_class_topdown.yaml",
    ]
    parts = parts_of(pair, TEXTS, config)
    assert [part.stem for part in parts] == ["model_centroid", "model_multi_class_topdown", "model"]
    assert [part.config for part in parts] == [*TEXTS, "a: 1\n---\nb: 2\n"]
    side = -(-int(pair[1].stage.spec.crop_size * 0.5) // 8) * 8
    assert [part.shape for part in parts] == [(2, 1, 32, 48), (2, 1, side, side), (1, 1, 60, 84)]


def test_the_size_of_the_images_can_be_chosen(pair: list[LoadedModel]) -> None:
    config = ExportConfig(input_height=100, input_width=40)
    assert frame_size(pair[0].stage, config) == (100, 40)
    assert input_shape(pair[0].stage, config) == (2, 1, 56, 24)


def test_metadata_tells_what_the_models_are(pair: list[LoadedModel]) -> None:
    config = ExportConfig(max_instances=7, peak_threshold=0.3, precision="tf32", max_batch_size=5)
    found = metadata_of(pair, TEXTS, config, "onnx")
    crop, skeleton = pair[1].stage.spec.crop_size, pair[1].skeleton
    assert (found.model_type, found.model_name) == ("multi_class_topdown_combined", "centroid+multi_class_topdown")
    assert (found.n_nodes, found.node_names) == (9, list(skeleton.node_names))
    assert (found.n_edges, found.edge_inds) == (8, list(skeleton.edges))
    assert (found.n_classes, found.class_names) == (2, ["animal_0", "animal_1"])
    assert (found.input_scale, found.input_channels, found.output_stride) == (0.5, 1, 2)
    assert (found.crop_size, found.max_instances, found.max_peaks_per_node) == ((crop, crop), 7, None)
    assert (found.peak_threshold, found.precision, found.max_batch_size) == (0.3, "fp32", None)
    assert (found.backbone, found.export_format, found.training_config_embedded) == ("unet", "onnx", True)
    assert found.checkpoint_path.count("best.ckpt") == 2
    assert found.training_config_hash == hashlib.sha256(b"a: 1\n---\nb: 2\n").hexdigest()
    engine = metadata_of(pair, TEXTS, config, "tensorrt")
    assert (engine.precision, engine.max_batch_size, engine.export_format) == ("tf32", 5, "tensorrt")
    alone = metadata_of(pair[:1], TEXTS[:1], config, "onnx")
    assert (alone.model_type, alone.crop_size, alone.anchor_part) == ("centroid", None, None)


class OneSize(nn.Module):
    """Adds what depends on the size of the image, which a recording takes for a constant."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.heads = network.heads

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {name: maps + float(image.shape[3]) / 100 for name, maps in self.network(image).items()}


def test_a_network_that_holds_for_one_size_only_is_written_for_it(
    pair: list[LoadedModel], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sleap_nn.log.logger.propagate", True)
    (part,) = parts_of(pair[:1], TEXTS[:1], ExportConfig())
    part.graph.network = OneSize(part.graph.network)  # pyright: ignore[reportArgumentType]
    metadata = metadata_of(pair[:1], TEXTS[:1], ExportConfig(), "onnx")
    written = write_onnx(part, tmp_path, ExportConfig(), metadata)
    assert written.differences["map_confmaps"].most < 1e-5
    assert written.one_size
    assert "model.onnx takes images of 32 x 48 px only" in caplog.text
    runtime = OnnxRuntime(tmp_path / "model.onnx", pair[0].stage.task.heads)
    images = torch.zeros(3, 1, 32, 48, dtype=torch.uint8)
    torch.testing.assert_close(runtime(images)["confmaps"], part.graph(images)["map_confmaps"], atol=1e-5, rtol=0)
    with pytest.raises(ModelError, match="cannot be run on images of 1x1x32x32"):
        runtime(images[:1, :, :, :32])


def test_a_file_that_computes_something_else_is_not_kept(
    pair: list[LoadedModel], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sleap_nn.log.logger.propagate", True)
    config = ExportConfig(max_instances=2)
    metadata = metadata_of(pair, TEXTS, config, "onnx")
    parts = parts_of(pair, TEXTS, config)
    real = module.largest_differences
    monkeypatch.setattr(
        module,
        "largest_differences",
        lambda *args: {name: value._replace(most=0.01 * value.largest) for name, value in real(*args).items()},
    )
    with pytest.raises(ModelError, match=r"differs from the trained network by .* \(map_confmaps\)"):
        write_onnx(parts[0], tmp_path, config, metadata)
    assert write_onnx(parts[2], tmp_path, config, metadata).differences["peak_vals"].share > 0.009
    assert "from which predictions are made, do not" in caplog.text
