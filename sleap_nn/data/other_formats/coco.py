"""Labels in the form of COCO keypoints; of everything else in such a file (boxes, outlines) nothing is read.

A keypoint counts as visible where its mark is 1 or 2: many programs know no third state, and COCO trains on both.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from sleap_io.model.labels import Labels

from sleap_nn.data.other_formats.images import Animal, LabeledImage, labels_of_images, posix_parts
from sleap_nn.errors import DataError, MissingFileError
from sleap_nn.log import logger

_LISTS = ("images", "annotations", "categories")
_FOLDERS = (".", "images", "imgs", "data/images")
"""Where images lie, seen from the file or the folder above ``annotations``."""
_TRACK_KEYS = ("track_id", "instance_id")


def read(path: Path, need_images: bool = True) -> Labels:
    """Read a file; see `sleap_nn.data.other_formats.read_labels`."""
    if not path.is_file():
        raise MissingFileError(f"The labels file {path} does not exist; check the path.")
    data = _parsed(path)
    category = _category(path, data)
    nodes = tuple(str(name) for name in category["keypoints"])
    animals = _animals(path, data, len(nodes))
    entries = {_id(path, entry, "id"): entry for entry in data["images"]}
    if len(entries) < len(data["images"]):
        _refuse(path, "two images have the same id")
    strangers = sorted(map(str, animals.keys() - entries.keys()))
    if strangers:
        _refuse(path, f"an annotation names image {strangers[0]}, which is not listed")
    names = {key: posix_parts(_text(path, entry, "file_name")) for key, entry in entries.items()}
    places = _places(path, list(names.values()))
    images = [
        LabeledImage(places[names[key]], tuple(animals.get(key, ())), _size(path, entry))
        for key, entry in entries.items()
    ]
    return labels_of_images(images, nodes, _edges(path, category, len(nodes)), path, need_images)


def _parsed(path: Path) -> dict[str, Any]:
    """Return the content.

    Raises:
        DataError: It is no JSON, or lacks one of the three lists.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}); give a COCO keypoints file.") from error
    if not isinstance(data, dict):
        _refuse(path, "it is a list, as results are, not labels")
    for name in _LISTS:
        entries = data.get(name)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            _refuse(path, f"the list {name!r} is missing")
    return data


def _category(path: Path, data: dict[str, Any]) -> dict[str, Any]:
    """Return the category whose keypoints are labelled; of several the keypoints have to be the same.

    Raises:
        DataError: There is none, or there are several skeletons.
    """
    used = {_id(path, entry, "category_id") for entry in data["annotations"] if entry.get("keypoints")}
    known = {_id(path, entry, "id"): entry for entry in data["categories"] if _names(entry)}
    chosen = [entry for key, entry in known.items() if key in used] or list(known.values())
    if not chosen or not used <= known.keys():
        _refuse(path, "no category names the keypoints that are labelled")
    if any(entry["keypoints"] != chosen[0]["keypoints"] for entry in chosen):
        listed = ", ".join(f"{entry.get('name', entry['id'])} with {len(entry['keypoints'])}" for entry in chosen)
        _refuse(path, f"its categories have different keypoints ({listed}), and labels have one skeleton: keep one")
    if len(chosen) > 1:
        logger.warning("The %d categories of %s are not told apart.", len(chosen), path)
    return chosen[0]


def _names(category: dict[str, Any]) -> bool:
    """Tell whether a category names keypoints."""
    names = category.get("keypoints")
    return isinstance(names, list) and len(names) > 0 and all(isinstance(name, str | int) for name in names)


def _animals(path: Path, data: dict[str, Any], num_nodes: int) -> dict[int | str, list[Animal]]:
    """Return the animals of each image that has any, by the id of the image."""
    tracks = data.get("tracks")
    listed = [entry for entry in tracks if isinstance(entry, dict)] if isinstance(tracks, list) else []
    names = {str(entry.get("id")): str(entry["name"]) for entry in listed if entry.get("name") is not None}
    animals: dict[int | str, list[Animal]] = {}
    skipped = 0
    for entry in data["annotations"]:
        if entry.get("keypoints"):
            points = _points(path, entry, num_nodes)
            animals.setdefault(_id(path, entry, "image_id"), []).append(Animal(points, _track(entry, names)))
        else:
            skipped += 1
    if skipped:
        logger.warning("%d annotation(s) of %s have no keypoints and are left out.", skipped, path)
    return animals


def _points(path: Path, entry: dict[str, Any], num_nodes: int) -> np.ndarray:
    """Return the points (N, 2) of an annotation, NaN where a keypoint is not labelled.

    Raises:
        DataError: They are not x, y and a mark for every keypoint.
    """
    values = entry["keypoints"]
    number = entry.get("id", "without id")
    if not isinstance(values, list) or len(values) != 3 * num_nodes:
        _refuse(path, f"annotation {number} does not have x, y and visibility of {num_nodes} keypoints")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        _refuse(path, f"annotation {number} has a keypoint that is no number")
    try:
        table = np.array(values, np.float64).reshape(num_nodes, 3)
    except OverflowError:
        _refuse(path, f"annotation {number} has a keypoint that is no number")
    if not np.isin(table[:, 2], (0, 1, 2)).all():
        _refuse(path, f"annotation {number} has a visibility that is not 0, 1 or 2")
    points = np.where(table[:, 2:] > 0, table[:, :2], np.nan)
    if not np.isfinite(points[table[:, 2] > 0]).all():
        _refuse(path, f"annotation {number} has a visible keypoint without a position")
    return points


def _track(entry: dict[str, Any], names: dict[str, str]) -> str | None:
    """Return the name of an animal's track, None if it has none."""
    attributes = entry.get("attributes")
    found = attributes.get("object_id") if isinstance(attributes, dict) else None
    number = next((n for n in (found, *(entry.get(key) for key in _TRACK_KEYS)) if n is not None), None)
    return None if number is None else names.get(str(number), f"track_{number}")


def _edges(path: Path, category: dict[str, Any], num_nodes: int) -> list[tuple[int, int]]:
    """Return the edges; they are counted from 1, or from 0 where a 0 shows it.

    Raises:
        DataError: An edge names no keypoint.
    """
    pairs = category.get("skeleton") or []
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        _refuse(path, "the skeleton is not a list of pairs")
    numbers = [number for pair in pairs for number in pair]
    first = 0 if 0 in numbers else 1
    if not all(type(number) is int and first <= number < num_nodes + first for number in numbers):
        _refuse(path, f"the skeleton names a keypoint that is not among the {num_nodes}")
    if first == 0:
        logger.warning("The skeleton of %s counts keypoints from 0, not from 1 as COCO does.", path)
    return [(a - first, b - first) for a, b in pairs if a != b]


def _size(path: Path, entry: dict[str, Any]) -> tuple[int, int] | None:
    """Return (height, width) of an image, None if it is not said."""
    size = entry.get("height"), entry.get("width")
    if any(value is None or value == 0 for value in size):
        return None
    if not all(type(value) is int and 0 < value < 2**31 for value in size):
        _refuse(path, f"the image {entry.get('file_name')} has a size that is no number of px")
    return int(size[0]), int(size[1])  # type: ignore[arg-type]  # ruled out above


def _places(path: Path, names: Sequence[Path]) -> dict[Path, Path]:
    """Return where each image is; one that is nowhere stays beside the file.

    Raises:
        DataError: An image could be one of several files.
    """
    roots = [path.parent, path.parent.parent] if path.parent.name == "annotations" else [path.parent]
    split = path.stem.rpartition("_")[2]
    bases = [root / folder for root in roots for folder in (*_FOLDERS, split)]
    best = max(bases, key=lambda base: sum((base / name).is_file() for name in names))
    places = {name: best / name for name in names}
    lost = [name for name, place in places.items() if not place.is_file()]
    if lost:
        places |= _sought(path, lost, roots[-1])
    return places


def _sought(path: Path, names: Iterable[Path], root: Path) -> dict[Path, Path]:
    """Look for images by name in all folders below one."""
    found: dict[str, list[Path]] = {}
    for folder, _, files in os.walk(root):
        for file in files:
            found.setdefault(file, []).append(Path(folder) / file)
    places: dict[Path, Path] = {}
    for name in names:
        same = [place for place in found.get(name.name, []) if place.parts[-len(name.parts) :] == name.parts]
        if len(same) > 1:
            _refuse(path, f"the image {name} could be {same[0]} or {same[1]}; write its folder into file_name")
        places[name] = same[0] if same else path.parent / name
    twice = [place for place, count in Counter(places.values()).items() if count > 1]
    if twice:
        _refuse(path, f"two images are the file {twice[0]}")
    return places


def _id(path: Path, entry: dict[str, Any], key: str) -> int | str:
    """Return an id.

    Raises:
        DataError: It is missing, or neither a number nor a text.
    """
    found = entry.get(key)
    if not isinstance(found, int | str) or isinstance(found, bool):
        _refuse(path, f"an entry has no {key}")
    return found


def _text(path: Path, entry: dict[str, Any], key: str) -> str:
    """Return a text.

    Raises:
        DataError: It is missing or empty.
    """
    found = entry.get(key)
    if not isinstance(found, str) or not found:
        _refuse(path, f"an entry has no {key}")
    return found


def _refuse(path: Path, problem: str) -> NoReturn:
    """Say why a file cannot be used.

    Raises:
        DataError: Always.
    """
    raise DataError(f"{path} cannot be read as COCO keypoints: {problem}.")
