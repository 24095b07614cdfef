"""`Fate`: what became of a tensor of an earlier model, and the table of all of them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

_WIDTH = 140


@dataclass(frozen=True)
class Fate:
    """What became of a tensor.

    Attributes:
        name: Its name in the network, or in the checkpoint if the network has no place for it.
        given: Its shape in the checkpoint, None if it is not there.
        own: Its shape in the network, None if it is not there.
        taken: Whether the network has it, whole or in part.
        how: What was done with it, "" for a plain copy.
    """

    name: str
    given: tuple[int, ...] | None
    own: tuple[int, ...] | None
    taken: bool
    how: str = ""


def fates_table(fates: Mapping[str, Sequence[Fate]]) -> str:
    """Return a table as text: counts for each part, then every tensor that is no plain copy, with both shapes.

    Args:
        fates: Part of the network -> what became of its tensors.
    """
    counts = _table("part", "copied", "adapted", "not taken", "own start")
    for part, own in fates.items():
        counts.add_row(
            part,
            str(sum(fate.taken and not fate.how for fate in own)),
            str(sum(fate.taken and bool(fate.how) for fate in own)),
            str(sum(fate.given is not None and not fate.taken for fate in own)),
            str(sum(fate.own is not None and not fate.taken for fate in own)),
        )
    told = [fate for own in fates.values() for fate in own if fate.how]
    if not told:
        return _text(counts)
    tensors = _table("tensor", "checkpoint", "network", "what was done")
    for fate in told:
        how = fate.how if fate.taken else f"not taken: {fate.how}" if fate.given is not None else fate.how
        tensors.add_row(fate.name, _shape(fate.given), _shape(fate.own), how)
    return f"{_text(counts)}\n{_text(tensors)}"


def _table(*headings: str) -> Table:
    """Return an empty table; names are folded, never cut."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _shape(shape: tuple[int, ...] | None) -> str:
    """Return a shape as 8x3x3x3."""
    return "-" if shape is None else "x".join(map(str, shape)) or "1 value"


def _text(table: Table) -> str:
    """Return a table as plain text without spaces at the ends of lines."""
    out = io.StringIO()
    Console(file=out, width=_WIDTH, no_color=True, force_terminal=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines() if line.strip())
