"""Checkpoints of earlier versions, which hold a configuration as Python objects beside the tensors.

Nothing in such a file is executed: PyTorch's reader for tensors and plain values does the reading, and the classes that
those configurations are known to use are replaced by one that ignores whatever it is given. Any other class or function
in the file is refused.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
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
    """Refuse an archive that stands for more bytes than it has; PyTorch writes none whose members are compressed.

    Raises:
        ValueError: A member is compressed, or members lie on each other.
        zipfile.BadZipFile: The file is no archive.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise ValueError(f"its part {packed[0]} is compressed, which no checkpoint is")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ValueError("its parts are larger than the whole")


def refuse_strange(weights: Mapping[Any, Any]) -> None:
    """Refuse entries that are no tensors whose numbers are all in the file.

    Raises:
        ValueError: The message names the first.
    """
    for name, tensor in weights.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ValueError(f"its entry {name!r} is no tensor")
        plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
        if not plain or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ValueError(f"its entry {name} of shape {tuple(tensor.shape)} does not hold all its numbers")
