"""Options of the filters that remove weak and duplicate instances after prediction.

The filters themselves are in `inference.filters`; the import of this module stays quick for the command
line's help.
"""

from dataclasses import dataclass
from typing import Annotated

from sleap_nn.config.fields import Cli, Option

_FILTERS = "Filters"


@dataclass(frozen=True)
class FilterConfig:
    """Which predictions are removed; the default removes none."""

    min_peak_value: Annotated[float, Option("Points with a smaller confidence become missing.", ge=0)] = 0.0
    min_instance_score: Annotated[
        float,
        Option(
            "Remove instances with a smaller score.",
            ge=0,
            cli=Cli(_FILTERS, name="filter_min_instance_score"),
        ),
    ] = 0.0
    min_mean_node_score: Annotated[
        float,
        Option(
            "Remove instances whose visible points have a smaller mean confidence.",
            ge=0,
            cli=Cli(_FILTERS, name="filter_min_mean_node_score"),
        ),
    ] = 0.0
    min_visible_nodes: Annotated[
        int,
        Option(
            "Remove instances with fewer visible nodes.",
            ge=0,
            cli=Cli(_FILTERS, name="filter_min_visible_nodes"),
        ),
    ] = 0
    min_visible_node_fraction: Annotated[
        float,
        Option(
            "Remove instances with a smaller share of visible nodes.",
            ge=0,
            le=1,
            cli=Cli(_FILTERS, name="filter_min_visible_node_fraction"),
        ),
    ] = 0.0
    overlapping: Annotated[
        bool,
        Option(
            "Of instances that overlap, keep the one with the highest score.",
            cli=Cli(_FILTERS, name="filter_overlapping"),
        ),
    ] = False
    overlapping_threshold: Annotated[
        float,
        Option(
            "Similarity above which two instances overlap.",
            ge=0,
            le=1,
            cli=Cli(_FILTERS, name="filter_overlapping_threshold"),
        ),
    ] = 0.8
    overlapping_method: Annotated[
        str,
        Option(
            "Similarity of two instances: of their boxes (iou) or their keypoints (oks).",
            choices=("iou", "oks"),
            cli=Cli(_FILTERS, name="filter_overlapping_method"),
        ),
    ] = "iou"
    min_centroid_distance: Annotated[
        float,
        Option(
            "Of centroids closer than this many px, keep the one with the highest score.",
            ge=0,
            cli=Cli(_FILTERS, name="filter_min_centroid_distance"),
        ),
    ] = 0.0

    def __post_init__(self) -> None:
        """Check and convert the values."""
        from sleap_nn.config.schema import check_fields

        check_fields(self)
