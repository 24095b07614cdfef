"""Options of `predict` and `track` that do nothing beside the others that were given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sleap_nn.config.fields import fields_of
from sleap_nn.config.inference_config import InferenceConfig
from sleap_nn.config.tracker_config import TrackerConfig

_WITHOUT_MODEL = frozenset(
    {
        *("output_path", "stream_to_file", "output_format", "embed", "restore_source_videos", "no_empty_frames", "gui"),
        *("frames", "video_index", "only_labeled_frames", "only_suggested_frames", "only_predicted_frames"),
        *("exclude_user_labeled", "max_instances", "tracking"),
    }
)
"""What counts where instances are tracked that exist already."""


def given_names(config: type, options: Mapping[str, Any]) -> list[str]:
    """Return the fields of a section of options that have another value than by default."""
    default = vars(config())
    names = [entry.name for entry in fields_of(config) if entry.name in options]
    return [name for name in names if options[name] not in (None, (), [], default[name])]


def idle_options(options: Mapping[str, Any]) -> list[str]:
    """Return a sentence about each kind of options that were given and do nothing.

    Args:
        options: Values of all options by the names of their fields.
    """
    given = given_names(InferenceConfig, options)
    found = []
    if not options["tracking"]:
        found.append(("Without --tracking (-t)", given_names(TrackerConfig, options)))
    if not options["model_paths"]:
        found.append(("Without a model (-m)", [name for name in given if name not in _WITHOUT_MODEL]))
    elif not options["roi"]:
        found.append(("Without --roi", [name for name in given if name == "roi_check_interval"]))
    formats = options["output_format"]
    if formats and "slp" not in [str(name).lower() for name in formats]:
        of_slp = ("embed", "restore_source_videos")
        found.append(("Without the format slp", [name for name in given if name in of_slp]))
    return [f"{start} this has no effect: {', '.join(names)}." for start, names in found if names]
