"""The lines that a prediction leaves in the log: which models, which frames, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sleap_nn.inference.loaded_model import LoadedModel
from sleap_nn.inference.select import Selection


def loaded_line(models: Sequence[LoadedModel], batch_size: int, paf_workers: int) -> str:
    """Return the line about loaded models.

    Args:
        models: In the order in which they run.
        batch_size: Frames in one pass.
        paf_workers: Processes that group points.
    """
    last = models[-1]
    settings = last.stage.settings
    backbones = [str(model.config.model_config.backbone_config.which_oneof_attrib_name()) for model in models]
    return _line(
        "Loaded inference model",
        {
            "type": "+".join(model.model_type for model in models),
            "backbone": "+".join(dict.fromkeys(backbones)),
            "nodes": len(last.skeleton.node_names),
            "device": last.device,
            "batch_size": batch_size,
            "peak_threshold": f"{settings.peak_threshold:g}",
            "max_instances": "all" if settings.max_instances is None else settings.max_instances,
            "integral_refinement": settings.refinement,
            "paf_workers": paf_workers,
        },
    )


def starting_line(selection: Selection, tracking: bool) -> str:
    """Return the line about the frames that are going to be predicted; size and rate are those of the first video."""
    videos = selection.frames.videos()
    used = sorted({key.video for key in selection.frames.keys})
    shape, fps = None, None
    if used and used[0] < len(videos):
        shape, fps = videos[used[0]].shape, videos[used[0]].fps
    return _line(
        "Starting inference",
        {
            "source": "images" if selection.path is None else selection.path,
            "frames": len(selection.frames),
            "videos": len(used),
            "shape": "unknown" if shape is None else "x".join(str(side) for side in shape[1:]),
            "fps": "unknown" if fps is None else f"{fps:g}",
            "tracking": _switch(tracking),
        },
    )


def complete_line(num_frames: int, num_instances: int, seconds: float, tracking: bool) -> str:
    """Return the line about a prediction that has ended.

    Args:
        num_frames: Frames in the output.
        num_instances: Instances on them.
        seconds: How long it took, from reading the first frame to the written file.
        tracking: Whether they have tracks.
    """
    mean = num_instances / num_frames if num_frames else 0.0
    rate = num_frames / seconds if seconds > 0 else 0.0
    return _line(
        "Inference complete",
        {
            "frames": num_frames,
            "instances": f"{num_instances} ({mean:.2f}/frame)",
            "elapsed": f"{seconds:.1f}s",
            "throughput": f"{rate:.1f} fps",
            "tracking": _switch(tracking),
        },
    )


def _switch(is_on: bool) -> str:
    return "on" if is_on else "off"


def _line(title: str, values: Mapping[str, Any]) -> str:
    return " | ".join([title, *(f"{name}={value}" for name, value in values.items())])
