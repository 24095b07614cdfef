import numpy as np
import pytest

from sleap_nn.data.synthetic_animal import Pose, shape_body
from sleap_nn.data.synthetic_drawing import (
    Coat,
    Layer,
    animal_stamps,
    make_coat,
    make_floor,
    make_light,
    make_obstacle,
    obstacle_stamps,
    paint,
)

SIZE = (96, 128)
LIGHT = np.ones((*SIZE, 3), np.float32)


def center_of(weights: np.ndarray, left: int = 0, top: int = 0) -> np.ndarray:
    rows, columns = np.mgrid[0 : weights.shape[0], 0 : weights.shape[1]]
    return np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum() + (left, top)


def white_floor() -> np.ndarray:
    return np.full((*SIZE, 3), 255, np.float32)


@pytest.mark.parametrize("center", [(40.0, 50.0), (40.5, 50.25), (61.13, 20.77)])
def test_shapes_are_drawn_with_subpixel_accuracy(center: tuple[float, float]):
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    outline = np.array(center) + 6 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    layer = Layer(outline, 3.0, SIZE)
    layer.fill(outline, (10, 20, 30))
    coverage = layer.coverage()
    rows, columns = layer.window
    np.testing.assert_allclose(center_of(coverage, columns.start, rows.start), center, atol=0.06)
    assert coverage.sum() == pytest.approx(np.pi * 36, rel=0.06)


def test_ears_are_drawn_where_their_nodes_are():
    body = shape_body(Pose((70.3, 48.6), 0.5, 0.3, 0.2, 0.0, 0.0, 70.0))
    black = np.zeros((48, 96, 3), np.float32)
    coat = Coat(black, limb=(0, 0, 0), ear=(0, 0, 255))
    pixels = paint(np.zeros((*SIZE, 3), np.float32), LIGHT, animal_stamps(body, coat, SIZE))
    for ear in body.nodes[1:3]:
        left, top = np.round(ear).astype(int) - 4
        blue = pixels[top : top + 9, left : left + 9, 2]
        np.testing.assert_allclose(center_of(blue, left, top), ear, atol=0.1)


def test_the_drawn_animal_covers_its_outline():
    body = shape_body(Pose((64.0, 48.0), -0.8, -0.9, 0.0, 0.3, 1.0, 45.0))
    coat = Coat(np.zeros((48, 96, 3), np.float32), limb=(0, 0, 0), ear=(0, 0, 0))
    pixels = paint(white_floor(), LIGHT, animal_stamps(body, coat, SIZE))
    for x, y in np.round(body.nodes).astype(int):
        assert pixels[y - 1 : y + 2, x - 1 : x + 2].min() < 160
    assert pixels[5, 5].min() == 255


def test_paint_leaves_the_floor_alone_and_follows_the_light():
    floor = white_floor()
    obstacle = make_obstacle(SIZE, 40.0, np.random.default_rng(2))
    stamps = obstacle_stamps(obstacle, 40.0, SIZE)
    bright, dim = paint(floor, LIGHT, stamps), paint(floor, 0.5 * LIGHT, stamps)
    assert (floor == 255).all()
    x, y = np.round(obstacle.outline.mean(axis=0)).astype(int)
    np.testing.assert_allclose(dim[y, x], 0.5 * bright[y, x], rtol=1e-5)


def test_an_animal_outside_the_frame_changes_nothing():
    body = shape_body(Pose((-300.0, 40.0), 0.0, 0.0, 0.0, 0.0, 0.0, 50.0))
    pixels = paint(white_floor(), LIGHT, animal_stamps(body, make_coat(0), SIZE))
    assert (pixels == 255).all()


def test_coats_are_stable_and_differ_between_individuals():
    np.testing.assert_array_equal(make_coat(3).texture, make_coat(3).texture)
    textures = [make_coat(index).texture for index in range(9)]
    for first in range(9):
        for second in range(first):
            assert np.abs(textures[first] - textures[second]).mean() > 8


def test_floor_and_light_are_gentle():
    rng = np.random.default_rng(0)
    floor, light = make_floor(SIZE, rng), make_light(SIZE, rng)
    assert floor.shape == light.shape == (*SIZE, 3)
    assert 4 < floor.std() < 20
    assert 0.6 < light.min() < light.max() < 1.3
