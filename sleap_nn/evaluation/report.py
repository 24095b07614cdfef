"""The report of an evaluation: which numbers, under which names, in which order, as tables.

Reads the sections of a metrics file, and the errors of nodes, and computes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from sleap_nn.evaluation.node_errors import NodeErrors

TITLE = "Evaluation Results:"
NODES_TITLE = "Points by node:"

POSE_LINES = (
    ("mOKS", "mOKS", "mOKS", "{:.4f}"),
    ("mAP (OKS VOC)", "voc_metrics", "oks_voc.mAP", "{:.4f}"),
    ("mAR (OKS VOC)", "voc_metrics", "oks_voc.mAR", "{:.4f}"),
    ("Average Distance", "distance_metrics", "avg", "{:.2f} px"),
    ("RMSE", "distance_metrics", "rmse", "{:.2f} px"),
    ("dist.p50", "distance_metrics", "p50", "{:.2f} px"),
    ("dist.p95", "distance_metrics", "p95", "{:.2f} px"),
    ("dist.p99", "distance_metrics", "p99", "{:.2f} px"),
    ("mPCK", "pck_metrics", "mPCK", "{:.4f}"),
    ("PCK@5px", "pck_metrics", "PCK@5", "{:.4f}"),
    ("PCK@10px", "pck_metrics", "PCK@10", "{:.4f}"),
    ("Visibility Precision", "visibility_metrics", "precision", "{:.4f}"),
    ("Visibility Recall", "visibility_metrics", "recall", "{:.4f}"),
)
"""Name, section, key and format of each line for poses."""

IDENTITY_LINES = (
    ("Identity right", "identity_metrics", "accuracy", "{:.4f}"),
    ("Identities compared", "identity_metrics", "n_pairs", "{:.0f}"),
)
"""The same for learned identities, beside one of the others."""

CENTROID_LINES = (
    ("Precision", "detection_metrics", "precision", "{:.4f}"),
    ("Recall", "detection_metrics", "recall", "{:.4f}"),
    ("F1", "detection_metrics", "f1", "{:.4f}"),
    ("Average Distance", "distance_metrics", "avg", "{:.2f} px"),
    ("RMSE", "distance_metrics", "rmse", "{:.2f} px"),
    ("dist.p50", "distance_metrics", "p50", "{:.2f} px"),
    ("dist.p90", "distance_metrics", "p90", "{:.2f} px"),
    ("dist.p95", "distance_metrics", "p95", "{:.2f} px"),
    ("dist.p99", "distance_metrics", "p99", "{:.2f} px"),
)
"""The same for centroids."""


def report_lines(metrics: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return name and value of every line of the report: what was compared, then how well it agrees.

    Args:
        metrics: Sections as `Evaluator.evaluate` returns them.
    """
    counts = metrics["counts"]
    lines = [
        ("Frames", f"{counts['frames']}"),
        ("Frames without predictions", f"{counts['frames_skipped']} skipped"),
        ("Ground truth instances", f"{counts['truth_instances']}"),
        ("Predicted instances", f"{counts['predicted_instances']}"),
        ("Points compared", f"{counts['points']}"),
        ("Counts TP/FP/FN", f"{counts['matched']}/{counts['false_positives']}/{counts['false_negatives']}"),
    ]
    chosen = CENTROID_LINES if "detection_metrics" in metrics else POSE_LINES
    if "identity_metrics" in metrics:
        chosen = (*chosen, *IDENTITY_LINES)
    return lines + [(name, form.format(metrics[section][key])) for name, section, key, form in chosen]


def print_report(metrics: Mapping[str, Mapping[str, Any]], console: Console | None = None) -> None:
    """Print the report as a table.

    Args:
        metrics: Sections as `Evaluator.evaluate` returns them.
        console: Where to; None means standard output.
    """
    table = Table(box=box.SIMPLE_HEAD, show_header=False, title=TITLE, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    lines = report_lines(metrics)
    num_counts = next(i for i, (name, _) in enumerate(lines) if name.startswith("Counts")) + 1
    for index, (name, value) in enumerate(lines):
        table.add_row(name, value, end_section=index == num_counts - 1)
    (Console(highlight=False) if console is None else console).print(table)


def print_node_errors(nodes: Sequence[NodeErrors], console: Console | None = None) -> None:
    """Print how well each node is found: distances alone hide a node that never is.

    Args:
        nodes: As `Evaluator.node_errors` returns them.
        console: Where to; None means standard output.
    """
    table = Table(box=box.SIMPLE_HEAD, title=NODES_TITLE, title_justify="left")
    table.add_column("node", overflow="fold")
    for name in ("labelled", "compared", "missed %", "surplus", "p50 px", "p95 px"):
        table.add_column(name, justify="right", no_wrap=True)
    for node in nodes:
        missed = "-" if math.isnan(node.missed) else f"{100 * node.missed:.1f}"
        errors = [f"{node.quantiles[at]:.2f}" if node.num_compared else "-" for at in (2, 4)]
        table.add_row(node.name, str(node.num_labelled), str(node.num_compared), missed, str(node.num_surplus), *errors)
    (Console(highlight=False) if console is None else console).print(table)
