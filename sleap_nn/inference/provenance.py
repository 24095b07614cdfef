"""Where predictions come from: the dictionary stored in predicted ``.slp`` files."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sleap_nn.data.labels import Labels
from sleap_nn.inference.loaded_model import LoadedModel
from sleap_nn.inference.runtime import precision_in_use
from sleap_nn.inference.select import Selection
from sleap_nn.networks.devices import resolve_accelerator
from sleap_nn.tasks.base import DecodeSettings
from sleap_nn.version import __version__


def build_inference_provenance(  # noqa: PLR0913 - one optional keyword an entry
    *,
    started: datetime | None = None,
    ended: datetime | None = None,
    seconds: float | None = None,
    model_paths: Sequence[Path | str] = (),
    model_type: str | None = None,
    source: Path | str | None = None,
    source_labels: Labels | None = None,
    frame_selection: Mapping[str, Any] | None = None,
    inference_config: Mapping[str, Any] | None = None,
    device: str | None = None,
    cli_args: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what is known of a prediction; entries that are None are left out.

    Args:
        started: When prediction began, local time.
        ended: When it was done.
        seconds: How long it took without interruptions; None: from its beginning to its end.
        model_paths: Model folders.
        model_type: The model type.
        source: Input file.
        source_labels: Labels that the frames were taken from.
        frame_selection: ``method``, ``frames_processed``, ``frames_total``.
        inference_config: Resolved options.
        device: Where the network ran.
        cli_args: Options of the command line.
    """
    path = None if source is None else Path(source).resolve().as_posix()
    if seconds is None and started is not None and ended is not None:
        seconds = (ended - started).total_seconds()
    options = {key: value for key, value in (inference_config or {}).items() if value is not None}
    entries: dict[str, Any] = {
        "sleap_nn_version": __version__,
        "sleap_io_version": version("sleap-io"),
        "inference_start_timestamp": None if started is None else started.isoformat(timespec="microseconds"),
        "inference_end_timestamp": None if ended is None else ended.isoformat(timespec="microseconds"),
        "inference_runtime_seconds": seconds,
        "model_paths": [Path(model).resolve().as_posix() for model in model_paths] if model_paths else None,
        "model_type": model_type,
        "source_file": path,
        "source_labels": path if source_labels is not None else None,
        "input_provenance": None if source_labels is None else dict(source_labels.provenance),
        "frame_selection": None if frame_selection is None else dict(frame_selection),
        "inference_config": options,
        "device": device,
        "cli_args": None if cli_args is None else dict(cli_args),
        "system_info": system_entries(),
    }
    return {key: value for key, value in entries.items() if value is not None}


@dataclass(frozen=True)
class RunTimes:
    """When a prediction was made.

    Attributes:
        started: When it began, local time.
        ended: When it was done.
        seconds: How long it took without interruptions; None: from its beginning to its end.
    """

    started: datetime
    ended: datetime
    seconds: float | None = None


def prediction_provenance(
    models: Sequence[LoadedModel], selection: Selection, times: RunTimes, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return where the predictions of loaded models come from.

    Args:
        models: In the order in which they run.
        selection: The frames.
        times: When it was done.
        options: Options besides those of the models.
    """
    last = models[-1]
    settings, spec = last.stage.settings, last.stage.spec
    return build_inference_provenance(
        started=times.started,
        ended=times.ended,
        seconds=times.seconds,
        model_paths=list(dict.fromkeys(model.folder for model in models)),
        model_type=_TYPE_NAMES[last.model_type],
        source=selection.path,
        source_labels=selection.labels,
        frame_selection=selection.record,
        inference_config={
            "peak_threshold": settings.peak_threshold,
            "centroid_threshold": models[0].stage.settings.peak_threshold if len(models) > 1 else None,
            "integral_refinement": settings.refinement,
            "integral_patch_size": settings.patch_size,
            "max_instances": settings.max_instances,
            "scale": spec.scale,
            "crop_size": spec.crop_size,
            "max_height": spec.max_height,
            "max_width": spec.max_width,
            "ensure_rgb": spec.channels == 3,
            "ensure_grayscale": spec.channels == 1,
            "precision": precision_in_use(last.stage.runtime, last.precision),
            **(_grouping(settings) if last.model_type == "bottomup" else {}),
            **({"class_assignment": settings.class_assignment} if last.model_type == "multi_class_bottomup" else {}),
            **options,
        },
        device=last.device,
    )


_TYPE_NAMES = {
    "single_instance": "single_instance",
    "centroid": "centroid",
    "centered_instance": "top_down",
    "bottomup": "bottom_up",
    "multi_class_bottomup": "bottom_up_multi_class",
    "multi_class_topdown": "top_down_multi_class",
}
"""Model type of the last stage -> what files call it."""


def _grouping(settings: DecodeSettings) -> dict[str, Any]:
    """Return how points were joined to instances."""
    return {
        "max_edge_length_ratio": settings.max_edge_length_ratio,
        "dist_penalty_weight": settings.dist_penalty_weight,
        "n_points": settings.num_line_points,
        "min_line_scores": settings.min_line_score,
        "min_instance_peaks": settings.min_instance_peaks,
    }


def build_tracking_only_provenance(
    *,
    started: datetime | None = None,
    ended: datetime | None = None,
    source: Path | str | None = None,
    source_labels: Labels | None = None,
    frames_processed: int | None = None,
    tracking_config: Mapping[str, Any] | None = None,
    cli_args: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what is known of tracks that were made without a model; entries that are None are left out.

    Args:
        started: When tracking began, local time.
        ended: When it was done.
        source: Input file.
        source_labels: The labels in it.
        frames_processed: Number of tracked frames.
        tracking_config: Options of tracking.
        cli_args: Options of the command line.
    """
    same = build_inference_provenance(source=source, source_labels=source_labels, cli_args=cli_args)
    entries: dict[str, Any] = {
        **{name: value for name, value in same.items() if name != "inference_config"},
        "pipeline_type": "tracking_only",
        "tracking_start_timestamp": None if started is None else started.isoformat(timespec="microseconds"),
        "tracking_end_timestamp": None if ended is None else ended.isoformat(timespec="microseconds"),
        "tracking_runtime_seconds": None if started is None or ended is None else (ended - started).total_seconds(),
        "frames_processed": frames_processed,
        "tracking_config": None if tracking_config is None else dict(tracking_config),
    }
    return {key: value for key, value in entries.items() if value is not None}


def system_entries() -> dict[str, Any]:
    """Return the machine and the versions that compute."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "python_version": platform.python_version(),
        "platform": platform.platform(),
        "pytorch_version": torch.__version__,
        "cuda_version": torch.version.cuda if torch.cuda.is_available() else None,
        "accelerator": resolve_accelerator("auto"),
        "gpu_count": len(gpus),
        "gpus": gpus,
    }


def merge_provenance(base: Mapping[str, Any], additional: Mapping[str, Any], overwrite: bool = True) -> dict[str, Any]:
    """Return both dictionaries as one; on equal keys `additional` counts, unless `overwrite` is off."""
    return {**base, **additional} if overwrite else {**additional, **base}
