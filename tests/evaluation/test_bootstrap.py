import numpy as np
import pytest

from sleap_nn.evaluation.bootstrap import MIN_FRAMES, bootstrap


def mean_of(values: np.ndarray):
    """Return the mean of one value a frame, as a function of how often each frame counts."""
    return lambda counts: float(counts @ values / counts.sum())


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(10, 3, 400)
    estimate = bootstrap({"mean": mean_of(values)}, 400, num_resamples=4000)["mean"]
    half = 1.96 * values.std() / np.sqrt(400)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_the_interval_of_a_share_is_that_of_the_binomial_distribution():
    values = np.repeat([1.0, 0.0], [30, 170])
    estimate = bootstrap({"share": mean_of(values)}, 200, num_resamples=4000)["share"]
    # Quantiles of a binomial distribution with n = 200 and p = 0.15: 20 and 40.
    assert (estimate.low, estimate.high) == pytest.approx((0.1, 0.2), abs=0.0051)


def test_nine_in_ten_intervals_of_90_percent_hold_the_true_mean():
    rng, held = np.random.default_rng(2), 0
    for trial in range(200):
        values = rng.exponential(1.0, 80)
        estimate = bootstrap({"mean": mean_of(values)}, 80, num_resamples=200, seed=trial, level=0.9)["mean"]
        held += estimate.low <= 1.0 <= estimate.high
    assert 0.82 <= held / 200 <= 0.95


def test_what_does_not_vary_has_an_interval_without_width():
    estimate = bootstrap({"mean": mean_of(np.full(10, 7.0))}, 10)["mean"]
    assert estimate == pytest.approx((7.0, 7.0, 7.0))


def test_the_same_seed_draws_the_same_frames():
    values = np.arange(30.0)
    a, b, c = (bootstrap({"mean": mean_of(values)}, 30, 50, seed=seed)["mean"] for seed in (3, 3, 4))
    assert a == b
    assert a != c


def test_every_resample_has_as_many_frames_and_all_statistics_see_the_same():
    seen: list[np.ndarray] = []
    totals = {"total": lambda counts: float(counts.sum()), "see": lambda counts: float(seen.append(counts) or 0)}
    assert bootstrap(totals, 12, num_resamples=20)["total"] == (12, 12, 12)
    assert len(seen) == 21
    assert seen[0].tolist() == [1] * 12
    assert all(counts.min() >= 0 and counts.sum() == 12 for counts in seen)
    assert len({counts.tobytes() for counts in seen}) == 21


@pytest.mark.parametrize(("num_frames", "has_interval"), [(1, False), (MIN_FRAMES - 1, False), (MIN_FRAMES, True)])
def test_few_frames_have_no_interval(num_frames: int, has_interval: bool):
    estimate = bootstrap({"mean": mean_of(np.arange(float(num_frames)))}, num_frames)["mean"]
    assert estimate.value == pytest.approx((num_frames - 1) / 2)
    assert np.isfinite([estimate.low, estimate.high]).all() == has_interval


def test_resamples_without_a_value_are_left_out():
    def sometimes(counts):
        return float("nan") if counts[0] == 0 else 5.0

    assert bootstrap({"a": sometimes}, 10)["a"] == (5.0, 5.0, 5.0)
    never = bootstrap({"a": lambda counts: float("nan")}, 10)["a"]
    assert np.isnan(never).all()
