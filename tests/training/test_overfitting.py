import math

import numpy as np
import pytest

from sleap_nn.training.overfitting import find_overfitting

EPOCHS = np.arange(40)
FALLING = 1e-3 * (0.2 + np.exp(-EPOCHS / 10))
RISING = np.where(EPOCHS <= 15, FALLING, FALLING[15] * (1 + 0.02 * (EPOCHS - 15)))


def noisy(values: np.ndarray, seed: int, share: float = 0.03) -> list[float]:
    return (values * (1 + np.random.default_rng(seed).normal(0, share, len(values)))).tolist()


@pytest.mark.parametrize("seed", range(10))
def test_a_rising_validation_loss_is_found_where_it_begins(seed: int) -> None:
    found = find_overfitting(noisy(FALLING, seed), noisy(RISING, 100 + seed))
    assert found is not None
    assert abs(found.epoch - 15) <= 4
    assert found.val[1] > 1.1 * found.val[0]
    assert found.train[1] < 0.97 * found.train[0]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    ("train", "val"),
    [
        (FALLING, 1.5 * FALLING),
        (FALLING, np.maximum(FALLING, FALLING[15])),
        (RISING, RISING),
        (np.full(40, 1e-3), np.full(40, 2e-3)),
    ],
    ids=["both fall", "validation levels off", "both rise", "nothing is learned"],
)
def test_anything_else_is_none(train: np.ndarray, val: np.ndarray, seed: int) -> None:
    assert find_overfitting(noisy(train, seed), noisy(val, 100 + seed)) is None


def test_a_bad_last_epoch_is_an_accident() -> None:
    val = [*FALLING[:-1].tolist(), 1.0]
    assert find_overfitting(FALLING.tolist(), val) is None


def test_short_runs_are_not_judged() -> None:
    assert find_overfitting([4, 3, 2, 1], [1, 2, 3, 4]) is None
    assert find_overfitting([], []) is None
    assert find_overfitting([1] * 7, [2] * 7) is None


def test_epochs_without_numbers_are_left_out() -> None:
    train, val = FALLING.tolist(), RISING.tolist()
    train[3], val[20] = math.nan, math.inf
    found = find_overfitting(train, val)
    assert found is not None
    assert found.epoch == 15
    assert find_overfitting([math.nan] * 20, [1.0] * 20) is None


def test_a_short_run_that_overfits_at_once_is_found() -> None:
    found = find_overfitting([10, 8, 6, 5, 4, 3, 2.5, 2, 1.5, 1], [5, 4, 5, 5.2, 5.5, 5.8, 6, 6.2, 6.5, 7])
    assert found is not None
    assert found.epoch <= 2
