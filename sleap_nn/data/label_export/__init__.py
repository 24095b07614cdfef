"""Labels as files and data sets of other programs: what `other_formats` reads, and what sleap-io writes besides.

Images are written with the labels where a format is about images. Nothing is replaced, and what is written appears
whole or not at all. Predictions beside a prediction are written by `label_formats`.

To add a format: a function ``(frames, place)`` that writes into a new folder, and a row in `FORMATS`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sleap_io.model.labels import Labels

from sleap_nn.data.label_export import coco, jabs, nwb, tables, yolo
from sleap_nn.data.label_export.frames import ExportedFrames
from sleap_nn.data.label_formats import format_paths, write_format
from sleap_nn.data.labels import write_labels
from sleap_nn.errors import OutputError, UsageError

Write = Callable[[ExportedFrames, Path], None]


@dataclass(frozen=True)
class ExportFormat:
    """A kind of output.

    Attributes:
        ending: What its file ends with; empty for a folder.
        write: Writes frames into a new folder: files of an ending are called ``labels`` there.
    """

    ending: str
    write: Write


FORMATS: dict[str, ExportFormat] = {
    "coco": ExportFormat(".json", coco.write),
    "nwb": ExportFormat(".nwb", nwb.write),
    "dlc": ExportFormat("", tables.write_deeplabcut),
    "lightning_pose": ExportFormat("", tables.write_lightning_pose),
    "yolo": ExportFormat("", yolo.write),
    "jabs": ExportFormat("", jabs.write),
}
"""Name -> format, besides ``slp`` and those of `_BY_VIDEO`."""

_BY_VIDEO = {"analysis_h5": ".h5", "csv": ".csv"}
"""Formats of `label_formats` for predictions -> ending."""

NAMES = ("slp", *FORMATS, *_BY_VIDEO)
"""All formats."""

ENDINGS = {".slp": "slp", ".json": "coco", ".nwb": "nwb", **{ending: name for name, ending in _BY_VIDEO.items()}}
"""Ending of an output -> its format."""


def format_of(output: Path, name: str | None = None) -> str:
    """Return which format an output is to have.

    Args:
        output: The file or folder.
        name: What the user calls it, None: told from the ending.

    Raises:
        UsageError: There is no such format, or the ending is that of another.
    """
    name = None if name is None else name.lower()
    if name is not None and name not in NAMES:
        raise UsageError(f"There is no format {name!r}; choose among {', '.join(NAMES)}.")
    told = ENDINGS.get(output.suffix.lower())
    if name is None and told is None:
        folders = ", ".join(key for key, entry in FORMATS.items() if not entry.ending)
        raise UsageError(
            f"The ending of {output} tells no format; end it with {', '.join(ENDINGS)}, or give --format ({folders})."
        )
    chosen = told if name is None else name
    wanted = next((ending for ending, key in ENDINGS.items() if key == chosen), "")
    if told is not None and told != chosen:
        raise UsageError(
            f"{output} ends with {output.suffix}, but {chosen} is {wanted or 'a folder'}; rename the output."
        )
    if told is None and wanted:
        raise UsageError(f"{output} does not end with {wanted}, as {chosen} does; rename the output.")
    return str(chosen)


def export_labels(labels: Labels, output: Path, name: str) -> list[Path]:
    """Write labels in a format.

    Args:
        labels: The labels; those of a user, or the predictions where there is none of a user.
        output: The file or folder, which must not be there.
        name: One of `NAMES`.

    Returns:
        What was written.

    Raises:
        OutputError: Something is there already, or cannot be written.
        DataError: The format cannot hold these labels.
        MissingFileError: A video is not there whose images are to be written.
    """
    if name in _BY_VIDEO:
        return _write_by_video(labels, output, name)
    place = output.with_name(f".{output.name}.partial")
    images = output.with_name(f"{output.stem}_images")
    _refuse_existing([output, images] if name == "coco" else [output])
    shutil.rmtree(place, ignore_errors=True)
    try:
        place.mkdir(parents=True)
        if name == "slp":
            write_labels(labels, place / output.name, embed=output.name.lower().endswith(".pkg.slp"))
        else:
            FORMATS[name].write(ExportedFrames.of(labels, images.name), place)
        return _put_in_place(place, output, name)
    except OSError as error:
        if isinstance(error, FileNotFoundError | OutputError):
            raise
        raise OutputError(f"The labels cannot be written to {output} ({error}); choose another path.") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _write_by_video(labels: Labels, output: Path, name: str) -> list[Path]:
    """Write one file a video; after an error there is none."""
    paths = list(format_paths(labels, output, name))
    _refuse_existing(paths)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The labels cannot be written to {output} ({error}); choose another path.") from error
    try:
        return write_format(labels, output, name)
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise


def _refuse_existing(paths: Iterable[Path]) -> None:
    """Refuse to replace anything.

    Raises:
        OutputError: The message names what is there.
    """
    for path in paths:
        if path.exists():
            raise OutputError(f"{path} already exists; choose another output, or remove it.")


def _put_in_place(place: Path, output: Path, name: str) -> list[Path]:
    """Move what was written to where it belongs."""
    if name != "slp" and not FORMATS[name].ending:
        place.replace(output)
        return [output]
    written = []
    for path in sorted(place.iterdir(), key=lambda path: path.is_file()):  # images first
        target = output if path.is_file() else output.with_name(path.name)
        path.replace(target)
        written.append(target)
    return written[::-1]
