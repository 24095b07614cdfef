"""`NestedBlock`: what several callers keep open, each in a ``with`` block, until the outermost of the blocks ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class NestedBlock(ABC):
    """Can be entered again while it is entered; `_leave` is called once, when the outermost block ends."""

    _depth = 0

    def __enter__(self) -> Self:
        """Keep open until the matching exit."""
        self._depth += 1
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """End one block."""
        self._depth -= 1
        if self._depth == 0:
            self._leave(failed=kind is not None)

    @abstractmethod
    def _leave(self, failed: bool) -> None:
        """Close; `failed` tells whether the outermost block ends with an error."""
