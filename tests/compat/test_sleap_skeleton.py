import pytest

from sleap_nn.compat.sleap_skeleton import skeleton_from_graph
from sleap_nn.structures.skeleton import Skeleton


def node(name: str, as_state: bool = True) -> dict:
    state = {"py/state": {"py/tuple": [name, 1.0]}} if as_state else {"name": name, "weight": 1.0}
    return {"py/object": "sleap.skeleton.Node", **state}


def kind(value: int) -> dict:
    return {"py/reduce": [{"py/type": "sleap.skeleton.EdgeType"}, {"py/tuple": [value]}]}


def ref(number: int) -> dict:
    return {"py/id": number}


@pytest.mark.parametrize("as_state", [True, False])
def test_references_count_objects_in_the_order_of_the_file(as_state: bool) -> None:
    """Numbers: thorax 1, head 2, edge 3, eyeL 4, eyeR 5, symmetry 6."""
    graph = {
        "graph": {"name": "fly"},
        "links": [
            {
                "edge_insert_idx": 1,
                "source": node("thorax", as_state),
                "target": node("head", as_state),
                "type": kind(1),
            },
            {"edge_insert_idx": 0, "source": ref(2), "target": node("eyeL", as_state), "type": ref(3)},
            {"source": ref(4), "target": node("eyeR", as_state), "type": kind(2)},
            {"source": ref(5), "target": ref(4), "type": ref(6)},
        ],
        "nodes": [{"id": ref(2)}, {"id": ref(1)}, {"id": ref(4)}, {"id": ref(5)}],
    }
    skeleton = Skeleton.from_config(skeleton_from_graph(graph))
    assert skeleton == Skeleton(("head", "thorax", "eyeL", "eyeR"), ((0, 2), (1, 0)), ((2, 3),), "fly")


def test_nodes_without_edges() -> None:
    graph = {"graph": {}, "links": [], "nodes": [{"id": node("a")}, {"id": node("b")}]}
    assert Skeleton.from_config(skeleton_from_graph(graph)) == Skeleton(("a", "b"))


@pytest.mark.parametrize(
    "graph",
    [
        {"links": []},
        {"nodes": [{"id": ref(7)}]},
        {"nodes": [{"id": {"py/function": "os.system"}}]},
        {"nodes": [{"id": {"py/object": "sleap.skeleton.Node"}}]},
    ],
)
def test_other_writings_are_refused(graph: dict) -> None:
    with pytest.raises(ValueError, match="unknown way"):
        skeleton_from_graph(graph)
