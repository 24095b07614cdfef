"""`info`: what a trained model folder or a configuration holds, as a few short tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sleap_nn.config.backbone_config import ConvNextConfig, PretrainedConfig, SwinTConfig, UNetConfig
from sleap_nn.config.fields import fields_of, values_of
from sleap_nn.config.optimization_config import (
    CosineAnnealingWarmupConfig,
    LRSchedulerConfig,
    ReduceLROnPlateauConfig,
    StepLRConfig,
)
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError, DataError, MissingFileError
from sleap_nn.evaluation.metrics_files import load_metrics
from sleap_nn.networks import model_dir
from sleap_nn.run_report.history import History
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.training.run_folder import LOG

Row = tuple[str, str]

LONGEST_PATH = 50
_CONFIGS = (".yaml", ".yml", ".json")
_WEIGHTS = (".ckpt", ".safetensors", ".h5")
_TITLES = {"confmaps": "ConfMaps", "pafs": "PAFs", "class_maps": "ClassMaps", "class_vectors": "ClassVectors"}
_METRICS: tuple[tuple[str, str, str, int], ...] = (
    ("mOKS", "mOKS", "mOKS", 4),
    ("mAP (OKS)", "voc_metrics", "oks_voc.mAP", 4),
    ("mAR (OKS)", "voc_metrics", "oks_voc.mAR", 4),
    ("Precision", "detection_metrics", "precision", 4),
    ("Recall", "detection_metrics", "recall", 4),
    ("Avg distance (px)", "distance_metrics", "avg", 2),
    ("Median distance (px)", "distance_metrics", "p50", 2),
    ("P95 distance (px)", "distance_metrics", "p95", 2),
    ("mPCK", "pck_metrics", "mPCK", 4),
    ("PCK@5", "pck_metrics", "PCK@5", 4),
    ("PCK@10", "pck_metrics", "PCK@10", 4),
    ("Vis. precision", "visibility_metrics", "precision", 4),
    ("Vis. recall", "visibility_metrics", "recall", 4),
)
"""Name of the row, section and key of the metrics, decimals."""


@dataclass(frozen=True)
class Table:
    """Named values.

    Attributes:
        title: What they are about.
        rows: Name and value.
    """

    title: str
    rows: tuple[Row, ...]


def info(path: str | Path) -> list[Table]:
    """Describe a run folder, or a configuration file.

    Args:
        path: A run folder of any version, its weights, or a configuration file.

    Returns:
        Tables on model, data and training; for a folder also on results, metrics and files, as far as it has them.

    Raises:
        MissingFileError: There is no such path, or no configuration in the folder.
        ConfigError: The file is no configuration.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"{path} does not exist; give a run folder or a configuration file.")
    if path.is_file() and path.suffix not in (*_CONFIGS, *_WEIGHTS):
        raise ConfigError(
            f"{path} is no configuration ({', '.join(_CONFIGS)}) and no weights of a model ({', '.join(_WEIGHTS)}); "
            "give a run folder or one of these."
        )
    folder = path.parent if path.suffix in _WEIGHTS and path.is_file() else path
    config = TrainingJobConfig.load(model_dir.config_file(folder) if folder.is_dir() else path, require_available=False)
    tables = [_model(config), _data(config), _training(config)]
    if not folder.is_dir():
        return tables
    return [*tables, *_results(folder), *_metrics(folder), _files(folder)]


def _model(config: TrainingJobConfig) -> Table:
    """Describe the network and the skeleton."""
    model = config.model_config
    name = str(model.head_configs.which_oneof_attrib_name())
    rows = [("Run name", config.trainer_config.run_name or ""), ("Description", config.description)]
    rows += [
        ("sleap-nn version", config.sleap_nn_version),
        ("Model type", name.replace("_", " ").title()),
        ("Backbone", _backbone(model.backbone_config.which_oneof())),
        ("Head", _head(model.head_configs.which_oneof())),
        ("Total parameters", _count(model.total_params)),
    ]
    for entry in config.data_config.skeletons or ():
        skeleton = Skeleton.from_config(entry)
        nodes, edges = len(skeleton.node_names), len(skeleton.edges)
        rows += [
            ("Skeleton", f"{nodes} node{'s' * (nodes != 1)}, {edges} edge{'s' * (edges != 1)}"),
            ("Nodes", ", ".join(skeleton.node_names)),
        ]
    return Table("Model Info", tuple((key, value) for key, value in rows if value))


def _backbone(section: object) -> str:
    """Return a backbone in a few words."""
    if isinstance(section, UNetConfig):
        return f"UNet ({section.filters} filters, {section.filters_rate:g}x rate, stride {section.max_stride})"
    if isinstance(section, ConvNextConfig):
        return f"ConvNeXt ({section.model_type}, stride {section.max_stride})"
    if isinstance(section, SwinTConfig):
        return f"SwinT ({section.model_type}, stride {section.max_stride})"
    return section.model_name if isinstance(section, PretrainedConfig) else type(section).__name__


def _head(section: object) -> str:
    """Return the maps of a head and their sizes."""
    parts: list[str] = []
    for entry in fields_of(type(section)):
        layer = values_of(section)[entry.name]
        if layer is None:
            continue
        values = values_of(layer)
        shown = [f"sigma={values['sigma']:g}"] if values.get("sigma") is not None else []
        if values.get("output_stride") is not None:
            shown.append(f"{'stride' if parts else 'output_stride'}={values['output_stride']}")
        if values.get("part_names"):
            shown.append(f"{len(values['part_names'])} parts")
        if values.get("classes"):
            shown.append(f"{len(values['classes'])} classes")
        parts.append(f"{_TITLES.get(entry.name, entry.name)} ({', '.join(shown)})")
    first, others = parts[0], parts[1:]
    return ", ".join([first.removesuffix(")"), *others]) + ")" if others else first


def _count(number: int | None) -> str:
    """Return a number of parameters in three digits."""
    if number is None:
        return "N/A"
    for unit, size in (("M", 1_000_000), ("K", 1_000)):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def _data(config: TrainingJobConfig) -> Table:
    """Describe labels and preprocessing."""
    data = config.data_config
    size = data.preprocessing
    shape = [f"scale={size.scale}"]
    if size.max_height is not None and size.max_width is not None:
        shape.append(f"{size.max_height}x{size.max_width}")
    shape.append("no crop" if size.crop_size is None else f"crop={size.crop_size}")
    rows = [("Training data", _short(name)) for name in data.train_labels_path or ["N/A"]]
    rows += [("Validation data", _short(name)) for name in data.val_labels_path or []]
    rows += [
        ("Preprocessing", ", ".join(shape)),
        ("Augmentations", "Enabled" if data.use_augmentations_train else "Disabled"),
    ]
    return Table("Data", tuple(rows))


def _short(path: str) -> str:
    """Return the end of a long path."""
    return path if len(path) <= LONGEST_PATH else f"...{path[3 - LONGEST_PATH :]}"


def _training(config: TrainingJobConfig) -> Table:
    """Describe the optimisation."""
    trainer = config.trainer_config
    stop = trainer.early_stopping
    return Table(
        "Training",
        (
            ("Optimizer", f"{trainer.optimizer_name} (lr={trainer.optimizer.lr:g})"),
            ("Max epochs", str(trainer.max_epochs)),
            ("Batch size (train)", str(trainer.train_data_loader.batch_size)),
            ("LR scheduler", _schedule(trainer.lr_scheduler)),
            (
                "Early stopping",
                f"patience={stop.patience}, min_delta={stop.min_delta:g}"
                if stop.stop_training_on_plateau
                else "Disabled",
            ),
        ),
    )


def _schedule(config: LRSchedulerConfig | None) -> str:
    """Return the schedule that acts in a few words."""
    section = None if config is None else config.acting()
    if section is None:
        return "None"
    if isinstance(section, StepLRConfig):
        return f"StepLR (step={section.step_size}, gamma={section.gamma:g})"
    if isinstance(section, ReduceLROnPlateauConfig):
        return f"ReduceLROnPlateau (factor={section.factor:g}, patience={section.patience})"
    name = "CosineAnnealingWarmup" if isinstance(section, CosineAnnealingWarmupConfig) else "LinearWarmupLinearDecay"
    return f"{name} (warmup_epochs={section.warmup_epochs})"


def _results(folder: Path) -> list[Table]:
    """Describe what the training log says, if there is one."""
    if not (folder / LOG).is_file():
        return []
    history = History.read(folder / LOG)
    rows = [("Epochs trained", str(len(history)))]
    for stage in ("train", "val"):
        losses = _known(history, f"{stage}/loss")
        if len(losses):
            rows.append((f"Final {stage} loss", f"{losses[-1]:.6f}"))
    losses = history.columns.get("val/loss", np.array([]))
    if np.isfinite(losses).any():
        best = int(np.nanargmin(losses))
        rows.append(("Best val loss", f"{losses[best]:.6f} (epoch {history.epochs[best]})"))
    rates = _known(history, "learning_rate")
    if len(rates):
        rows.append(("Final LR", str(float(rates[-1]))))
    return [Table("Training Results", tuple(rows))]


def _known(history: History, column: str) -> np.ndarray:
    """Return the values of a column that are known."""
    values = history.columns.get(column, np.array([]))
    return values[np.isfinite(values)]


def _metrics(folder: Path) -> list[Table]:
    """Describe the metrics of the first split that has some; the test set is never shown in passing."""
    for split in ("val", "train"):
        try:
            metrics = load_metrics(folder, split)
        except (MissingFileError, DataError):
            continue
        of_centroids = "detection_metrics" in metrics
        rows = [
            (name, _number(metrics, section, key, decimals))
            for name, section, key, decimals in _METRICS
            if key in metrics.get(section, {}) or not (of_centroids or section == "detection_metrics")
        ]
        return [Table(f"Evaluation Metrics ({split})", tuple(rows))]
    return []


def _number(metrics: Mapping[str, Any], section: str, key: str, decimals: int) -> str:
    """Return one of the metrics, N/A if it is not there."""
    value = metrics.get(section, {}).get(key)
    return "N/A" if value is None else f"{float(value):.{decimals}f}"


def _files(folder: Path) -> Table:
    """List the files and their sizes."""
    files = sorted(entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith("."))
    return Table("Files", tuple((file.name, size_text(file.stat().st_size)) for file in files))


def size_text(size: int) -> str:
    """Return a number of bytes with a unit."""
    for unit, one in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if size >= one:
            return f"{size / one:.1f} {unit}"
    return f"{size} B"
