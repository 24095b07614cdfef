"""Names of values at Weights & Biases: today's, and beside them those of dashboards made for earlier versions."""

from __future__ import annotations

from collections.abc import Mapping

EPOCH = "epoch"
LOSS = "loss"
"""Loss of a batch; everything else belongs to an epoch."""
PER_EPOCH = ("train/*", "val/*", "eval/*", "viz/*")
"""Patterns of today's names, which are plotted over the epoch."""

_NODE_PREFIX = "train/confmaps/"
_OLD_HEADS = {"confmaps_loss": "confmap_loss"}


def epoch_values(values: Mapping[str, float]) -> dict[str, float]:
    """Return the values of an epoch, as its record has them, under today's names."""
    return {"train/lr" if name == "learning_rate" else name: value for name, value in values.items()}


def old_values(values: Mapping[str, float], optimizer: str) -> dict[str, float]:
    """Return the values of an epoch that had another name in earlier versions, under that name.

    Args:
        values: As the record of the epoch has them.
        optimizer: Name of the optimizer, part of the old name of the learning rate.
    """
    named = {}
    for name, value in values.items():
        stage, slash, rest = name.partition("/")
        if name == "learning_rate":
            named |= {name: value, f"lr-{optimizer}": value}
        elif name.startswith(_NODE_PREFIX):
            node = name.removeprefix(_NODE_PREFIX)
            if node not in (EPOCH, LOSS):
                named.setdefault(node, value)
        elif stage in ("train", "val") and slash and (rest in ("loss", "time") or rest.endswith("_loss")):
            named[f"{stage}_{_OLD_HEADS.get(rest, rest)}"] = value
    return named


def picture_keys(stage: str, kind: str, variant: str = "") -> tuple[str, str]:
    """Return today's and the old name of a picture.

    Args:
        stage: ``train`` or ``val``.
        kind: ``predictions``, ``pafs`` or ``class_maps``.
        variant: ``_boxes``, ``_masks``, or nothing for the rendered picture.
    """
    return f"viz/{stage}/{kind}{variant}", f"{stage}_{kind}{variant}"
