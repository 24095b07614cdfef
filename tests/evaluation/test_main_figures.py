import numpy as np
import pytest

from sleap_nn.evaluation import Evaluator
from sleap_nn.evaluation.main_figures import CENTROIDS, POSES, main_figures


def test_the_figures_of_poses_are_those_of_the_evaluation(golden_labels):
    metrics = Evaluator(*golden_labels).evaluate()
    figures = main_figures(metrics)
    assert set(figures) == set(POSES) - {"identity_accuracy"}
    assert all(isinstance(value, float) for value in figures.values())
    assert figures["mOKS"] == metrics["mOKS"]["mOKS"]
    assert figures["oks_voc_mAP"] == metrics["voc_metrics"]["oks_voc.mAP"]
    assert figures["PCK_5"] == metrics["pck_metrics"]["PCK@5"]
    assert figures["distance_p95"] == metrics["distance_metrics"]["p95"]
    assert figures["visibility_recall"] == metrics["visibility_metrics"]["recall"]


def test_centroids_have_their_own(golden_labels):
    metrics = Evaluator(*golden_labels, match_threshold=50, match_method="centroid").evaluate()
    figures = main_figures(metrics)
    assert set(figures) == set(CENTROIDS)
    assert figures["centroid_dist_median"] == pytest.approx(np.nanmedian(metrics["distance_metrics"]["dists"]))
    assert figures["centroid_n_tp"] == metrics["detection_metrics"]["n_tp"]


def test_what_was_not_computed_is_left_out():
    assert main_figures({"mOKS": {"mOKS": 0.5}, "pck_metrics": {"mPCK": 0.25}}) == {"mOKS": 0.5, "mPCK": 0.25}
    assert main_figures({"identity_metrics": {"accuracy": 1.0}}) == {"identity_accuracy": 1.0}
