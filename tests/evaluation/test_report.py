import io

import numpy as np
from rich.console import Console

from sleap_nn.evaluation import Evaluator
from sleap_nn.evaluation.report import print_report, report_lines


def printed(metrics):
    stream = io.StringIO()
    print_report(metrics, Console(file=stream, width=80))
    return stream.getvalue()


def test_pose_report(golden_labels):
    metrics = Evaluator(*golden_labels).evaluate()
    lines = dict(report_lines(metrics))
    assert lines["mOKS"] == "0.3408"
    assert lines["mAP (OKS VOC)"] == "0.1123"
    assert lines["Average Distance"] == "2.18 px"
    assert lines["PCK@5px"] == "0.8788"
    assert lines["Counts TP/FP/FN"] == "11/1/1"
    assert lines["Points compared"] == "31"
    text = printed(metrics)
    assert text.lstrip().startswith("Evaluation Results:")
    values = [line.rstrip() for line in text.splitlines() if line.rstrip().endswith(tuple(lines.values()))]
    assert len(values) == len(lines)
    assert len({len(line) for line in values}) == 1, "values are aligned to the right"


def test_centroid_report(golden_labels):
    metrics = Evaluator(*golden_labels, match_method="centroid", match_threshold=50).evaluate()
    lines = dict(report_lines(metrics))
    assert lines["F1"] == "0.9167"
    assert lines["Counts TP/FP/FN"] == "11/1/1"
    assert lines["dist.p90"] == "16.97 px"
    assert "mOKS" not in lines
    assert "Precision" in printed(metrics)


def test_skipped_frames_and_undefined_values_are_shown(make_labels):
    truth = make_labels({0: np.ones((1, 3, 2)), 1: np.ones((1, 3, 2))})
    metrics = Evaluator(truth, make_labels({0: np.empty((0, 3, 2))}, predicted=True)).evaluate()
    lines = dict(report_lines(metrics))
    assert lines["Frames"] == "1"
    assert lines["Frames without predictions"] == "1 skipped"
    assert lines["mOKS"] == "nan"
    assert "nan px" in printed(metrics)
