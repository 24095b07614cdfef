"""What the scripts of this folder share: a timer and a table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence


def median_seconds(functions: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Return the median seconds of each function.

    The functions take turns, so that whatever else the machine does slows all of them alike; one round before
    the first is not counted.
    """
    seconds: list[list[float]] = [[] for _ in functions]
    for number in range(rounds + 1):
        for function, times in zip(functions, seconds, strict=True):
            start = time.perf_counter()
            function()
            if number:
                times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in seconds]


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table for people: the first column to the left, numbers to the right."""
    cells = [[entry if isinstance(entry, str) else f"{entry:.4g}" for entry in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(columns), *cells]) for i in range(len(columns))]
    print(title)
    for row in [list(columns), *cells]:
        print(
            "  "
            + "  ".join(
                text.rjust(w) if i else text.ljust(w) for i, (text, w) in enumerate(zip(row, widths, strict=True))
            )
        )
    print()
