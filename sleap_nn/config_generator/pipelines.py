"""Pipelines: the model types that together find whole animals, and what each asks of the labels.

Nothing heavy is imported, as the command line lists the names in its help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sleap_nn.errors import ConfigError

if TYPE_CHECKING:
    from sleap_nn.config_generator.stats import DatasetStats

PIPELINES: dict[str, tuple[str, ...]] = {
    "single_instance": ("single_instance",),
    "centroid": ("centroid",),
    "bottomup": ("bottomup",),
    "topdown": ("centroid", "centered_instance"),
    "multi_class_bottomup": ("multi_class_bottomup",),
    "multi_class_topdown": ("centroid", "multi_class_topdown"),
}
"""Name -> the model types that are trained for it, in the order in which they predict."""

MEANINGS = {
    "single_instance": "one animal in every frame",
    "centroid": "the centres of all animals only",
    "bottomup": "all points of all animals at once, joined along the skeleton",
    "topdown": "two models: the animals first, then the points of each",
    "multi_class_bottomup": "bottom-up, and the names of the tracks tell who is who",
    "multi_class_topdown": "top-down, and the names of the tracks tell who is who",
}
"""Name -> what it finds."""

VIEWS = ("side", "top")


def check_pipeline(name: str, stats: DatasetStats) -> None:
    """Refuse a pipeline that does not exist, or cannot be trained on some labels.

    Raises:
        ConfigError: The message says what the labels lack.
    """
    check_choice("pipeline", name, PIPELINES)
    if name == "bottomup" and not stats.edges:
        raise ConfigError(
            "The skeleton of the labels has no edges, along which a bottomup model joins points to animals; add edges "
            "to the skeleton, or choose topdown."
        )
    if name.startswith("multi_class") and not stats.track_names:
        raise ConfigError(
            f"The labels have no tracks, from which a {name} model learns identities; assign tracks to the labelled "
            f"instances, or choose {name.removeprefix('multi_class_')}."
        )


def check_choice(what: str, given: str, allowed: tuple[str, ...] | dict[str, tuple[str, ...]]) -> None:
    """Refuse a name that is not among those allowed.

    Raises:
        ConfigError: The message lists them.
    """
    if given not in allowed:
        raise ConfigError(f"There is no {what} {given!r}; choose one of {', '.join(allowed)}.")
