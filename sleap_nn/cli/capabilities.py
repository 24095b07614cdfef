"""``sleap-nn --capabilities``: what this version can do, as one JSON object for programs that start it.

Everything comes from the declarations that check a configuration and make the command line, so nothing is listed
twice. torch is not imported: the answer takes a fraction of a second.
"""

from __future__ import annotations

import os
import platform
import shutil
from typing import Any

import click

from sleap_nn.cli.options import ConfigOption
from sleap_nn.version import __version__

SCHEMA_VERSION = 1
"""Raised when a key is removed or gets another meaning; new keys do not raise it."""

FEATURES = {
    "gui_progress": 1,
    "zmq_progress": True,
    "zmq_stop": True,
    "resume_training": True,
    "resume_prediction": True,
    "stop_with_signal": True,
    "roi": True,
    "track_only": True,
    "several_inputs": True,
    "moved_videos": True,
    "config_from_labels": True,
    "sleap_profiles": True,
    "older_checkpoints": True,
    "keras_models": True,
    "exported_models": True,
}
"""Name -> whether there is such a thing; a number is the version of a protocol."""


def capabilities(group: click.Group) -> dict[str, Any]:
    """Return what this version can do.

    Args:
        group: The program, for its commands and their options.
    """
    from sleap_nn.config.inference_config import FORMATS
    from sleap_nn.config.presets import BACKBONES, HEADS

    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    commands = {name: _options(command) for name, command in found.items() if command is not None}
    return {
        "schema_version": SCHEMA_VERSION,
        "sleap_nn_version": __version__,
        "commands": commands,
        "model_types": list(HEADS),
        "backbones": list(dict.fromkeys(entry for entry, _ in BACKBONES.values())),
        "backbone_presets": list(BACKBONES),
        "output_formats": list(FORMATS),
        "trackers": commands["track"]["options"]["tracker"]["choices"],
        "features": FEATURES,
        "exit_codes": {"success": 0, "failure": 1, "usage": 2, "collapsed": 3, "interrupted": 75},
        "devices": devices(),
    }


def devices() -> list[str]:
    """Return the devices that drivers suggest, the fastest first; only torch knows whether they compute."""
    suggested = ["cpu"]
    if (
        platform.system() == "Darwin"
        and platform.machine() == "arm64"
        and os.environ.get("SLEAP_NN_DISABLE_MPS") != "1"
    ):
        suggested.insert(0, "mps")
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") not in ("", "-1") and shutil.which("nvidia-smi") is not None:
        suggested.insert(0, "cuda")
    return suggested


def _options(command: click.Command) -> dict[str, Any]:
    """Describe a command: its arguments, and its options by their long names."""
    options = {}
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            longs = [name.removeprefix("--") for name in param.opts if name.startswith("--")]
            options[longs[0]] = _option(param, longs)
    arguments = [param.make_metavar(click.Context(command)) for param in command.params if _is_argument(param)]
    return {"arguments": arguments, "options": options}


def _option(param: click.Option, longs: list[str]) -> dict[str, Any]:
    """Describe an option."""
    short = [name for name in param.opts if not name.startswith("--")]
    choices = list(param.type.choices) if isinstance(param.type, click.Choice) else []
    default = None if param.required or param.default is None else _plain(param.default)
    repeatable, kind = param.multiple, param.type.name
    if isinstance(param, ConfigOption):
        declaration, default = param.declaration, param.field.default
        missing = declaration.unavailable_values
        choices = [choice for choice in declaration.choices or () if choice not in missing]
        repeatable = param.field.is_list
    return {
        "short": short[0] if short else None,
        "aliases": longs[1:],
        "off": [name.removeprefix("--") for name in param.secondary_opts],
        "type": "flag" if param.is_flag else "choice" if choices else kind,
        "choices": choices,
        "default": default,
        "required": param.required,
        "repeatable": repeatable,
    }


def _plain(value: Any) -> Any:
    """Return a default as JSON holds it; what click itself marks as not given is null."""
    return value if isinstance(value, bool | int | float | str) else None


def _is_argument(param: click.Parameter) -> bool:
    return isinstance(param, click.Argument)
