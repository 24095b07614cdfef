"""DeepLabCut projects and Lightning Pose data sets: the table that they share, and images of labelled frames."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from sleap_nn.data.label_export.frames import ExportedFrame, ExportedFrames
from sleap_nn.errors import DataError

SCORER = "sleap-nn"
_IMAGES = "labeled-data"

Row = tuple[str, dict[str | None, Any]]
"""Name of an image, and the points (N, 2) of each animal; None is the name of an only one."""


def write_deeplabcut(frames: ExportedFrames, place: Path) -> None:
    """Write a project: ``config.yaml``, and a table in each folder of ``labeled-data``.

    DeepLabCut itself needs ``deeplabcut.convertcsv2h5`` once, which writes its own form beside the tables.
    """
    names = frames.animal_names()
    several = any(
        len(own) > 1 or any(animal.track is not None for animal in frame.instances)
        for own, frame in zip(names, frames.frames, strict=True)
    )
    animals = list(dict.fromkeys(name for own in names for name in own))
    rows: dict[str, list[Row]] = {}
    videos: dict[str, Any] = {}
    for (frame, (height, width)), own in zip(frames.write_images(place / _IMAGES), names, strict=True):
        folder = str(frame.name.parent)
        rows.setdefault(folder, []).append(_row(frame, own if several else [None] * len(own)))
        videos.setdefault(f"{folder}.mp4", {"crop": f"0, {width}, 0, {height}"})
    for folder, own in rows.items():
        path = place / _IMAGES / folder / f"CollectedData_{SCORER}.csv"
        _write_table(path, own, animals if several else [None], frames.node_names)
    about = _project(frames, animals if several else [])
    (place / "config.yaml").write_text(
        yaml.safe_dump(about | {"video_sets": videos}, sort_keys=False), encoding="utf-8"
    )


def write_lightning_pose(frames: ExportedFrames, place: Path) -> None:
    """Write ``CollectedData.csv`` and ``labeled-data``.

    Raises:
        DataError: A frame has more than one animal.
    """
    for frame in frames.frames:
        if len(frame.instances) > 1:
            raise DataError(
                f"{frame.name} has {len(frame.instances)} animals, but Lightning Pose holds one a frame; choose "
                "another format."
            )
    rows = [_row(frame, [None] * len(frame.instances)) for frame, _ in frames.write_images(place / _IMAGES)]
    _write_table(place / "CollectedData.csv", rows, [None], frames.node_names)


def _row(frame: ExportedFrame, names: Sequence[str | None]) -> Row:
    """Return the row of a frame."""
    name = str(PurePosixPath(_IMAGES) / frame.name)
    return name, {own: animal.numpy() for own, animal in zip(names, frame.instances, strict=True)}


def _write_table(path: Path, rows: Iterable[Row], animals: Sequence[str | None], nodes: Sequence[str]) -> None:
    """Write a table; points that are not visible are empty cells."""
    columns = [(animal, node, value) for animal in animals for node in nodes for value in ("x", "y")]
    header = [["scorer", *(SCORER for _ in columns)]]
    if animals != [None]:
        header.append(["individuals", *(str(animal) for animal, _, _ in columns)])
    header += [["bodyparts", *(node for _, node, _ in columns)], ["coords", *(value for _, _, value in columns)]]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows(header)
        for name, found in rows:
            cells: list[str] = []
            for animal in animals:
                points = found.get(animal)
                values = [float("nan")] * (2 * len(nodes)) if points is None else points.ravel().tolist()
                cells += ["" if value != value else repr(float(value)) for value in values]
            writer.writerow([name, *cells])


def _project(frames: ExportedFrames, animals: Sequence[str]) -> dict[str, Any]:
    """Return the configuration of a project, but for its videos; without names it has one animal a frame."""
    nodes = frames.node_names
    parts = (
        {"individuals": list(animals), "uniquebodyparts": [], "multianimalbodyparts": nodes, "bodyparts": "MULTI!"}
        if animals
        else {"bodyparts": nodes}
    )
    edges = [[nodes[a], nodes[b]] for a, b in frames.edges]
    return {"Task": "labels", "scorer": SCORER, "multianimalproject": bool(animals), **parts, "skeleton": edges}
