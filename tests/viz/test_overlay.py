from typing import Any

import numpy as np
import pytest

from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.viz import PALETTE, Overlay, OverlayStyle, color_at
from sleap_nn.viz.overlay import WITHOUT_TRACK

SKELETON = Skeleton(("a", "b"), edges=((0, 1),))
IMAGE = np.full((60, 80, 1), 100, np.uint8)
POINTS = [[(10, 20), (10, 50)], [(40, 20), (40, 50)], [(70, 20), (70, 50)]]


def found(tracks: list[int] | None = None, scores: tuple[float, ...] = (0.5, 0.5, 0.5)) -> Predictions:
    return Predictions(
        key=FrameKey(0, 0),
        points=np.array(POINTS, np.float32),
        point_scores=np.zeros((3, 2), np.float32),
        scores=np.array(scores, np.float32),
        tracks=None if tracks is None else np.array(tracks, np.int64),
    )


def draw(predictions: Predictions, names: tuple[str, ...] = ("", "", "", ""), truth: Any = None, **style: Any):
    style = {"labels": False, **style}
    return Overlay(SKELETON, names, OverlayStyle(**style)).draw(IMAGE, predictions, truth)


def test_a_track_keeps_its_colour_whatever_its_place_in_the_frame():
    drawn = draw(found([3, -1, 0]))
    assert [tuple(drawn[20, x].tolist()) for x in (10, 40, 70)] == [PALETTE[3], WITHOUT_TRACK, PALETTE[0]]
    drawn = draw(found([0, 3, -1]))
    assert [tuple(drawn[20, x].tolist()) for x in (10, 40, 70)] == [PALETTE[0], PALETTE[3], WITHOUT_TRACK]


def test_colours_by_instance_and_by_node():
    by_instance, by_node = (draw(found([3, 3, 3]), colour_by=what) for what in ("instance", "node"))
    assert [tuple(by_instance[y, x].tolist()) for x, y in ((10, 20), (10, 50), (40, 20))] == [
        PALETTE[0],
        PALETTE[0],
        PALETTE[1],
    ]
    assert [tuple(by_node[y, x].tolist()) for x, y in ((10, 20), (10, 50), (40, 20))] == [
        PALETTE[0],
        PALETTE[1],
        PALETTE[0],
    ]


def test_edges_can_be_left_out():
    middles = [draw(found(), edges=edges)[35, 10].tolist() != [100, 100, 100] for edges in (True, False)]
    assert middles == [True, False]


@pytest.mark.parametrize("scale", [0.5, 2.0, 1.7])
def test_points_stay_on_their_pixels_at_any_scale(scale: float):
    drawn = draw(found([0, 0, 0]), scale=scale, edges=False, marker_size=2.5)
    assert drawn.shape == (round(60 * scale), round(80 * scale), 3)
    factors = np.array([drawn.shape[1] / 80, drawn.shape[0] / 60])
    mask = (np.abs(drawn.astype(int) - 100).max(axis=2) > 30).astype(float)
    mask[:, round(25 * scale) :] = 0
    mask[round(35 * scale) :] = 0
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    center = np.array([(columns * mask).sum(), (rows * mask).sum()]) / mask.sum()
    np.testing.assert_allclose(center, np.array(POINTS[0][0]) * factors + (factors - 1) / 2, atol=0.3)


def test_names_scores_legend_and_note_are_written():
    plain = draw(found([0, 1, 2]))
    named = draw(found([0, 1, 2]), ("ann", "bob", "cat"), labels=True)
    scored, unknown = (draw(found([0, 1, 2], s), scores=True) for s in ((0.5,) * 3, (float("nan"),) * 3))
    legend = draw(found([0, 1, 2]), ("ann", "bob", "cat"), legend=True)
    for written in (named, scored, legend):
        assert (written != plain).any(axis=2).sum() > 20
    np.testing.assert_array_equal(unknown, plain)
    noted = Overlay(SKELETON, ("", "", ""), OverlayStyle(labels=False)).draw(IMAGE, found([0, 1, 2]), note="7")
    rows, columns = np.nonzero((noted != plain).any(axis=2))
    assert rows.min() > 40
    assert columns.max() < 16


def test_names_do_not_change_colour_with_the_place_of_an_instance_where_nodes_have_colours():
    names = ("ann", "bob", "cat")
    first, second = (draw(found(order), names, labels=True, colour_by="node") for order in ([0, 1, 2], [2, 0, 1]))
    plain = draw(found([0, 1, 2]), names, colour_by="node", labels=False)
    for image in (first, second):
        written = image[(image != plain).any(axis=2)].astype(int)
        assert len(written) > 20
        assert (written.max(axis=1) - written.min(axis=1)).max() < 30


def test_instances_are_numbered_where_they_have_colours_of_their_own():
    plain, numbered = (draw(found(), labels=labels, colour_by="instance") for labels in (False, True))
    assert (numbered != plain).any()
    np.testing.assert_array_equal(draw(found(), labels=True, colour_by="node"), draw(found(), colour_by="node"))


def test_the_truth_is_drawn_as_rings():
    nothing = Predictions.empty(FrameKey(0, 0), 2)
    drawn = draw(nothing, truth=np.array([[(40, 20), (np.nan, np.nan)]]), marker_size=4.0)
    assert drawn[20, 40].tolist() == [100, 100, 100]
    assert drawn[20, 40 + round(1.7 * 4)].min() > 200
    assert (drawn[32:] == 100).all()


def test_trails_have_the_colour_of_their_track():
    path = np.array([[5.0, 5.0], [75.0, 5.0]])
    drawn = Overlay(SKELETON, (), OverlayStyle()).draw(IMAGE, Predictions.empty(FrameKey(0, 0), 2), paths={2: path})
    expected = 0.35 * 100 + 0.65 * np.array(PALETTE[2])
    np.testing.assert_allclose(drawn[5, 40], expected, atol=8)


def test_points_do_not_hide_small_animals():
    image = np.zeros((1000, 1000, 1), np.uint8)
    large, small = (
        (Overlay(SKELETON, (), OverlayStyle(animal_size=size)).draw(image, found()) > 0).any(axis=2).sum()
        for size in (1e9, 60.0)
    )
    assert small < large / 3


def test_colours_repeat_for_nobody():
    colors = [color_at(i) for i in range(60)]
    assert colors[: len(PALETTE)] == list(PALETTE)
    assert len(set(colors)) == 60
