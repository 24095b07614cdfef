"""A network that starts from the weights of an earlier model: which tensors fit, and which can be made to fit.

Tensors are matched by name and shape. Where the earlier model's configuration says what its channels mean, the heads
are matched by meaning: a node, edge or class that both models know keeps its channel, wherever it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from sleap_nn.config.model_config import ModelConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError, ModelError
from sleap_nn.heads.base import Head
from sleap_nn.log import logger
from sleap_nn.networks.fates import Fate, fates_table
from sleap_nn.networks.model_dir import TrainedWeights, load_trained
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import Task

GREY, COLOUR = 1, 3


@dataclass(frozen=True)
class _Given:
    """A tensor of the checkpoint under the name that it would have in the network.

    Attributes:
        tensor: The tensor.
        meaning: What each of its first entries stands for, empty if unknown or of no matter.
    """

    tensor: Tensor
    meaning: tuple[str, ...] = ()


@dataclass(frozen=True)
class Starts:
    """From what a network starts.

    Attributes:
        weights: ``backbone`` or ``head_layers`` -> earlier model.
        image_channels: Channels of the images that the backbone has learned from, None for one that starts anew.
    """

    weights: dict[str, TrainedWeights]
    image_channels: int | None


def read_starts(config: ModelConfig, resume: Path | None = None) -> Starts:
    """Return the earlier models from which parts of a network start, as far as the configuration names any.

    Args:
        config: Names the checkpoints.
        resume: Checkpoint of the run that is resumed: it has its own weights, and the earlier ones are not read again.

    Raises:
        MissingFileError: A checkpoint is not there.
        ModelError: A checkpoint cannot be read.
    """
    paths = {"backbone": config.pretrained_backbone_weights, "head_layers": config.pretrained_head_weights}
    if resume is not None:
        return Starts({}, None if paths["backbone"] is None else load_trained(resume).image_channels)
    read = {path: load_trained(path) for path in dict.fromkeys(paths.values()) if path is not None}
    weights = {part: read[path] for part, path in paths.items() if path is not None}
    return Starts(weights, weights["backbone"].image_channels if "backbone" in weights else None)


def start_from(network: PoseNetwork, task: Task, starts: Mapping[str, TrainedWeights]) -> None:
    """Fill the parts of a new network from earlier models, and log what was taken.

    Args:
        network: Changed in place.
        task: The model type of the network.
        starts: ``backbone`` or ``head_layers`` -> earlier model.

    Raises:
        ModelError: Nothing of an earlier model fits.
    """
    fates = {part: reuse(network, task, trained, part) for part, trained in starts.items()}
    if fates:
        table = fates_table(fates)
        where = " and ".join(dict.fromkeys(str(trained.path) for trained in starts.values()))
        logger.info("Weights from %s:\n%s", where, table)


def reuse(network: PoseNetwork, task: Task, trained: TrainedWeights, part: str) -> list[Fate]:
    """Fill a part of a new network from an earlier model.

    Args:
        network: Changed in place.
        task: The model type of the network.
        trained: The earlier model.
        part: ``backbone`` or ``head_layers``.

    Returns:
        What became of every tensor of this part, of the checkpoint's and of the network's.

    Raises:
        ModelError: Not one tensor fits.
    """
    if part == "backbone":
        wanted: dict[str, tuple[str, ...]] = {}
        given = {name: _Given(tensor) for name, tensor in trained.weights.items() if name.startswith("backbone.")}
    else:
        wanted = _meanings(task)
        given = _heads_of(trained.weights, task, None if trained.config is None else _task_of(trained.config))
    own = {name: tensor for name, tensor in network.state_dict().items() if name.startswith(f"{part}.")}
    first = _first_convolution(network)
    filled: dict[str, Tensor] = {}
    fates = []
    for name, tensor in own.items():
        if name not in given:
            fates.append(Fate(name, None, tuple(tensor.shape), False, "not in the checkpoint"))
            continue
        if _left_alone(name, own, filled):
            fitted, how = None, "its weight does not fit"
        else:
            fitted, how = _fit(given[name], tensor, wanted.get(name, ()), name == first)
        fates.append(Fate(name, tuple(given[name].tensor.shape), tuple(tensor.shape), fitted is not None, how))
        if fitted is not None:
            filled[name] = fitted
    fates += [Fate(n, tuple(g.tensor.shape), None, False, "no place for it") for n, g in given.items() if n not in own]
    if all(tensor.ndim < 2 for tensor in filled.values()):
        raise ModelError(_nothing_fits(trained, part, len(given)))
    network.load_state_dict(filled, strict=False)
    return fates


def _left_alone(name: str, own: Mapping[str, Tensor], filled: Mapping[str, Tensor]) -> bool:
    """Tell whether a bias would be taken without the weight that it belongs to."""
    weight = f"{name.removesuffix('.bias')}.weight"
    return name.endswith(".bias") and weight in own and weight not in filled


def _fit(given: _Given, own: Tensor, wanted: tuple[str, ...], first: bool) -> tuple[Tensor | None, str]:
    """Return what a tensor of the network becomes, None if nothing fits, and how that was done."""
    tensor = given.tensor
    if given.meaning and wanted and given.meaning != wanted and tensor.shape[1:] == own.shape[1:]:
        shared = [name for name in wanted if name in given.meaning]
        if shared:
            merged = own.clone()
            merged[[wanted.index(name) for name in shared]] = tensor[[given.meaning.index(name) for name in shared]]
            return merged, _by_name(wanted, shared)
        if tensor.shape == own.shape:
            return tensor, "no name in common: channels in their order"
        return None, "no name in common"
    if tensor.shape == own.shape:
        return tensor, ""
    if first and _only_colour_differs(tensor, own):
        if own.shape[1] == GREY:
            return tensor.sum(dim=1, keepdim=True), "colour channels summed"
        return tensor.expand(-1, COLOUR, -1, -1) / COLOUR, "grey channel shared among three"
    return None, "other shape"


def _by_name(wanted: Sequence[str], shared: Sequence[str]) -> str:
    """Return how many channels were found by name, and the first of those that were not."""
    new = [name for name in wanted if name not in shared]
    named = f"; new: {', '.join(new[:4])}{', ...' if len(new) > 4 else ''}" if new else ""
    return f"{len(shared)} of {len(wanted)} channels by name{named}"


def _only_colour_differs(tensor: Tensor, own: Tensor) -> bool:
    """Tell whether two kernels differ only in reading grey or colour images."""
    same = tensor.ndim == own.ndim == 4 and tensor.shape[0] == own.shape[0] and tensor.shape[2:] == own.shape[2:]
    return same and {tensor.shape[1], own.shape[1]} == {GREY, COLOUR}


def _first_convolution(network: PoseNetwork) -> str:
    """Return the name of the kernel that reads the image."""
    layers = network.backbone.named_modules()
    return next(f"backbone.{name}.weight" for name, layer in layers if isinstance(layer, nn.Conv2d))


def _task_of(config: TrainingJobConfig) -> Task | None:
    """Return the model type of a resolved configuration, None if it is not known here or incomplete."""
    heads = config.model_config.head_configs
    name = str(heads.which_oneof_attrib_name())
    skeletons = config.data_config.skeletons
    if name not in TASKS or not skeletons:
        return None
    try:
        return TASKS[name].from_config(heads.which_oneof(), Skeleton.from_config(skeletons[0]))
    except (ConfigError, KeyError, ValueError) as error:
        logger.warning("What the channels of the earlier model mean cannot be told: %s", error)
        return None


def _output_name(index: int, head: Head) -> str:
    """Return the beginning of the names of the tensors of a head that have one entry a channel."""
    return f"head_layers.{index}.{head.layer_name}."


def _meanings(task: Task) -> dict[str, tuple[str, ...]]:
    """Return what the entries of each output tensor of the heads stand for, by name of the tensor."""
    meaning = task.meaning()
    return {
        f"{_output_name(index, head)}{name}": meaning[head.name]
        for index, head in enumerate(task.heads)
        for name in _tensors_of(head)
    }


def _tensors_of(head: Head) -> list[str]:
    """Return the names of the output tensors of a head, without their common beginning."""
    with torch.device("meta"):
        names = head.layer(1).state_dict()
    return [name.removeprefix(f"{head.layer_name}.") for name in names if name.startswith(f"{head.layer_name}.")]


def _heads_of(weights: Mapping[str, Tensor], task: Task, earlier: Task | None) -> dict[str, _Given]:
    """Return the tensors of the heads by the names that they have in the new network.

    Heads of one kind belong together, whatever the model type; without the configuration only names can tell.
    """
    tensors = {name: tensor for name, tensor in weights.items() if name.startswith("head_layers.")}
    if earlier is None:
        return {name: _Given(tensor) for name, tensor in tensors.items()}
    kinds = {head.name: (index, head) for index, head in enumerate(task.heads)}
    meanings = _meanings(earlier)
    renames = {}
    for index, head in enumerate(earlier.heads):
        if head.name in kinds:
            new_index, new_head = kinds[head.name]
            renames[_output_name(index, head)] = _output_name(new_index, new_head)
            renames[f"head_layers.{index}."] = f"head_layers.{new_index}."
    return {_renamed(name, renames): _Given(tensor, meanings.get(name, ())) for name, tensor in tensors.items()}


def _renamed(name: str, renames: Mapping[str, str]) -> str:
    """Return a name with the first of these beginnings that it has replaced."""
    for old, new in renames.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _nothing_fits(trained: TrainedWeights, part: str, count: int) -> str:
    """Return the sentence about a checkpoint of which nothing could be used."""
    what, kind = ("backbone", "backbone") if part == "backbone" else ("heads", "kind of maps")
    option = "pretrained_backbone_weights" if part == "backbone" else "pretrained_head_weights"
    return (
        f"Not one of the {count} tensors of the {what} in {trained.path} fits this network; give a checkpoint with the "
        f"same {kind}, or leave model_config.{option} out."
    )
