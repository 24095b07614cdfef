r"""Where the videos of labels are now, for labels that were made on another machine: pure path logic.

Paths are compared as text: ``/`` and ``\`` are the same, so are drive letters in either case, and a trailing
separator does not count. Labels get their new paths in `moved_videos`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sleap_nn.errors import ConfigError, MissingFileError, OutputError
from sleap_nn.whole_files import whole_file

StoredPath = str | list[str]
"""Path of a video as labels hold it; a list of images for a sequence."""

Pairs = tuple[tuple[str, str], ...]

_KEYS = ("video_paths", "video_path_map", "prefix_map")


@dataclass(frozen=True)
class VideoPaths:
    """New paths of videos, given in one of three ways.

    Attributes:
        video_paths: New paths of all videos of every labels file, in its order.
        video_path_map: Pairs of a whole stored path and its new path; a sequence of images also goes by its folder.
        prefix_map: Pairs of a leading part of stored paths and what takes its place; the longest that fits counts.
        required: Whether an old path must fit a video.

    Raises:
        ConfigError: None or several of the ways are used, or an old path is empty or there twice.
    """

    video_paths: tuple[str, ...] = ()
    video_path_map: Pairs = ()
    prefix_map: Pairs = ()
    required: bool = True

    def __post_init__(self) -> None:
        """Check what was given."""
        given = [bool(self.video_paths), bool(self.video_path_map), bool(self.prefix_map)]
        if sum(given) != 1:
            raise ConfigError("Give new paths of videos in one way: video_paths, video_path_map or prefix_map.")
        olds = [normalized(old) for old, _ in (*self.video_path_map, *self.prefix_map)]
        twice = [old for old in olds if olds.count(old) > 1]
        if twice:
            raise ConfigError(f"The old path {twice[0]!r} is given twice; give one new path for it.")
        if any(not old for old, _ in (*self.video_path_map, *self.prefix_map)):
            raise ConfigError("An old path is empty; give the path, or the leading part of it, that the labels hold.")

    @classmethod
    def load(cls, path: Path) -> VideoPaths:
        """Read what `save` wrote.

        Raises:
            MissingFileError: There is no such file.
            ConfigError: It is something else.
        """
        if not path.is_file():
            raise MissingFileError(f"The file {path} with video paths does not exist; check the path.")
        try:
            tree = yaml.safe_load(path.read_text(encoding="utf-8"))
            values = {key: tree.pop(key) or () for key in _KEYS if key in tree}
            if tree:
                raise ValueError(f"unknown key {next(iter(tree))!r}")
            return cls(
                video_paths=tuple(map(str, values.get("video_paths", ()))),
                video_path_map=_pairs(values.get("video_path_map", ())),
                prefix_map=_pairs(values.get("prefix_map", ())),
            )
        except ConfigError:
            raise
        except (yaml.YAMLError, UnicodeDecodeError, AttributeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(
                f"{path} does not hold video paths ({reason}); it needs one of the keys video_paths, video_path_map "
                "and prefix_map."
            ) from error

    def save(self, path: Path) -> None:
        """Write the paths as YAML.

        Raises:
            OutputError: The file cannot be written.
        """
        tree = {
            "video_paths": list(self.video_paths),
            "video_path_map": [list(pair) for pair in self.video_path_map],
            "prefix_map": [list(pair) for pair in self.prefix_map],
        }
        try:
            text = yaml.safe_dump({key: value for key, value in tree.items() if value}, allow_unicode=True)
            with whole_file(path) as partial:
                partial.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path} cannot be written ({error}).") from error

    def check_files(self) -> None:
        """Check that every new path exists that is given in full, before anything is read.

        Raises:
            MissingFileError: The message names the first that does not.
        """
        for path in (*self.video_paths, *(new for _, new in self.video_path_map)):
            if not Path(path).exists():
                raise MissingFileError(f"The new video path {path} does not exist; check the path.")

    def replaced(
        self, stored: Sequence[StoredPath], is_folder: Callable[[str], bool] = lambda path: Path(path).is_dir()
    ) -> list[StoredPath | None]:
        """Return the new path of every video of a labels file, None where it stays.

        Args:
            stored: The paths that the labels hold.
            is_folder: Tells whether a new path is a folder, which stands for images of the same names in it.

        Raises:
            ConfigError: Paths are given in order, and there is another number of videos.
        """
        if not self.video_paths:
            return [self._mapped(path) for path in stored]
        if len(self.video_paths) != len(stored):
            raise ConfigError(
                f"{_count(len(self.video_paths), 'new video path')} given, but the labels have "
                f"{_count(len(stored), 'video')} ({_listed(stored)}); give one for each, in this order."
            )
        return [
            [_joined(new, base_name(image)) for image in old] if isinstance(old, list) and is_folder(new) else new
            for old, new in zip(stored, self.video_paths, strict=True)
        ]

    def unmatched(self, stored: Iterable[StoredPath]) -> list[str]:
        """Return the old paths that fit none of the stored ones."""
        images = [image for path in stored for image in _images(path)]
        if self.prefix_map:
            return [old for old, _ in self.prefix_map if all(_rest(image, old) is None for image in images)]
        known = {normalized(image) for image in images}
        folders = {_folder(image) for path in stored if isinstance(path, list) for image in path}
        return [old for old, _ in self.video_path_map if normalized(old) not in known | folders]

    def check_all_used(self, stored: Sequence[StoredPath]) -> None:
        """Check that every old path fits a video, if that is required.

        Raises:
            ConfigError: The message names the old path, and the paths that the labels hold.
        """
        unmatched = self.unmatched(stored)
        if unmatched and self.required:
            what = "starts with" if self.prefix_map else "is stored as"
            raise ConfigError(
                f"No video of the labels {what} {unmatched[0]!r}; the labels hold {_listed(stored)}. Give an old path "
                "as it stands there."
            )

    def _mapped(self, stored: StoredPath) -> StoredPath | None:
        """Return the new path of one video by the pairs."""
        replace = self._replace_prefix if self.prefix_map else self._replace_whole
        new_paths = [replace(image, isinstance(stored, list)) for image in _images(stored)]
        if all(image is None for image in new_paths):
            return None
        new = [old if image is None else image for old, image in zip(_images(stored), new_paths, strict=True)]
        return new if isinstance(stored, list) else new[0]

    def _replace_prefix(self, path: str, _: bool) -> str | None:
        """Return a path behind its new prefix, None if no prefix fits."""
        found = None
        for old, new in sorted(self.prefix_map, key=lambda pair: len(normalized(pair[0]))):
            rest = _rest(path, old)
            found = found if rest is None else _joined(new, rest)
        return found

    def _replace_whole(self, path: str, in_sequence: bool) -> str | None:
        """Return the new path for a path, or for an image of a sequence that goes by its folder."""
        for old, new in self.video_path_map:
            if normalized(old) == normalized(path):
                return new
        for old, new in self.video_path_map:
            if in_sequence and normalized(old) == _folder(path):
                return _joined(new, base_name(path))
        return None


def normalized(path: str) -> str:
    r"""Return a path in one spelling: ``/`` between parts, none at the end, drive letters small."""
    text = path.replace("\\", "/")
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text)
    start = scheme[0] if scheme else ("//" if re.match(r"//[^/]", text) else "")
    rest = re.sub(r"/(\./)*/*", "/", text[len(start) :].removeprefix("./"))
    rest = re.sub(r"^([A-Za-z]):", lambda drive: drive[0].lower(), rest)
    return start + (rest.rstrip("/") if rest.strip("/") else rest[:1])


def base_name(path: str) -> str:
    r"""Return the last part of a path, whichever separators it has."""
    return normalized(path).rpartition("/")[2]


def _folder(path: str) -> str:
    return normalized(path).rpartition("/")[0]


def _rest(path: str, prefix: str) -> str | None:
    """Return what follows a prefix that ends at a separator, None if the path does not start with it."""
    text, start = normalized(path), normalized(prefix)
    if text == start:
        return ""
    start = start if start.endswith("/") else start + "/"
    return text[len(start) :] if text.startswith(start) else None


def _joined(folder: str, rest: str) -> str:
    r"""Return a path in a folder, in the folder's own separators."""
    if not rest or not folder:
        return folder + rest
    separator = "\\" if "\\" in folder and "/" not in folder else "/"
    return folder.rstrip("/\\") + separator + rest.replace("/", separator)


def _images(path: StoredPath) -> list[str]:
    return path if isinstance(path, list) else [path]


def _pairs(given: Any) -> Pairs:
    """Return pairs of texts from lists of two, or from a mapping."""
    pairs = given.items() if isinstance(given, dict) else given
    return tuple((str(old), str(new)) for old, new in pairs)


def _count(number: int, noun: str) -> str:
    verb = "" if noun == "video" else (" is" if number == 1 else " are")
    return f"{number} {noun}{'' if number == 1 else 's'}{verb}"


def _listed(stored: Sequence[StoredPath]) -> str:
    """Return stored paths for a message, not more than a few."""
    names = list(dict.fromkeys(_shown(stored)))
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") if names else "no video"


def _shown(stored: Iterable[StoredPath]) -> Iterator[str]:
    for path in stored:
        yield f"{path[0]} (first of {len(path)} images)" if isinstance(path, list) else path
