"""How the first releases predicted with an exported model: ``predict EXPORT_DIR VIDEO [-o] [-r] [-b] [-n]``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from sleap_nn.cli.options import Command

_RENAMED = {"-r": "--runtime"}
_FRAMES = ("-n", "--n-frames", "--n_frames")
_OUTPUTS = ("-o", "--output", "--output_path", "--output-path")


class PredictCommand(Command):
    """A command that also takes the folder of an exported model and a video by their places."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Bring arguments that begin with two places to the options of today, then parse."""
        return super().parse_args(ctx, list(_options_of_today(args)) if _has_places(args) else args)


def _has_places(args: Sequence[str]) -> bool:
    return len(args) > 1 and not any(arg.startswith("-") for arg in args[:2])


def _options_of_today(args: Sequence[str]) -> Iterator[str]:
    """Yield the same request in options; ``-n`` is a number of frames here, 0 for all of them.

    Raises:
        click.UsageError: The number of frames is not one.
    """
    folder, video, *rest = args
    yield from ("--model_paths", folder, "--data_path", video)
    if not any(_split(arg)[0] in _OUTPUTS for arg in rest):
        yield from ("--output_path", str(Path(video).with_suffix(".predictions.slp")))
    remaining = iter(rest)
    for arg in remaining:
        name, value = _split(arg)
        if name in _FRAMES:
            count = _count(name, next(remaining, "") if value is None else value)
            yield from ("--frames", f"0-{count - 1}") if count else ()
        elif name in _RENAMED:
            yield _RENAMED[name]
            yield from () if value is None else (value,)
        else:
            yield arg


def _split(arg: str) -> tuple[str, str | None]:
    """Return the name of an option and the value written together with it, if any."""
    if arg.startswith("--"):
        name, equals, value = arg.partition("=")
        return name, value if equals else None
    return (arg[:2], arg[2:]) if arg.startswith("-") and len(arg) > 2 else (arg, None)


def _count(name: str, text: str) -> int:
    if not text.isdecimal():
        raise click.UsageError(f"{name} is the number of frames from the first one on, 0 for all; given: '{text}'.")
    return int(text)
