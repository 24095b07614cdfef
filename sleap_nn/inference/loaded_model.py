"""`LoadedModel`: one network of a prediction with all that belongs to it, trained or exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypedDict

import torch

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ModelError
from sleap_nn.inference.manifest import file_hash
from sleap_nn.inference.runtime import precision_in_use
from sleap_nn.inference.to_labels import CentroidForm
from sleap_nn.log import logger
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.stages.stage import Stage
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import DecodeSettings, Task


@dataclass(frozen=True)
class LoadedModel:
    """A trained folder, or a part of an exported one, ready to run.

    Attributes:
        folder: Where it was read.
        config: Its resolved configuration.
        stage: What predicts.
        device: Where the network runs.
        precision: In which precision it runs.
        weights: What computes: a network, whose weights are in the precision that runs, or an exported file.
        places_centroids: Whether centroids are stored at a node of the skeleton, because a user named one.
        baked: How maps are read whatever is asked for, as an exported model says; None: as is asked for.
    """

    folder: Path
    config: TrainingJobConfig
    stage: Stage
    device: str
    precision: str
    weights: PoseNetwork | Path
    places_centroids: bool = False
    baked: DecodeSettings | None = None

    def centroid_form(self, emit: str) -> CentroidForm:
        """Return how centroids of this model are stored; `emit` is ``instance``, ``centroid`` or ``both``."""
        task = self.stage.task
        node = None if task.anchor_node is None else task.skeleton.node_names[task.anchor_node]
        return CentroidForm(emit, node, task.skeleton if self.places_centroids else None)

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the training labels."""
        return self.stage.task.skeleton

    @property
    def model_type(self) -> str:
        """The model type."""
        return self.stage.task.name

    @property
    def network(self) -> PoseNetwork:
        """The network.

        Raises:
            ModelError: There is none, because the model is exported.
        """
        if isinstance(self.weights, Path):
            raise ModelError(f"{self.folder} is an exported model; give the folder of the training that it came from.")
        return self.weights

    def weights_hash(self) -> str:
        """Return 64 characters that stand for the weights, wherever they were read."""
        if isinstance(self.weights, Path):
            return file_hash(self.weights)
        content = blake2b(digest_size=32)
        for name, tensor in sorted(self.weights.state_dict().items()):
            content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            content.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return content.hexdigest()

    def what_decides(self) -> dict[str, Any]:
        """Return every setting on which predictions depend, besides the weights."""
        spec = {name: repr(value) for name, value in vars(self.stage.spec).items()}
        return {
            **asdict(self.stage.settings),
            **spec,
            "anchor_part": self.stage.task.anchor_node,
            "precision": precision_in_use(self.stage.runtime, self.precision),
            "device": self.device.split(":")[0],
        }


def warn_of_other_anchors(models: Sequence[LoadedModel]) -> None:
    """Say so where crops are cut about another point than those that the second model was trained on.

    Args:
        models: In the order in which they run.
    """
    anchors = []
    for model in models:
        task = model.stage.task
        node = task.anchor_node
        anchors.append(
            "the mean of the visible nodes" if node is None else f"the node {task.skeleton.node_names[node]}"
        )
    if len(anchors) > 1 and len(set(anchors)) > 1:
        logger.warning(
            "The %s model finds %s, but the %s model was trained on crops about %s, so that its points can be wrong; "
            "train both with the same anchor_part.",
            models[0].model_type,
            anchors[0],
            models[1].model_type,
            anchors[1],
        )


class ModelKeywords(TypedDict, total=False):
    """How models are loaded.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``auto`` (cuda, else mps, else cpu).
        precision: ``auto`` (bf16 for models that were trained so, where the hardware computes it; else 32), ``32``,
            ``bf16`` or ``16``.
        preprocess_config: Values of `load.PREPROCESSING_OVERRIDES` that replace those of training; None entries do not.
        backbone_ckpt_path: Checkpoint whose weights replace those of every model, or only of its backbone if
            `head_ckpt_path` is given.
        head_ckpt_path: Checkpoint whose weights replace those of the heads.
        anchor_part: Node that centres crops about labelled animals, and at which centroids without keypoints are
            stored.
        centroid_only: Leave out the model of crops.
        export_dir: Folder of an exported model, in place of trained ones.
        runtime: What executes an exported model: ``onnx``, ``tensorrt``, or ``auto`` (the second where it can run).
        peak_conf_threshold: Raises the threshold that is baked into an exported model; None leaves it.
    """

    device: str
    precision: str
    preprocess_config: Mapping[str, Any] | None
    backbone_ckpt_path: str | Path | None
    head_ckpt_path: str | Path | None
    anchor_part: str | None
    centroid_only: bool
    export_dir: str | Path | None
    runtime: str
    peak_conf_threshold: float | None


def model_type_of(config: TrainingJobConfig) -> str:
    """Return the model type of a configuration."""
    return str(config.model_config.head_configs.which_oneof_attrib_name())


def task_of(config: TrainingJobConfig, file: Path) -> Task:
    """Return the task of a resolved configuration.

    Args:
        config: The configuration; its model type is known.
        file: Where it was read, for the message.

    Raises:
        ModelError: It holds no skeleton.
    """
    if not config.data_config.skeletons:
        raise ModelError(f"{file} holds no skeleton; use the folder as training left it.")
    skeleton = Skeleton.from_config(config.data_config.skeletons[0])
    return TASKS[model_type_of(config)].from_config(config.model_config.head_configs.which_oneof(), skeleton)
