"""Labelled images as labels of videos; the one place that decides on which image a point lies.

A video is the images of one folder that have one size. What the readers of all programs share is here.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from PIL import Image, UnidentifiedImageError
from sleap_io.model.instance import Instance, Track
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels
from sleap_io.model.skeleton import Edge, Node, Skeleton
from sleap_io.model.video import Video

from sleap_nn.config.safe_yaml import read_yaml
from sleap_nn.errors import DataError, MissingFileError, reason

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
"""Images that can be read."""

_ORIENTATION = 0x0112
_GREY = ("1", "L", "I", "I;16", "F")


class Animal(NamedTuple):
    """One labelled animal: points (N, 2) in px of its image, NaN where not visible; the name of its track."""

    points: np.ndarray
    track: str | None = None


@dataclass(frozen=True, eq=False)
class LabeledImage:
    """The labels of an image file.

    Attributes:
        path: The file.
        animals: What is labelled; those without a visible point are left out.
        size: (height, width) that the labels say it has, None if they do not.
        is_negative: Whether it is there to show that it holds no animal.
    """

    path: Path
    animals: tuple[Animal, ...] = ()
    size: tuple[int, int] | None = None
    is_negative: bool = False


class ImageSize(NamedTuple):
    """What the first bytes of an image file say."""

    height: int
    width: int
    channels: int


def labels_of_images(
    images: Sequence[LabeledImage],
    nodes: Sequence[str],
    edges: Sequence[tuple[int, int]],
    source: Path,
    need_images: bool = True,
) -> Labels:
    """Return labels whose frames are the images, in their order.

    Args:
        images: The images, each once.
        nodes: Names of the nodes.
        edges: Pairs of node indices.
        source: Where the labels were read, for messages and provenance.
        need_images: Refuse images that are not there.

    Raises:
        MissingFileError: An image is not there.
        DataError: An image is named twice, cannot be read, or is not what its labels say.
    """
    if not images:
        raise DataError(f"{source} names no image, so there are no labels; check the path.")
    _refuse_repeated(images, source)
    missing = [image.path for image in images if not image.path.is_file()]
    if missing and need_images:
        raise MissingFileError(
            f"{len(missing)} of the {len(images)} images of {source} are not there, the first is {missing[0]}; put "
            "them there, or take them out of the labels."
        )
    skeleton = _skeleton(nodes, edges, source)
    tracks: dict[str, Track] = {}
    groups: dict[tuple[Path, int, int], list[LabeledImage]] = {}
    sizes = [_size(image, source) for image in images]
    for image, size in zip(images, sizes, strict=True):
        groups.setdefault((image.path.parent, size.height, size.width), []).append(image)
    channels = max(size.channels for size in sizes)
    videos = {key: _video(key, group, channels, need_images) for key, group in groups.items()}
    frames = [
        LabeledFrame(
            video=videos[key],
            frame_idx=index,
            instances=_instances(image.animals, skeleton, tracks),
            is_negative=image.is_negative,
        )
        for key, group in groups.items()
        for index, image in enumerate(group)
    ]
    labels = Labels(frames, videos=list(videos.values()), skeletons=[skeleton], tracks=list(tracks.values()))
    labels.provenance["filename"] = source.as_posix()
    return labels


def image_size(path: Path) -> ImageSize:
    """Read the size of an image from its first bytes, without decoding it.

    Raises:
        DataError: It is no image, is one too large to be a frame, or says that it is to be shown turned.
    """
    if path.suffix.lower() not in ENDINGS:
        raise DataError(f"{path} is a kind of image that is not read; allowed are {', '.join(ENDINGS)}: convert it.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels: those that are too many are an error
            with Image.open(path) as image:
                # Of a PNG without this entry the whole image would be decoded to look for it.
                marked = image.format != "PNG" or "exif" in image.info
                turned = marked and image.getexif().get(_ORIENTATION, 1) not in (0, 1)
                size = ImageSize(image.height, image.width, 1 if image.mode in _GREY else 3)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError) as error:
        raise DataError(
            f"The image {path} cannot be read ({reason(error)}); replace it, or take out its labels."
        ) from error
    if turned:
        raise DataError(
            f"The image {path} carries a mark (EXIF) to be shown turned, so it is not certain where its labels lie; "
            "turn the pixels themselves, for example with `mogrify -auto-orient`."
        )
    return size


def yaml_mapping(path: Path) -> dict[str, Any] | None:
    """Return the mapping in a YAML file, None if it holds no such thing or would not fit into memory."""
    try:
        found = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else None


def posix_parts(name: str) -> Path:
    """Return a path that may have been written on Windows."""
    return Path(name.replace("\\", "/"))


def _refuse_repeated(images: Sequence[LabeledImage], source: Path) -> None:
    """Refuse labels that name an image twice.

    Raises:
        DataError: They do.
    """
    seen: set[Path] = set()
    for image in images:
        if image.path in seen:
            raise DataError(f"{source} names the image {image.path} twice; keep one entry of each image.")
        seen.add(image.path)


def _size(image: LabeledImage, source: Path) -> ImageSize:
    """Return the size of an image; where the file is not there, what the labels say, or zeros.

    Raises:
        DataError: The file has another size than the labels say.
    """
    if not image.path.is_file():
        return ImageSize(*(image.size or (0, 0)), 1)
    size = image_size(image.path)
    if image.size is not None and image.size != (size.height, size.width):
        raise DataError(
            f"{source} says that {image.path} is {image.size[1]} x {image.size[0]} px, but it is {size.width} x "
            f"{size.height} px, so its points would lie in the wrong places; give the images that were labelled."
        )
    return size


def _skeleton(nodes: Sequence[str], edges: Sequence[tuple[int, int]], source: Path) -> Skeleton:
    """Return the skeleton.

    Raises:
        DataError: A name occurs twice, or there is none.
    """
    twice = sorted({name for name in nodes if list(nodes).count(name) > 1})
    if twice or not nodes or not all(nodes):
        problem = f"the keypoint {twice[0]!r} twice" if twice else "no keypoints with names"
        raise DataError(f"{source} has {problem}; give each keypoint a name of its own.")
    own = [Node(name) for name in nodes]
    pairs = [Edge(own[a], own[b]) for a, b in dict.fromkeys(edges)]
    return Skeleton(nodes=own, edges=pairs, name="Skeleton-0")


def _video(key: tuple[Path, int, int], group: Sequence[LabeledImage], channels: int, need_images: bool) -> Video:
    """Return the images of one folder and size as a video, with what sleap-io needs to write it while it is closed."""
    _, height, width = key
    names = [image.path.as_posix() for image in group]
    known: dict[str, Any] = {"type": "ImageVideo", "filename": names[0], "filenames": names}
    if height > 0 and not need_images:  # an open video says it itself
        known["shape"] = (len(names), height, width, channels)
    return Video(filename=names, backend_metadata=known, open_backend=need_images)


def _instances(animals: Sequence[Animal], skeleton: Skeleton, tracks: dict[str, Track]) -> list[Instance]:
    """Return the animals that have a visible point; new tracks are added to `tracks`."""
    return [
        Instance.from_numpy(
            animal.points,
            skeleton=skeleton,
            track=None if animal.track is None else tracks.setdefault(animal.track, Track(animal.track)),
        )
        for animal in animals
        if np.isfinite(animal.points).all(axis=-1).any()
    ]
