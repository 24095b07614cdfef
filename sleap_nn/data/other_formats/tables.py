"""The table that DeepLabCut and Lightning Pose share: a row an image, x and y of every keypoint of every animal."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sleap_nn.data.other_formats.images import ENDINGS, Animal, posix_parts
from sleap_nn.errors import DataError

_LEVELS = (["scorer", "bodyparts", "coords"], ["scorer", "individuals", "bodyparts", "coords"])
_MISSING = ("", "nan", "none", "na")


@dataclass(frozen=True, eq=False)
class Table:
    """What a table says.

    Attributes:
        path: The file.
        nodes: Names of the keypoints in order of appearance.
        rows: Name of an image as the table writes it -> points (N, 2) of each animal, NaN where there are none; the
            animal is None where animals have no names.
    """

    path: Path
    nodes: tuple[str, ...]
    rows: tuple[tuple[Path, dict[str | None, np.ndarray]], ...]

    def animals(self, row: dict[str | None, np.ndarray], nodes: Sequence[str]) -> tuple[Animal, ...]:
        """Return the animals of a row with the keypoints of `nodes`, in that order; those it lacks are NaN."""
        columns = [nodes.index(name) for name in self.nodes]
        found = []
        for name, points in row.items():
            own = np.full((len(nodes), 2), np.nan)
            own[columns] = points
            found.append(Animal(own, name))
        return tuple(found)

    def places(self) -> dict[Path, Path]:
        """Return where the image of each row is: all of them are sought in one and the same folder.

        That is the folder from which the first one of them is found; of images that are nowhere the place in the
        project is returned.
        """
        names = [name for name, _ in self.rows]
        folder = self.path.parent
        bases = [folder, folder.parent, folder.parent.parent]
        for base in bases:
            if any((base / name).is_file() for name in names):
                return {name: base / name for name in names}
        parents = {name.parent for name in names}
        if len(parents) == 1 and any((folder / name.name).is_file() for name in names):
            return {name: folder / name.name for name in names}
        own = bases[2] if folder.parent.name == "labeled-data" else folder
        return {name: own / name for name in names}


def read_table(path: Path) -> Table:
    """Read a table of labels.

    Raises:
        DataError: It is no such table; the message names the line.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [line for line in csv.reader(file) if any(cell.strip() for cell in line)]
    levels = next((names for names in _LEVELS if [line[0].strip() for line in lines[: len(names)]] == names), None)
    if levels is None:
        raise DataError(
            f"{path} is no table of labels of DeepLabCut or Lightning Pose, whose first column begins with scorer, "
            "bodyparts, coords; give a CollectedData .csv."
        )
    header, body = lines[: len(levels)], lines[len(levels) :]
    start = next((i for i, cell in enumerate(header[0]) if i > 0 and cell.strip()), len(header[0]))
    columns = _columns(path, header, start)
    nodes = tuple(dict.fromkeys(node for _, node, _ in columns))
    rows = tuple(_row(path, line, start, columns, nodes) for line in body)
    return Table(path, nodes, rows)


def _columns(path: Path, header: list[list[str]], start: int) -> list[tuple[str | None, str, str]]:
    """Return animal, keypoint and coordinate of each column.

    Raises:
        DataError: The columns are not x and y of every keypoint, once.
    """
    if len({len(line) for line in header}) != 1 or start == len(header[0]):
        raise DataError(f"The first lines of {path} have different numbers of columns; export the table again.")
    texts = [[cell.strip() for cell in line[start:]] for line in header]
    names = texts[1] if len(header) == 4 else [None] * len(texts[0])
    columns = list(zip(names, texts[-2], texts[-1], strict=True))
    if "likelihood" in texts[-1]:
        raise DataError(f"{path} holds predictions (columns named likelihood), not labels; give a CollectedData .csv.")
    wanted = [(name, node, value) for name, node in dict.fromkeys(c[:2] for c in columns) for value in ("x", "y")]
    if sorted(map(str, columns)) != sorted(map(str, wanted)):
        raise DataError(
            f"The columns of {path} are not x and y of every keypoint, each once; keep the labels of one scorer."
        )
    return columns


def _row(
    path: Path, line: list[str], start: int, columns: list[tuple[str | None, str, str]], nodes: Sequence[str]
) -> tuple[Path, dict[str | None, np.ndarray]]:
    """Return the image of a row and its points.

    Raises:
        DataError: It names no image, or a cell is no number.
    """
    name = posix_parts("/".join(cell.strip() for cell in line[:start]))
    if name.suffix.lower() not in ENDINGS:
        raise DataError(
            f"{path} has a row for {str(name)!r}, which is no image ({', '.join(ENDINGS)}); labels of images are read, "
            "not tables with a row for each frame of a video."
        )
    if len(line) != start + len(columns):
        raise DataError(f"The row of {name} in {path} has {len(line)} cells, not {start + len(columns)}; repair it.")
    animals: dict[str | None, np.ndarray] = {}
    for (animal, node, value), number in zip(columns, _numbers(path, name, line[start:]), strict=True):
        points = animals.setdefault(animal, np.full((len(nodes), 2), np.nan))
        points[nodes.index(node), ("x", "y").index(value)] = number
    whole = {
        animal: np.where(np.isnan(points).any(axis=1, keepdims=True), np.nan, points)
        for animal, points in animals.items()
    }
    return name, whole


def _numbers(path: Path, name: Path, cells: Sequence[str]) -> Iterator[float]:
    """Yield the values of a row, NaN for those that are missing.

    Raises:
        DataError: One is no number.
    """
    for cell in cells:
        text = cell.strip()
        try:
            number = math.nan if text.lower() in _MISSING else float(text)
        except ValueError:
            number = math.inf
        if math.isinf(number):
            raise DataError(f"The row of {name} in {path} holds {text!r}, which is no position in px; repair it.")
        yield number
