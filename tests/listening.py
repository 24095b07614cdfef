"""A listener of a run that notes what it is told, and can fail on demand."""

from typing import ClassVar

from sleap_nn.training.callbacks.drawings import Drawing
from sleap_nn.training.callbacks.listeners import Event, Listener


class Notebook(Listener):
    """Notes calls as (method, argument).

    Attributes:
        calls: What it was told, in order.
        stop_at: Number of the question at which it wants the run to end, None for never.
    """

    service: ClassVar[str] = "The notebook"

    def __init__(self, fail_in: str = "", url: str | None = None, stop_at: int | None = None) -> None:
        self.wants_drawings = False
        self.calls: list[tuple[str, object]] = []
        self.stop_at = stop_at
        self._fail_in = fail_in
        self._url = url
        self._questions = 0

    def open(self) -> str | None:
        self._note("open")
        return self._url

    def write(self, event: Event) -> None:
        self._note("write", event)

    def draw(self, epoch: int, drawings: list[Drawing]) -> None:
        self._note("draw", epoch)

    def wants_stop(self, wait: bool) -> bool:
        self._note("wants_stop", wait)
        self._questions += 1
        return self._questions - 1 == self.stop_at

    def close(self, failed: bool) -> None:
        self._note("close", failed)

    def events(self) -> list[Event]:
        return [argument for name, argument in self.calls if name == "write" and isinstance(argument, Event)]

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def _note(self, name: str, argument: object = None) -> None:
        self.calls.append((name, argument))
        if name == self._fail_in:
            raise RuntimeError(f"no {name} today.\nmore about it")
