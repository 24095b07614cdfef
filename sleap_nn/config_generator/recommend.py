"""From `DatasetStats` to a recommended pipeline, backbone and values, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from sleap_nn.config_generator.pipelines import PIPELINES, VIEWS, check_choice, check_pipeline
from sleap_nn.config_generator.stats import DatasetStats
from sleap_nn.errors import ConfigError

SMALL_SHARE = 0.2
"""An animal that takes less than this share of the image is better looked at in a crop."""
LARGE_BOX, LARGE_IMAGE = 200, 1024
"""Sizes in px above which the network needs to see farther."""
HALVED_ABOVE, QUARTERED_ABOVE = 1024, 2048
MEDIUM_INPUT, LARGE_INPUT = 512, 1024
MEDIUM_ANIMAL, LARGE_ANIMAL = 100, 250
TOP_ROTATION, SIDE_ROTATION = 180.0, 15.0
MOST_KEPT = 2e9
"""Bytes of decoded frames up to which they are kept in memory."""


@dataclass(frozen=True)
class PipelineRecommendation:
    """Which pipeline suits labels.

    Attributes:
        recommended: Its name.
        reason: Why.
        alternatives: Other pipelines that can be trained on these labels.
    """

    recommended: str
    reason: str
    alternatives: tuple[str, ...]


@dataclass(frozen=True)
class StageValues:
    """Values of one model, which depend on how large what it reads is.

    Attributes:
        input_scale: Factor by which frames, or crops, are resized.
        sigma: Spread of a peak in cells of the map.
        batch_size: Samples of a step.
    """

    input_scale: float
    sigma: float
    batch_size: int


@dataclass(frozen=True)
class ConfigRecommendation:
    """What a configuration for labels should hold.

    Attributes:
        pipeline: Which models.
        backbone: Short name of the network.
        backbone_reason: Why.
        frame: Values of models that read whole frames.
        crop: Values of models that read crops about an animal.
        view: ``side`` or ``top``.
        view_reason: Why.
        rotation: Smallest and largest rotation of training images in degrees.
        keep_frames_in_memory: Whether the decoded frames are few enough to be kept.
    """

    pipeline: PipelineRecommendation
    backbone: str
    backbone_reason: str
    frame: StageValues
    crop: StageValues
    view: str
    view_reason: str
    rotation: tuple[float, float]
    keep_frames_in_memory: bool


def recommend_pipeline(stats: DatasetStats) -> PipelineRecommendation:
    """Return which pipeline suits labels, why, and which others they allow."""
    name, reason = _pipeline(stats)
    others = [other for other in PIPELINES if other != name and _is_possible(other, stats)]
    return PipelineRecommendation(name, reason, tuple(others))


def recommend_config(stats: DatasetStats, view: str | None = None) -> ConfigRecommendation:
    """Return what a configuration for labels should hold.

    Args:
        stats: What is known of the labels.
        view: From where the camera looks, ``side`` or ``top``; None: as the directions of the animals suggest.

    Raises:
        ConfigError: There is no such view.
    """
    if view is not None:
        check_choice("view", view, VIEWS)
    chosen, view_reason = _view(stats, view)
    backbone, backbone_reason = _backbone(stats)
    angle = TOP_ROTATION if chosen == "top" else SIDE_ROTATION
    scale = _scale(stats.longer_side)
    return ConfigRecommendation(
        pipeline=recommend_pipeline(stats),
        backbone=backbone,
        backbone_reason=backbone_reason,
        frame=StageValues(scale, _sigma(scale * stats.largest_box), _batch_size(stats.longer_side)),
        crop=StageValues(1.0, _sigma(stats.largest_box), _batch_size(stats.largest_box)),
        view=chosen,
        view_reason=view_reason,
        rotation=(-angle, angle),
        keep_frames_in_memory=stats.frame_bytes <= MOST_KEPT,
    )


def _pipeline(stats: DatasetStats) -> tuple[str, str]:
    """Return a name and the reason for it."""
    share = f"the largest animal takes {stats.largest_share:.0%} of its image"
    if stats.max_instances <= 1:
        return "single_instance", "no frame has more than one animal"
    if stats.num_nodes == 1:
        return "centroid", "the skeleton has a single node"
    if stats.largest_share < SMALL_SHARE:
        return "topdown", f"{share}, so it is found first and then looked at closely"
    if not stats.edges:
        return "topdown", "the skeleton has no edges to join points along"
    return "bottomup", f"there are several animals, and {share}"


def _is_possible(name: str, stats: DatasetStats) -> bool:
    """Tell whether a pipeline can be trained on labels, and makes sense there."""
    if name == "single_instance" and stats.max_instances > 1:
        return False
    try:
        check_pipeline(name, stats)
    except ConfigError:
        return False
    return True


def _backbone(stats: DatasetStats) -> tuple[str, str]:
    """Return a short name and the reason for it."""
    if stats.largest_box > LARGE_BOX:
        return "unet_large_rf", f"the largest animal spans {stats.largest_box:.0f} px, more than {LARGE_BOX}"
    if stats.longer_side > LARGE_IMAGE:
        return "unet_large_rf", f"the images are {stats.longer_side} px long, more than {LARGE_IMAGE}"
    return "unet_medium_rf", f"animals up to {LARGE_BOX} px on images up to {LARGE_IMAGE} px"


def _view(stats: DatasetStats, given: str | None) -> tuple[str, str]:
    """Return a view and the reason for it."""
    if given is not None:
        return given, "as given"
    if stats.apparent_view is None:
        return "side", "too few poses to tell; say top if the camera looks from above"
    lie = "in all directions" if stats.apparent_view == "top" else "along one axis"
    return stats.apparent_view, f"the animals lie {lie}"


def _scale(longer_side: int) -> float:
    if longer_side > QUARTERED_ABOVE:
        return 0.25
    return 0.5 if longer_side > HALVED_ABOVE else 1.0


def _sigma(animal: float) -> float:
    if animal > LARGE_ANIMAL:
        return 7.5
    return 5.0 if animal > MEDIUM_ANIMAL else 2.5


def _batch_size(longer_side: float) -> int:
    if longer_side > LARGE_INPUT:
        return 2
    return 4 if longer_side > MEDIUM_INPUT else 8
