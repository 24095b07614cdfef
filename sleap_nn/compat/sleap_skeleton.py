"""Skeletons as SLEAP profiles store them, a graph written by jsonpickle -> an entry of ``data_config.skeletons``.

Nothing is unpickled: the few shapes in which nodes, references to them and kinds of edges are written are read as the
plain JSON that they are.
"""

from collections.abc import Mapping
from typing import Any

_SYMMETRY = 2
"""Value of SLEAP's EdgeType for two nodes that change places in a mirror image; edges have 1."""


def skeleton_from_graph(graph: Mapping[str, Any]) -> dict[str, Any]:
    """Return nodes, edges and symmetries by name.

    Args:
        graph: ``links`` between nodes, and ``nodes`` in their order. An object is written out where it occurs first,
            and referred to by its number (``py/id``, from 1) afterwards.

    Raises:
        ValueError: The graph is written in an unknown way.
    """
    reader = _Reader()
    try:
        links = [
            {key: reader.read(link[key]) for key in link if key in ("source", "target", "type")}
            for link in graph.get("links", [])
        ]
        names = [reader.read(node.get("id", node)) for node in graph["nodes"]]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"data.labels.skeletons is written in an unknown way ({error!r})") from None
    by_place = sorted(
        zip(graph.get("links", []), links, strict=True), key=lambda pair: pair[0].get("edge_insert_idx", 0)
    )
    edges = [link for _, link in by_place if link.get("type", 1) != _SYMMETRY]
    pairs = {tuple(sorted((link["source"], link["target"]))) for link in links if link.get("type", 1) == _SYMMETRY}
    return {
        "nodes": [{"name": name} for name in names],
        "edges": [{"source": {"name": link["source"]}, "destination": {"name": link["target"]}} for link in edges],
        "symmetries": [[{"name": a}, {"name": b}] for a, b in sorted(pairs)],
        "name": str(graph.get("graph", {}).get("name") or "Skeleton-0"),
    }


class _Reader:
    """Reads values in the order of the file, and remembers those that can be referred to."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._seen: list[Any] = []

    def read(self, value: Any) -> Any:
        """Return the name of a node, or the number of a kind of edge."""
        if isinstance(value, str | int):
            return value
        if "py/id" in value:
            return self._seen[value["py/id"] - 1]
        if "py/object" in value:
            state = value.get("py/state", value)
            name = state["py/tuple"][0] if "py/tuple" in state else state["name"]
            return self._remember(str(name))
        if "py/reduce" in value:
            arguments = value["py/reduce"][1]
            return self._remember(int(arguments["py/tuple"][0]))
        raise TypeError(f"keys {', '.join(value)}")

    def _remember(self, value: Any) -> Any:
        """Note a value that later ones may refer to."""
        self._seen.append(value)
        return value
