"""Run folders of every model type without any training: random networks whose maps have a few high peaks."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.labels import load_labels
from sleap_nn.networks import model_dir
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.training import run_folder
from sleap_nn.training.model_trainer import ModelTrainer

CONFMAPS = {"sigma": 1.5, "output_stride": 2}
HEADS: dict[str, dict[str, Any]] = {
    "single_instance": {"confmaps": CONFMAPS},
    "centroid": {"confmaps": CONFMAPS},
    "centered_instance": {"confmaps": CONFMAPS},
    "bottomup": {"confmaps": CONFMAPS, "pafs": {"sigma": 4.0, "output_stride": 4}},
    "multi_class_bottomup": {"confmaps": CONFMAPS, "class_maps": {"sigma": 4.0, "output_stride": 4}},
    "multi_class_topdown": {"confmaps": CONFMAPS, "class_vectors": {}},
}


def write_model(
    folder: Path, model_type: str, labels: Path, seed: int = 0, preprocessing: dict[str, Any] | None = None
) -> Path:
    """Write what training leaves in a run folder, for the labels of a package, and return the folder.

    Args:
        folder: Made if missing.
        model_type: One of `HEADS`.
        labels: Skeleton, tracks and sizes are taken from them.
        seed: Of the random network.
        preprocessing: Values of ``data_config.preprocessing``.
    """
    torch.manual_seed(seed)
    trainer = ModelTrainer(
        {
            "data_config": {
                "train_labels_path": [str(labels)],
                "validation_fraction": 0.25,
                "preprocessing": {} if preprocessing is None else preprocessing,
            },
            "model_config": {
                "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
                "head_configs": {model_type: HEADS[model_type]},
            },
            "trainer_config": {"trainer_accelerator": "cpu", "save_ckpt": True, "ckpt_dir": str(folder.parent)},
        }
    )
    job = trainer.job
    network = _network(job)
    _stretch(network, labels, job)
    folder.mkdir(parents=True, exist_ok=True)
    run_folder.write_configs(folder, job, job)
    state = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": state}, folder / model_dir.WEIGHTS)
    return folder


def _network(job: TrainingJobConfig) -> PoseNetwork:
    """Return the untrained network of a resolved configuration."""
    heads, skeletons = job.model_config.head_configs, job.data_config.skeletons
    assert skeletons is not None
    task = TASKS[str(heads.which_oneof_attrib_name())].from_config(
        heads.which_oneof(), Skeleton.from_config(skeletons[0])
    )
    return PoseNetwork.from_config(job.model_config.backbone_config, task.heads).eval()


def _stretch(network: PoseNetwork, labels: Path, job: TrainingJobConfig) -> None:
    """Scale the outputs, so that on the first image every map has the maximum 1; black images give 0 everywhere."""
    image = torch.from_numpy(load_labels(labels).labeled_frames[0].image[None].transpose(0, 3, 1, 2).copy())
    size = job.data_config.preprocessing.crop_size
    image = image if size is None else image[..., : size // 8 * 8, : size // 8 * 8]
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    with torch.no_grad():
        for layer in convolutions:
            if layer.bias is not None:
                layer.bias.zero_()
        for layers, maps in zip(network.head_layers, list(network(image).values()), strict=True):
            last = [module for module in layers.modules() if isinstance(module, nn.Conv2d)]
            if last:
                last[-1].weight.mul_(_factors(maps)[:, None, None, None])


def _factors(maps: Tensor) -> Tensor:
    """Return what to multiply each channel of the maps (1, C, h, w) with, so that its maximum is 1."""
    values = maps[0].flatten(1)
    strongest = values.gather(1, values.abs().argmax(dim=1, keepdim=True))[:, 0]
    return 1 / strongest
