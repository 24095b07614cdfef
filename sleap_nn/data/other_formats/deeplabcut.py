"""Labels of DeepLabCut: a project (folder or ``config.yaml``) or one of its ``CollectedData`` tables.

The ``.h5`` beside a table holds the same labels as pickled objects, which are not read because that can run code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sleap_io.model.labels import Labels

from sleap_nn.data.other_formats.images import LabeledImage, labels_of_images, yaml_mapping
from sleap_nn.data.other_formats.tables import Table, read_table
from sleap_nn.errors import DataError, MissingFileError
from sleap_nn.log import logger

CONFIG = "config.yaml"
_KEYS = ("video_sets", "bodyparts", "multianimalbodyparts", "scorer", "Task", "skeleton", "individuals")
_LEVELS_ABOVE = 3
"""How many folders above a table its project is sought."""


def is_config(found: dict[str, Any]) -> bool:
    """Tell whether a mapping is the configuration of a project."""
    return sum(key in found for key in _KEYS) >= 2


def is_project(folder: Path) -> bool:
    """Tell whether a folder is a project."""
    found = yaml_mapping(folder / CONFIG)
    return found is not None and is_config(found)


def read(path: Path, need_images: bool = True) -> Labels:
    """Read a project or a table; see `sleap_nn.data.other_formats.read_labels`."""
    if path.is_dir() or path.name == CONFIG or path.suffix.lower() in (".yaml", ".yml"):
        config = path / CONFIG if path.is_dir() else path
        found = yaml_mapping(config)
        if found is None:
            raise DataError(f"{config} cannot be read as YAML; give the config.yaml of a DeepLabCut project.")
        tables = [read_table(table) for table in _tables(config.parent, found)]
    else:
        tables = [read_table(_plain_table(path))]
        found = _config_above(path)
    nodes = tuple(dict.fromkeys(name for table in tables for name in table.nodes))
    return labels_of_images(_images(tables, nodes), nodes, _edges(found, nodes), path, need_images)


def _images(tables: Sequence[Table], nodes: Sequence[str]) -> list[LabeledImage]:
    """Return the images of all tables."""
    images = []
    for table in tables:
        places = table.places()
        images += [LabeledImage(places[name], table.animals(row, nodes)) for name, row in table.rows]
    return images


def _tables(project: Path, found: dict[str, Any]) -> list[Path]:
    """Return the table of every folder of a project that has one.

    Raises:
        DataError: There is none, or it is not clear which one counts.
    """
    folders = sorted(path for path in (project / "labeled-data").glob("*") if path.is_dir())
    tables = [_table(folder, str(found.get("scorer"))) for folder in folders]
    chosen = [table for table in tables if table is not None]
    if not chosen:
        raise DataError(
            f"{project / 'labeled-data'} holds no folder with a CollectedData_<scorer>.csv; label frames in DeepLabCut "
            "first."
        )
    return chosen


def _table(folder: Path, scorer: str) -> Path | None:
    """Return the table of a folder: the one of the project's scorer, or the only one.

    Raises:
        DataError: There are several of others.
    """
    own = folder / f"CollectedData_{scorer}.csv"
    if own.is_file():
        return own
    others = sorted(folder.glob("CollectedData_*.csv"))
    if len(others) > 1:
        names = ", ".join(path.name for path in others)
        raise DataError(
            f"{folder} holds labels of several scorers ({names}); set scorer in config.yaml to one of them."
        )
    if not others and list(folder.glob("CollectedData_*.h5")):
        raise DataError(_only_pickled(next(folder.glob("CollectedData_*.h5"))))
    return others[0] if others else None


def _plain_table(path: Path) -> Path:
    """Return the table that a path names, or the one beside a ``.h5``.

    Raises:
        MissingFileError: There is no such file.
        DataError: There is only the ``.h5``.
    """
    if not path.is_file():
        raise MissingFileError(f"The labels file {path} does not exist; check the path.")
    if path.suffix.lower() != ".h5":
        return path
    table = path.with_suffix(".csv")
    if not table.is_file():
        raise DataError(_only_pickled(path))
    logger.info("%s is read in place of %s, which can run code when it is read.", table.name, path.name)
    return table


def _only_pickled(path: Path) -> str:
    """Return what is said of a table that is only there as pickled objects."""
    return (
        f"{path} holds pickled objects, which are not read because that can run code; put {path.stem}.csv beside it, "
        "which DeepLabCut writes together with it."
    )


def _config_above(table: Path) -> dict[str, Any]:
    """Return the configuration of the project that a table lies in, an empty one if there is none."""
    folder = table.resolve().parent
    for place in [folder, *folder.parents][: _LEVELS_ABOVE + 1]:
        found = yaml_mapping(place / CONFIG)
        if found is not None and is_config(found):
            return found
    return {}


def _edges(found: dict[str, Any], nodes: Sequence[str]) -> list[tuple[int, int]]:
    """Return the edges of a configuration; those of keypoints that are not labelled are left out with a warning."""
    listed = found.get("skeleton")
    pairs = [pair for pair in listed if isinstance(pair, list)] if isinstance(listed, list) else []
    names = [tuple(str(name) for name in pair) for pair in pairs]
    kept = [pair for pair in names if len(pair) == 2 and set(pair) <= set(nodes) and pair[0] != pair[1]]
    if len(kept) < len(names):
        logger.warning("%d edge(s) of config.yaml join keypoints that are not labelled.", len(names) - len(kept))
    return [(nodes.index(a), nodes.index(b)) for a, b in kept]
