"""What an exported folder holds, made of loaded models: graphs, and what describes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from sleap_nn.config.export_config import ExportConfig
from sleap_nn.errors import ModelError
from sleap_nn.export.graph import READERS, NetworkGraph, Reading, TopDownGraph
from sleap_nn.export.onnx_file import (
    Difference,
    device_of,
    export_to_onnx,
    largest_differences,
    sample_images,
    set_properties,
)
from sleap_nn.inference.export_metadata import (
    ENGINE_METADATA,
    FACTS,
    METADATA,
    MODEL,
    PAIRS,
    STAGES,
    SUFFIXES,
    Baked,
    ExportedStage,
    ExportMetadata,
    network_facts,
)
from sleap_nn.inference.loaded_model import LoadedModel
from sleap_nn.inference.onnx_runtime import INPUT, MAP_PREFIX
from sleap_nn.log import logger
from sleap_nn.networks import model_dir
from sleap_nn.stages.stage import Stage
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.bottomup import BottomUp
from sleap_nn.version import __version__

TOLERANCE = 1e-3
"""Largest difference of maps from those of the trained network, see `Difference.share`."""
_SEPARATOR = "---\n"
"""Between two configurations in one text, as YAML has it."""
_DEFAULT_SIDE = 512
_OTHER_SIDES = (2, 3)
"""Height and width, in strides, of the second size at which a graph is compared."""


@dataclass(frozen=True)
class Part:
    """One graph of a folder.

    Attributes:
        stem: Name of its file without the ending.
        graph: What the file computes.
        shape: (batch, channels, height, width) with which it is recorded.
        config: Text of the configuration that it holds.
        stride: The sides of its images are multiples of this.
        facts: What the file says of its network, see `network_facts`; nothing of a graph of two.
    """

    stem: str
    graph: nn.Module
    shape: tuple[int, int, int, int]
    config: str
    stride: int
    facts: Mapping[str, Any] = field(default_factory=dict)


def config_name(models: Sequence[LoadedModel], index: int) -> str:
    """Return the name of the configuration of a model."""
    return model_dir.CONFIG if len(models) == 1 else f"training_config_{models[index].model_type}.yaml"


def file_names() -> set[str]:
    """Return the name of every file that exports of any kind write."""
    stems = {MODEL, *(f"{MODEL}_{name}" for name in TASKS)}
    models = {f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES.values()}
    configs = {model_dir.CONFIG, *(f"training_config_{name}.yaml" for name in TASKS)}
    return {METADATA, ENGINE_METADATA, STAGES, *models, *configs}


def stages_of(models: Sequence[LoadedModel], config: ExportConfig) -> list[ExportedStage]:
    """Return how the networks of the folder are run."""
    baked = baked_of(config)
    return [
        ExportedStage(
            model_type=model.model_type,
            file=MODEL if len(models) == 1 else f"{MODEL}_{model.model_type}",
            config=config_name(models, index),
            input=model.stage.spec,
            decoding=baked,
        )
        for index, model in enumerate(models)
    ]


def baked_of(config: ExportConfig) -> Baked:
    """Return how maps are read."""
    return Baked(
        peak_threshold=config.peak_threshold,
        integral_refinement="integral",
        integral_patch_size=5,
        n_points=config.n_line_points,
        max_edge_length_ratio=config.max_edge_length_ratio,
        dist_penalty_weight=config.dist_penalty_weight,
    )


def parts_of(models: Sequence[LoadedModel], texts: Sequence[str], config: ExportConfig) -> list[Part]:
    """Return the graphs of a folder: one a network, and of a pair one of both together as well, which comes last.

    Args:
        models: In the order in which they run.
        texts: Their configurations.
        config: How they are exported.
    """
    reading = Reading(baked_of(config).settings(), config.max_instances, config.max_peaks_per_node)
    graphs = [NetworkGraph(model.stage.task, model.network, reading).requires_grad_(False) for model in models]
    stages = [model.stage for model in models]
    parts = [
        Part(
            entry.file,
            graph,
            input_shape(stage, config),
            text,
            stage.spec.stride,
            network_facts(stage.task, stage.spec),
        )
        for entry, graph, stage, text in zip(stages_of(models, config), graphs, stages, texts, strict=True)
    ]
    if len(models) == 1:
        return parts
    first, second = stages
    whole = TopDownGraph(graphs[0], graphs[1], (first.spec, second.spec))
    shape = (1, first.spec.channels, *frame_size(first, config))
    return [*parts, Part(MODEL, whole, shape, _SEPARATOR.join(texts), first.spec.stride)]


def frame_size(stage: Stage, config: ExportConfig) -> tuple[int, int]:
    """Return the (height, width) of frames in px, before they are scaled."""
    spec = stage.spec
    sides = ((config.input_height, spec.max_height), (config.input_width, spec.max_width))
    height, width = (next((side for side in given if side is not None), _DEFAULT_SIDE) for given in sides)
    return height, width


def input_shape(stage: Stage, config: ExportConfig) -> tuple[int, int, int, int]:
    """Return the (batch, channels, height, width) of images with which a network is recorded."""
    spec = stage.spec
    sides = frame_size(stage, config) if spec.crop_size is None else (spec.crop_size, spec.crop_size)
    height, width = (-(-max(1, int(side * spec.scale)) // spec.stride) * spec.stride for side in sides)
    return 2, spec.channels, height, width


def metadata_of(models: Sequence[LoadedModel], texts: Sequence[str], config: ExportConfig, kind: str) -> ExportMetadata:
    """Return what a folder says of its model.

    Args:
        models: In the order in which they run.
        texts: Their configurations.
        config: How they are exported.
        kind: ``onnx`` or ``tensorrt``.
    """
    first, last = models[0].stage, models[-1].stage
    task, classes = last.task, list(last.task.classes)
    edges = task.pafs.edges if isinstance(task, BottomUp) else task.skeleton.edges
    anchor = task.anchor_node
    return ExportMetadata(
        sleap_nn_version=__version__,
        export_timestamp=datetime.now().isoformat(timespec="seconds"),
        export_format=kind,
        model_type=task.name if len(models) == 1 else PAIRS[task.name],
        model_name="+".join(model.folder.resolve().name for model in models),
        checkpoint_path=", ".join(model_dir.weights_file(model.folder).resolve().as_posix() for model in models),
        backbone=str(models[-1].config.model_config.backbone_config.which_oneof_attrib_name()),
        n_nodes=len(task.skeleton.node_names),
        n_edges=len(edges),
        node_names=list(task.skeleton.node_names),
        edge_inds=[(int(source), int(destination)) for source, destination in edges],
        input_scale=first.spec.scale,
        input_channels=first.spec.channels,
        output_stride=task.heads[0].output_stride,
        crop_size=None if last.spec.crop_size is None else (last.spec.crop_size, last.spec.crop_size),
        max_instances=config.max_instances if first.task.one_point else None,
        max_peaks_per_node=config.max_peaks_per_node if READERS[task.name].lists_peaks else None,
        max_batch_size=config.max_batch_size if kind == "tensorrt" else None,
        precision=config.precision if kind == "tensorrt" else "fp32",
        peak_threshold=config.peak_threshold,
        n_classes=len(classes),
        class_names=classes,
        anchor_part=None if anchor is None else task.skeleton.node_names[anchor],
        training_config_embedded=kind == "onnx",
        training_config_hash=hashlib.sha256(_SEPARATOR.join(texts).encode()).hexdigest(),
    )


class Written(NamedTuple):
    """A file of a graph.

    Attributes:
        differences: How far each map, of a pair each value of a point, is from that of the trained network; empty
            without ``verify``.
        one_size: Whether it takes images of one size only.
    """

    differences: dict[str, Difference]
    one_size: bool


def write_onnx(
    part: Part, folder: Path, config: ExportConfig, metadata: ExportMetadata, one_size: bool = False
) -> Written:
    """Write the ONNX file of a graph; one that does not hold for other sizes of images is written for its own.

    Args:
        part: The graph.
        folder: Where it is written.
        config: How it is exported.
        metadata: What the file says of itself.
        one_size: Write it for its own size in any case.

    Raises:
        ModelError: The file does not compute what the network computes.
    """
    path = folder / f"{part.stem}.onnx"
    differences = _recorded(part, path, config, one_size)
    if config.verify and not one_size and not isinstance(part.graph, TopDownGraph):
        height, width = (factor * part.stride for factor in _OTHER_SIDES)
        other = replace(part, shape=(1, part.shape[1], height, width))
        found = _compared(other, path)
        if _holds(found):
            differences = {name: max(found[name], value, key=_share) for name, value in differences.items()}
        else:
            logger.warning(
                "%s takes images of %d x %d px only: as it was recorded, it does not hold for other sizes.",
                path.name,
                *part.shape[2:],
            )
            one_size = True
            differences = _recorded(part, path, config, one_size)
    texts = {"sleap_nn_metadata": metadata.to_json(), "training_config": part.config}
    set_properties(path, texts | ({FACTS: json.dumps(part.facts)} if part.facts else {}))
    return Written(differences, one_size)


def _recorded(part: Part, path: Path, config: ExportConfig, one_size: bool) -> dict[str, Difference]:
    """Write a graph and compare it; arguments and errors as for `write_onnx`."""
    outputs = part.graph(sample_images(part.shape, torch.uint8, device_of(part.graph)))
    export_to_onnx(
        part.graph,
        path,
        part.shape,
        opset_version=config.opset_version,
        dynamic_axes=_free_axes(outputs, one_size),
        output_names=list(outputs),
        verify=config.verify,
    )
    if not config.verify:
        return {}
    differences = _compared(part, path)
    worst = max(differences, key=lambda name: differences[name].share)
    text = f"{path.name} differs from the trained network by {differences[worst].most:.2g} ({worst})"
    if _holds(differences):
        return differences
    if isinstance(part.graph, TopDownGraph):
        # Its outputs jump where two centroids are equally high, so that the last digit of a sum can tell.
        logger.warning("%s; the files of the two networks, from which predictions are made, do not.", text)
        return differences
    raise ModelError(f"The exported {text}, so it was not kept; try another --opset-version.")


def _free_axes(outputs: Mapping[str, Tensor], one_size: bool) -> dict[str, dict[int, str]]:
    """Return the axes that may have any size: the batch, and without `one_size` the sides of images and maps."""
    axes = {name: {0: "batch"} for name in (INPUT, *outputs)}
    if not one_size:
        axes[INPUT] |= {2: "height", 3: "width"}
        for name, values in outputs.items():
            if name.startswith(MAP_PREFIX) and values.ndim == 4:
                axes[name] |= {2: f"{name}_height", 3: f"{name}_width"}
    return axes


def _compared(part: Part, path: Path) -> dict[str, Difference]:
    """Return the differences of the maps of a graph, of a pair those of the values of its points."""
    images = sample_images(part.shape, torch.uint8, device_of(part.graph))
    if isinstance(part.graph, TopDownGraph):
        return largest_differences(part.graph, path, ("centroid_vals", "peak_vals"), images)
    graph = cast(NetworkGraph, part.graph)
    return largest_differences(graph, path, [MAP_PREFIX + head.name for head in graph.network.heads], images)


def _holds(differences: dict[str, Difference]) -> bool:
    """Tell whether differences are small."""
    return max(map(_share, differences.values())) <= TOLERANCE


def _share(difference: Difference) -> float:
    """Return a difference in units of the largest value."""
    return difference.share
