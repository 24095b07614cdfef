"""The JSON files of an exported folder: what the model is, and how its parts are run.

``export_metadata.json`` has the keys that other programs know. ``stages.json`` lists the networks in the order in which
they run, with the input that each reads and how its maps are read; this package predicts by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sleap_nn.data.input_spec import InputSpec
from sleap_nn.errors import ConfigError, MissingFileError, ModelError, OutputError, reason
from sleap_nn.inference.settings import DecodeKeywords, StageSettings
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import DecodeSettings, Task
from sleap_nn.whole_files import whole_file

METADATA = "export_metadata.json"
STAGES = "stages.json"
MODEL = "model"
"""Stem of the file of the whole model."""
ENGINE_METADATA = "model.trt.metadata.json"
"""The same keys about TensorRT engines, beside them."""
SUFFIXES = {"onnx": ".onnx", "tensorrt": ".trt"}
"""Runtime -> ending of its files."""
PAIRS = {"centered_instance": "topdown", "multi_class_topdown": "multi_class_topdown_combined"}
"""Model type of the second model of a pair -> that of the whole."""
MODEL_TYPES = (*TASKS, *PAIRS.values())
"""Model types of exported folders: those of training, and the two pairs."""
FACTS = "sleap_nn_network"
"""Property of an ONNX file that holds what `network_facts` says of it."""

Kind = TypeVar("Kind")


@dataclass(frozen=True, kw_only=True)
class ExportMetadata:
    """What an exported model is.

    Attributes:
        sleap_nn_version: Version that exported it.
        export_timestamp: When, ISO 8601.
        export_format: ``onnx`` or ``tensorrt``.
        model_type: One of `MODEL_TYPES`.
        model_name: Name of the trained folder; of a pair both, joined by ``+``.
        checkpoint_path: Weights that were exported; of a pair both, joined by a comma.
        backbone: Backbone; of a pair that of the instances.
        n_nodes: Number of nodes.
        n_edges: Number of edges.
        node_names: The nodes, in order.
        edge_inds: The edges, as pairs of node indices.
        input_scale: Factor by which frames or crops are resized; of a pair that of the centroid model.
        input_channels: Channels of an image, 1 or 3.
        output_stride: Image px of a cell of the confidence maps.
        crop_size: (height, width) of a crop in px before it is scaled; None for models of whole frames.
        max_instances: Centroids in the output of the graph.
        max_peaks_per_node: Peaks a node in the output of the graph, of models that find those of all animals at once.
        max_batch_size: Largest batch of a TensorRT engine.
        precision: ``fp32``, ``fp16`` or ``tf32``.
        peak_threshold: Smallest map value of a point.
        input_dtype: Type of an image.
        normalization: How values become 0..1, inside the graph.
        n_classes: Number of identities.
        class_names: The identities, in order.
        anchor_part: Node that centres crops, None for the middle of the visible ones.
        training_config_embedded: Whether an ONNX file holds the configuration as well.
        training_config_hash: SHA-256 of its text.
    """

    sleap_nn_version: str
    export_timestamp: str
    export_format: str
    model_type: str
    model_name: str
    checkpoint_path: str
    backbone: str
    n_nodes: int
    n_edges: int
    node_names: list[str]
    edge_inds: list[tuple[int, int]]
    input_scale: float = 1.0
    input_channels: int = 1
    output_stride: int = 1
    crop_size: tuple[int, int] | None = None
    max_instances: int | None = None
    max_peaks_per_node: int | None = None
    max_batch_size: int | None = None
    precision: str = "fp32"
    peak_threshold: float = 0.2
    input_dtype: str = "uint8"
    normalization: str = "0_to_1"
    n_classes: int = 0
    class_names: list[str] = field(default_factory=list)
    anchor_part: str | None = None
    training_config_embedded: bool = False
    training_config_hash: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the metadata as JSON holds it."""
        return json.loads(json.dumps(asdict(self)))

    def to_json(self) -> str:
        """Return the metadata as text."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> ExportMetadata:
        """Return metadata from what JSON held; keys that are not known are passed over.

        Raises:
            ModelError: A key is missing, or a value is not of its kind.
        """
        return _checked(cls, dict(d), "The metadata")

    def save(self, path: str | Path) -> None:
        """Write the metadata.

        Raises:
            OutputError: The file cannot be written.
        """
        _write(Path(path), self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> ExportMetadata:
        """Read what `save` wrote.

        Raises:
            MissingFileError: There is no such file.
            ModelError: It is no metadata of an exported model, or of a model type that is not known.
        """
        path = Path(path)
        metadata = _checked(cls, _read(path), str(path))
        if metadata.model_type not in MODEL_TYPES:
            raise ModelError(
                f"{path} names the model type {metadata.model_type!r}, which is not known; known are "
                f"{', '.join(MODEL_TYPES)}."
            )
        return metadata


@dataclass(frozen=True, kw_only=True)
class Baked:
    """How the maps of an exported network are read, in the words of `DecodeKeywords`."""

    peak_threshold: float
    integral_refinement: str
    integral_patch_size: int
    n_points: int
    max_edge_length_ratio: float
    dist_penalty_weight: float

    def settings(self) -> DecodeSettings:
        """Return them as a stage takes them.

        Raises:
            ConfigError: A value is out of range.
        """
        return StageSettings.from_keywords(DecodeKeywords(**asdict(self))).common


@dataclass(frozen=True, kw_only=True)
class ExportedStage:
    """One network of an exported folder.

    Attributes:
        model_type: One of `TASKS`.
        file: Stem of its file; the ending is that of the runtime.
        config: Name of its configuration.
        input: What it reads.
        decoding: How its maps are read.
    """

    model_type: str
    file: str
    config: str
    input: InputSpec
    decoding: Baked


def read_stages(folder: Path) -> list[ExportedStage]:
    """Return the networks of an exported folder, in the order in which they run.

    Raises:
        ModelError: The folder does not say how it is run.
    """
    path = folder / STAGES
    if not path.is_file():
        raise ModelError(
            f"{folder} has no {STAGES}, so it was exported by another program; export the trained folder with "
            "sleap-nn export."
        )
    stages = _checked(list[ExportedStage], _read(path), str(path))
    for stage in stages:
        if stage.model_type not in TASKS or any(Path(name).name != name for name in (stage.file, stage.config)):
            raise ModelError(f"{path} names a model type or a file that there cannot be; export the model again.")
        try:
            stage.decoding.settings()
        except ConfigError as error:
            raise ModelError(f"{path} cannot be used: {error}") from error
    if not 1 <= len(stages) <= 2:
        raise ModelError(f"{path} lists {len(stages)} networks; an exported model has one or two.")
    return stages


def network_facts(task: Task, spec: InputSpec) -> dict[str, Any]:
    """Return what a network reads and what its maps show: what the other files of its folder must say as well."""
    meaning = task.meaning()
    maps = {head.name: {"output_stride": head.output_stride, "channels": meaning[head.name]} for head in task.heads}
    return json.loads(json.dumps({"input": asdict(spec), "maps": maps}))


def check_facts(text: str | None, task: Task, spec: InputSpec, file: Path) -> None:
    """Refuse a network that lies among the files of another one, whose points would go to wrong places or nodes.

    Args:
        text: What the file itself says, None for nothing.
        task: What its configuration says.
        spec: The input that `STAGES` says.
        file: The network, for the message.

    Raises:
        ModelError: They differ.
    """
    if text is None:
        return
    beside = network_facts(task, spec)
    try:
        own = dict(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"{file} does not say what its network reads ({reason(error)}); export it again.") from error
    different = [name for name, value in beside.items() if value != own.get(name)]
    if different:
        what = "reads other images" if different[0] == "input" else "finds other nodes, edges or classes"
        raise ModelError(
            f"{file} {what} than the files beside it say, so it is of another export; copy exported folders whole, or "
            "export the model again."
        )


def write_stages(path: Path, stages: Sequence[ExportedStage]) -> None:
    """Write what `read_stages` reads.

    Raises:
        OutputError: The file cannot be written.
    """
    _write(path, [asdict(stage) for stage in stages])


def _checked(kind: type[Kind], values: Any, name: str) -> Kind:
    """Return values as a class.

    Raises:
        ModelError: They do not fit it.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ModelError(
            f"{name} is not what an export writes ({place or 'the whole'}: {first['msg']}); export the model again."
        ) from error


def _read(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        MissingFileError: There is no such file.
        ModelError: It is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist; give a folder that sleap-nn export wrote.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read as JSON ({reason(error)}); export the model again.") from error


def _write(path: Path, values: Any) -> None:
    """Write a JSON file.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with whole_file(path) as partial:
            partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); choose another folder.") from error
