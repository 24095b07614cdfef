"""Axes and marks of a chart as inline SVG.

Colours come from the style sheet of the page, so that they fit light and dark. Text is put in by ElementTree, which
escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np

WIDTH, HEIGHT = 380, 245
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 10, 40
_TARGET_TICKS = 5
_FINE_RATIO = 300
_ROW_HEIGHT = 22


@dataclass(frozen=True)
class Axis:
    """Values along one side of a chart.

    Attributes:
        low: Value at `start`.
        high: Value at `end`.
        start: Position of `low` in the picture.
        end: Position of `high`.
        log: Whether equal ratios, not differences, are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def over(cls, values: np.ndarray | Sequence[float], start: float, end: float, log: bool = False) -> Axis:
        """Return an axis on which all values have a place; it begins and ends at round values.

        Args:
            values: NaN, and with `log` also 0 and less, do not matter.
            start: See `Axis`.
            end: See `Axis`.
            log: See `Axis`.
        """
        known = np.asarray(values, float)
        known = known[np.isfinite(known) & ((known > 0) | (not log))]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0 + log, 1.0 + log)
        if log:
            low, high = _round_below(low), _round_above(high)
            return cls(low, high if high > low else 10 * low, start, end, log)
        if high <= low:
            low, high = (low - 0.5, high + 0.5) if low == 0 else (low - abs(low) / 2, high + abs(high) / 2)
        step = _step(high - low)
        return cls(math.floor(low / step) * step, math.ceil(high / step) * step, start, end)

    def __call__(self, value: float) -> float:
        """Return the position of a value; one below a logarithmic axis is at its start."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, self.low))
        return round(self.start + (at - low) / (high - low) * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[float]:
        """Round values to label."""
        if not self.log:
            step = _step(self.high - self.low)
            return [round(i * step, 12) for i in range(math.ceil(self.low / step), round(self.high / step) + 1)]
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        digits = (1, 2, 5) if self.high <= _FINE_RATIO * self.low else (1,)
        every = -(-len(decades) // (_TARGET_TICKS + 1)) if digits == (1,) else 1
        values = [digit * 10.0**decade for decade in decades[::every] for digit in digits]
        return [value for value in values if self.low * 0.999 <= value <= self.high * 1.001]


class Plot:
    """A chart being drawn."""

    def __init__(self, x: Axis, y: Axis, height: float = HEIGHT) -> None:
        """Choose the axes; their positions are in a picture `WIDTH` wide and `height` high."""
        self._x, self._y = x, y
        self._root = ElementTree.Element("svg", {"viewBox": f"0 0 {WIDTH} {height:g}", "role": "img", "class": "plot"})

    def grid(self, x_label: str, y_label: str, x_ticks: Sequence[float] | None = None) -> None:
        """Draw lines and numbers at the ticks, and the names of the axes."""
        bottom, left = self._y.start, self._x.start
        for value in self._y.ticks:
            place = self._y(value)
            self._add("line", "grid", x1=left, x2=self._x.end, y1=place, y2=place)
            self.text(left - 6, place + 4, number(value), "tick end")
        for value in self._x.ticks if x_ticks is None else x_ticks:
            self.text(self._x(value), bottom + 16, number(value), "tick middle")
        self._add("line", "axis", x1=left, x2=self._x.end, y1=bottom, y2=bottom)
        self.text((left + self._x.end) / 2, bottom + 34, x_label, "label middle")
        if y_label:
            middle = (self._y.start + self._y.end) / 2
            name = self.text(0, 0, y_label, "label middle")
            name.set("transform", f"translate(12 {middle:g}) rotate(-90)")

    def columns(self, x_label: str) -> None:
        """Draw lines and numbers at the ticks of the x axis only."""
        for value in self._x.ticks:
            place = self._x(value)
            self._add("line", "grid", x1=place, x2=place, y1=self._y.end, y2=self._y.start)
            self.text(place, self._y.start + 16, number(value), "tick middle")
        self.text((self._x.start + self._x.end) / 2, self._y.start + 34, x_label, "label middle")

    def line(self, x: np.ndarray, y: np.ndarray, css: str) -> None:
        """Join points in order; NaN, and on a logarithmic axis 0 and less, make a gap."""
        shown = np.isfinite(x) & np.isfinite(y) & ((y > 0) | (not self._y.log))
        starts = shown & ~np.concatenate([[False], shown[:-1]])
        steps = [
            f"{'M' if begins else 'L'}{self._x(a):g} {self._y(b):g}"
            for a, b, begins in zip(x[shown], y[shown], starts[shown], strict=True)
        ]
        if steps:
            self._add("path", f"line {css}", d="".join(steps))
        if len(steps) == 1:
            self.dot(x[shown][0], y[shown][0], css)

    def band(self, x: np.ndarray, low: np.ndarray, high: np.ndarray, css: str) -> None:
        """Fill the space between two lines."""
        corners = [*zip(x, high, strict=True), *zip(x[::-1], low[::-1], strict=True)]
        self._add("polygon", f"band {css}", points=" ".join(f"{self._x(a):g},{self._y(b):g}" for a, b in corners))

    def bar(self, x: tuple[float, float], y: tuple[float, float], css: str, title: str = "") -> None:
        """Fill a rectangle between two values on each axis."""
        left, right = sorted((self._x(x[0]), self._x(x[1])))
        top, bottom = sorted((self._y(y[0]), self._y(y[1])))
        shape = self._add("rect", f"bar {css}", x=left, y=top, width=right - left, height=bottom - top)
        _set_title(shape, title)

    def segment(self, x: tuple[float, float], y: tuple[float, float], css: str) -> None:
        """Draw a straight line."""
        self._add("line", f"line {css}", x1=self._x(x[0]), x2=self._x(x[1]), y1=self._y(y[0]), y2=self._y(y[1]))

    def dot(self, x: float, y: float, css: str, title: str = "") -> None:
        """Draw a point."""
        _set_title(self._add("circle", f"dot {css}", cx=self._x(x), cy=self._y(y), r=4), title)

    def text(self, x: float, y: float, text: str, css: str) -> ElementTree.Element:
        """Write at a position of the picture."""
        element = self._add("text", css, x=x, y=y)
        element.text = text
        return element

    def mark(self, x: float, text: str, row: int = 0) -> None:
        """Draw a dashed line from top to bottom at a value of the x axis, and write beside it where there is room.

        Args:
            x: The value.
            text: What to write.
            row: Line of text, counted from the top, so that marks that are near each other stay legible.
        """
        place = self._x(x)
        self._add("line", "mark", x1=place, x2=place, y1=self._y.end, y2=self._y.start)
        right = place < (self._x.start + self._x.end) / 2
        self.text(place + (5 if right else -5), self._y.end + 11 + 14 * row, text, "note" if right else "note end")

    def svg(self, description: str) -> str:
        """Return the picture, with a description for those who cannot see it."""
        self._root.set("aria-label", description)
        return ElementTree.tostring(self._root, encoding="unicode")

    def _add(self, tag: str, css: str, **attributes: float | str) -> ElementTree.Element:
        values = {name: value if isinstance(value, str) else f"{value:g}" for name, value in attributes.items()}
        return ElementTree.SubElement(self._root, tag, {"class": css, **values})


def x_axis(values: np.ndarray | Sequence[float], log: bool = False, left: float = LEFT) -> Axis:
    """Return an axis along the bottom of a picture."""
    return Axis.over(values, left, WIDTH - RIGHT, log)


def y_axis(values: np.ndarray | Sequence[float], log: bool = False) -> Axis:
    """Return an axis along the left side of a picture."""
    return Axis.over(values, HEIGHT - BOTTOM, TOP, log)


def row_axis(count: int) -> tuple[Axis, float]:
    """Return an axis that gives each of `count` rows the place of its number, and the height of the picture."""
    bottom = TOP + _ROW_HEIGHT * count
    return Axis(count - 0.5, -0.5, bottom, TOP), bottom + BOTTOM


def number(value: float) -> str:
    """Write a tick: short, without needless zeros."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.6g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _set_title(element: ElementTree.Element, title: str) -> None:
    """Show a text when the pointer rests on a mark."""
    if title:
        ElementTree.SubElement(element, "title").text = title


def _step(span: float) -> float:
    """Return the round distance of ticks that divides a span into a few parts."""
    raw = span / _TARGET_TICKS
    decade = 10.0 ** math.floor(math.log10(raw))
    return next(factor * decade for factor in (1, 2, 2.5, 5, 10) if factor * decade >= raw * 0.999)


def _round_below(value: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above a value."""
    decade = 10.0 ** math.floor(math.log10(value))
    return max((digit * decade for digit in (1, 2, 5) if digit * decade <= value * 1.001), default=decade)


def _round_above(value: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is not below a value."""
    decade = 10.0 ** math.floor(math.log10(value))
    return next(digit * decade for digit in (1, 2, 5, 10) if digit * decade >= value * 0.999)
