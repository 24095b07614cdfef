import time

import numpy as np
import pytest

from sleap_nn.ops.left_right import FEWEST, likely_swaps, one_sided_triple

# A body along x, seen from above; y grows downwards, so that the left side is up.
BODY = np.array(
    [(30, 0), (0, 0), (-30, 0), (22, -8), (22, 8), (0, -14), (0, 14), (-4, -26), (-4, 26), (-8, -40), (-8, 40)], float
)
PAIRS = [(3, 4), (5, 6), (7, 8), (9, 10)]  # eyes, shoulders, elbows, paws
EDGES = [(0, 1), (1, 2), (0, 3), (0, 4), (1, 5), (1, 6), (5, 7), (6, 8), (7, 9), (8, 10)]


def turned(points: np.ndarray, angles: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn and scale one body a row, and put it somewhere."""
    cos, sin = np.cos(angles), np.sin(angles)
    rotation = np.stack([cos, sin, -sin, cos], -1).reshape(-1, 2, 2)
    placed: np.ndarray = points @ rotation * sizes[:, None, None] + rng.uniform(100, 400, (len(angles), 1, 2))
    return placed


def animals(count: int = 120, seed: int = 0, noise: float = 2.0, hidden: float = 0.1) -> np.ndarray:
    """Return bodies at all angles and sizes, with noise and hidden points."""
    rng = np.random.default_rng(seed)
    shapes = BODY + rng.normal(0, noise, (count, *BODY.shape))
    points = turned(shapes, rng.uniform(0, 2 * np.pi, count), rng.uniform(0.6, 1.8, count), rng)
    points[rng.random((count, len(BODY))) < hidden] = np.nan
    return points


def exchanged(points: np.ndarray, rows: list[int], pairs: list[tuple[int, int]]) -> np.ndarray:
    """Return points with left and right of some pairs exchanged."""
    points = points.copy()
    for left, right in pairs:
        points[np.ix_(rows, [left, right])] = points[np.ix_(rows, [right, left])]
    return points


@pytest.mark.parametrize("seed", range(5))
def test_good_labels_raise_no_alarm(seed: int) -> None:
    assert not likely_swaps(animals(seed=seed, noise=3.0), PAIRS, EDGES).any()


@pytest.mark.parametrize("pair", range(len(PAIRS)))
def test_exchanged_pairs_are_found_and_nothing_else(pair: int) -> None:
    points = animals()
    visible = np.flatnonzero(np.isfinite(points[:, list(PAIRS[pair])]).all((1, 2)))
    rows = visible[[3, 40, 80]].tolist()
    found = likely_swaps(exchanged(points, rows, [PAIRS[pair]]), PAIRS, EDGES)
    assert np.flatnonzero(found[:, pair]).tolist() == rows
    assert found.sum() == 3


def test_an_animal_labelled_the_wrong_way_round_has_all_its_pairs_exchanged() -> None:
    points = animals(hidden=0.0)
    found = likely_swaps(exchanged(points, [7], PAIRS), PAIRS, EDGES)
    assert found[7].all()
    assert found.sum() == len(PAIRS)


def test_it_does_not_matter_which_node_is_called_left() -> None:
    points = exchanged(animals(hidden=0.0), [11], [PAIRS[1]])
    turned_pairs = [(right, left) for left, right in PAIRS]
    assert np.array_equal(likely_swaps(points, turned_pairs, EDGES), likely_swaps(points, PAIRS, EDGES))


def test_mirrored_recordings_are_as_good() -> None:
    points = exchanged(animals(hidden=0.0), [11], [PAIRS[1]]) * (-1, 1)
    found = likely_swaps(points, PAIRS, EDGES)
    assert np.argwhere(found).tolist() == [[11, 1]]


def test_a_side_without_order_is_not_judged() -> None:
    points = animals(hidden=0.0)
    rng = np.random.default_rng(1)
    for left, right in PAIRS:
        rows = np.flatnonzero(rng.random(len(points)) < 0.5).tolist()
        points = exchanged(points, rows, [(left, right)])
    assert not likely_swaps(points, PAIRS).any()


def test_many_that_differ_are_no_mistakes() -> None:
    points = animals(hidden=0.0)
    assert not likely_swaps(exchanged(points, list(range(30)), PAIRS), PAIRS, EDGES).any()


def test_points_that_nearly_touch_say_nothing_about_sides() -> None:
    points = animals(hidden=0.0)
    middle = points[5, list(PAIRS[3])].mean(axis=0)
    across = points[5, PAIRS[3][0]] - points[5, PAIRS[3][1]]
    points[5, PAIRS[3][0]], points[5, PAIRS[3][1]] = middle - 0.05 * across, middle + 0.05 * across
    assert not likely_swaps(points, PAIRS).any()


def test_few_instances_are_not_judged() -> None:
    points = exchanged(animals(FEWEST - 1, hidden=0.0), [2], PAIRS)
    assert not likely_swaps(points, PAIRS, EDGES).any()


@pytest.mark.parametrize("pair", [1, 2, 3], ids=["shoulders", "elbows", "paws"])
def test_crossed_limbs_are_found_where_the_sides_say_nothing(pair: int) -> None:
    # Seen from the side, half of the animals walk to the left and half to the right: which paw is in front varies.
    rng = np.random.default_rng(3)
    limbs = np.array([(0, 0), (60, 0), (0, 20), (0, 20), (0, 45), (0, 45), (0, 70), (0, 70)], float)
    points = np.repeat(limbs[None], 100, axis=0)
    points[:, [2, 4, 6], 0] += rng.normal(0, 10, (100, 1)) + 14 * rng.choice([-1, 1], (100, 1))
    points[:, [3, 5, 7], 0] += rng.normal(0, 10, (100, 1)) + 14 * rng.choice([-1, 1], (100, 1))
    apart = np.abs(points[:, 2, 0] - points[:, 3, 0]) > 24
    points[..., 0] *= rng.choice([-1, 1], (100, 1))
    pairs, edges = [(2, 3), (4, 5), (6, 7)], [(0, 2), (0, 3), (2, 4), (3, 5), (4, 6), (5, 7)]
    points = points[apart]
    assert len(points) >= FEWEST
    assert not likely_swaps(points, pairs, edges).any()
    found = likely_swaps(exchanged(points, [5], [pairs[pair - 1]]), pairs, edges)
    assert np.argwhere(found).tolist() == [[5, pair - 1]]


@pytest.mark.parametrize("count", [0, 1, 50])
@pytest.mark.parametrize("kind", ["all NaN", "one node", "one place", "far away"])
def test_degenerate_points_are_no_error(count: int, kind: str) -> None:
    points = animals(count)
    if kind == "all NaN":
        points[:] = np.nan
    elif kind == "one node":
        points[:, 1:] = np.nan
    elif kind == "one place":
        points[:] = 5.0
    else:
        points[0:1] = 1e9
    likely_swaps(points, PAIRS, EDGES)
    likely_swaps(points, PAIRS[:1])
    likely_swaps(points[:, 3:5], [(0, 1)])
    one_sided_triple(points)
    assert likely_swaps(points, []).shape == (count, 0)


def test_many_instances_take_little_time() -> None:
    points = animals(20_000)
    start = time.process_time()
    likely_swaps(points, PAIRS, EDGES)
    one_sided_triple(points)
    assert time.process_time() - start < 5


def test_a_one_sided_animal_is_told_from_one_that_is_its_own_mirror_image() -> None:
    points = animals()
    triple = one_sided_triple(points[:, [0, 2, 5]])
    assert triple == (0, 1, 2)
    assert one_sided_triple(points[:, :3]) is None, "snout, middle and tail lie on a line"
    assert one_sided_triple(points[:5]) is None, "too few to tell"
    mixed = points * np.where(np.arange(len(points)) % 2, 1, -1)[:, None, None] * (1, 1)
    mixed[::2] = points[::2] * (-1, 1)
    assert one_sided_triple(mixed) is None
