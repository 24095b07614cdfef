from xml.etree import ElementTree

import numpy as np
import pytest

from sleap_nn.run_report.charts import (
    Chart,
    Curve,
    confidence_chart,
    cumulative_chart,
    curve_chart,
    histogram,
    quantile_rows,
)


def parsed(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(chart.svg)


def texts(chart: Chart) -> list[str]:
    return ["".join(element.itertext()) for element in parsed(chart).findall("text")]


def curves(*values: list[float]) -> list[Curve]:
    return [Curve(css, css, np.array(v, float)) for css, v in zip(("train", "val"), values, strict=False)]


def test_curves_are_described_in_words():
    chart = curve_chart("Loss", np.arange(3.0), curves([3, 2, 1], [3, 1, 2]), marks={"best epoch: 1": 1.0})
    assert parsed(chart).get("aria-label") == (
        "Loss: train from 3 to 1, lowest 1 at epoch 2; val from 3 to 2, lowest 1 at epoch 1"
    )
    assert chart.legend == (("train", "train"), ("val", "val"))
    assert "best epoch: 1" in texts(chart)


@pytest.mark.parametrize(("last", "is_log"), [(0.9, False), (0.06, False), (0.01, True)])
def test_a_large_range_is_drawn_on_a_logarithmic_scale(last: float, is_log: bool):
    chart = curve_chart("Loss", np.arange(2.0), curves([1.0, last]), y_label="x")
    assert ("x (log)" in texts(chart)) == is_log
    assert chart.legend == ()


def test_epochs_are_whole_numbers():
    ticks = texts(curve_chart("Loss", np.arange(3.0), curves([1, 1, 1])))
    assert not {"0.5", "1.5"} & set(ticks)
    assert {"0", "1", "2"} <= set(ticks)


def test_long_curves_are_thinned():
    chart = curve_chart("Loss", np.arange(5000.0), curves(np.linspace(1, 2, 5000).tolist()))
    assert len(chart.svg) < 12_000


@pytest.mark.parametrize("values", [[np.nan, np.nan], [0.0, 0.0], [-1.0, 1.0], [np.inf, 1.0]])
def test_odd_values_are_drawn_without_an_error(values: list[float]):
    assert "NaN" not in curve_chart("Loss", np.arange(2.0), curves(values)).svg


def test_a_histogram_counts_every_error():
    values = np.concatenate([np.linspace(0, 10, 995), np.full(5, 500.0)])
    chart = histogram("Errors", values, "val")
    bars = [bar.findtext("title") or "" for bar in parsed(chart).findall("rect")]
    assert sum(int(title.rpartition(": ")[2]) for title in bars) == 1000
    assert "10 larger errors, up to 500.0 px" in chart.caption
    assert "a larger error, of 9.0 px" in histogram("Errors", np.array([1.0, 2.0, 9.0]), "val").caption
    assert "median 5.03" in texts(chart)
    assert "95 % below" in parsed(chart).get("aria-label", "")


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [3.0]])
def test_a_histogram_of_few_errors(values: list[float]):
    assert len(parsed(histogram("Errors", np.array(values), "val")).findall("rect")) == 1


def test_shares_reach_what_was_found():
    errors = {"train": np.array([1.0, 2, 3, 4]), "val": np.array([1.0, 2, np.inf, np.inf])}
    chart = cumulative_chart(errors)
    assert [css for css, _ in chart.legend] == ["train", "val"]
    train, val = (path.get("d", "").rpartition(" ")[2] for path in parsed(chart).findall("path"))
    top, bottom = 10, 205
    assert float(val) == pytest.approx((top + bottom) / 2, abs=0.2)
    assert float(train) == pytest.approx(bottom - 0.75 * (bottom - top), abs=0.2)


def test_every_node_has_a_row_and_those_without_errors_stay_empty():
    quantiles = np.array([[1, 2, 3, 4, 5], [np.nan] * 5, [2, 4, 6, 8, 10]])
    chart = quantile_rows("Errors by node", ["a", "b", "a very long name of a node"], quantiles, "val")
    assert "a very long nam…" in texts(chart)
    assert len(parsed(chart).findall("rect")) == 2
    titles = [bar.findtext("title") or "" for bar in parsed(chart).findall("rect")]
    assert titles[1].startswith("a very long name of a node: median 6.00 px")
    assert parsed(chart).get("aria-label", "").endswith("a very long name of a node 6.00 px, a 3.00 px")


def test_rows_without_any_error():
    assert parsed(quantile_rows("Errors", ["a"], np.full((1, 5), np.nan), "val")).findall("rect") == []


def test_names_of_nodes_are_escaped():
    chart = quantile_rows("Errors", ["<script>"], np.array([[1.0, 2, 3, 4, 5]]), "val")
    assert "<script>" not in chart.svg
    assert "<script>" in texts(chart)


def test_confidence_has_a_dot_for_every_bin():
    chart = confidence_chart([0.25, 0.85], np.array([[3, 4, 5], [1, 1.5, 2]]), [7, 9])
    dots = [dot.findtext("title") for dot in parsed(chart).findall("circle")]
    assert dots == [
        "confidence about 0.25: 7 points, median error 4.00 px",
        "confidence about 0.85: 9 points, median error 1.50 px",
    ]
    assert "0.25: 4.00 px, 0.85: 1.50 px" in parsed(chart).get("aria-label", "")
