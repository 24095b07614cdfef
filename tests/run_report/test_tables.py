import numpy as np
import pytest
from scipy.stats import spearmanr

from sleap_nn.evaluation import load_metrics
from sleap_nn.evaluation.bootstrap import Estimate
from sleap_nn.evaluation.metrics_files import metrics_path, write_metrics
from sleap_nn.run_report import tables
from sleap_nn.run_report.reader import Run
from sleap_nn.run_report.tables import METRICS, confidence_bins, metric_column, stored_column

NAN = float("nan")
BY_KEY = {metric.key: metric for metric in METRICS}


@pytest.mark.parametrize(
    ("key", "estimate", "text", "interval"),
    [
        ("p50", Estimate(1.234, 1, 2), "1.23 px", "1.00 to 2.00"),
        ("PCK@5", Estimate(0.98765, 0.9, 1), "98.8 %", "90.0 to 100.0"),
        ("mOKS", Estimate(0.5, NAN, NAN), "0.500", ""),
        ("recall", Estimate(NAN, NAN, NAN), "not defined", ""),
    ],
)
def test_numbers_are_written_with_their_unit(key: str, estimate: Estimate, text: str, interval: str):
    assert BY_KEY[key].text(estimate) == text
    assert BY_KEY[key].interval(estimate) == interval


def test_one_animal_a_frame_has_no_average_precision(single_run: Run):
    column = metric_column(single_run.scores["val"])
    assert {"p50", "p95", "PCK@5", "PCK@10", "mOKS", "recall", "precision"} <= column.estimates.keys()
    assert not {"mAP", "f1"} & column.estimates.keys()
    p50 = column.estimates["p50"]
    assert p50.low < p50.value < p50.high
    assert column.counts["Frames"] == 6
    assert column.counts["Animals labelled"] == 6


def test_centroids_have_detection_metrics_only(centroid_run: Run):
    assert set(metric_column(centroid_run.scores["val"]).estimates) == {
        "p50",
        "p95",
        "recall",
        "precision",
        "f1",
        "identity",
    }


def test_several_animals_have_average_precision(make_scores):
    truth = np.random.default_rng(0).uniform(0, 90, (6, 2, 4, 2)) + 500 * np.arange(2)[:, None, None]
    estimates = metric_column(make_scores(truth, truth)).estimates
    assert estimates["mAP"].value == pytest.approx(1.0, abs=0.02)


def test_large_splits_are_resampled_less_often(make_scores, monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(tables, "bootstrap", lambda statistics, frames, resamples: seen.append(resamples) or {})
    pose = np.random.default_rng(0).uniform(0, 90, (1, 1, 4, 2))
    for work in (1e9, 4 * 500, 4):
        monkeypatch.setattr(tables, "MOST_WORK", work)
        metric_column(make_scores(pose, pose))
    assert seen == [1000, 500, 200]


def test_metrics_files_give_the_same_values_without_intervals(single_run: Run, tmp_path):
    from sleap_nn.evaluation.keypoints import keypoint_metrics

    matches = single_run.scores["val"].matches
    write_metrics(keypoint_metrics(matches), metrics_path(tmp_path, "val", 0))
    stored = stored_column("val", 0, load_metrics(tmp_path, "val"))
    computed = metric_column(single_run.scores["val"])
    assert stored.title == "val.0"
    assert stored.counts == computed.counts
    shared = stored.estimates.keys() & computed.estimates.keys()
    assert {"p50", "p95", "PCK@5", "PCK@10", "mOKS", "visibility_precision", "visibility_recall"} == shared
    for key in shared:
        assert stored.estimates[key].value == pytest.approx(computed.estimates[key].value)
        assert np.isnan(stored.estimates[key].low)


def test_metrics_files_without_sections_give_what_they_have():
    assert stored_column("test", 1, {"mOKS": 0.5, "x": "y"}).estimates == {}
    partial = stored_column("test", 1, {"mOKS": {"mOKS": 0.5}, "distance_metrics": {"avg": 3}})
    assert list(partial.estimates) == ["mOKS"]
    assert partial.counts == {}


def test_errors_of_nodes(make_scores):
    truth = np.array([[0.0, 0], [30, 0], [0, 30]]) * np.ones((5, 1, 1, 1))
    predicted = truth + np.arange(5.0)[:, None, None, None] * np.array([[1.0, 0], [2, 0], [0, 0]])
    truth[0, 0, 2] = predicted[1, 0, 2] = predicted[2, 0, 2] = np.nan
    a, b, c = make_scores(truth, predicted).node_errors
    assert a.quantiles == pytest.approx((0.2, 1, 2, 3, 3.8))
    assert b.quantiles[2] == pytest.approx(4)
    assert (a.num_labelled, a.num_in_pairs, a.num_compared, a.num_surplus, a.missed) == (5, 5, 5, 0, 0)
    assert (c.num_labelled, c.num_compared, c.num_surplus) == (4, 2, 1)
    assert c.missed == 0.5


def test_a_node_that_is_never_predicted_has_no_errors(make_scores):
    truth = np.array([[0.0, 0], [30, 0], [0, 30]]) * np.ones((2, 1, 1, 1))
    predicted = truth.copy()
    predicted[:, :, 1], truth[:, :, 2] = np.nan, np.nan
    _, b, c = make_scores(truth, predicted).node_errors
    assert np.isnan(b.quantiles).all()
    assert b.missed == 1
    assert np.isnan(c.missed)
    assert c.num_surplus == 2


def test_missing_points_count_as_infinitely_far(make_scores):
    truth = np.array([[0.0, 0], [30, 0], [0, 30]]) * np.ones((1, 1, 1, 1))
    predicted = truth + np.array([3.0, 4.0])
    predicted[0, 0, 1] = np.nan
    scores = make_scores(truth, predicted)
    assert tables.all_errors(scores).tolist() == [5, 5]
    assert sorted(tables.errors_or_missed(scores)) == [5, 5, np.inf]


def test_errors_are_sorted_by_confidence(make_scores):
    rng = np.random.default_rng(3)
    truth = rng.uniform(0, 90, (40, 1, 3, 2))
    predicted = truth + rng.normal(0, 2, truth.shape)
    errors = np.linalg.norm(predicted - truth, axis=-1)[:, 0]
    confidence = 1.05 - errors / 8
    bins = confidence_bins(make_scores(truth, predicted, confidence))
    assert bins.counts.sum() == 120
    assert (np.diff(bins.centers) > 0).all()
    assert (np.diff(bins.quartiles[:, 1]) < 0).all()
    chosen = errors[(confidence >= 0.7) & (confidence < 0.8)]
    row = np.flatnonzero((bins.centers >= 0.7) & (bins.centers < 0.8))[0]
    assert bins.counts[row] == len(chosen)
    assert bins.quartiles[row].tolist() == pytest.approx(np.percentile(chosen, (25, 50, 75)).tolist())
    clipped = np.clip(confidence, 0, 1).ravel()
    assert bins.correlation == pytest.approx(spearmanr(clipped, errors.ravel())[0])
    assert bins.correlation < -0.99


def test_few_points_say_nothing_about_confidence(make_scores):
    truth = np.random.default_rng(3).uniform(0, 90, (4, 1, 3, 2))
    assert np.isnan(confidence_bins(make_scores(truth, truth + 1, np.full((4, 3), 0.4))).correlation)
    empty = confidence_bins(make_scores(truth, np.full_like(truth, np.nan), np.empty((0, 3))))
    assert empty.quartiles.shape == (0, 3)
