"""Keywords of prediction that say how maps are read -> the settings of each stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypedDict, cast

from sleap_nn.config.inference_config import CLASS_ASSIGNMENTS
from sleap_nn.config.limits import MOST_CELLS, MOST_SAMPLES
from sleap_nn.errors import ConfigError
from sleap_nn.ops.peaks import REFINEMENTS
from sleap_nn.tasks.base import DecodeSettings, Task


class DecodeKeywords(TypedDict, total=False):
    """How maps are read, in the words of `sleap_nn.predict`; a model takes what it has a use for.

    Attributes:
        peak_threshold: Smallest map value of a point in every stage, or one for centroids and one for keypoints; None
            means 0.2.
        centroid_threshold: The same for a centroid model; None: `peak_threshold`.
        keypoint_threshold: The same for every other model; None: `peak_threshold`.
        integral_refinement: ``integral`` or the more exact ``gaussian`` for sub-cell points; ``none`` or None for
            cell centres.
        integral_patch_size: Window of the refinement in map cells, odd.
        max_instances: Most instances of a frame, the best are kept; None keeps all.
        max_edge_length_ratio: Edges longer than this share of the field's longest side are penalised.
        dist_penalty_weight: Weight of that penalty.
        n_points: Points at which a field is read along an edge.
        min_instance_peaks: Fewest points of a grouped instance; below 1 a share of the nodes.
        min_line_scores: Smallest score of an edge that joins two points.
        class_assignment: How peaks are shared out among classes, ``probability`` or ``weighted``.
    """

    peak_threshold: float | Sequence[float] | None
    centroid_threshold: float | None
    keypoint_threshold: float | None
    integral_refinement: str | None
    integral_patch_size: int
    max_instances: int | None
    max_edge_length_ratio: float
    dist_penalty_weight: float
    n_points: int
    min_instance_peaks: float
    min_line_scores: float
    class_assignment: str


@dataclass(frozen=True)
class StageSettings:
    """How maps are read in every stage.

    Attributes:
        common: What holds for all stages.
        centroid_threshold: Threshold of a centroid model, None for the common one.
        keypoint_threshold: Threshold of every other model, None for the common one.
    """

    common: DecodeSettings = field(default_factory=DecodeSettings)
    centroid_threshold: float | None = None
    keypoint_threshold: float | None = None

    @classmethod
    def from_keywords(cls, keywords: DecodeKeywords) -> StageSettings:
        """Return the settings that keywords ask for.

        Raises:
            TypeError: A keyword does not exist.
            ConfigError: A value is out of range.
        """
        unknown = sorted(keywords.keys() - DecodeKeywords.__annotations__.keys())
        if unknown:
            raise TypeError(f"{unknown[0]!r} is no keyword of prediction.")
        default = DecodeSettings()
        centroids, threshold = _thresholds(keywords.get("peak_threshold"))
        common = DecodeSettings(
            peak_threshold=default.peak_threshold if threshold is None else threshold,
            refinement=_refinement(keywords.get("integral_refinement", default.refinement)),
            patch_size=keywords.get("integral_patch_size", default.patch_size),
            max_instances=keywords.get("max_instances"),
            num_line_points=keywords.get("n_points", default.num_line_points),
            max_edge_length_ratio=keywords.get("max_edge_length_ratio", default.max_edge_length_ratio),
            dist_penalty_weight=keywords.get("dist_penalty_weight", default.dist_penalty_weight),
            min_line_score=keywords.get("min_line_scores", default.min_line_score),
            min_instance_peaks=keywords.get("min_instance_peaks", default.min_instance_peaks),
            class_assignment=keywords.get("class_assignment", default.class_assignment),
        )
        _check(common)
        own = keywords.get("centroid_threshold")
        return cls(common, centroids if own is None else own, keywords.get("keypoint_threshold"))

    def of(self, task: Task) -> DecodeSettings:
        """Return the settings of a task."""
        own = self.centroid_threshold if task.one_point else self.keypoint_threshold
        return self.common if own is None else replace(self.common, peak_threshold=own)


def overridden(settings: DecodeSettings, task: Task, keywords: DecodeKeywords) -> DecodeSettings:
    """Return the settings of a stage with those that a call changes; None entries change nothing.

    Raises:
        TypeError: A keyword does not exist.
        ConfigError: A value is out of range.
    """
    given = cast(DecodeKeywords, {name: value for name, value in keywords.items() if value is not None})
    asked = StageSettings.from_keywords(given).of(task)
    names = {_FIELDS[keyword] for keyword in given if keyword in _FIELDS}
    if ("centroid_threshold" if task.one_point else "keypoint_threshold") in given:
        names.add("peak_threshold")
    return replace(settings, **{name: vars(asked)[name] for name in names})


_FIELDS = {
    "peak_threshold": "peak_threshold",
    "integral_refinement": "refinement",
    "integral_patch_size": "patch_size",
    "max_instances": "max_instances",
    "max_edge_length_ratio": "max_edge_length_ratio",
    "dist_penalty_weight": "dist_penalty_weight",
    "n_points": "num_line_points",
    "min_instance_peaks": "min_instance_peaks",
    "min_line_scores": "min_line_score",
    "class_assignment": "class_assignment",
}
"""Keyword -> field of `DecodeSettings`."""


def _thresholds(given: float | Sequence[float] | None) -> tuple[float | None, float | None]:
    """Return the threshold of centroids, if it is one of its own, and that of all other points.

    Raises:
        ConfigError: There are neither one nor two.
    """
    if not isinstance(given, Sequence):
        return None, given
    if len(given) != 2:
        raise ConfigError(f"peak_threshold has {len(given)} values; give one, or one for centroids and one for others.")
    return given[0], given[1]


def _refinement(name: str | None) -> str:
    """Return the name of a refinement.

    Raises:
        ConfigError: It is unknown.
    """
    known = "none" if name is None else name.lower()
    if known not in REFINEMENTS:
        raise ConfigError(f"integral_refinement is {name!r}; choose one of {', '.join(REFINEMENTS)}.")
    return known


def _check(settings: DecodeSettings) -> None:
    """Refuse values out of range.

    Raises:
        ConfigError: The message names the value.
    """
    if not 1 <= settings.patch_size <= MOST_CELLS or settings.patch_size % 2 == 0:
        raise ConfigError(
            f"integral_patch_size is {settings.patch_size}; give an odd number of map cells up to {MOST_CELLS}, such "
            "as 5."
        )
    if settings.max_instances is not None and not 1 <= settings.max_instances <= MOST_SAMPLES:
        raise ConfigError(
            f"max_instances is {settings.max_instances}; give 1 to {MOST_SAMPLES}, or leave it out for all."
        )
    if not 1 <= settings.num_line_points <= MOST_CELLS:
        raise ConfigError(f"n_points is {settings.num_line_points}; give 1 to {MOST_CELLS} points, such as 10.")
    if settings.max_edge_length_ratio <= 0:
        raise ConfigError(f"max_edge_length_ratio is {settings.max_edge_length_ratio}; give a number above 0.")
    if settings.min_instance_peaks < 0:
        raise ConfigError(f"min_instance_peaks is {settings.min_instance_peaks}; give 0 or more.")
    if settings.class_assignment not in CLASS_ASSIGNMENTS:
        raise ConfigError(
            f"class_assignment is {settings.class_assignment!r}; choose one of {', '.join(CLASS_ASSIGNMENTS)}."
        )
