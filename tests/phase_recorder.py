"""A heartbeat that keeps what was announced, in place of saying it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sleap_nn.heartbeat import Phase


class PhaseRecorder:
    """Stands in for the heartbeat of the package.

    Attributes:
        phases: All phases that were opened, in order.
        open: Those that are open now.
        num_bars: Progress bars that are shown now.
    """

    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self.open: list[Phase] = []
        self.num_bars = 0

    @property
    def names(self) -> list[str]:
        return [phase.name for phase in self.phases]

    @property
    def open_names(self) -> list[str]:
        return [phase.name for phase in self.open]

    @contextmanager
    def phase(self, name: str, total: int | None, silence: float) -> Iterator[Phase]:
        opened = Phase(name, 0.0, total, silence)
        self.phases.append(opened)
        self.open.append(opened)
        try:
            yield opened
        finally:
            self.open.remove(opened)

    @contextmanager
    def bar(self) -> Iterator[None]:
        self.num_bars += 1
        try:
            yield
        finally:
            self.num_bars -= 1

    def note_line(self) -> None:
        pass
