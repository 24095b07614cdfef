import pytest

from sleap_nn.structures.skeleton import Skeleton


def test_mirrored_order_swaps_the_pairs_only() -> None:
    skeleton = Skeleton(("nose", "left", "tail", "right"), symmetries=((1, 3),))
    assert skeleton.mirrored_order() == [0, 3, 2, 1]


def test_the_stored_form_reads_back() -> None:
    skeleton = Skeleton(("a", "b", "c"), edges=((0, 1), (2, 1)), symmetries=((0, 2),), name="mouse")
    stored = skeleton.to_config()
    assert stored["edges"][1] == {"source": {"name": "c"}, "destination": {"name": "b"}}
    assert Skeleton.from_config(stored) == skeleton


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (("nose", "left_ear", "right_ear", "tail"), [(1, 2)]),
        (("earR", "earL", "tail"), [(1, 0)]),
        (("forelegL4", "midlegL4", "forelegR4"), [(0, 2)]),
        (("L_paw", "R_paw", "l-eye", "r-eye"), [(0, 1), (2, 3)]),
        (("PawLeftFront", "PawRightFront", "PawLeftHind"), [(0, 1)]),
        (("snout", "tail", "barrel", "heel"), []),
    ],
)
def test_pairs_of_left_and_right_are_read_from_the_names(names: tuple[str, ...], pairs: list[tuple[int, int]]) -> None:
    assert Skeleton(names).pairs_by_name() == pairs
