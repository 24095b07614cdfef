"""What ``-i`` names: one input, a pattern such as ``videos/*.mp4``, or a ``.txt`` list of paths."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from sleap_nn.errors import DataError, InputOverwrittenError, MissingFileError, UsageError


def expand_inputs(text: str) -> list[Path]:
    """Return the inputs that a text names.

    Args:
        text: A path; a pattern with ``*``, ``?`` or ``[``; or a ``.txt`` file with one path or pattern a line, where
            blank lines and those that begin with ``#`` do not count. Its paths are sought in the working folder, then
            in the list's own.

    Raises:
        MissingFileError: Nothing fits a pattern, or the list is not there.
        DataError: The list cannot be read, or names nothing.
    """
    path = Path(text)
    if path.suffix.lower() != ".txt":
        return _matching(text)
    if not path.is_file():
        raise MissingFileError(f"The list {path} does not exist; check the path.")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The list {path} cannot be read ({error}); give a text file with one path a line.") from error
    named = [found for line in lines if line and not line.startswith("#") for found in _listed(line, path.parent)]
    if not named:
        raise DataError(f"The list {path} names no input; write one path a line.")
    return list(dict.fromkeys(named))


def is_several(text: str) -> bool:
    """Tell whether a text names inputs of which there may be several."""
    return Path(text).suffix.lower() == ".txt" or (_is_pattern(text) and not Path(text).exists())


def output_paths(inputs: Sequence[Path], folder: str | None, defaults: Sequence[Path]) -> list[Path]:
    """Return where the predictions of several inputs go: beside them, or into one folder.

    Args:
        inputs: The inputs.
        folder: The folder, None for beside them.
        defaults: Where each goes by itself.

    Raises:
        UsageError: The folder is a file, or two outputs have one name.
        InputOverwrittenError: An output is one of the inputs.
    """
    if folder is not None and not Path(folder).is_dir() and (Path(folder).suffix or Path(folder).is_file()):
        raise UsageError(f"-i may name several inputs, but -o names one file ({folder}); name a folder.")
    paths = [path if folder is None else Path(folder) / path.name for path in defaults]
    first: dict[Path, Path] = {}
    kept = {source.resolve() for source in inputs}
    for source, path in zip(inputs, paths, strict=True):
        if path.resolve() in kept:
            raise InputOverwrittenError(f"The output of {source} would be the input {path}; name a folder (-o).")
        if path in first:
            raise UsageError(f"The outputs of {first[path]} and {source} would both be {path}; predict them apart.")
        first[path] = source
    return paths


def _listed(line: str, folder: Path) -> list[Path]:
    """Return what a line of a list names; what exists nowhere is kept, to be reported when its turn comes."""
    for place in ("", folder):
        whole = line if place == "" else str(folder / line)
        if _is_pattern(whole) and not Path(whole).exists():
            found = _files(whole)
            if found:
                return found
        elif Path(whole).exists():
            return [Path(whole)]
    return [Path(line)]


def _matching(text: str) -> list[Path]:
    """Return what a pattern fits, or the path itself.

    Raises:
        MissingFileError: Nothing fits the pattern.
    """
    if not is_several(text):
        return [Path(text)]
    found = _files(text)
    if not found:
        raise MissingFileError(f"No file fits the pattern {text}; check the folder and the ending.")
    return found


def _files(pattern: str) -> list[Path]:
    """Return what a pattern fits, by name."""
    return [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207 - may be absolute


def _is_pattern(text: str) -> bool:
    """Tell whether a text has characters that stand for others."""
    return any(mark in text for mark in "*?[")
