from xml.etree import ElementTree

import numpy as np
import pytest

from sleap_nn.run_report.svg import Axis, Plot, number, row_axis, x_axis, y_axis


def elements(plot: Plot, tag: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(plot.svg("about")).findall(tag)


@pytest.mark.parametrize(
    ("values", "log", "low", "high", "ticks"),
    [
        ([0, 10], False, 0, 10, [0, 2, 4, 6, 8, 10]),
        ([0.013, 0.0871], False, 0, 0.1, [0, 0.02, 0.04, 0.06, 0.08, 0.1]),
        ([-3, 4], False, -4, 4, [-4, -2, 0, 2, 4]),
        ([7], False, 3.5, 10.5, [2, 4, 6, 8, 10, 12]),
        ([0], False, -0.6, 0.6, None),
        ([], False, 0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ([np.nan, np.inf, 2, 8], False, 2, 8, None),
        ([0.3, 40], True, 0.2, 50, [0.2, 0.5, 1, 2, 5, 10, 20, 50]),
        ([1e-6, 1], True, 1e-6, 1, [1e-6, 1e-4, 1e-2, 1]),
        ([0, -1, 5], True, 5, 50, [5, 10, 20, 50]),
        ([], True, 1, 2, [1, 2]),
    ],
)
def test_axes_begin_and_end_at_round_values(values, log, low, high, ticks):
    axis = Axis.over(values, 0, 100, log)
    assert axis.low <= low + 1e-9
    assert axis.high >= high - 1e-9
    assert axis(axis.low) == 0
    assert axis(axis.high) == 100
    if ticks is not None:
        assert axis.ticks == pytest.approx(ticks)


def test_positions_are_even_in_values_or_in_ratios():
    assert Axis(0, 10, 50, 250)(5) == 150
    assert Axis(1, 100, 50, 250, log=True)(10) == 150
    assert Axis(1, 100, 50, 250, log=True)(0) == 50


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.30000000000000004, "0.3"), (1e-4, "1e-4"), (2.5e-5, "2.5e-5"), (200000, "2e5")]
)
def test_ticks_are_short(value: float, text: str):
    assert number(value) == text


def test_lines_have_gaps_where_there_is_no_value():
    plot = Plot(x_axis([0, 4]), y_axis([0, 1]))
    plot.line(np.arange(5.0), np.array([0, 1, np.nan, 1, 0]), "train")
    (path,) = elements(plot, "path")
    assert path.get("d", "").count("M") == 2
    assert path.get("d", "").count("L") == 2
    assert path.get("class") == "line train"


def test_a_logarithmic_axis_leaves_out_what_is_not_positive():
    plot = Plot(x_axis([0, 2]), y_axis([1, 10], log=True))
    plot.line(np.arange(3.0), np.array([1, 0, 10]), "val")
    assert elements(plot, "path")[0].get("d", "").count("M") == 2


def test_a_single_value_is_a_point():
    plot = Plot(x_axis([0]), y_axis([1]))
    plot.line(np.array([0.0]), np.array([1.0]), "val")
    assert len(elements(plot, "circle")) == 1


def test_bars_reach_from_value_to_value_whatever_the_order():
    plot = Plot(Axis(0, 10, 0, 100), Axis(0, 10, 100, 0))
    plot.bar((2, 4), (0, 5), "val", "five")
    (bar,) = elements(plot, "rect")
    assert [bar.get(name) for name in ("x", "y", "width", "height")] == ["20", "50", "20", "50"]
    assert bar.findtext("title") == "five"


def test_rows_are_evenly_spaced_and_the_picture_grows():
    axis, height = row_axis(3)
    assert axis(1) - axis(0) == pytest.approx(axis(2) - axis(1))
    assert axis(0) < axis(2)
    assert row_axis(6)[1] > height


def test_marks_say_their_text_inside_the_picture():
    for value, css in ((1, "note"), (9, "note end")):
        plot = Plot(Axis(0, 10, 0, 100), Axis(0, 1, 100, 0))
        plot.mark(value, "here")
        assert elements(plot, "text")[0].get("class") == css


def test_text_is_escaped():
    plot = Plot(x_axis([0, 1]), y_axis([0, 1]))
    plot.grid("<script>alert(1)</script>", "a & b")
    plot.dot(0, 0, "val", '"><img src=x>')
    picture = plot.svg('"><script>')
    assert "<script" not in picture
    assert "<img" not in picture
    assert ElementTree.fromstring(picture).get("aria-label") == '"><script>'
