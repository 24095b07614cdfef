"""The questions of ``sleap-nn config``: every answer has a default, which Return takes.

Questions go to standard error, so that the YAML of ``--show-yaml`` can be redirected.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sleap_nn.cli.config_output import check_name, default_output, put_out
from sleap_nn.errors import ConfigError, UserError

if TYPE_CHECKING:
    from sleap_nn.config_generator import ConfigGenerator


def ask(slp: str | None, output: str | None, pipeline: str | None, view: str | None, show_yaml: bool) -> None:
    """Ask for what was not given, then write or print the configuration.

    Args:
        slp: The labels; None asks for them.
        output: File to write; None asks for it.
        pipeline: Answer to the first question, which is not asked then.
        view: Answer to the second, likewise.
        show_yaml: Print in place of writing.

    Raises:
        ConfigError: There is no terminal.
        UserError: The given labels cannot be used.
    """
    from sleap_nn.config_generator import ConfigGenerator

    generator = None if slp is None else ConfigGenerator.from_slp(slp)
    if not is_terminal():
        raise ConfigError(
            "Questions need a terminal, and there is none; add --auto to take what the labels suggest: "
            f"sleap-nn config {'LABELS.slp' if slp is None else slp} --auto."
        )
    while generator is None:
        slp = str(_prompt("Labels file (.slp)")).strip().strip("'\"")
        generator = _tried(partial(ConfigGenerator.from_slp, slp))
    _say("\n".join(f"{heading:16} {text}" for heading, text in generator.stats.lines()))
    _ask_pipeline(generator, pipeline)
    _ask_view(generator, view)
    _ask_values(generator)
    file = default_output(str(slp)) if show_yaml and output is None else _ask_output(generator, str(slp), output)
    _say(f"\nA training step takes {generator.memory_estimate()}.")
    put_out(generator, file, show_yaml)
    if not show_yaml:
        _say("Train with:")
        for path in generator.paths(file):
            _say(f"  sleap-nn train {path}")


def is_terminal() -> bool:
    """Tell whether somebody can be asked."""
    return sys.stdin.isatty()


def _ask_pipeline(generator: ConfigGenerator, given: str | None) -> None:
    """Ask which models are trained.

    Raises:
        ConfigError: The given pipeline cannot be trained on the labels.
    """
    from sleap_nn.config_generator.pipelines import MEANINGS, PIPELINES

    if given is not None:
        generator.pipeline(given)
        return
    advice = generator.recommend().pipeline
    _say("\nWhich models shall be trained?")
    for name in PIPELINES:
        mark = "*" if name == advice.recommended else " " if name in advice.alternatives else "-"
        _say(f"  {mark} {name:20} {MEANINGS[name]}")
    _say(f"* recommended: {advice.reason}; - does not suit these labels")
    while _tried(lambda: generator.pipeline(_choose("Pipeline", list(PIPELINES), advice.recommended))) is None:
        pass


def _ask_view(generator: ConfigGenerator, given: str | None) -> None:
    """Ask from where the camera looks, which decides how far images are turned."""
    from sleap_nn.config_generator.pipelines import VIEWS

    if given is None:
        advice = generator.recommend()
        _say(f"\nFrom where does the camera look? ({advice.view}: {advice.view_reason})")
        given = _choose("View", list(VIEWS), advice.view)
    generator.auto(given)


def _ask_values(generator: ConfigGenerator) -> None:
    """Ask for the values that are changed most often."""
    from sleap_nn.config.presets import BACKBONES

    advice = generator.recommend()
    crops = len(generator.model_types) > 1
    values = advice.crop if crops else advice.frame
    _say(f"\nThe network ({advice.backbone}: {advice.backbone_reason})")
    generator.backbone(_choose("Backbone", list(BACKBONES), advice.backbone))
    scale = _prompt("Scale of the images", advice.frame.input_scale, click.FloatRange(min=0, min_open=True))
    if scale != advice.frame.input_scale or not crops:
        generator.input_scale(scale)
    size = _prompt("Batch size", values.batch_size, click.IntRange(min=1))
    if size != values.batch_size:
        generator.batch_size(size)
    generator.max_epochs(_prompt("Epochs at most", 100, click.IntRange(min=1)))
    if "centroid" in generator.model_types:
        nodes = ["none", *generator.stats.node_names]
        anchor = _choose("Node in the middle of an animal (none: the mean of all)", nodes, "none")
        if anchor != "none":
            generator.anchor_part(anchor)


def _ask_output(generator: ConfigGenerator, slp: str, output: str | None) -> Path:
    """Ask which file is written, and again if it has another ending, or one is there that shall stay."""
    while True:
        file = Path(_prompt("File to write", str(default_output(slp))) if output is None else output)
        try:
            check_name(file)
        except UserError as error:
            _say(f"{error}")
            continue
        there = [path for path in generator.paths(file) if path.exists()]
        if not there or click.confirm(f"{there[0]} is there already; overwrite it?", err=True):
            return file
        output = None


def _prompt(text: str, default: Any = None, kind: Any = None) -> Any:
    return click.prompt(text, default=default, type=kind, err=True)


def _choose(text: str, names: list[str], default: str) -> str:
    return click.prompt(text, default=default, type=click.Choice(names), show_choices=len(names) < 4, err=True)


def _tried(step: Callable[[], ConfigGenerator]) -> ConfigGenerator | None:
    """Take a step; say what was wrong with the answer, so that it can be asked for again."""
    try:
        return step()
    except UserError as error:
        _say(f"{error}")
        return None


def _say(text: str) -> None:
    click.echo(text, err=True)
