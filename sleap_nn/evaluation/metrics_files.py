"""Metrics on disk: ``metrics.<split>.<i>.npz`` and the same as ``.json``; written and read here only.

The archive holds plain numeric and text arrays named ``section/key``, so reading one runs no code. Archives
of other programs that hold pickled objects are never unpickled.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sleap_nn.errors import DataError, MissingFileError, OutputError, reason
from sleap_nn.whole_files import whole_file

Metrics = dict[str, dict[str, Any]]

LISTS = ("frame_idxs", "video_paths")
"""Keys whose value is a list, not an array."""

NOT_IN_JSON = ("pcks",)
"""Keys too large for a file to be read by people."""

MOST_BYTES = 2**30
"""Most bytes that an archive may unpack to; the largest real ones, of long recordings, have a hundredth."""

NAMES = (
    "metrics.{split}.{index}.npz",
    "{split}_{index}_pred_metrics.npz",
    "{split}_pred_metrics.npz",
    "metrics.{split}.npz",
)
"""Names of metrics in a run folder: the present one, then those of earlier programs."""

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

# What is raised about archives that are none, or are broken.
_BROKEN = (ValueError, zipfile.BadZipFile, zlib.error, EOFError, TypeError, KeyError, RuntimeError, MemoryError)


def metrics_path(folder: str | Path, split: str, index: int) -> Path:
    """Return where the metrics of one split lie in a run folder."""
    return Path(folder) / NAMES[0].format(split=split, index=index)


def files_of(path: str | Path) -> tuple[Path, Path]:
    """Return the archive and the JSON that `write_metrics` writes."""
    stem = str(path).removesuffix(".npz")
    return Path(f"{stem}.npz"), Path(f"{stem}.json")


def write_metrics(metrics: Mapping[str, Mapping[str, Any]], path: str | Path) -> tuple[Path, Path]:
    """Write metrics as an archive and as JSON; missing folders are created.

    Each file appears whole or not at all.

    Args:
        metrics: Sections of numbers, arrays, and lists of numbers or texts.
        path: Of the archive; ``.npz`` is added if missing. The JSON gets the same stem.

    Returns:
        Paths of the archive and of the JSON.

    Raises:
        OutputError: The files cannot be written.
    """
    archive, readable = files_of(path)
    buffer = io.BytesIO()
    # Positional-only by numpy's signature, so that no key can be mistaken for an option.
    np.savez(buffer, **_flat(metrics))
    text = json.dumps(_jsonable(metrics), indent=1, allow_nan=False)
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        for file, content in ((archive, buffer.getvalue()), (readable, text.encode())):
            with whole_file(file) as partial:
                partial.write_bytes(content)
    except OSError as error:
        raise OutputError(f"The metrics cannot be written to {archive} ({error.strerror}).") from error
    return archive, readable


def load_metrics(path: str | Path, split: str = "test", dataset_idx: int = 0) -> dict[str, Any]:
    """Read metrics of a trained model, or of an archive.

    Args:
        path: Run folder, or an ``.npz`` file (then the other two do not matter).
        split: "train", "val" or "test"; without metrics of "test" those of "val" are read.
        dataset_idx: Which of several label files of the split.

    Returns:
        Sections of metrics, for example ``metrics["voc_metrics"]["oks_voc.mAP"]``. An archive without
        sections is returned as a dict of its entries.

    Raises:
        MissingFileError: There are no such metrics.
        DataError: The file is no archive, or holds pickled objects and has no ``.json`` beside it.
    """
    path = Path(path)
    if path.suffix != ".npz":
        return _read_archive(_find(path, split, dataset_idx))
    if not path.is_file():
        raise MissingFileError(f"The metrics file {path} does not exist; check the path.")
    return _read_archive(path)


def _find(folder: Path, split: str, index: int) -> Path:
    splits = [split, "val"] if split == "test" else [split]
    for candidate in splits:
        for name in NAMES:
            path = folder / name.format(split=candidate, index=index)
            if path.is_file():
                return path
    raise MissingFileError(
        f"{folder} has no metrics of split {split!r}, index {index} "
        f"({NAMES[0].format(split=split, index=index)}); evaluate the model first, or check the folder."
    )


def _read_archive(path: Path) -> dict[str, Any]:
    try:
        # From memory: numpy leaves the file open when the archive is broken.
        content = io.BytesIO(path.read_bytes())
        _check_sizes(content)
        with np.load(content, allow_pickle=False) as archive:
            entries = {key: archive[key] for key in archive.files}
    except _BROKEN as error:
        readable = path.with_name(path.name.removesuffix(".npz") + ".json")
        if readable.is_file():
            return _read_json(readable)
        raise DataError(
            f"{path} is no archive of plain arrays (those of other programs may hold pickled objects, which "
            "are not read because that can run code); evaluate again with `sleap-nn eval -s`, or put the "
            f"program's .json of the same name beside it ({reason(error)})."
        ) from error
    metrics: dict[str, Any] = {}
    for name, value in entries.items():
        section, slash, key = name.partition("/")
        target = metrics.setdefault(section, {}) if slash else metrics
        target[key if slash else name] = _restored(key, value)
    return metrics


def _check_sizes(content: io.BytesIO) -> None:
    """Refuse an archive whose arrays claim more than they hold, or unpack to more than metrics can have.

    Raises:
        ValueError: It does.
    """
    with zipfile.ZipFile(content) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise ValueError(f"its arrays unpack to more than {MOST_BYTES} bytes")
        for entry in entries:
            with archive.open(entry) as array:
                version = np.lib.format.read_magic(array)
                header = _HEADERS.get(version)
                if header is None:
                    raise ValueError(f"{entry.filename} has an unknown version")
                shape, _, dtype = header(array)
            if math.prod(shape) * dtype.itemsize > entry.file_size:
                raise ValueError(f"{entry.filename} claims the shape {shape}, which it does not hold")
    content.seek(0)


def _restored(key: str, value: np.ndarray) -> Any:
    if value.ndim == 0:
        return value.item()
    return value.tolist() if key in LISTS else value


def _read_json(path: Path) -> Metrics:
    try:
        sections = json.loads(path.read_text())
        return {name: {key: _from_json(key, v) for key, v in s.items()} for name, s in sections.items()}
    except (ValueError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise DataError(f"{path} cannot be read as metrics ({reason(error)}).") from error


def _from_json(key: str, value: Any) -> Any:
    if value is None:
        return math.nan
    if isinstance(value, list) and key not in LISTS:
        return np.array(value, np.float64)
    return value


def _flat(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    flat = {}
    for section, values in metrics.items():
        for key, value in values.items():
            array = np.asarray(value)
            if key in LISTS and array.size == 0:
                array = array.astype(str if key == "video_paths" else np.int64)
            flat[f"{section}/{key}"] = array
    return flat


def _jsonable(value: Any) -> Any:
    """Turn arrays into lists and numbers that JSON lacks into null."""
    if isinstance(value, Mapping):
        return {key: _jsonable(item) for key, item in value.items() if key not in NOT_IN_JSON}
    if isinstance(value, (np.ndarray, np.generic)):
        return _jsonable(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
