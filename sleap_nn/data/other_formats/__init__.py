"""Labels of other programs: DeepLabCut, Lightning Pose, COCO keypoints, YOLO pose.

Which kind a path is, is decided here and nowhere else. A reader returns labels in which every point lies on the image
that it was drawn on, or refuses the file with a sentence: the readers of sleap-io shift labels to other images where
one is missing, and pass over lines that they do not understand.

To add a program: a module with ``read(path, need_images)`` that returns `images.labels_of_images(...)`, a row in
`READERS`, and how to recognise its files in `kind_of`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from sleap_io.model.labels import Labels

from sleap_nn.data.other_formats import coco, deeplabcut, lightning_pose, yolo
from sleap_nn.data.other_formats.images import yaml_mapping
from sleap_nn.errors import DataError, UserError, reason

SLP = "slp"
READERS: dict[str, Callable[[Path, bool], Labels]] = {
    "dlc": deeplabcut.read,
    "lightning_pose": lightning_pose.read,
    "coco": coco.read,
    "yolo": yolo.read,
}
"""Kind of labels, besides `SLP` -> its reader."""

ALLOWED = (
    "a .slp or .pkg.slp file, a DeepLabCut project (folder, config.yaml, CollectedData .csv), a Lightning Pose .csv, "
    "a COCO keypoints .json, or a YOLO pose data set (folder, data.yaml)"
)
"""What labels may be, for messages."""


def kind_of(path: str | Path) -> str | None:
    """Return which kind of labels a path names: ``slp``, or a key of `READERS`; None if it names no labels.

    Files are told by their ending and, where several programs share one, by their first lines; whether they can be
    read is not looked at.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if path.is_dir():
        return _kind_of_folder(path)
    if suffix == ".slp":
        return SLP
    if suffix == ".json":
        return "coco"
    if suffix == ".csv":
        return "dlc"
    if suffix in (".yaml", ".yml"):
        return _kind_of_yaml(path)
    return "dlc" if suffix == ".h5" and path.name.startswith("CollectedData") else None


def is_labels(path: str | Path) -> bool:
    """Tell whether a path names labels rather than a video or a folder of images."""
    return kind_of(path) is not None


def read_labels(path: Path, need_images: bool = True) -> Labels:
    """Read labels of another program.

    Args:
        path: What `kind_of` recognises, but for ``slp``.
        need_images: Refuse labels whose images are not there; else their places are taken as the file says.

    Raises:
        MissingFileError: An image is not there.
        DataError: The labels cannot be read, or it is not certain where a point belongs.
    """
    kind = kind_of(path)
    if kind not in READERS:
        raise DataError(f"{path} is not recognised as labels; give {ALLOWED}.")
    try:
        return READERS[kind](path, need_images)
    except UserError:
        raise
    except (OSError, ValueError, csv.Error, MemoryError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as labels ({reason(error)}); give {ALLOWED}.") from error


def _kind_of_folder(path: Path) -> str | None:
    """Return which program a folder of labels is of."""
    if (path / "config.yaml").is_file() and (path / "labeled-data").is_dir() and deeplabcut.is_project(path):
        return "dlc"
    if (path / "labeled-data").is_dir() and lightning_pose.tables(path):
        return "lightning_pose"
    return "yolo" if yolo.is_data_set(path) else None


def _kind_of_yaml(path: Path) -> str | None:
    """Return which program a YAML file is of."""
    found = yaml_mapping(path)
    if found is None:
        return None
    if deeplabcut.is_config(found):
        return "dlc"
    return "yolo" if yolo.is_config(found) else None
