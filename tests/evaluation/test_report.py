import io

import numpy as np
from rich.console import Console

from sleap_nn.evaluation import Evaluator
from sleap_nn.evaluation.report import print_node_errors, print_report, report_lines


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


def test_a_node_that_is_never_found_shows_beside_small_errors(make_labels):
    points = np.array([[[0.0, 0], [20, 20], [0, 20]]])
    extra = points.copy()
    points[:, 2] = np.nan
    found = points.copy()
    found[:, :, 0] += 1
    found[:, 1], found[:, 2] = np.nan, extra[:, 2]
    missed = np.array([[[50.0, 50], [70, 50], [50, 70]]])
    truth = make_labels({0: np.concatenate([points, missed])})
    evaluator = Evaluator(truth, make_labels({0: found}, predicted=True))
    a, b, c = evaluator.node_errors()
    assert (a.num_labelled, a.num_compared, a.missed, a.num_surplus) == (2, 1, 0, 0)
    assert (b.num_labelled, b.num_compared, b.missed) == (2, 0, 1)
    assert (c.num_labelled, c.num_compared, c.num_surplus) == (1, 0, 1)
    stream = io.StringIO()
    print_node_errors([a, b, c], Console(file=stream, width=80))
    rows = {line.split()[0]: line.split()[1:] for line in stream.getvalue().splitlines()[-4:] if line.strip()}
    assert rows[a.name] == ["2", "1", "0.0", "0", "1.00", "1.00"]
    assert rows[b.name] == ["2", "0", "100.0", "0", "-", "-"]
    assert rows[c.name] == ["1", "0", "-", "1", "-", "-"]
