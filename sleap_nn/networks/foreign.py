"""Checkpoints of earlier versions, which hold a configuration as Python objects beside the tensors.

Nothing in such a file is executed: PyTorch's reader for tensors and plain values does the reading, and the classes that
those configurations are known to use are replaced by one that ignores whatever it is given. Any other class or function
in the file is refused.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

_PACKAGES = ("omegaconf", "sleap_nn", "typing")
_NAMES = frozenset(
    {"_operator.getitem", "collections.defaultdict"}
    | {f"builtins.{name}" for name in ("bool", "dict", "float", "int", "list", "set", "str", "tuple")}
)


class _Ignored:
    """Stands for an object of an earlier version: takes everything, keeps nothing, does nothing."""

    def __init__(self, *arguments: object) -> None:
        """Forget how the object was made."""

    def __setstate__(self, state: object) -> None:
        """Forget what it held."""

    def __setitem__(self, key: object, value: object) -> None:
        """Forget an entry."""


def read_foreign(path: Path) -> Any:
    """Read a checkpoint that may hold the configuration of an earlier version; `_Ignored` stands in its place.

    Raises:
        ValueError: The file needs a class or function that no earlier version wrote.
        RuntimeError: It is damaged, or no checkpoint.
    """
    names = get_unsafe_globals_in_checkpoint(path)
    strange = sorted(name for name in names if name.partition(".")[0] not in _PACKAGES and name not in _NAMES)
    if strange:
        raise ValueError(f"it asks for {', '.join(strange[:3])}, which is neither a tensor nor a plain value")
    with safe_globals([(type("Ignored", (_Ignored,), {}), name) for name in names]):
        return torch.load(path, map_location="cpu", weights_only=True)


def refuse_packed(path: Path) -> None:
    """Refuse an archive whose members are compressed: PyTorch writes none, and few bytes could unpack to any size.

    Raises:
        ValueError: A member is compressed.
        zipfile.BadZipFile: The file is no archive.
    """
    with zipfile.ZipFile(path) as archive:
        packed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise ValueError(f"its part {packed[0]} is compressed, which no checkpoint is")
