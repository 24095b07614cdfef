"""Which labelled frames train and which validate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sleap_io as sio

from sleap_nn.errors import DataError


def split_labels(labels: sio.Labels, validation_fraction: float, seed: int | None) -> tuple[sio.Labels, sio.Labels]:
    """Divide the user-labelled frames of one file at random; every frame lands on exactly one side.

    A file with a single labelled frame has it on both sides.

    Args:
        labels: The labels of one file; not changed.
        validation_fraction: Share of the frames for validation, strictly between 0 and 1.
        seed: Same seed, same split; None draws a new one.

    Raises:
        DataError: Nothing is labelled, or the fraction leaves one side empty by its value.
    """
    if not 0 < validation_fraction < 1:
        raise DataError(
            f"data_config.validation_fraction is {validation_fraction}; give a number between 0 and 1, or set "
            "val_labels_path."
        )
    usable = labeled_indices(labels)
    if not usable:
        raise DataError("The labels hold no frame with a visible user-labelled point; label at least one frame.")
    if len(usable) == 1:
        return subset(labels, usable), subset(labels, usable)
    num_validation = min(len(usable) - 1, max(1, round(len(usable) * validation_fraction)))
    order = np.random.default_rng(seed).permutation(len(usable))
    chosen = np.sort(order[:num_validation])
    rest = np.sort(order[num_validation:])
    return subset(labels, [usable[i] for i in rest]), subset(labels, [usable[i] for i in chosen])


def labeled_indices(labels: sio.Labels, user_instances_only: bool = True) -> list[int]:
    """Return the positions of the frames that have a visible labelled point."""
    indices = []
    for i, frame in enumerate(labels.labeled_frames):
        instances = frame.user_instances if user_instances_only else frame.instances
        if any(instance.n_visible > 0 for instance in instances):
            indices.append(i)
    return indices


def subset(labels: sio.Labels, indices: Sequence[int]) -> sio.Labels:
    """Return labels with the frames at these positions, sharing videos, skeletons and instances."""
    part = sio.Labels(
        labeled_frames=[labels.labeled_frames[i] for i in indices],
        videos=list(labels.videos),
        skeletons=list(labels.skeletons),
        tracks=list(labels.tracks),
    )
    part.provenance = dict(labels.provenance)
    return part
