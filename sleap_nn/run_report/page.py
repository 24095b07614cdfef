"""The page itself: what the template is given, and the template filled in."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sleap_nn.config.differences import differences
from sleap_nn.evaluation.bootstrap import MIN_FRAMES
from sleap_nn.evaluation.node_errors import NodeErrors
from sleap_nn.run_report import facts, tables
from sleap_nn.run_report.charts import (
    Chart,
    confidence_chart,
    cumulative_chart,
    histogram,
    quantile_rows,
)
from sleap_nn.run_report.curves import history_charts
from sleap_nn.run_report.examples import Example, choose, draw_example
from sleap_nn.run_report.findings import Evidence, find
from sleap_nn.run_report.reader import Run, read_run
from sleap_nn.run_report.scores import SplitScores
from sleap_nn.run_report.tables import METRICS, MetricColumn
from sleap_nn.version import __version__

KEY_FIGURES = ("p50", "p95", "identity", "mOKS", "mAP", "recall", "precision", "PCK@5")
MOST_FIGURES = 6
SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class ErrorSection:
    """Charts and tables of the errors of one split.

    Attributes:
        split: Name of the split.
        charts: Pictures.
        nodes: How well each node is found.
        correlation: Rank correlation of confidence and error in words, empty if it is not defined.
    """

    split: str
    charts: tuple[Chart, ...]
    nodes: tuple[NodeErrors, ...]
    correlation: str


def make_page(path: Path) -> str:
    """Return the report of a run folder as HTML.

    Args:
        path: The folder, or a file in it.

    Raises:
        MissingFileError: The folder does not exist, or holds nothing of a training run.
    """
    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = lambda image: f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"
    return environment.get_template("report.html.jinja").render(_content(read_run(path)))


def _content(run: Run) -> dict[str, Any]:
    """Return the variables of the template."""
    main = run.main
    by_split = {column.split: column for column in reversed(run.columns)}
    evidence = Evidence(run.config, run.history, run.split, run.label_check, run.labels, by_split, run.scores)
    return {
        "name": run.files.name,
        "version": __version__,
        "made": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "figures": _figures(run),
        "findings": find(evidence),
        "judged": bool(run.columns) or run.history is not None,
        "curves": () if run.history is None else history_charts(run.history, run.config),
        "metrics": _metric_rows(run.columns),
        "columns": run.columns,
        "count_names": [n for n in tables.COUNTS.values() if any(n in column.counts for column in run.columns)],
        "min_frames": MIN_FRAMES,
        "errors": _error_sections(run.scores, main),
        "examples": _examples(run, main),
        "main": None if main is None else main.name,
        "split_names": SPLIT_NAMES,
        "one_point": main is not None and main.one_point,
        "model": [] if run.config is None else facts.model_rows(run.config),
        "training": facts.training_rows(run.config, run.history),
        "machine": facts.machine_rows(run.config, run.provenance),
        "nodes": next((labels.node_names for labels in run.labels), ()),
        "labels": run.labels,
        "split": [] if run.split is None else facts.split_rows(run.split),
        **_differences(run),
        "notes": run.notes.by_section,
    }


def _figures(run: Run) -> list[tuple[str, str, str, str]]:
    """Return name, value, interval and meaning of the numbers to see first."""
    name = None if run.main is None else run.main.name
    column = next((column for column in run.columns if column.split == name), None)
    if column is None:
        return []
    metrics = {metric.key: metric for metric in METRICS if metric.key in column.estimates}
    chosen = [metrics[key] for key in KEY_FIGURES if key in metrics and not np.isnan(column.estimates[key].value)]
    return [
        (metric.name, metric.text(estimate), metric.interval(estimate), metric.meaning)
        for metric in chosen[:MOST_FIGURES]
        for estimate in [column.estimates[metric.key]]
    ]


def _metric_rows(columns: tuple[MetricColumn, ...]) -> list[dict[str, Any]]:
    """Return the lines of the table of metrics, each with one (value, interval) a column."""
    return [
        {
            "name": metric.name,
            "meaning": metric.meaning,
            "cells": [
                (metric.text(column.estimates[metric.key]), metric.interval(column.estimates[metric.key]))
                if metric.key in column.estimates
                else ("", "")
                for column in columns
            ],
        }
        for metric in METRICS
        if any(metric.key in column.estimates for column in columns)
    ]


def _error_sections(scores: Mapping[str, SplitScores], main: SplitScores | None) -> list[ErrorSection]:
    """Return charts and tables of every split that has errors; the one shown in detail is first, and compares all."""
    names = sorted(scores, key=lambda name: main is None or name != main.name)
    names = [name for name in names if tables.all_errors(scores[name]).size]
    compared = [cumulative_chart({name: tables.errors_or_missed(scores[name]) for name in names})] if names else []
    return [_error_section(scores[name], compared if name == names[0] else []) for name in names]


def _error_section(scores: SplitScores, more: Sequence[Chart]) -> ErrorSection:
    """Return charts and tables of one split, with charts of other things at the end."""
    nodes = scores.node_errors
    bins = tables.confidence_bins(scores)
    charts = [histogram(f"Errors on {scores.name}", tables.all_errors(scores), scores.name)]
    if not scores.one_point:
        quantiles = np.array([node.quantiles for node in nodes])
        charts.append(quantile_rows("Errors by node", scores.node_names, quantiles, scores.name))
    if len(bins.centers) > 1:
        charts.append(confidence_chart(bins.centers.tolist(), bins.quartiles, bins.counts.tolist()))
    return ErrorSection(
        scores.name,
        (*charts, *more),
        () if scores.one_point else tuple(nodes),
        "" if np.isnan(bins.correlation) else _correlation(bins.correlation),
    )


def _correlation(value: float) -> str:
    """Say how well confidence tells good points from bad ones."""
    strength = "reliably" if value < -0.5 else "only roughly" if value < -0.2 else "hardly"
    return f"Confidence {strength} tells good points from bad ones (rank correlation with the error {value:.2f})."


def _examples(run: Run, main: SplitScores | None) -> dict[str, list[Example]]:
    """Return the frames to show, by kind."""
    if main is None:
        return {}
    drawn: dict[str, list[Example]] = {}
    for kind, frame in choose(main.quality):
        example = run.notes.attempt("examples", draw_example, main, kind, frame)
        if example is not None:
            drawn.setdefault(kind, []).append(example)
    return drawn


def _differences(run: Run) -> dict[str, Any]:
    """Return what the user changed from the defaults, and what training filled in."""
    given = run.config if run.initial is None else run.initial
    filled = [] if run.config is None or run.initial is None else differences(run.config, run.initial)
    return {
        "changed": [] if given is None else facts.difference_rows(differences(given)),
        "filled": facts.difference_rows(filled),
    }
