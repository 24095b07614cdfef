from sleap_nn.structures.skeleton import Skeleton


def test_mirrored_order_swaps_the_pairs_only() -> None:
    skeleton = Skeleton(("nose", "left", "tail", "right"), symmetries=((1, 3),))
    assert skeleton.mirrored_order() == [0, 3, 2, 1]


def test_the_stored_form_reads_back() -> None:
    skeleton = Skeleton(("a", "b", "c"), edges=((0, 1), (2, 1)), symmetries=((0, 2),), name="mouse")
    stored = skeleton.to_config()
    assert stored["edges"][1] == {"source": {"name": "c"}, "destination": {"name": "b"}}
    assert Skeleton.from_config(stored) == skeleton
