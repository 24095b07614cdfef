from pathlib import Path

import pytest
from factories import make_labels, make_video
from model_folders import HEADS, write_model

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.training.model_trainer import ModelTrainer


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with labels.pkg.slp and a small trained model in models/run."""
    folder = tmp_path_factory.mktemp("trained")
    make_labels(12, path=folder / "labels.pkg.slp")
    config = TrainingJobConfig.from_cfg(
        {
            "data_config": {
                "train_labels_path": [str(folder / "labels.pkg.slp")],
                "preprocessing": {"scale": 0.75},
                "use_augmentations_train": False,
            },
            "model_config": {
                "backbone_config": {"unet": {"filters": 8, "max_stride": 8}},
                "head_configs": {"single_instance": {"confmaps": {"sigma": 1.5, "output_stride": 2}}},
            },
            "trainer_config": {
                "max_epochs": 6,
                "min_train_steps_per_epoch": 20,
                "save_ckpt": True,
                "ckpt_dir": str(folder / "models"),
                "run_name": "run",
                "trainer_accelerator": "cpu",
                "optimizer": {"lr": 3e-3},
            },
        }
    )
    ModelTrainer(config).train()
    return folder


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with labels.pkg.slp and clip.mp4 of two animals, and untrained models of all types."""
    folder = tmp_path_factory.mktemp("untrained")
    make_labels(5, num_animals=2, path=folder / "labels.pkg.slp")
    make_video(folder / "clip.mp4", num_frames=5, num_animals=2)
    for name in HEADS:
        write_model(folder / name, name, folder / "labels.pkg.slp")
    write_model(folder / "other", "bottomup", folder / "labels.pkg.slp", seed=1)
    return folder
