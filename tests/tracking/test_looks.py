import numpy as np
import pytest

from sleap_nn.tracking.looks import describe


def test_every_node_is_described_by_what_is_about_it() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 30:] = (255, 0, 255)
    points = np.array([[[10.0, 20.0], [50.0, 20.0], [np.nan, np.nan]], [[-5.0, 80.0], [59.0, 0.0], [40.0, 39.0]]])
    looks = describe(image, points)
    assert looks.shape == (2, 3, 3)
    assert looks[0, 0] == pytest.approx([-1, -1, -1])
    assert looks[0, 1] == pytest.approx([1, -1, 1])
    assert np.isnan(looks[0, 2]).all()
    assert looks[1, 0] == pytest.approx([-1, -1, -1])  # outside: the nearest pixel


def test_a_frame_without_instances_and_a_grey_image() -> None:
    assert describe(np.zeros((8, 8, 1), np.uint8), np.zeros((0, 4, 2))).shape == (0, 4, 1)
    assert describe(np.full((8, 8, 1), 255, np.uint8), np.full((1, 1, 2), 4.0)) == pytest.approx(np.ones((1, 1, 1)))
