"""Labels with several skeletons: which one counts, and instances of the others carried over to it.

A file can hold skeletons that no instance uses, and skeletons with the same nodes in another order, as files do that
were merged. Nodes are matched by name; what has other nodes is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from sleap_io.model.instance import Instance
from sleap_io.model.labels import Labels
from sleap_io.model.skeleton import Skeleton

from sleap_nn.errors import DataError


def main_skeleton(labels: Labels) -> Skeleton | None:
    """Return the first skeleton that instances use, those of a user where there are any; None without a skeleton.

    Where nothing is labelled, that is the first of the file.
    """
    if len(labels.skeletons) < 2:
        return labels.skeletons[0] if labels.skeletons else None
    used = {id(instance.skeleton) for instance in _counting(labels)}
    return next((skeleton for skeleton in labels.skeletons if id(skeleton) in used), labels.skeletons[0])


def unify(labels: Labels, model: Skeleton | None = None) -> None:
    """Put the skeleton that counts first, and carry over to it the instances whose skeletons have the same nodes.

    Args:
        labels: Changed in place. Instances with other nodes stay as they are, see `refuse_other_nodes`.
        model: Skeleton of other labels that takes the place of the one that counts, if only the order differs.
    """
    main = main_skeleton(labels)
    if main is None:
        return
    if model is not None and main.node_names != model.node_names and set(main.node_names) == set(model.node_names):
        main = model
    elif len(labels.skeletons) < 2:
        return
    names = main.node_names
    for instance in _instances(labels):
        own = instance.skeleton
        if own is main or set(own.node_names) != set(names):
            continue
        if own.node_names != names:
            order = node_order(own.node_names, names)
            instance.points = instance.points[order]  # pyright: ignore[reportAttributeAccessIssue]
        instance.skeleton = main
    labels.skeletons = [main, *(skeleton for skeleton in labels.skeletons if skeleton is not main)]


def refuse_other_nodes(labels: Labels, all_instances: bool = False) -> None:
    """Refuse labels of which instances have other nodes than the skeleton that counts.

    Args:
        labels: The labels.
        all_instances: Look at predicted instances also where a user labelled some.

    Raises:
        DataError: They do; the message names the nodes of both.
    """
    main = main_skeleton(labels)
    if main is None or len(labels.skeletons) < 2:
        return
    for instance in _instances(labels) if all_instances else _counting(labels):
        if instance.skeleton is not main:
            node_order(instance.skeleton.node_names, main.node_names)


def node_order(own: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return where an instance has each node.

    Args:
        own: Its nodes.
        names: The nodes in the order that is wanted.

    Raises:
        DataError: It has other nodes.
    """
    if set(own) != set(names):
        raise DataError(
            f"The labels hold instances of different skeletons, with the nodes {', '.join(names)} and with the nodes "
            f"{', '.join(own)}; keep the instances of one of them, or give the nodes the same names."
        )
    position = {name: place for place, name in enumerate(own)}
    return [position[name] for name in names]


def points_of(instance: Instance, names: Sequence[str]) -> np.ndarray:
    """Return the points (nodes, 2) of an instance in frame px, nodes in the order of `names`, NaN where not visible.

    Raises:
        DataError: It has other nodes.
    """
    own = instance.skeleton.node_names
    return instance.numpy() if own == list(names) else instance.numpy()[node_order(own, names)]


def _instances(labels: Labels) -> Iterator[Instance]:
    return (instance for frame in labels.labeled_frames for instance in frame.instances)


def _counting(labels: Labels) -> list[Instance]:
    """Return the instances of a user, all where there is none."""
    drawn = [instance for frame in labels.labeled_frames for instance in frame.user_instances]
    return drawn if drawn else list(_instances(labels))
