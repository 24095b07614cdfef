"""HDF5 files from anywhere: what they claim to hold is compared with what they are, before anything is read.

A file of a few kilobytes can claim tables of any length, and compressed zeros unpack to a thousand times their size.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from PIL import Image, UnidentifiedImageError

from sleap_nn.errors import DataError, reason

ALWAYS_ALLOWED = 256 * 2**20
"""Bytes that tables may unpack to, however small the file is."""

MOST_UNPACKED = 32
"""How many times the size of the file its tables may unpack to beyond that; SLEAP and sleap-nn do not compress them."""

MOST_PIXELS = 2**28
"""Pixels of an embedded image."""

_IMAGES = "video"
"""Name of the data set, in a group, that holds embedded images, which are read one by one."""

_PNG = b"\x89PNG\r\n\x1a\n"


def check_hdf5(path: Path) -> None:
    """Refuse a file that would unpack to far more than it holds.

    Raises:
        DataError: It would, it refers to other files, or it is no HDF5 file.
    """
    try:
        with h5py.File(path, "r") as file:
            problem = _problem(file, path.stat().st_size)
    except (OSError, LookupError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise DataError(
            f"{path} cannot be read as a SLEAP labels file ({reason(error)}); give a .slp or .pkg.slp."
        ) from error
    if problem is not None:
        raise DataError(f"{path} is not read because {problem}; a labels file of SLEAP does not, save it anew.")


def _problem(file: h5py.File, size: int) -> str | None:
    """Return what speaks against reading a file of so many bytes, None if nothing does."""
    allowed = ALWAYS_ALLOWED + MOST_UNPACKED * size
    total = 0
    for name, found in _objects(file, "", set()):
        if isinstance(found, str):
            return f"{name} {found}"
        if not isinstance(found, h5py.Dataset):
            continue
        if found.is_virtual or found.external:
            return f"{name} is stored in other files"
        if _holds_images(name):
            problem = _image_problem(found, size)
            if problem is not None:
                return f"{name} {problem}"
        else:
            total += math.prod(found.shape or (0,)) * found.dtype.itemsize
        if total > allowed:
            return f"its tables, up to {name}, claim {total} bytes, while the file has {size}"
    return None


def _objects(
    group: h5py.Group, name: str, seen: set[h5py.Group]
) -> Iterator[tuple[str, h5py.Group | h5py.Dataset | str]]:
    """Yield every group once, and its data sets under each name; a text in place of one says what is wrong."""
    yield name, group
    seen.add(group)
    for key in group:
        own = f"{name}/{key}" if name else str(key)
        if isinstance(group.get(key, getlink=True), h5py.ExternalLink):
            yield own, "is in another file"
            continue
        found = group.get(key)
        if isinstance(found, h5py.Group):
            if found not in seen:  # a group is equal to itself under any name
                yield from _objects(found, own, seen)
        elif isinstance(found, h5py.Dataset):
            yield own, found


def _holds_images(name: str) -> bool:
    """Tell whether a data set holds embedded images."""
    group, _, last = name.rpartition("/")
    return bool(group) and last == _IMAGES


def _image_problem(images: h5py.Dataset, size: int) -> str | None:
    """Return what speaks against reading images one by one from a file of so many bytes, None if nothing does."""
    if images.shape and images.shape[0] > size:
        return f"claims {images.shape[0]} images"
    row = math.prod((images.shape or (0,))[1:]) * images.dtype.itemsize
    chunk = math.prod(images.chunks or (0,)) * images.dtype.itemsize
    if max(row, chunk) > ALWAYS_ALLOWED + MOST_PIXELS:
        return f"claims images of {max(row, chunk)} bytes"
    if not images.shape or not images.shape[0] or "format" not in images.attrs or images.attrs["format"] == "hdf5":
        return None
    if images.ndim == 2 and images.chunks is None:  # the beginning of each can be read without the rest
        sizes = [_png_size(bytes(start)) for start in images[:, :24].astype(np.uint8)]
        largest = max(sizes, key=math.prod)
        if math.prod(largest) > MOST_PIXELS:
            return f"holds an image of {largest[0]} x {largest[1]} px"
    return _first_problem(images)


def _first_problem(images: h5py.Dataset) -> str | None:
    """Return what speaks against decoding the first image, which tells the size of all."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels: those that are too many are an error
            with Image.open(io.BytesIO(np.asarray(images[0]).tobytes())):
                return None
    except Image.DecompressionBombError as error:
        return f"holds an image that is too large ({error})"
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError):
        return None  # said when it is read


def _png_size(start: bytes) -> tuple[int, int]:
    """Return (width, height) of a PNG from its first 24 bytes, zeros if they are none."""
    return struct.unpack(">II", start[16:24]) if start[:8] == _PNG and len(start) >= 24 else (0, 0)
