"""Options for labels whose videos are at other paths than the labels say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sleap_nn.errors import ConfigError

if TYPE_CHECKING:
    from sleap_nn.data.video_paths import VideoPaths

F = TypeVar("F", bound=Callable[..., Any])

VIDEO_OPTIONS = {
    "video_paths": "--video-paths",
    "video_path_map": "--video-path-map",
    "prefix_map": "--prefix-map",
    "video_config": "--video-config",
}
"""Names under which a function receives the options -> the options."""


def video_options(function: F) -> F:
    """Add the options; the function receives their values under the names that `read_video_paths` takes."""
    decorators = (
        click.option(
            "--video-paths",
            "-v",
            metavar="PATH",
            multiple=True,
            help="New path of a video; repeat it for every video of the labels files, in their order.",
        ),
        click.option(
            "--video-path-map",
            nargs=2,
            metavar="OLD NEW",
            multiple=True,
            help="Read the video that the labels call OLD from NEW; can be repeated.",
        ),
        click.option(
            "--prefix-map",
            nargs=2,
            metavar="OLD NEW",
            multiple=True,
            help="Read videos whose paths start with OLD from the same places under NEW; can be repeated.",
        ),
        click.option("--video-config", metavar="PATH", hidden=True, help="YAML file with the new paths of videos."),
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def read_video_paths(ctx: click.Context, **options: Any) -> VideoPaths | None:
    """Return what the options say, None if they say nothing; files that are named have to exist.

    Args:
        ctx: The command.
        **options: Values of the options that `video_options` adds.

    Raises:
        click.UsageError: Several of the options are used, or one is used wrongly.
        MissingFileError: A new path does not exist.
        ConfigError: The file of --video-config is something else.
    """
    given = {name: options[name] for name in VIDEO_OPTIONS if options[name]}
    if not given:
        return None
    if len(given) > 1:
        names = " and ".join(VIDEO_OPTIONS[name] for name in given)
        raise click.UsageError(f"{names} exclude each other; say in one way where the videos are.", ctx)
    from sleap_nn.data.video_paths import VideoPaths

    if "video_config" in given:
        paths = VideoPaths.load(Path(given["video_config"]))
    else:
        try:
            paths = VideoPaths(**given)
        except ConfigError as error:
            raise click.UsageError(str(error), ctx) from error
    paths.check_files()
    return paths
