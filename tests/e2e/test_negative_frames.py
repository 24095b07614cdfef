"""Frames marked as showing no animal teach the network what no animal looks like."""

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import sleap_io as sio

from sleap_nn.inference import predict
from sleap_nn.training.model_trainer import ModelTrainer

pytestmark = pytest.mark.slow
SIDE = 48
SKELETON = sio.Skeleton(["body"])


def scenery(folder: Path, num_frames: int, decoy: bool, seed: int) -> tuple[sio.Video, np.ndarray]:
    """Write frames with a bright disc, the animal, or with a bright ring, and return where it is in each."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    places = rng.integers(12, SIDE - 12, (num_frames, 2))
    paths = []
    for number, (x, y) in enumerate(places.tolist()):
        image = rng.integers(50, 80, (SIDE, SIDE), dtype=np.uint8)
        if decoy:
            cv2.circle(image, (x, y), 7, 220, 3)
        else:
            cv2.circle(image, (x, y), 6, 220, -1)
        paths.append(str(folder / f"{number}.png"))
        cv2.imwrite(paths[-1], image)
    return sio.Video.from_filename(paths), places.astype(float)


def labelled(video: sio.Video, places: np.ndarray, negative: bool) -> list[sio.LabeledFrame]:
    frames = []
    for number, place in enumerate(places):
        instances = [] if negative else [sio.Instance.from_numpy(place[None], skeleton=SKELETON)]
        frames.append(sio.LabeledFrame(video=video, frame_idx=number, instances=instances, is_negative=negative))
    return frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training labels with animals and marked decoys, and decoys at other places as if they were animals."""
    made = tmp_path_factory.mktemp("negatives")
    animals, decoys = scenery(made / "animals", 10, False, 0), scenery(made / "decoys", 10, True, 1)
    frames = labelled(*animals, negative=False) + labelled(*decoys, negative=True)
    sio.Labels(frames, skeletons=[SKELETON]).save(str(made / "labels.slp"), embed=False, verbose=False)
    others = labelled(*scenery(made / "others", 8, True, 2), negative=False)
    sio.Labels(others, skeletons=[SKELETON]).save(str(made / "decoys.slp"), embed=False, verbose=False)
    return made


def train(folder: Path, model_type: str, negatives: bool, **data: Any) -> Path:
    name = f"{model_type}_{negatives}"
    config = {
        "data_config": {
            "train_labels_path": [str(folder / "labels.slp")],
            "validation_fraction": 0.2,
            "data_pipeline_fw": "torch_dataset_cache_img_memory",
            "use_augmentations_train": False,
            "use_negative_frames": negatives,
            **data,
        },
        "model_config": {
            "backbone_config": {"unet": {"filters": 8, "max_stride": 8}},
            "head_configs": {model_type: {"confmaps": {"sigma": 1.5, "output_stride": 2}}},
        },
        "trainer_config": {
            "max_epochs": 3,
            "min_train_steps_per_epoch": 40,
            "trainer_accelerator": "cpu",
            "precision": "32",
            "optimizer": {"lr": 5e-3},
            "foreground_weight": 5.0,
            "save_ckpt": True,
            "ckpt_dir": str(folder / "models"),
            "run_name": name,
        },
    }
    trainer = ModelTrainer(config)
    trainer.train()
    assert trainer.run_dir is not None
    return trainer.run_dir


def num_found(run: Path, labels: Path) -> int:
    found = predict(labels, model_paths=run, device="cpu", precision="32")
    return sum(len(frame.instances) for frame in found)


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "training_log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("model_type", "data"),
    [("single_instance", {}), ("centered_instance", {"preprocessing": {"crop_size": 32}})],
    ids=["frames", "crops"],
)
def test_decoys_are_no_longer_taken_for_animals(folder: Path, model_type: str, data: dict[str, Any]) -> None:
    """Crops of negative frames lie anywhere, and still show the decoy often enough."""
    fooled = train(folder, model_type, negatives=False, **data)
    taught = train(folder, model_type, negatives=True, **data)
    assert num_found(fooled, folder / "decoys.slp") >= 6
    assert num_found(taught, folder / "decoys.slp") <= 2
    assert num_found(taught, folder / "labels.slp") >= 8
    assert not any("positive" in name for name in rows(fooled)[0])
    for row in rows(taught):
        assert float(row["train/n_positive"]) + float(row["train/n_negative"]) == 40 * 4
        assert float(row["train/n_negative"]) == pytest.approx(80, abs=4)
        assert (float(row["val/n_positive"]), float(row["val/n_negative"])) == (2, 2)
    first, last = rows(taught)[0], rows(taught)[-1]
    for name in ("loss_negative", "confmaps_loss_negative", "loss_positive"):
        assert float(last[f"train/{name}"]) < float(first[f"train/{name}"])
    joined = (float(last["val/loss_positive"]) + float(last["val/loss_negative"])) / 2
    assert float(last["val/loss"]) == pytest.approx(joined, rel=1e-4)

    written = {split: sio.load_slp(str(taught / f"labels_gt.{split}.0.slp")) for split in ("train", "val")}
    signs = {split: [frame.is_negative for frame in labels] for split, labels in written.items()}
    assert {split: (len(own), sum(own)) for split, own in signs.items()} == {"train": (16, 8), "val": (4, 2)}
