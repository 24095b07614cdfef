"""Metrics logged while a model trains are those of predicting and evaluating with the same weights afterwards."""

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import sleap_io as sio
from factories import make_labels

from sleap_nn.evaluation import Evaluator
from sleap_nn.inference import predict
from sleap_nn.networks.model_dir import read_checkpoint
from sleap_nn.training.metrics import PREFIX
from sleap_nn.training.model_trainer import ModelTrainer

pytestmark = pytest.mark.slow

HEADS: dict[str, dict[str, Any]] = {
    "single_instance": {"confmaps": {"sigma": 1.5, "output_stride": 4}},
    "centroid": {"confmaps": {"sigma": 2.5, "output_stride": 4, "anchor_part": "neck"}},
    "centered_instance": {"confmaps": {"sigma": 1.5, "output_stride": 2}},
    "bottomup": {"confmaps": {"sigma": 1.5, "output_stride": 4}, "pafs": {"sigma": 10.0, "output_stride": 4}},
    "multi_class_bottomup": {
        "confmaps": {"sigma": 1.5, "output_stride": 4},
        "class_maps": {"sigma": 4.0, "output_stride": 4},
    },
    "multi_class_topdown": {"confmaps": {"sigma": 1.5, "output_stride": 2}, "class_vectors": {"loss_weight": 0.01}},
}


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Labels with one and with two animals in a frame, by their number; scaled and padded inputs are not square."""
    folder = tmp_path_factory.mktemp("labels")
    for count, (height, width) in {1: (72, 60), 2: (92, 112)}.items():
        make_labels(6, height=height, width=width, num_animals=count, path=folder / f"{count}.pkg.slp")
    return {count: folder / f"{count}.pkg.slp" for count in (1, 2)}


def settings(labels: Path, folder: Path, model_type: str, **trainer: Any) -> dict[str, Any]:
    return {
        "data_config": {
            "train_labels_path": [str(labels)],
            "use_same_data_for_val": True,
            "data_pipeline_fw": "torch_dataset_cache_img_memory",
            "preprocessing": {"scale": 0.75},
            "use_augmentations_train": False,
        },
        "model_config": {
            "backbone_config": {"unet": {"filters": 8, "filters_rate": 2.0, "max_stride": 16}},
            "head_configs": {model_type: HEADS[model_type]},
        },
        "trainer_config": {
            "max_epochs": 3,
            "min_train_steps_per_epoch": {"centroid": 100, "multi_class_topdown": 70}.get(model_type, 40),
            "trainer_accelerator": "cpu",
            "precision": "32",
            "optimizer": {"lr": 4e-3},
            "ema_decay": 0.9,
            "save_ckpt": True,
            "ckpt_dir": str(folder),
            "run_name": "run",
            "eval": {"enabled": True, "oks_stddev": 0.05, "match_threshold": 20.0},
            **trainer,
        },
    }


def row_of_best(run: Path) -> dict[str, str]:
    """Return the row of the log of the epoch whose weights were kept."""
    with (run / "training_log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return rows[read_checkpoint(run / "best.ckpt")["epoch"]]


def metrics_afterwards(run: Path, model_type: str) -> dict[str, float]:
    truth = sio.load_slp(str(run / "labels_gt.val.0.slp"))
    found = predict(truth, model_paths=run, device="cpu", precision="32", batch_size=2)
    if model_type != "centroid":
        metrics = Evaluator(truth, found, oks_stddev=0.05).evaluate()
        return {
            "mOKS": metrics["mOKS"]["mOKS"],
            "oks_voc_mAP": metrics["voc_metrics"]["oks_voc.mAP"],
            "oks_voc_mAR": metrics["voc_metrics"]["oks_voc.mAR"],
            **{f"distance/{name}": metrics["distance_metrics"][name] for name in ("avg", "p50", "p95", "p99")},
            "mPCK": metrics["pck_metrics"]["mPCK"],
            "PCK_5": metrics["pck_metrics"]["PCK@5"],
            "PCK_10": metrics["pck_metrics"]["PCK@10"],
            **{f"visibility_{name}": metrics["visibility_metrics"][name] for name in ("precision", "recall")},
        }
    anchor = truth.skeleton.node_names.index("neck")
    evaluator = Evaluator(truth, found, match_threshold=20.0, match_method="centroid", anchor_ind=anchor)
    metrics = evaluator.evaluate()
    distances = {"avg": "avg", "median": "p50", "p90": "p90", "p95": "p95"}
    return {
        **{f"centroid_dist_{name}": metrics["distance_metrics"][key] for name, key in distances.items()},
        "centroid_dist_max": max(evaluator.dists_dict["dists"]),
        **{
            f"centroid_{name}": metrics["detection_metrics"][name]
            for name in ("precision", "recall", "f1", "n_tp", "n_fp", "n_fn")
        },
    }


@pytest.mark.parametrize("model_type", HEADS)
def test_logged_metrics_are_those_of_a_prediction(labels: dict[int, Path], tmp_path: Path, model_type: str) -> None:
    trainer = ModelTrainer(settings(labels[1 if model_type == "single_instance" else 2], tmp_path, model_type))
    trainer.train()
    assert trainer.run_dir is not None
    row = row_of_best(trainer.run_dir)
    logged = {name.removeprefix(PREFIX): float(row[name]) for name in row if name.startswith(PREFIX)}
    expected = metrics_afterwards(trainer.run_dir, model_type)
    assert list(logged) == list(expected)
    assert logged == pytest.approx(expected, rel=1e-4, abs=1e-5, nan_ok=False)
    assert not any(math.isnan(value) for value in logged.values())
    best = logged["centroid_n_tp" if model_type == "centroid" else "PCK_10"]
    assert best > 0
