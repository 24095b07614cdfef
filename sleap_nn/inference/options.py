"""Keywords of prediction in their groups: taking a group out of many keywords, and refusing unknown ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, TypeVar

from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.errors import ConfigError
from sleap_nn.inference.loaded_model import ModelKeywords
from sleap_nn.inference.output import FormatKeywords
from sleap_nn.inference.raw_outputs import RawKeywords
from sleap_nn.inference.select import ChoiceKeywords
from sleap_nn.inference.settings import DecodeKeywords
from sleap_nn.inference.to_file import WriteKeywords
from sleap_nn.stages.follow import RoiSettings

Group = TypeVar("Group")

PREPROCESSING = {
    "ensure_rgb": "ensure_rgb",
    "ensure_grayscale": "ensure_grayscale",
    "max_height": "max_height",
    "max_width": "max_width",
    "input_scale": "scale",
    "crop_size": "crop_size",
}
"""Option -> key of ``preprocess_config``."""


class LoadKeywords(ModelKeywords, DecodeKeywords, total=False):
    """How models are loaded and how their maps are read; see `ModelKeywords` and `DecodeKeywords`."""


class CallKeywords(DecodeKeywords, RawKeywords, total=False):
    """What one call of a predictor may change; see `DecodeKeywords` and `RawKeywords`. None keeps what was loaded."""


class RunKeywords(TypedDict, total=False):
    """How a predictor works; None of them changes which models are loaded.

    Attributes:
        queue_maxsize: Frames prepared ahead of the network at most, 32 without it.
        paf_workers: Processes that join the points of a bottom-up model to instances; 0 does it here.
        emit_centroid: How centroids without keypoints are stored: ``instance``, ``centroid`` or ``both``.
        roi: Follow the animal of a single_instance model with a part of the frame; None reads whole frames.
    """

    queue_maxsize: int
    paf_workers: int
    emit_centroid: str
    roi: RoiSettings | None


class ExportKeywords(TypedDict, total=False):
    """How an exported model is loaded: what of `Predictor.from_model_paths` an export leaves open.

    Attributes:
        runtime: See `ModelKeywords`, as are `device` and `peak_conf_threshold`.
        device: As above.
        peak_conf_threshold: As above.
        batch_size: See `Predictor`, as are the next four.
        queue_maxsize: As above.
        filter_config: As above.
        tracker_config: As above.
        paf_workers: As above.
        emit_centroid: See `RunKeywords`.
        return_confmaps: Whether raw results hold confidence maps.
        max_instances: See `DecodeKeywords`, as are the next two.
        min_instance_peaks: As above.
        min_line_scores: As above.
    """

    runtime: str
    device: str
    peak_conf_threshold: float | None
    batch_size: int
    queue_maxsize: int
    filter_config: FilterConfig | None
    tracker_config: TrackerConfig | None
    paf_workers: int
    emit_centroid: str
    return_confmaps: bool
    max_instances: int | None
    min_instance_peaks: float
    min_line_scores: float


class PredictKeywords(
    LoadKeywords, RunKeywords, ChoiceKeywords, RawKeywords, WriteKeywords, FormatKeywords, total=False
):
    """The less common keywords of `predict`; see the groups of which it consists."""


def part(keywords: Mapping[str, Any], group: type[Group]) -> Group:
    """Return the keywords that belong to a group.

    Args:
        keywords: Keywords of several groups.
        group: One of the classes of keywords.
    """
    names = group.__annotations__
    return group(**{name: value for name, value in keywords.items() if name in names})


def refuse_unknown(keywords: Mapping[str, Any], *groups: type) -> None:
    """Refuse keywords of no group.

    Raises:
        TypeError: The message names the first.
    """
    known = {name for group in groups for name in group.__annotations__}
    unknown = sorted(keywords.keys() - known)
    if unknown:
        raise TypeError(f"{unknown[0]!r} is no keyword of prediction.")


def refuse_raw(keywords: Mapping[str, Any]) -> None:
    """Refuse raw results where labels are made.

    Raises:
        ConfigError: The message names the first keyword.
    """
    asked = [name for name, value in keywords.items() if name in RawKeywords.__annotations__ and value]
    if asked:
        raise ConfigError(f"Labels hold no raw results; give make_labels=False with {asked[0]}.")
