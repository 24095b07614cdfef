"""Labels of Lightning Pose: a table of DeepLabCut's form with paths from the folder that it lies in; no edges."""

from __future__ import annotations

from pathlib import Path

from sleap_io.model.labels import Labels

from sleap_nn.data.other_formats import deeplabcut
from sleap_nn.errors import DataError


def tables(folder: Path) -> list[Path]:
    """Return the tables of labels in a folder."""
    return sorted(folder.glob("CollectedData*.csv"))


def read(path: Path, need_images: bool = True) -> Labels:
    """Read a table, or the only one of a folder; see `sleap_nn.data.other_formats.read_labels`.

    Raises:
        DataError: The folder holds several.
    """
    if not path.is_dir():
        return deeplabcut.read(path, need_images)
    found = tables(path)
    if len(found) > 1:
        raise DataError(f"{path} holds several tables ({', '.join(table.name for table in found)}); name one of them.")
    return deeplabcut.read(found[0], need_images)
