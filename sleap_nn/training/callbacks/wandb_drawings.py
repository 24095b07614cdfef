"""`WandbDrawings`: drawings as pictures, interactive boxes, masks and tables of Weights & Biases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from sleap_nn.config.trainer_config import WandBConfig
from sleap_nn.training.callbacks.drawings import PREDICTIONS, Drawing, DrawingSink
from sleap_nn.training.callbacks.wandb_keys import EPOCH, picture_keys

MIN_SIDE = 512
"""Smallest side of a picture with boxes or masks in px, so that small ones can be told apart."""

TABLE_COLUMNS: list[str | int] = ["epoch", "stage", "kind", "picture", "labelled", "found", "mean score"]


class WandbDrawings(DrawingSink):
    """Logs drawings to one run, under today's and the old names."""

    def __init__(self, run: Any, settings: WandBConfig) -> None:
        """Take the run and the choice of what is logged."""
        self._run = run
        self._settings = settings

    def add(self, epoch: int, drawings: list[Drawing]) -> None:
        """Log the drawings of an epoch in one step."""
        logged: dict[str, Any] = {}
        for drawing in drawings:
            for variant, picture in self._variants(drawing).items():
                logged |= dict.fromkeys(picture_keys(drawing.stage, drawing.kind, variant), picture)
        if self._settings.log_viz_table and drawings:
            logged |= self._tables(epoch, drawings)
        if logged:
            self._run.log(logged | {EPOCH: epoch})

    def _variants(self, drawing: Drawing) -> dict[str, Any]:
        """Return suffix of the name -> picture; boxes and masks show predictions, not other maps."""
        import wandb

        variants: dict[str, Any] = {}
        if self._settings.viz_enabled:
            variants[""] = wandb.Image(drawing.picture)
        if drawing.kind != PREDICTIONS:
            return variants
        if self._settings.viz_boxes:
            boxes = box_groups(drawing, self._settings.viz_box_size)
            variants["_boxes"] = wandb.Image(enlarged(drawing.image), boxes=boxes)
        if self._settings.viz_masks:
            picture = enlarged(drawing.image)
            mask = class_mask(drawing.maps, self._settings.viz_confmap_threshold, picture.shape[:2])
            labels = {0: "background"} | {i + 1: name for i, name in enumerate(drawing.node_names)}
            masks = {"confidence_maps": {"mask_data": mask, "class_labels": labels}}
            variants["_masks"] = wandb.Image(picture, masks=masks)
        return variants

    def _tables(self, epoch: int, drawings: Sequence[Drawing]) -> dict[str, Any]:
        """Return a table of all drawings under the old name, and one a stage under today's."""
        import wandb

        tables = {"predictions_table": list(drawings)}
        for drawing in drawings:
            tables.setdefault(f"predictions_table_{drawing.stage}", []).append(drawing)
        return {
            name: wandb.Table(
                columns=TABLE_COLUMNS,
                data=[_table_row(epoch, drawing, wandb.Image(drawing.picture)) for drawing in members],
            )
            for name, members in tables.items()
        }


def box_groups(drawing: Drawing, size: float) -> dict[str, dict[str, Any]]:
    """Return a box around every labelled and every predicted point, in shares of the picture.

    Args:
        drawing: What is shown.
        size: Side of a box in input px.
    """
    labels = dict(enumerate(drawing.node_names))
    truth, found = drawing.points_true, drawing.points_pred
    return {
        "ground_truth": {
            "box_data": [
                _box(drawing, truth[i, n], size, n) | {"box_caption": f"GT: {labels[n]}"} for i, n in _visible(truth)
            ],
            "class_labels": labels,
        },
        "predictions": {
            "box_data": [
                _box(drawing, found[i, n], size, n)
                | {"box_caption": f"{labels[n]} ({score:.2f})", "scores": {"confidence": score}}
                for i, n in _visible(found)
                for score in [float(drawing.scores_pred[i, n])]
            ],
            "class_labels": labels,
        },
    }


def class_mask(
    maps: Float[np.ndarray, "nodes h w"], threshold: float, shape: tuple[int, int]
) -> UInt8[np.ndarray, "height width"]:
    """Return the node with the largest map value at every px, counted from 1; 0 where it is below the threshold."""
    classes = np.where(maps.max(axis=0) < threshold, 0, maps.argmax(axis=0) + 1).astype(np.uint8)
    rows, columns = (
        np.arange(wanted) * available // wanted for wanted, available in zip(shape, classes.shape, strict=True)
    )
    return classes[rows[:, None], columns]


def enlarged(image: UInt8[np.ndarray, "height width channels"]) -> UInt8[np.ndarray, "tall wide 3"]:
    """Return an image in colour, every px repeated so often that its short side is long enough."""
    factor = max(1, math.ceil(MIN_SIDE / min(image.shape[:2])))
    colour = image if image.shape[2] == 3 else np.repeat(image[:, :, :1], 3, axis=2)
    return colour.repeat(factor, axis=0).repeat(factor, axis=1)


def _visible(points: Float[np.ndarray, "instances nodes 2"]) -> list[tuple[int, int]]:
    """Return (instance, node) of every point that is there."""
    return [(int(i), int(n)) for i, n in np.argwhere(np.isfinite(points).all(axis=2))]


def _box(drawing: Drawing, point: Float[np.ndarray, "2"], size: float, node: int) -> dict[str, Any]:
    """Return the box around a point; an integer is the middle of a px."""
    height, width = drawing.image.shape[:2]
    x, y = (float(value) + 0.5 for value in point)
    half = size / 2
    return {
        "position": {
            "minX": _share(x - half, width),
            "maxX": _share(x + half, width),
            "minY": _share(y - half, height),
            "maxY": _share(y + half, height),
        },
        "class_id": node,
    }


def _share(value: float, whole: int) -> float:
    """Return a length as a share of the picture, within it."""
    return min(max(value / whole, 0.0), 1.0)


def _table_row(epoch: int, drawing: Drawing, picture: Any) -> list[Any]:
    """Return the row of a drawing in a table."""
    scores = drawing.scores_pred[np.isfinite(drawing.scores_pred)]
    return [
        epoch,
        drawing.stage,
        drawing.kind,
        picture,
        len(_visible(drawing.points_true)),
        len(_visible(drawing.points_pred)),
        float(scores.mean()) if scores.size else None,
    ]
