"""Which labelled frames train and which validate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sleap_io.model.labels import Labels

from sleap_nn.data.labels import has_visible_point, training_instances
from sleap_nn.errors import DataError


def split_labels(
    labels: Labels, validation_fraction: float, seed: int | None, user_instances_only: bool = True
) -> tuple[Labels, Labels]:
    """Divide the labelled frames of one file at random; every frame lands on exactly one side.

    A file with a single labelled frame has it on both sides.

    Args:
        labels: The labels of one file; not changed.
        validation_fraction: Share of the frames for validation, strictly between 0 and 1.
        seed: Same seed, same split; None draws a new one.
        user_instances_only: Frames that hold only predicted instances count as not labelled.

    Raises:
        DataError: Nothing is labelled, or the fraction leaves one side empty by its value.
    """
    if not 0 < validation_fraction < 1:
        raise DataError(
            f"data_config.validation_fraction is {validation_fraction}; give a number between 0 and 1, or set "
            "val_labels_path."
        )
    usable = labeled_indices(labels, user_instances_only)
    if not usable:
        kind = "user-labelled" if user_instances_only else "labelled"
        raise DataError(f"The labels hold no frame with a visible {kind} point; label at least one frame.")
    if len(usable) == 1:
        return subset(labels, usable), subset(labels, usable)
    num_validation = min(len(usable) - 1, max(1, round(len(usable) * validation_fraction)))
    order = np.random.default_rng(seed).permutation(len(usable))
    chosen = np.sort(order[:num_validation])
    rest = np.sort(order[num_validation:])
    return subset(labels, [usable[i] for i in rest]), subset(labels, [usable[i] for i in chosen])


def labeled_indices(labels: Labels, user_instances_only: bool = True) -> list[int]:
    """Return the positions of the frames that have a visible labelled point."""
    indices = []
    for i, frame in enumerate(labels.labeled_frames):
        if any(has_visible_point(instance) for instance in training_instances(frame, user_instances_only)):
            indices.append(i)
    return indices


def subset(labels: Labels, indices: Sequence[int]) -> Labels:
    """Return labels with the frames at these positions, sharing videos, skeletons and instances."""
    part = Labels(
        labeled_frames=[labels.labeled_frames[i] for i in indices],
        videos=list(labels.videos),
        skeletons=list(labels.skeletons),
        tracks=list(labels.tracks),
    )
    part.provenance = dict(labels.provenance)
    return part
