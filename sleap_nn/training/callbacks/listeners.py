"""`Listener`: something outside that follows a run (a GUI, a web service, a log); `Listeners`: those of one run.

What goes wrong in a listener never reaches the run: `Failsafe` is the one place where any exception is caught.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from sleap_nn.log import logger
from sleap_nn.training.callbacks.drawings import Drawing, DrawingSink
from sleap_nn.training.nested_block import NestedBlock

EventKind = Literal["train_begin", "epoch_begin", "batch_start", "batch_end", "epoch_end", "train_end", "evaluated"]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Event:
    """Something that happened in a run.

    Attributes:
        kind: What happened.
        epoch: Number of the epoch, from 0.
        batch: Number of the batch in its epoch, from 0.
        step: Number of optimisation steps done so far.
        values: What is known now: the loss of the batch, the averages of the epoch, the values of the best epoch
            (``train_end``), the metrics of all splits (``evaluated``); a value may be NaN.
        url: Page on which the run can be watched.
    """

    kind: EventKind
    epoch: int | None = None
    batch: int | None = None
    step: int | None = None
    values: Mapping[str, float] | None = None
    url: str | None = None


class Listener(ABC):
    """Follows a run from outside.

    Attributes:
        service: Its name in messages to the user.
        wants_drawings: Whether drawings have to be made for it; `draw` gets all that are made anyway.
    """

    service: ClassVar[str]
    wants_drawings: bool

    @abstractmethod
    def open(self) -> str | None:
        """Connect, before the first event; return the page on which the run can be watched, if there is one."""

    @abstractmethod
    def write(self, event: Event) -> None:
        """Take note of an event."""

    @abstractmethod
    def draw(self, epoch: int, drawings: list[Drawing]) -> None:
        """Keep the drawings of an epoch."""

    @abstractmethod
    def wants_stop(self, wait: bool) -> bool:
        """Return whether the run shall end.

        Args:
            wait: Give an answer that is under way the time it needs; False: look and go on.
        """

    @abstractmethod
    def close(self, failed: bool) -> None:
        """Let go of everything, also after an incomplete `open` and after an error.

        Args:
            failed: The run ended by an error or an interruption.
        """


class Failsafe:
    """Runs code of a listener; its first error is one warning and switches the listener off."""

    def __init__(self, service: str, is_silent: bool = False) -> None:
        """Take the name of the service for the warning, or choose to give none."""
        self._service = service
        self._level = logging.DEBUG if is_silent else logging.WARNING
        self.is_on = True

    def call(self, action: Callable[..., Result], *args: object, default: Result) -> Result:
        """Return what the action returns; `default` where it fails, and without calling it after a failure."""
        if not self.is_on:
            return default
        try:
            return action(*args)
        except Exception as error:  # noqa: BLE001 - a service that only watches must not end hours of training
            self.is_on = False
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            logger.log(
                self._level,
                "%s is switched off for this run, which is not affected: %s%s.",
                self._service,
                type(error).__name__,
                f": {reason}" if reason else "",
            )
            return default


class Listeners(NestedBlock, DrawingSink):
    """All listeners of a run; they stay open as long as somebody is in the ``with`` block of this object.

    `ModelTrainer.train` enters it, and whoever evaluates afterwards enters it around that call, so that the listeners
    also see the metrics. Before `open` (in the other processes of a distributed run: always) nothing happens.

    Attributes:
        url: Page on which the run can be watched, None before `open` or without one.
        stop_received: Whether one of them has asked for the end of the run.
    """

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        """Take the first listeners."""
        self._members: list[tuple[Listener, Failsafe]] = []
        self._is_open = False
        self.url: str | None = None
        self.stop_received = False
        self.join(listeners)

    def __bool__(self) -> bool:
        """Whether anybody follows the run."""
        return bool(self._members)

    @property
    def want_drawings(self) -> bool:
        """Whether drawings have to be made for one of them."""
        return any(listener.wants_drawings for listener, _ in self._members)

    def join(self, listeners: Sequence[Listener]) -> None:
        """Take more listeners, before `open`."""
        self._members += [(listener, Failsafe(listener.service)) for listener in listeners]

    def open(self) -> None:
        """Connect all of them."""
        if self._is_open:
            return
        self._is_open = True
        urls = [safe.call(listener.open, default=None) for listener, safe in self._members]
        self.url = next((url for url in urls if url is not None), None)

    def write(self, event: Event) -> None:
        """Tell all of them what happened."""
        for listener, safe in self._members if self._is_open else ():
            safe.call(listener.write, event, default=None)

    def add(self, epoch: int, drawings: list[Drawing]) -> None:
        """Show the drawings of an epoch to all of them."""
        for listener, safe in self._members if self._is_open else ():
            safe.call(listener.draw, epoch, drawings, default=None)

    def wants_stop(self, wait: bool) -> bool:
        """Return whether one of them wants the run to end; see `Listener.wants_stop`."""
        answers = [
            safe.call(listener.wants_stop, wait, default=False)
            for listener, safe in (self._members if self._is_open else ())
        ]
        self.stop_received = self.stop_received or any(answers)
        return any(answers)

    def _leave(self, failed: bool) -> None:
        """Close those that were opened, also the ones that are switched off."""
        if not self._is_open:
            return
        self._is_open = False
        for listener, safe in self._members:
            closing = safe if safe.is_on else Failsafe(listener.service, is_silent=True)
            closing.call(listener.close, failed or not safe.is_on, default=None)
