"""What was trained, on what, and where: the rows of the first tables of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sleap_nn.config.differences import Difference
from sleap_nn.config.fields import fields_of, plain_text, values_of
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.labels import Labels
from sleap_nn.data.leakage import Leakage, usual_distance
from sleap_nn.run_report.history import History
from sleap_nn.training.split_record import SplitRecord

Row = tuple[str, str]

MODEL_TYPES = {
    "single_instance": "Single instance: one animal a frame",
    "centroid": "Centroid: where the animals are (first stage of top-down)",
    "centered_instance": "Centered instance: the pose in a crop (second stage of top-down)",
    "bottomup": "Bottom-up: all points of a frame, joined to animals",
    "multi_class_bottomup": "Bottom-up with identities",
    "multi_class_topdown": "Centered instance with identities (second stage of top-down)",
}
BACKBONES = {"unet": "UNet", "convnext": "ConvNeXt", "swint": "Swin transformer", "pretrained": "Pretrained encoder"}
METHODS = {
    "frame": "single frames at random",
    "video": "video",
    "time_block": "time block: frames close in time stay together",
    "identity": "identity: frames with a common track stay together",
    "val_labels_path": "not divided: validation labels of their own",
    "use_same_data_for_val": "not divided: the training frames also validate",
}
USUAL_GAP = 30
"""Frames without a label that are a pause, where the split does not say."""

_SHAPE = ("model_name", "model_type", "filters", "filters_rate", "max_stride", "stacks")
_LONGEST_VALUE = 140
_IN_OTHER_TABLES = ("data_config.skeletons", "part_names", "classes", "edges", "total_params")


def model_rows(config: TrainingJobConfig) -> list[Row]:
    """Return model type, backbone, output maps and input of a resolved configuration."""
    model, data = config.model_config, config.data_config
    head_name, head = model.head_configs.which_oneof_attrib_name(), model.head_configs.which_oneof()
    backbone_name, backbone = model.backbone_config.which_oneof_attrib_name(), model.backbone_config.which_oneof()
    values = {name: value for name, value in values_of(backbone).items() if name in _SHAPE}
    shape = [f"{name} {plain_text(value)}" for name, value in values.items() if (name, value) != ("stacks", 1)]
    rows = [
        ("Model type", MODEL_TYPES.get(str(head_name), str(head_name))),
        ("Backbone", f"{BACKBONES.get(str(backbone_name), str(backbone_name))} ({', '.join(shape)})"),
    ]
    if model.total_params is not None:
        rows.append(("Parameters", f"{model.total_params:,}"))
    maps = {entry.name: values_of(head)[entry.name] for entry in fields_of(type(head)) if entry.section is not None}
    described = [f"{name} ({_scalars(section)})" for name, section in maps.items() if section is not None]
    rows.append(("Output maps", "; ".join(described)))
    size = data.preprocessing
    known = [("scale", size.scale), ("crop", size.crop_size), ("height", size.max_height), ("width", size.max_width)]
    rows.append(("Input", ", ".join(f"{name} {plain_text(value)}" for name, value in known if value is not None)))
    return rows


def training_rows(config: TrainingJobConfig | None, history: History | None) -> list[Row]:
    """Return length, speed and optimiser of a training."""
    rows: list[Row] = []
    if history is not None and len(history):
        of = "" if config is None else f" of at most {config.trainer_config.max_epochs}"
        rows.append(("Epochs", f"{len(history)}{of}"))
        if not math.isnan(history.seconds):
            each = history.seconds / len(history)
            rows.append(("Time taken", f"{duration(history.seconds)} ({duration(each)} an epoch)"))
    if config is not None:
        settings = config.trainer_config
        if settings.train_steps_per_epoch is not None:
            steps = f"{settings.train_steps_per_epoch} steps an epoch"
            rows.append(("Batches", f"{settings.train_data_loader.batch_size} samples, {steps}"))
        rows.append(("Optimizer", f"{settings.optimizer_name}, learning rate {settings.optimizer.lr:g}"))
        rows.append(("Seed", plain_text(settings.seed)))
    return rows


def machine_rows(config: TrainingJobConfig | None, provenance: Mapping[str, Any]) -> list[Row]:
    """Return device, precision and versions.

    Args:
        config: Resolved configuration.
        provenance: Of predictions made at the end of training; empty without any.
    """
    rows: list[Row] = []
    system = provenance.get("system_info")
    system = system if isinstance(system, Mapping) else {}
    if config is not None:
        rows.append(("Device", config.trainer_config.trainer_accelerator))
        rows.append(("Precision", str(config.trainer_config.precision)))
        rows.append(("sleap-nn", config.sleap_nn_version))
    if system.get("gpus"):
        rows.append(("GPU", ", ".join(map(str, system["gpus"]))))
    named = {
        "PyTorch": system.get("pytorch_version"),
        "sleap-io": provenance.get("sleap_io_version"),
        "Python": system.get("python_version"),
        "Platform": system.get("platform"),
        "Finished": str(provenance.get("inference_end_timestamp", ""))[:16].replace("T", " "),
    }
    return rows + [(name, str(value)) for name, value in named.items() if value]


@dataclass(frozen=True)
class LabelsFacts:
    """What a labels file of a split holds.

    Attributes:
        split: Name of the split.
        source: Where the labels came from, empty if that is not known.
        num_videos: Videos with labelled frames.
        num_frames: Labelled frames.
        num_animals: Labelled animals.
        num_points: Visible points.
        node_names: Nodes of the skeleton.
    """

    split: str
    source: str
    num_videos: int
    num_frames: int
    num_animals: int
    num_points: int
    node_names: tuple[str, ...]

    @classmethod
    def of(cls, split: str, number: int, labels: Labels, config: TrainingJobConfig | None) -> LabelsFacts:
        """Count what the labels of a run folder hold; `number` is that of the labels file."""
        instances = [instance for frame in labels.labeled_frames for instance in frame.instances]
        return cls(
            split=split,
            source=_source(split, number, config),
            num_videos=len({id(frame.video) for frame in labels.labeled_frames}),
            num_frames=len(labels.labeled_frames),
            num_animals=len(instances),
            num_points=sum(int(np.isfinite(instance.numpy()[:, :2]).all(axis=1).sum()) for instance in instances),
            node_names=tuple(labels.skeletons[0].node_names) if labels.skeletons else (),
        )


def _source(split: str, number: int, config: TrainingJobConfig | None) -> str:
    """Return the name of the file that the labels of a split were read from."""
    if config is None:
        return ""
    data = config.data_config
    tests = [data.test_file_path] if isinstance(data.test_file_path, str) else data.test_file_path
    paths = {"train": data.train_labels_path, "val": data.val_labels_path or data.train_labels_path, "test": tests}
    named: Sequence[str] = paths[split] or []
    return Path(named[number]).name if number < len(named) else ""


def difference_rows(found: Sequence[Difference]) -> list[tuple[str, str, str]]:
    """Return key, value and reference value of differences that the other tables do not show, as short text."""
    return [
        (difference.key, _short(difference.value), _short(difference.reference))
        for difference in found
        if difference.key not in _IN_OTHER_TABLES and difference.key.rpartition(".")[2] not in _IN_OTHER_TABLES
    ]


def split_rows(record: SplitRecord) -> list[Row]:
    """Return how the labels were divided, and how close in time the two sides are."""
    rows = [
        ("Divided by", METHODS.get(record.method, record.method)),
        ("Seed", plain_text(record.seed)),
        *((key.replace("_", " "), _short(value)) for key, value in record.settings.items()),
        ("Frames", f"{len(record.trained)} train, {len(record.validated)} validate"),
    ]
    if record.held_out:
        rows.append(("Held out", f"{len(record.held_out)} frames that validated the weights this run started from"))
    if record.method == "use_same_data_for_val":
        return rows
    leakage, near = leakage_of(record)
    if leakage.closest is None:
        return [*rows, ("Closeness", "no video is on both sides")]
    close = f"{leakage.num_within(near)} of {leakage.num_val} validation frames have a training frame within {near}"
    distances = f"closest {leakage.closest}, median {leakage.median:g}"
    return [*rows, ("Closeness", f"{close} frames of the same video; distances in frames: {distances}")]


def leakage_of(record: SplitRecord) -> tuple[Leakage, int]:
    """Return how close validation frames are to training frames, and how far apart labelled frames usually are."""
    train, val = record.trained, record.validated
    limit = record.settings.get("block_gap")
    near = usual_distance((*train, *val), limit if isinstance(limit, int) else USUAL_GAP)
    return Leakage.between(train, val), near


def duration(seconds: float) -> str:
    """Write a time in the two largest units that matter."""
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 1:
        return f"{int(hours)} h {int(minutes) % 60} min"
    return f"{int(minutes)} min {int(seconds) % 60} s" if minutes >= 1 else f"{seconds:.1f} s"


def _scalars(section: Any) -> str:
    """Write the numbers and switches of a section that are set."""
    values = values_of(section)
    names = [name for name, value in values.items() if isinstance(value, int | float) or name == "anchor_part"]
    return ", ".join(f"{name} {plain_text(values[name])}" for name in names if values[name] is not None)


def _short(value: Any) -> str:
    """Write a value on one line, the end cut off if it is long."""
    if value == {}:
        return "its section's defaults"
    if isinstance(value, list | tuple):
        return _cut("[" + ", ".join(plain_text(item) for item in value) + "]")
    return _cut("empty" if value == "" else plain_text(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
