import numpy as np
import pytest

from sleap_nn.ops.centroids import centroids

NAN = np.nan


def test_the_mean_of_the_visible_nodes() -> None:
    points = np.array([[(10, 20), (30, 40), (60, 30)], [(1, 2), (NAN, NAN), (3, 6)]], np.float32)
    assert centroids(points) == pytest.approx(np.array([(100 / 3, 30), (2, 4)]), rel=1e-6)


def test_the_anchor_node_where_it_is_visible() -> None:
    points = np.array([[(10, 20), (30, 40)], [(NAN, NAN), (3, 6)]], np.float32)
    assert np.array_equal(centroids(points, 0), np.array([(10, 20), (3, 6)], np.float32))


def test_an_instance_without_points_has_no_centroid() -> None:
    points = np.full((2, 3, 2), NAN, np.float32)
    points[1, 0, 0] = 4.0  # half a point is none
    assert np.isnan(centroids(points)).all()
    assert np.isnan(centroids(points, 1)).all()


@pytest.mark.parametrize("anchor", [None, 1])
def test_no_instance(anchor: int | None) -> None:
    found = centroids(np.zeros((0, 3, 2), np.float32), anchor)
    assert found.shape == (0, 2)
    assert found.dtype == np.float32
