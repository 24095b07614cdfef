"""`Skeleton`: nodes, edges and symmetries as plain values, independent of any file format."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SIDES = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"), ("L", "R"), ("l", "r"))


@dataclass(frozen=True)
class Skeleton:
    """The body plan that labels and predictions share.

    Attributes:
        node_names: Names in order; an index elsewhere means a position here.
        edges: Pairs of node indices, source to destination.
        symmetries: Pairs of node indices that change places in a mirror image.
        name: Free text.
    """

    node_names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()
    symmetries: tuple[tuple[int, int], ...] = ()
    name: str = "Skeleton-0"

    def node_index(self, name: str | None) -> int | None:
        """Return the index of a node, None for no name or one that the skeleton does not have."""
        return self.node_names.index(name) if name in self.node_names else None

    def mirrored_order(self) -> list[int]:
        """Return, for every node, the index of the node that takes its place in a mirror image."""
        order = list(range(len(self.node_names)))
        for left, right in self.symmetries:
            order[left], order[right] = right, left
        return order

    def pairs_by_name(self) -> list[tuple[int, int]]:
        """Return the pairs of nodes that differ only in left and right, such as ``earL`` and ``earR``."""
        index = {name: position for position, name in enumerate(self.node_names)}
        pairs = {
            (index[name], index[other])
            for name in self.node_names
            for left, right in _SIDES
            for found in re.finditer(left, name)
            if (other := name[: found.start()] + right + name[found.end() :]) in index
        }
        return sorted(pairs)

    def to_config(self) -> dict:
        """Return the skeleton as stored in ``data_config.skeletons``."""
        named = [{"name": name} for name in self.node_names]
        return {
            "nodes": named,
            "edges": [{"source": named[a], "destination": named[b]} for a, b in self.edges],
            "symmetries": [[named[a], named[b]] for a, b in self.symmetries],
            "name": self.name,
        }

    @classmethod
    def from_config(cls, entry: dict) -> Skeleton:
        """Rebuild a skeleton from an entry of ``data_config.skeletons``."""
        names = tuple(node["name"] for node in entry["nodes"])
        index = {name: position for position, name in enumerate(names)}
        return cls(
            node_names=names,
            edges=tuple((index[e["source"]["name"]], index[e["destination"]["name"]]) for e in entry["edges"]),
            symmetries=tuple((index[a["name"]], index[b["name"]]) for a, b in entry.get("symmetries", [])),
            name=entry.get("name") or "Skeleton-0",
        )
