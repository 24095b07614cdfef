"""Keywords of prediction that say how maps are read -> the settings of each stage; the configuration checks values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict, cast

from sleap_nn.config.inference_config import InferenceConfig
from sleap_nn.errors import ConfigError
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
        centroids, threshold = _thresholds(keywords.get("peak_threshold"))
        given: dict[str, Any] = {name: value for name, value in keywords.items() if name in _FIELDS}
        own = keywords.get("centroid_threshold")
        given |= {
            "peak_threshold": threshold,
            "centroid_threshold": centroids if own is None else own,
            "keypoint_threshold": keywords.get("keypoint_threshold"),
        }
        checked = vars(InferenceConfig(**given))
        common = DecodeSettings(**{field: checked[name] for name, field in _FIELDS.items()})
        return cls(common, checked["centroid_threshold"], checked["keypoint_threshold"])

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
    if not isinstance(given, Sequence) or isinstance(given, str):
        return None, cast(Any, given)  # what is no number is refused with the other values
    if len(given) != 2:
        raise ConfigError(f"peak_threshold has {len(given)} values; give one, or one for centroids and one for others.")
    return given[0], given[1]
