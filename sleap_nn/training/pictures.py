"""A sample and what the network makes of it, as `Drawing`s: input, maps, labelled and predicted points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from sleap_nn.stages.stage import Runtime
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import Batch, Sample
from sleap_nn.tasks.base import DecodeSettings, Task
from sleap_nn.training.callbacks.drawings import CLASS_MAPS, PAFS, PREDICTIONS, Drawing
from sleap_nn.viz import (
    PALETTE,
    Color,
    DrawStyle,
    contact_sheet,
    downscale,
    draw_class_maps,
    draw_comparison,
    draw_confidence_maps,
    draw_fields,
    draw_instances,
)

PEAK_THRESHOLD = 0.2
PEAK_THRESHOLDS = {"bottomup": 0.1, "multi_class_bottomup": 0.1}
"""Smallest value of a point that is drawn, where it differs: by model type."""

_SMALLEST_SIDE = 360
_LARGEST_SIDE = 720
_WITHOUT_CLASS: Color = (190, 190, 190)


@dataclass(frozen=True)
class _Look:
    """What the network made of a sample.

    Attributes:
        image: (H, W, C) uint8, the input.
        maps: Activated outputs by head name.
        truth: (I, N, 2) labelled points, input px.
        found: The predictions, in input px.
        title: Which sample it is.
    """

    image: np.ndarray
    maps: Mapping[str, np.ndarray]
    truth: np.ndarray
    found: Predictions
    title: str


def make_drawings(task: Task, runtime: Runtime, sample: Sample, stage: str, title: str) -> list[Drawing]:
    """Run the network on a sample and draw what comes out, one drawing for each kind that the task has.

    Args:
        task: The model type.
        runtime: The network.
        sample: What it reads, and the labels.
        stage: The split that the sample is from, ``train`` or ``val``.
        title: Stands below the pictures.
    """
    look = _look(task, runtime, sample, title)
    shown = {PREDICTIONS: (_draw_predictions(task, look), look.maps["confmaps"])}
    if "pafs" in look.maps:
        shown[PAFS] = _draw_pafs(task, look), _magnitudes(look.maps["pafs"])
    if "class_maps" in look.maps:
        shown[CLASS_MAPS] = _draw_class_maps(task, look), look.maps["class_maps"]
    found = look.found
    return [
        Drawing(
            stage=stage,
            kind=kind,
            picture=picture,
            image=look.image,
            maps=np.clip(maps, 0, 1),
            points_true=look.truth,
            points_pred=found.points,
            scores_pred=np.where(np.isfinite(found.points).all(axis=-1), found.point_scores, np.nan),
            node_names=task.predicted_skeleton.node_names,
        )
        for kind, (picture, maps) in shown.items()
    ]


def _look(task: Task, runtime: Runtime, sample: Sample, title: str) -> _Look:
    """Run the network on a sample, and read its maps as a prediction does, but in input px."""
    settings = DecodeSettings(PEAK_THRESHOLDS.get(task.name, PEAK_THRESHOLD))
    with torch.inference_mode():
        maps = task.activate(runtime(Batch.stack([sample]).image))
        (detection,) = task.detect(maps, settings)
    return _Look(
        image=np.ascontiguousarray(sample.image.transpose(1, 2, 0)),
        maps={name: values[0].float().cpu().numpy() for name, values in maps.items()},
        truth=sample.anchors[:, None] if task.one_point else sample.points,
        found=task.assemble(sample.key, [detection], settings),
        title=title,
    )


def _draw_predictions(task: Task, look: _Look) -> np.ndarray:
    """Draw points, and beside them the confidence maps."""
    edges = () if task.one_point else task.skeleton.edges
    factor, maps = _enlargement(look.image), look.maps["confmaps"]
    points = draw_comparison(look.image, look.truth, look.found.points, edges, factor)
    colors = PALETTE if len(maps) > 1 else PALETTE[1:]  # a single map stands out from its grey image and its points
    overlay = draw_confidence_maps(look.image, maps, _stride(task, "confmaps"), colors, upscaling=factor)
    return _sheet(look, (points, "rings: labels, dots: predictions"), (overlay, _height("confidence maps", maps)))


def _draw_pafs(task: Task, look: _Look) -> np.ndarray:
    """Draw the poses that were joined, and beside them the fields along which they were."""
    factor, fields = _enlargement(look.image), look.maps["pafs"]
    poses = draw_instances(look.image, look.found.points, task.skeleton.edges, style=DrawStyle(upscale=factor))
    overlay = draw_fields(look.image, fields, _stride(task, "pafs"), upscaling=factor)
    return _sheet(look, (poses, "animals, joined along fields"), (overlay, _height("fields", _magnitudes(fields))))


def _draw_class_maps(task: Task, look: _Look) -> np.ndarray:
    """Draw the poses in the colours of their classes, and beside them the class maps."""
    factor, maps = _enlargement(look.image), look.maps["class_maps"]
    ids = np.full(len(look.found), -1) if look.found.class_ids is None else look.found.class_ids
    colors = [_WITHOUT_CLASS if i < 0 else PALETTE[i % len(PALETTE)] for i in ids.tolist()]
    style = DrawStyle(upscale=factor)
    poses = draw_instances(look.image, look.found.points, task.skeleton.edges, colors, style=style)
    overlay = draw_class_maps(look.image, maps, _stride(task, "class_maps"), task.classes, upscaling=factor)
    return _sheet(look, (poses, "animals by class"), (overlay, _height("class maps", maps)))


def _magnitudes(fields: np.ndarray) -> np.ndarray:
    """Return the lengths (E, h, w) of the vectors of fields (2E, h, w)."""
    return np.linalg.norm(fields.reshape(-1, 2, *fields.shape[1:]), axis=1)


def _stride(task: Task, name: str) -> int:
    """Return the output stride of a head."""
    return next(head.output_stride for head in task.heads if head.name == name)


def _height(what: str, maps: np.ndarray) -> str:
    """Return a caption of maps: on dark pictures of an early epoch it tells how far they have risen."""
    return f"{what}, up to {float(maps.max()):.2f}"


def _enlargement(image: np.ndarray) -> int:
    """Return the whole factor by which a small image is enlarged, so that its points can be told apart."""
    return -(-_SMALLEST_SIDE // max(image.shape[:2]))


def _sheet(look: _Look, *panels: tuple[np.ndarray, str]) -> np.ndarray:
    """Put panels and their captions side by side, wide ones one below the other, and the title below them."""
    height, width = look.image.shape[:2]
    shrink = -(-max(height, width) // _LARGEST_SIDE)
    images = [downscale(image, shrink) for image, _ in panels]
    columns = 1 if width > 2 * height else len(panels)
    return contact_sheet([contact_sheet(images, columns, [caption for _, caption in panels])], 1, [look.title], gap=0)
