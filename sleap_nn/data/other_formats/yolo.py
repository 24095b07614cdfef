"""Labels in the form of YOLO pose: ``data.yaml``, folders of images, and a text file for each image.

A whole data set is read, all its splits; ``labels/val`` (or ``val/labels``) in place of it means one split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sleap_io.model.labels import Labels

from sleap_nn.data.other_formats.images import (
    ENDINGS,
    Animal,
    LabeledImage,
    image_size,
    labels_of_images,
    posix_parts,
    yaml_mapping,
)
from sleap_nn.errors import DataError, MissingFileError
from sleap_nn.log import logger

CONFIG = "data.yaml"
SPLITS = ("train", "val", "test")
_NO_LABELS = ("classes.txt",)
_LEVELS_ABOVE = 3
_MOST_KEYPOINTS = 10_000
_FAR_OUTSIDE = 2.0
"""Positions are parts of the image's size; larger ones are not."""


@dataclass(frozen=True)
class Layout:
    """What ``data.yaml`` says.

    Attributes:
        path: The file.
        nodes: Names of the keypoints.
        edges: Pairs of indices.
        dimensions: Values of a keypoint: 2, or 3 with its visibility.
        folders: Folders of images, or lists of them, by split.
    """

    path: Path
    nodes: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    dimensions: int
    folders: dict[str, tuple[Path, ...]]


def is_config(found: dict[str, Any]) -> bool:
    """Tell whether a mapping describes a data set with keypoints."""
    return "kpt_shape" in found


def is_data_set(folder: Path) -> bool:
    """Tell whether a folder is a data set, or the labels of one of its splits."""
    return _config_of(folder) is not None


def read(path: Path, need_images: bool = True) -> Labels:
    """Read a data set or a split; see `sleap_nn.data.other_formats.read_labels`."""
    config = _config_of(path) if path.is_dir() else path
    if config is None or not config.is_file():
        raise MissingFileError(f"The labels {path} do not exist; check the path.")
    layout = read_layout(config)
    part = path.resolve() if path.is_dir() and path.resolve() != config.parent.resolve() else None
    files = dict.fromkeys(file for split in SPLITS for file in _images_of(layout, split))
    chosen = [file for file in files if part is None or part in label_path(file).resolve().parents]
    if not chosen:
        raise DataError(f"{path} leads to no image; check the paths of train, val and test in {config}.")
    _refuse_orphans(chosen, path)
    if not any(label_path(file).is_file() for file in chosen):
        raise DataError(
            f"None of the {len(chosen)} images of {path} has labels, the first would be {label_path(chosen[0])}; put "
            "the folder labels beside images."
        )
    if part is None:
        splits = [split for split in SPLITS if layout.folders.get(split)]
        logger.info("%s: %d images of %s; a folder of labels means one split.", path, len(chosen), ", ".join(splits))
    images = [_labeled(layout, file) for file in chosen]
    return labels_of_images(images, layout.nodes, layout.edges, path, need_images)


def read_layout(config: Path) -> Layout:
    """Read ``data.yaml``.

    Raises:
        DataError: It describes no keypoints.
    """
    found = yaml_mapping(config)
    shape = None if found is None else found.get("kpt_shape")
    if found is None or not isinstance(shape, list) or len(shape) != 2 or not all(type(n) is int for n in shape):
        raise DataError(
            f"{config} has no kpt_shape such as [17, 3], so it describes no keypoints; give a pose data set."
        )
    count, dimensions = shape
    if not 0 < count <= _MOST_KEYPOINTS or dimensions not in (2, 3):
        raise DataError(f"{config} has kpt_shape {shape}; allowed are [number of keypoints, 2] and [..., 3].")
    names = _node_names(found, count)
    if len(names) != count:
        raise DataError(f"{config} names {len(names)} keypoints, but kpt_shape says {count}; let them agree.")
    pairs = found.get("skeleton") or []
    if not isinstance(pairs, list) or not all(_is_edge(pair, count) for pair in pairs):
        raise DataError(f"{config} has a skeleton that is no list of pairs of 0 to {count - 1}; repair or remove it.")
    classes = found.get("names")
    if isinstance(classes, dict | list) and len(classes) > 1:
        logger.warning("The %d classes of %s are not told apart.", len(classes), config)
    edges = tuple((a, b) for a, b in pairs if a != b)
    return Layout(config, names, edges, dimensions, {s: tuple(_folders(config, found, s)) for s in SPLITS})


def label_path(image: Path) -> Path:
    """Return where the labels of an image are: in ``labels`` in place of the last ``images``, else beside it."""
    parts = list(image.with_suffix(".txt").parts)
    folders = [i for i, part in enumerate(parts[:-1]) if part == "images"]
    if folders:
        parts[folders[-1]] = "labels"
    return Path(*parts)


def _config_of(folder: Path) -> Path | None:
    """Return the ``data.yaml`` of a data set, or of a folder of labels in it; None for other folders."""
    own = yaml_mapping(folder / CONFIG)
    if own is not None and is_config(own):
        return folder / CONFIG
    if "labels" not in folder.resolve().parts or next(folder.rglob("*.txt"), None) is None:
        return None
    for place in folder.resolve().parents[:_LEVELS_ABOVE]:
        found = yaml_mapping(place / CONFIG)
        if found is not None and is_config(found):
            return place / CONFIG
    return None


def _node_names(found: dict[str, Any], count: int) -> tuple[str, ...]:
    """Return the names of keypoints: ``node_names`` of sleap-io, ``kpt_names`` of Ultralytics, or numbers."""
    names = found.get("node_names")
    by_class = found.get("kpt_names")
    if not isinstance(names, list) and isinstance(by_class, dict) and by_class:
        names = next(iter(by_class.values()))
    return tuple(map(str, names)) if isinstance(names, list) else tuple(f"point_{i}" for i in range(count))


def _is_edge(pair: object, count: int) -> bool:
    """Tell whether a value is a pair of keypoints."""
    return isinstance(pair, list) and len(pair) == 2 and all(type(n) is int and 0 <= n < count for n in pair)


def _folders(config: Path, found: dict[str, Any], split: str) -> Iterator[Path]:
    """Yield the folders and lists of images of a split.

    Raises:
        MissingFileError: One of them is nowhere.
    """
    given = found.get(split)
    root = posix_parts(str(found["path"])) if found.get("path") else Path()
    for name in [given] if isinstance(given, str) else given if isinstance(given, list) else []:
        own = posix_parts(str(name))
        shorter = Path(*own.parts[1:]) if own.parts[:1] == ("..",) else own  # as some exporters mean it
        places = [base / part for part in (own, shorter) for base in (config.parent / root, config.parent)]
        place = next((place for place in places if place.exists()), None)
        if place is None:
            if split == "test":
                continue  # often named and not there
            raise MissingFileError(f"{places[0]} ({split} of {config}) does not exist; check its paths.")
        yield place


def _images_of(layout: Layout, split: str) -> Iterator[Path]:
    """Yield the images of a split, sorted within each folder.

    Raises:
        MissingFileError: An image of a list is not there.
    """
    for place in layout.folders.get(split, ()):
        if place.is_dir():
            yield from sorted(path for path in place.rglob("*") if path.suffix.lower() in ENDINGS)
            continue
        for line in place.read_text(encoding="utf-8-sig").splitlines():
            if line.strip():
                name = posix_parts(line.strip())
                found = [base / name for base in (place.parent, layout.path.parent) if (base / name).is_file()]
                if not found:
                    raise MissingFileError(f"The image {name} of {place} does not exist; put it there.")
                yield found[0]


def _refuse_orphans(images: Sequence[Path], source: Path) -> None:
    """Refuse labels whose image is not there.

    Raises:
        MissingFileError: The message names them.
    """
    known = {label_path(image) for image in images}
    folders = {label_path(image).parent: image.parent for image in images if label_path(image).parent != image.parent}
    orphans = sorted(
        path
        for folder, place in folders.items()
        for path in folder.glob("*.txt")
        if path not in known and path.name not in _NO_LABELS
        if not any((place / f"{path.stem}{ending}").is_file() for ending in ENDINGS)
    )
    if orphans:
        raise MissingFileError(
            f"{len(orphans)} file(s) of labels of {source} have no image, the first is {orphans[0]}; put the image "
            "there, or remove the labels."
        )


def _labeled(layout: Layout, image: Path) -> LabeledImage:
    """Read the labels of an image; an empty file says that it holds no animal."""
    path = label_path(image)
    if not path.is_file():
        return LabeledImage(image)
    size = image_size(image)
    lines = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    found = [_points(layout, path, number, line) for number, line in enumerate(lines, 1)]
    scale = np.array([size.width, size.height], np.float64)
    animals = tuple(Animal(points * scale) for points in found)
    return LabeledImage(image, animals, (size.height, size.width), is_negative=not lines)


def _points(layout: Layout, path: Path, number: int, line: Sequence[str]) -> np.ndarray:
    """Return the points (N, 2) of a line as parts of the image's size, NaN where not visible.

    Raises:
        DataError: The line is not what ``data.yaml`` says.
    """
    count, dimensions = len(layout.nodes), layout.dimensions
    if len(line) != 5 + count * dimensions:
        raise DataError(
            f"Line {number} of {path} has {len(line)} values, but a class, a box and {count} keypoints of {dimensions} "
            f"values are {5 + count * dimensions}; let kpt_shape of {layout.path.name} fit, or remove the line."
        )
    try:
        values = np.array([float(text) for text in line[5:]], np.float64).reshape(count, dimensions)
    except ValueError:
        raise DataError(f"Line {number} of {path} holds a value that is no number; repair it.") from None
    points = values[:, :2]
    if dimensions == 3 and not np.isin(values[:, 2], (0, 1, 2)).all():
        raise DataError(f"Line {number} of {path} has a visibility that is not 0, 1 or 2; are these predictions?")
    labelled = (points > 0).any(axis=1) & (points >= 0).all(axis=1)  # what stands for a missing point of two values
    seen = np.asarray(values[:, 2] > 0 if dimensions == 3 else labelled)
    if not np.isfinite(points[seen]).all() or (np.abs(points[seen]) > _FAR_OUTSIDE).any():
        raise DataError(
            f"Line {number} of {path} has a keypoint far outside the image; positions are parts of its width and "
            "height, from 0 to 1."
        )
    return np.where(seen[:, None], points, np.nan)
