"""Options of predicted masks, by a mask model of ours or by a promptable one."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated

from sleap_nn.config.checks import odd
from sleap_nn.config.fields import Cli, Option

_MASKS = "Masks"


def thresholds(value: object) -> object:
    """Return the numbers of a text such as ``0.85,0.6``, a tuple as a list, anything else as it is.

    Raises:
        ValueError: The text holds something else than numbers.
    """
    if not isinstance(value, str):
        return list(value) if isinstance(value, tuple) else value
    try:
        return [float(item) for item in value.split(",")]
    except ValueError:
        raise ValueError(f"must be numbers such as 0.85,0.6,0.4, not {value!r}") from None


def decreasing(value: list[float]) -> str | None:
    """Thresholds of successive rounds become smaller."""
    if all(later < earlier for earlier, later in pairwise(value)):
        return None
    return f"must decrease from item to item, not {value}"


@dataclass(frozen=True)
class MaskConfig:
    """How masks are made from the outputs of a model."""

    fg_threshold: Annotated[
        float, Option("Smallest probability of a foreground cell.", ge=0, le=1, cli=Cli(_MASKS))
    ] = 0.5
    min_mask_area: Annotated[int, Option("Smallest area of a mask in px^2 of the frame.", ge=0, cli=Cli(_MASKS))] = 0
    center_nms_kernel: Annotated[
        int,
        Option("Side in cells within which one centre is kept, an odd number.", ge=1, check=odd, cli=Cli(_MASKS)),
    ] = 3
    mask_cleanup: Annotated[
        bool, Option("Keep the largest part of every mask and fill its holes.", cli=Cli(_MASKS, pair=True))
    ] = False
    mask_cleanup_radius: Annotated[
        int, Option("Radius in cells by which mask_cleanup opens and closes a mask.", ge=0, cli=Cli(_MASKS))
    ] = 0
    distance_gate_alpha: Annotated[
        float | None,
        Option("Drop pixels farther from their centre than this many radii; null: none.", gt=0, cli=Cli(_MASKS)),
    ] = None
    merge_fragments: Annotated[bool, Option("Join fragments of one animal.", cli=Cli(_MASKS, pair=True))] = False
    merge_method: Annotated[
        str, Option("How fragments are joined.", choices=("greedy", "multicut"), cli=Cli(_MASKS))
    ] = "greedy"
    merge_thresholds: Annotated[
        list[float],
        Option(
            "Decreasing thresholds of the rounds of joining.",
            convert=thresholds,
            check=decreasing,
            cli=Cli(_MASKS, metavar="NUMBERS"),
        ),
    ] = field(default_factory=lambda: [0.85, 0.6, 0.4])
    merge_w_valley: Annotated[float, Option("Weight of the valley between two fragments.", cli=Cli(_MASKS))] = 1.0
    merge_w_offset: Annotated[float, Option("Weight of the agreement of the offsets.", cli=Cli(_MASKS))] = 0.25
    merge_dilate: Annotated[int, Option("Cells by which fragments grow to find neighbours.", ge=0, cli=Cli(_MASKS))] = 1
    full_res_masks: Annotated[
        bool, Option("Store masks in the resolution of the frame.", cli=Cli(_MASKS, pair=True))
    ] = False
    mask_output: Annotated[
        str, Option("How masks are stored.", choices=("mask", "polygon", "both"), cli=Cli(_MASKS))
    ] = "mask"
    polygon_epsilon: Annotated[
        float,
        Option("Tolerance of a polygon, as a fraction of its perimeter.", ge=0, cli=Cli(_MASKS)),
    ] = 0.01
    mask_backend: Annotated[
        str | None,
        Option(
            "Promptable model that makes masks from poses; null: none.",
            choices=("sam", "sam3"),
            cli=Cli(_MASKS),
        ),
    ] = None
    sam_checkpoint: Annotated[
        str | None, Option("Weights of the promptable model; null: none.", cli=Cli(_MASKS, metavar="PATH"))
    ] = None
    sam_model_type: Annotated[str, Option("Size of the promptable model.", cli=Cli(_MASKS))] = "vit_h"
    sam3_model_id: Annotated[str, Option("Name of the promptable model at its source.", cli=Cli(_MASKS))] = (
        "facebook/sam3"
    )
    sam_prompt_mode: Annotated[
        str, Option("What of a pose is the prompt.", choices=("pose", "centroid", "box"), cli=Cli(_MASKS))
    ] = "pose"
    sam_anchor_ind: Annotated[
        int | None,
        Option("Index of the node that is the prompt in centroid mode; null: the mean.", ge=0, cli=Cli(_MASKS)),
    ] = None
    sam_disjointify_masks: Annotated[bool, Option("Give every pixel to one mask only.", cli=Cli(_MASKS))] = False
    overlay_path: Annotated[
        str | None, Option("Picture of the masks to write; null: none.", cli=Cli(_MASKS, metavar="PATH"))
    ] = None

    def __post_init__(self) -> None:
        """Check and convert the values."""
        from sleap_nn.config.schema import check_fields

        check_fields(self)
