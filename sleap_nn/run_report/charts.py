"""The charts of the report, each a picture with a title, a legend and a description in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sleap_nn.run_report.svg import Plot, number, row_axis, x_axis, y_axis

_LOG_RATIO = 20.0
"""Losses that span more than this ratio are drawn on a logarithmic axis."""

_MOST_POINTS = 400
_FEWEST_BINS, _MOST_BINS = 8, 30
_FEWEST_COUNTS = 5
_LONGEST_NAME = 16
_NAME_WIDTH = 112


@dataclass(frozen=True)
class Chart:
    """A picture to put on the page.

    Attributes:
        title: What it shows.
        svg: The picture as inline SVG, made by `svg.Plot`, which escapes all text.
        legend: (style class, name) of what has a colour of its own.
        caption: A sentence on how to read it.
    """

    title: str
    svg: str
    legend: tuple[tuple[str, str], ...] = ()
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Curve:
    """A line in a chart.

    Attributes:
        name: For the legend.
        css: Style class: ``train``, ``val``, ``test`` or ``other``.
        values: One a position on the x axis, NaN where there is none.
    """

    name: str
    css: str
    values: Float[np.ndarray, " x"]


def curve_chart(
    title: str,
    epochs: Float[np.ndarray, " epochs"],
    curves: Sequence[Curve],
    y_label: str = "",
    marks: Mapping[str, float] | None = None,
    caption: str = "",
) -> Chart:
    """Draw lines over epochs, on a logarithmic scale where positive values span a large range.

    Args:
        title: What the chart shows.
        epochs: Their numbers, ascending.
        curves: The lines, with a value an epoch.
        y_label: Name of the y axis.
        marks: Epochs to point out, by the text beside them.
        caption: How to read the chart.
    """
    values = np.concatenate([curve.values for curve in curves])
    known = values[np.isfinite(values)]
    log = bool(known.size and known.min() > 0 and known.max() > _LOG_RATIO * known.min())
    across, up = x_axis(epochs), y_axis(values if log else [0, *values], log)
    plot = Plot(across, up)
    plot.grid("epoch", f"{y_label} (log)".strip() if log else y_label, [tick for tick in across.ticks if tick % 1 == 0])
    chosen = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), _MOST_POINTS)).round().astype(int))
    for curve in curves:
        plot.line(np.asarray(epochs, float)[chosen], curve.values[chosen], curve.css)
    for text, place in ({} if marks is None else marks).items():
        plot.mark(place, text)
    described = "; ".join(_course(curve, epochs) for curve in curves)
    legend = tuple((curve.css, curve.name) for curve in curves) if len(curves) > 1 else ()
    return Chart(title, plot.svg(f"{title}: {described}"), legend, caption)


def histogram(title: str, values: Float[np.ndarray, " values"], css: str) -> Chart:
    """Draw how often errors (px) occur, with their median and 95th percentile; the largest 1 % share the last bar.

    Args:
        title: What the chart shows.
        values: At least one error, none of them NaN.
        css: Style class.
    """
    median, p95, p99 = np.percentile(values, (50, 95, 99))
    end = float(p99) if p99 > 0 else 1.0
    edges = np.linspace(0, end, int(np.clip(2 * np.sqrt(len(values)), _FEWEST_BINS, _MOST_BINS)) + 1)
    counts, _ = np.histogram(np.minimum(values, end), edges)
    plot = Plot(x_axis([0, end]), y_axis([0, counts.max(), _FEWEST_COUNTS]))
    plot.grid("error (px)", "points")
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if count:
            plot.bar((low, high), (0, count), css, f"{low:.2f} to {high:.2f} px: {count}")
    plot.mark(float(median), f"median {median:.2f}")
    if p95 > median:
        plot.mark(float(p95), f"95 % below {p95:.2f}", row=1)
    beyond = int((values > end).sum())
    larger = "a larger error, of" if beyond == 1 else f"{beyond} larger errors, up to"
    caption = f"The last bar also holds {larger} {values.max():.1f} px." if beyond else ""
    description = f"{title}: {len(values)} points, median {median:.2f} px, 95 % below {p95:.2f} px"
    return Chart(title, plot.svg(description), caption=caption)


def cumulative_chart(errors: Mapping[str, Float[np.ndarray, " points"]]) -> Chart:
    """Draw, for each split, the share of its points that lie within a distance of their label.

    Args:
        errors: Errors in px by split; infinite for points that were labelled or predicted but not both.
    """
    finite = np.concatenate([values[np.isfinite(values)] for values in errors.values()])
    end = float(np.percentile(finite, 98)) if finite.size and finite.max() > 0 else 1.0
    x = np.linspace(0, end, 101)
    curves = [
        Curve(split, split, np.searchsorted(np.sort(values), x, side="right") / max(len(values), 1) * 100)
        for split, values in errors.items()
    ]
    title = "Share of points within a distance"
    plot = Plot(x_axis(x), y_axis([0, 100]))
    plot.grid("distance (px)", "points (%)")
    for curve in curves:
        plot.line(x, curve.values, curve.css)
    described = "; ".join(f"{curve.name} {curve.values[50]:.0f} % within {x[50]:.2f} px" for curve in curves)
    caption = "Higher and further left is better; points that were missed never count as found."
    return Chart(title, plot.svg(f"{title}: {described}"), tuple((c.css, c.name) for c in curves), caption)


def quantile_rows(title: str, names: Sequence[str], quantiles: Float[np.ndarray, "rows 5"], css: str) -> Chart:
    """Draw the spread of errors (px) of every node: a line from the 5th to the 95th percentile, a box, the median.

    Args:
        title: What the chart shows.
        names: One a row.
        quantiles: Percentiles 5, 25, 50, 75 and 95; NaN in rows without an error.
        css: Style class.
    """
    known = quantiles[np.isfinite(quantiles) & (quantiles > 0)]
    log = bool(known.size and known.max() > 5 * _LOG_RATIO * known.min())
    rows, height = row_axis(len(names))
    plot = Plot(x_axis(known if log else [0, *known], log, left=_NAME_WIDTH), rows, height)
    plot.columns("error (px, log)" if log else "error (px)")
    for row, (name, (p5, p25, p50, p75, p95)) in enumerate(zip(names, quantiles, strict=True)):
        short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        plot.text(_NAME_WIDTH - 8, rows(row) + 4, short, "tick end")
        if not np.isnan(p50):
            spread = f"{name}: median {p50:.2f} px, half within {p25:.2f} to {p75:.2f}, 95 % below {p95:.2f}"
            plot.segment((p5, p95), (row, row), f"{css} spread")
            plot.bar((p25, p75), (row - 0.3, row + 0.3), css, spread)
            plot.segment((p50, p50), (row - 0.3, row + 0.3), "median")
    order = [i for i in np.argsort(-np.nan_to_num(quantiles[:, 2], nan=-1)) if not np.isnan(quantiles[i, 2])]
    worst = ", ".join(f"{names[i]} {quantiles[i, 2]:.2f} px" for i in order[:3])
    caption = "Line: 5 to 95 % of the points. Box: the middle half. Stroke: median."
    return Chart(title, plot.svg(f"{title}, largest medians: {worst}"), caption=caption)


def confidence_chart(centers: Sequence[float], quartiles: Float[np.ndarray, "bins 3"], counts: Sequence[int]) -> Chart:
    """Draw the errors (px) of points by their confidence: median and middle half of every bin.

    Args:
        centers: Middle of each bin.
        quartiles: Percentiles 25, 50 and 75 of each bin.
        counts: Points in each bin.
    """
    title = "Error by confidence"
    x = np.asarray(centers, float)
    plot = Plot(x_axis([0, 1]), y_axis([0, *quartiles.ravel()]))
    plot.grid("confidence of the point", "error (px)")
    plot.band(x, quartiles[:, 0], quartiles[:, 2], "other")
    plot.line(x, quartiles[:, 1], "other")
    for at, (_, median, _), count in zip(x, quartiles, counts, strict=True):
        plot.dot(at, median, "other", f"confidence about {at:.2f}: {count} points, median error {median:.2f} px")
    described = ", ".join(f"{number(at)}: {median:.2f} px" for at, median in zip(x, quartiles[:, 1], strict=True))
    caption = "Line: median. Band: the middle half. It should fall to the right: then confidence tells good points."
    return Chart(title, plot.svg(f"{title}, medians: {described}"), caption=caption)


def _course(curve: Curve, epochs: Float[np.ndarray, " epochs"]) -> str:
    """Say where a line begins, ends and is lowest."""
    known = np.flatnonzero(np.isfinite(curve.values))
    if not known.size:
        return f"{curve.name} has no values"
    lowest = known[curve.values[known].argmin()]
    first, last = curve.values[known[0]], curve.values[known[-1]]
    at = f"lowest {curve.values[lowest]:.4g} at epoch {epochs[lowest]:g}"
    return f"{curve.name} from {first:.4g} to {last:.4g}, {at}"
