import json
from pathlib import Path

import numpy as np
import pytest

from sleap_nn.structures.transform import Transform

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "augment_crop.json").read_text())


def random_transform(rng: np.random.Generator) -> Transform:
    turned = Transform.rotation(rng.uniform(-180, 180)).then(Transform.scaling(*rng.uniform(0.3, 3, 2)))
    return turned.then(Transform.translation(*rng.uniform(-50, 50, 2)))


@pytest.mark.parametrize("seed", range(10))
def test_then_and_inverse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = random_transform(rng), random_transform(rng)
    points = rng.uniform(-100, 100, (4, 5, 2))
    np.testing.assert_allclose(first.then(second)(points), second(first(points)), atol=1e-9)
    np.testing.assert_allclose(first.inverse()(first(points)), points, atol=1e-9)


def test_nan_and_dtype_are_kept() -> None:
    points = np.array([[1, 2], [np.nan, np.nan]], np.float32)
    moved = Transform.translation(1, 1)(points)
    assert moved.dtype == np.float32
    assert moved[0].tolist() == [2, 3]
    assert np.isnan(moved[1]).all()
    assert Transform.identity()(np.array([1, 2])).dtype == np.float64


def test_golden_rotation_and_scale_about_the_documented_centre() -> None:
    height, width = GOLDEN["image_hw"]
    points = np.array(GOLDEN["points"], dtype=float)
    centre = (width / 2, height / 2)
    turned = Transform.rotation(30).about(centre)(points)
    np.testing.assert_allclose(turned, np.array(GOLDEN["rotate_30"], dtype=float), atol=1e-5)
    zoomed = Transform.scaling(1.1).about(centre)(points)
    np.testing.assert_allclose(zoomed, np.array(GOLDEN["scale_1.1"], dtype=float), atol=1e-5)


def test_a_transform_does_not_change() -> None:
    matrix = np.eye(2, 3)
    transform = Transform(matrix)
    matrix[0, 0] = 9
    assert transform.matrix[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        transform.matrix[0, 0] = 2
