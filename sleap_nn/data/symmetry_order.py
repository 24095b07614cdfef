"""Symmetries of a skeleton in files: sleap-io takes the two nodes of each from a set, and so writes them in any order.

Here they get the order of the skeleton, so that the same labels are the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np


def order_in_labels(path: Path) -> None:
    """Order the nodes of symmetries in a labels file."""
    with h5py.File(path, "r+") as file:
        attributes = file["metadata"].attrs
        metadata = json.loads(np.bytes_(attributes["json"]))
        for skeleton in metadata["skeletons"]:
            for link in skeleton["links"]:
                if "edge_insert_idx" not in link:
                    link["source"], link["target"] = sorted((link["source"], link["target"]))
        attributes["json"] = np.bytes_(json.dumps(metadata, separators=(",", ":")))


def order_in_analysis(path: Path, node_names: Sequence[str]) -> None:
    """Order the nodes of symmetries in an analysis HDF5."""
    with h5py.File(path, "r+") as file:
        pairs = json.loads(str(file.attrs["skeleton_symmetries"]))
        file.attrs["skeleton_symmetries"] = json.dumps([sorted(pair, key=node_names.index) for pair in pairs])
