"""A finished run folder without any training: a network that says the same everywhere."""

from pathlib import Path
from typing import Any

import torch

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.labels import load_labels
from sleap_nn.networks import model_dir
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.training import run_folder
from sleap_nn.training.model_trainer import ModelTrainer


def write_constant_model(
    folder: Path, labels: Path, height: float = 0.5, data: dict[str, Any] | None = None
) -> TrainingJobConfig:
    """Write what training leaves in a run folder and return its resolved configuration.

    Args:
        folder: Made if missing.
        labels: Labels to split and to take skeleton and sizes from.
        height: Value of every cell of every map: from 0.2 on, an instance is found in every frame.
        data: More values of ``data_config``.
    """
    trainer = ModelTrainer(
        {
            "data_config": {
                "train_labels_path": [str(labels)],
                "validation_fraction": 0.25,
                **({} if data is None else data),
            },
            "model_config": {
                "backbone_config": {"unet": {"filters": 2, "max_stride": 4}},
                "head_configs": {"single_instance": {"confmaps": {"sigma": 1.5, "output_stride": 4}}},
            },
            "trainer_config": {"trainer_accelerator": "cpu", "save_ckpt": True, "ckpt_dir": str(folder.parent)},
        }
    )
    job = trainer.job
    head_config, skeletons = job.model_config.head_configs.which_oneof(), job.data_config.skeletons
    assert skeletons is not None
    task = TASKS["single_instance"].from_config(head_config, Skeleton.from_config(skeletons[0]))
    network = PoseNetwork.from_config(job.model_config.backbone_config, task.heads)
    for parameter in network.head_layers.parameters():
        torch.nn.init.constant_(parameter, height if parameter.ndim == 1 else 0.0)
    folder.mkdir(parents=True, exist_ok=True)
    run_folder.write_configs(folder, job, job)
    state = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": state}, folder / model_dir.WEIGHTS)
    for split, files in (("train", trainer.train_labels), ("val", trainer.val_labels)):
        for index, part in enumerate(files):
            run_folder.write_ground_truth(folder, split, index, part, job.data_config.user_instances_only)
    for index, path in enumerate(run_folder.test_paths(job)):
        if path.suffix == ".slp":
            run_folder.write_ground_truth(folder, "test", index, load_labels(path), user_instances_only=True)
    return job
