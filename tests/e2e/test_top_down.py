"""Two small models of drawn animals, trained and chained."""

import json
from pathlib import Path

import numpy as np
import pytest
from factories import make_labels

from sleap_nn.data.labels import load_labels
from sleap_nn.errors import ConfigError, ModelError
from sleap_nn.evaluation import Evaluator
from sleap_nn.inference.run import predict
from sleap_nn.train import run_training

pytestmark = pytest.mark.slow


def config(folder: Path, model_type: str, scale: float, steps: int) -> dict:
    """Return a run of one model type; strides, scales and sizes of the two differ on purpose."""
    crops = model_type != "centroid"
    part: dict = {"sigma": 1.5, "output_stride": 2 if crops else 4}
    heads: dict = {"confmaps": part}
    if model_type == "multi_class_topdown":
        heads["class_vectors"] = {"loss_weight": 0.1}
    return {
        "data_config": {
            "train_labels_path": [str(folder / "labels.pkg.slp")],
            "use_same_data_for_val": True,
            "data_pipeline_fw": "torch_dataset_cache_img_memory",
            "preprocessing": {"scale": scale, **({"min_crop_size": 32, "crop_padding": 4} if crops else {})},
            "use_augmentations_train": False,
        },
        "model_config": {
            "backbone_config": {"unet": {"filters": 8, "filters_rate": 2.0, "max_stride": 8 if crops else 16}},
            "head_configs": {model_type: heads},
        },
        "trainer_config": {
            "max_epochs": 1,
            "min_train_steps_per_epoch": steps,
            "enable_progress_bar": False,
            "trainer_accelerator": "cpu",
            "optimizer": {"lr": 3e-3},
            "save_ckpt": True,
            "ckpt_dir": str(folder / "models"),
            "run_name": model_type,
        },
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("top_down")
    make_labels(6, height=120, width=144, num_animals=2, path=folder / "labels.pkg.slp")
    run_training(config(folder, "centroid", 0.75, 150))
    run_training(config(folder, "multi_class_topdown", 1.25, 220))
    return folder


def test_every_run_is_measured_in_its_own_way(folder: Path) -> None:
    found = json.loads((folder / "models" / "centroid" / "metrics.val.0.json").read_text())
    assert found["detection_metrics"]["recall"] > 0.5
    crops = json.loads((folder / "models" / "multi_class_topdown" / "metrics.val.0.json").read_text())
    assert crops["distance_metrics"]["p50"] < 10
    assert crops["identity_metrics"]["n_pairs"] > 0
    header = (folder / "models" / "multi_class_topdown" / "training_log.csv").read_text().splitlines()[0].split(",")
    assert {"train/confmaps_loss", "train/classvector_loss", "val/class_accuracy"} <= set(header)


def test_the_chain_finds_both_animals_in_either_order_of_models(folder: Path) -> None:
    models = [folder / "models" / "centroid", folder / "models" / "multi_class_topdown"]
    labels = folder / "labels.pkg.slp"
    found = predict(labels, model_paths=models, device="cpu")
    again = predict(labels, model_paths=models[::-1], device="cpu")
    metrics = Evaluator(load_labels(labels), found).evaluate()
    assert metrics["counts"]["matched"] >= 6
    assert metrics["distance_metrics"]["p50"] < 10
    assert [track.name for track in found.tracks] == ["animal_0", "animal_1"]
    for a, b in zip(found, again, strict=True):
        assert np.array_equal(a.numpy(), b.numpy(), equal_nan=True)
        names = [instance.track.name for instance in a.instances if instance.track is not None]
        assert len(set(names)) == len(names)
    one = predict(labels, model_paths=models, device="cpu", max_instances=1)
    assert {len(frame.instances) for frame in one} <= {0, 1}


def test_a_centroid_model_alone_predicts_one_node(folder: Path) -> None:
    found = predict(folder / "labels.pkg.slp", model_paths=folder / "models" / "centroid", device="cpu")
    assert found.skeletons[0].node_names == ["centroid"]
    assert sum(len(frame.instances) for frame in found) > 5


def test_a_model_of_crops_alone_needs_labels(folder: Path) -> None:
    model = folder / "models" / "multi_class_topdown"
    truth = load_labels(folder / "labels.pkg.slp")
    found = predict(folder / "labels.pkg.slp", model_paths=model, device="cpu", peak_threshold=0.05)
    assert sum(len(frame.instances) for frame in found) == sum(len(frame.instances) for frame in truth)
    with pytest.raises(ConfigError, match="the input has no labels"):
        predict(np.zeros((1, 120, 144, 1), np.uint8), model_paths=model, device="cpu")


def test_models_that_do_not_go_together_are_refused(folder: Path) -> None:
    crops = folder / "models" / "multi_class_topdown"
    with pytest.raises(ModelError, match="give one model, or a centroid model together with"):
        predict(folder / "labels.pkg.slp", model_paths=[crops, crops], device="cpu")
    with pytest.raises(ConfigError, match="crop_size was given"):
        predict(
            folder / "labels.pkg.slp",
            model_paths=folder / "models" / "centroid",
            device="cpu",
            preprocess_config={"crop_size": 32},
        )
